//! The sockets of Linux: `tokio::net` over loopback, in real time.

#[path = "interpreter.rs"]
mod interpreter;

use crate::script::{Class, Script};
use interpreter::Address;
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What the interpreter is written against.
mod net {
    pub(super) use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
    pub(super) use tokio::net::{TcpListener, TcpStream};

    use crate::script::{Class, Luck, Script};
    use socket2::{SockFilter, SockRef};
    use std::io;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::net::TcpSocket;

    /// A host gives up when so long after it has sent something again (200 ms later) there is still no acknowledgement. Without
    /// `TCP_USER_TIMEOUT` it would wait for `tcp_retries2`, 924.6 s and more.
    pub(super) const PATIENCE: Duration = Duration::from_millis(600);

    /// Reality brings its own.
    pub(super) fn luck(_: &Script, _: usize) -> Luck {
        Luck::NONE
    }

    /// A filter of one instruction, "keep nothing of the packet": what arrives for this socket is dropped, as if it were lost.
    fn deafen(socket: &SockRef<'_>) {
        const RETURN: u16 = 0x06;
        let nothing = SockFilter::new(RETURN, 0, 0, 0);
        socket.attach_filter(&[nothing]).unwrap();
    }

    /// From now on nothing arrives at either end.
    pub(super) fn lose(client: &TcpStream, server: &TcpStream) {
        for stream in [client, server] {
            deafen(&SockRef::from(stream));
        }
    }

    /// Gives up as soon as the script needs it to.
    pub(super) fn patient(stream: &TcpStream, class: Class) {
        if class == Class::Lost {
            let socket = SockRef::from(stream);
            socket.set_tcp_user_timeout(Some(PATIENCE)).unwrap();
        }
    }

    /// Connects to a host that is not there: its listener hears nothing.
    pub(super) async fn connect_lost(address: SocketAddr, class: Class) -> io::Result<TcpStream> {
        let listener = listen(address, 16, class).await?;
        deafen(&SockRef::from(&listener));
        connect(address, class).await
    }

    /// Small enough that the writes of a big script wait.
    const BUFFER: u32 = 32 * 1024;

    fn socket(class: Class) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        // A timed script must not wait for Nagle, who waits for acknowledgements; the model does not know him.
        socket.set_nodelay(class == Class::Timed)?;
        if class == Class::Lost {
            SockRef::from(&socket).set_tcp_user_timeout(Some(PATIENCE))?;
        }
        if matches!(class, Class::Big | Class::Lost) {
            socket.set_send_buffer_size(BUFFER)?;
            socket.set_recv_buffer_size(BUFFER)?;
        }
        Ok(socket)
    }

    pub(super) async fn listen(
        address: SocketAddr,
        backlog: u32,
        class: Class,
    ) -> io::Result<TcpListener> {
        let socket = socket(class)?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog)
    }

    pub(super) fn set_notsent_lowat(stream: &TcpStream, bytes: u32) -> io::Result<()> {
        SockRef::from(stream).set_tcp_notsent_lowat(bytes)
    }

    /// The state of this socket, and what is in its send queue; none if the kernel has no such socket, or only remembers
    /// its addresses (TIME_WAIT).
    pub(super) fn netstat(local: SocketAddr, peer: SocketAddr) -> Option<(String, usize)> {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let wanted = (hex(local), hex(peer));
        table.lines().find_map(|line| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            if (*columns.get(1)?, *columns.get(2)?) != (&*wanted.0, &*wanted.1) {
                return None;
            }
            let state = match *columns.get(3)? {
                "01" => "ESTABLISHED",
                "04" => "FIN_WAIT1",
                "05" => "FIN_WAIT2",
                "08" => "CLOSE_WAIT",
                "09" => "LAST_ACK",
                "0B" => "CLOSING",
                _ => return None,
            };
            let queue = columns.get(4)?.split_once(':')?.0;
            Some((state.to_owned(), usize::from_str_radix(queue, 16).ok()?))
        })
    }

    /// An address as the kernel's table has it: the words of the host in the machine's own order.
    fn hex(address: SocketAddr) -> String {
        let SocketAddr::V4(address) = address else {
            unreachable!("scripts are run on IPv4");
        };
        let host = u32::from_ne_bytes(address.ip().octets());
        format!("{host:08X}:{:04X}", address.port())
    }

    pub(super) fn set_linger(stream: &TcpStream, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(stream).set_linger(linger)
    }

    pub(super) async fn connect(address: SocketAddr, class: Class) -> io::Result<TcpStream> {
        socket(class)?.connect(address).await
    }
}

/// Where the next script runs. Each has a place of its own, also beside other tests of this process and of others: a port that
/// another script has just used behaves differently.
fn next_place(class: Class) -> Address {
    static PLACES: AtomicU32 = AtomicU32::new(0);
    let n = (std::process::id() << 16).wrapping_add(PLACES.fetch_add(1, Ordering::Relaxed));
    let host = |first: u32, count: u32| Ipv4Addr::from(first + n % count);
    match class {
        Class::Small | Class::Big | Class::Grown | Class::Lost | Class::Hasty => {
            let address = SocketAddr::from((host(0x7f01_0001, 0x00f0_0000), 8000));
            Address {
                listen: address,
                connect: address,
            }
        }
        // What is sent to any address of 10.9.0.0/16 comes back from there, later; see delay.py.
        Class::Timed => {
            let port = 10_000 + (n % 20_000) as u16;
            Address {
                listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
                connect: SocketAddr::from((host(0x0a09_0100, 0xf000), port)),
            }
        }
    }
}

/// Runs the scripts, `abreast` of them at a time, and lets the network settle for `pause` after each operation.
pub(crate) fn run(scripts: &[Script], abreast: usize, pause: Duration) -> Vec<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let scripts: Rc<[Script]> = scripts.into();
    let outcomes = Rc::new(RefCell::new(vec![Vec::new(); scripts.len()]));
    let next = Rc::new(Cell::new(0));
    let local = tokio::task::LocalSet::new();
    let mut workers = Vec::new();
    for _ in 0..abreast {
        let (scripts, outcomes, next) = (scripts.clone(), outcomes.clone(), next.clone());
        workers.push(local.spawn_local(async move {
            while next.get() < scripts.len() {
                let index = next.replace(next.get() + 1);
                let place = next_place(scripts[index].class);
                let result = interpreter::interpret(&scripts[index], place, pause).await;
                outcomes.borrow_mut()[index] = result;
            }
        }));
    }
    runtime.block_on(local.run_until(async {
        for worker in workers {
            worker.await.unwrap();
        }
    }));
    outcomes.take()
}
