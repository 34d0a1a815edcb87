//! The sockets of Linux: `tokio::net` over loopback, in real time.

#[path = "interpreter.rs"]
mod interpreter;

use crate::script::Script;
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

/// What the interpreter is written against.
mod net {
    pub(super) use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
    pub(super) use tokio::net::{TcpListener, TcpStream};

    use std::io;
    use std::net::SocketAddr;
    use tokio::net::TcpSocket;

    /// Small enough that the writes of a big script wait.
    const BUFFER: u32 = 32 * 1024;

    fn socket(big: bool) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        if big {
            socket.set_send_buffer_size(BUFFER)?;
            socket.set_recv_buffer_size(BUFFER)?;
        }
        Ok(socket)
    }

    pub(super) async fn listen(
        address: SocketAddr,
        backlog: u32,
        big: bool,
    ) -> io::Result<TcpListener> {
        let socket = socket(big)?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog)
    }

    pub(super) async fn connect(address: SocketAddr, big: bool) -> io::Result<TcpStream> {
        socket(big)?.connect(address).await
    }
}

/// Runs the scripts, `abreast` of them at a time, and lets the network settle for `pause` after each operation. Each
/// script has an address of its own: a port that another script has just used behaves differently.
pub(crate) fn run(scripts: &[Script], abreast: usize, pause: Duration) -> Vec<Vec<String>> {
    thread_local!(static ADDRESSES: Cell<u32> = const { Cell::new(0) });
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
                // 127.1.0.1 and on.
                let host = ADDRESSES.replace(ADDRESSES.get() + 1);
                let ip = Ipv4Addr::from(0x7f01_0001 + host % 0x00f0_0000);
                let address = SocketAddr::from((ip, 8000));
                let result = interpreter::interpret(&scripts[index], address, pause).await;
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
