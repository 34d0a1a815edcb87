//! The sockets of the model, on a paused clock.

#[path = "interpreter.rs"]
mod interpreter;

use crate::script::{Class, DELAY, Script};
use hangup_network::{Config, World};
use interpreter::Address;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

thread_local! {
    /// The network of the script that runs.
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// What the interpreter is written against.
mod net {
    pub(super) use hangup_network::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};

    use super::WORLD;
    use crate::script::{Class, Luck, Script};
    use hangup_network::{BlackHole, Link, State, World};
    use std::io;
    use std::net::SocketAddr;
    use std::time::Duration;

    /// Longer than any host waits for an acknowledgement.
    pub(super) const PATIENCE: Duration = Duration::from_secs(1000);

    pub(super) fn luck(script: &Script, step: usize) -> Luck {
        script.luck.get(step).copied().unwrap_or(Luck::NONE)
    }

    /// A path on which nothing arrives.
    fn lost() -> Link {
        let link = WORLD.with_borrow(|world| world.as_ref().expect("a script runs").default_link());
        Link {
            black_hole: BlackHole::Both,
            ..link
        }
    }

    pub(super) fn lose(client: &TcpStream, _: &TcpStream) {
        let link = lost();
        WORLD.with_borrow(|world| {
            let world = world.as_ref().expect("a script runs");
            world.set_link(client.connection(), link);
        });
    }

    pub(super) fn patient(_: &TcpStream, _: Class) {}

    pub(super) async fn connect_lost(address: SocketAddr, _: Class) -> io::Result<TcpStream> {
        TcpStream::connect_from(None, address, Some(lost())).await
    }

    pub(super) async fn listen(
        address: SocketAddr,
        backlog: u32,
        _: Class,
    ) -> io::Result<TcpListener> {
        TcpListener::bind_with_backlog(address, backlog).await
    }

    pub(super) fn set_notsent_lowat(stream: &TcpStream, bytes: u32) -> io::Result<()> {
        stream.set_notsent_lowat(bytes)
    }

    /// The state of this socket, and what is in its send queue; none if its host has no such socket.
    pub(super) fn netstat(local: SocketAddr, peer: SocketAddr) -> Option<(String, usize)> {
        let sockets = WORLD.with_borrow(|world| world.as_ref().map(World::sockets))?;
        let mut found = sockets
            .into_iter()
            .filter(|one| (one.local, one.peer) == (local, peer));
        let socket = found.next().filter(|one| one.state != State::Closed)?;
        let fin = matches!(
            socket.state,
            State::FinWait1 | State::Closing | State::LastAck
        );
        let queue = socket.unsent + socket.unacknowledged + usize::from(fin);
        Some((socket.state.to_string(), queue))
    }

    pub(super) fn set_linger(stream: &TcpStream, linger: Option<Duration>) -> io::Result<()> {
        stream.set_linger(linger)
    }

    pub(super) async fn connect(address: SocketAddr, class: Class) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(class == Class::Timed)?;
        Ok(stream)
    }
}

/// Runs the script, on a network that is told of its runtime's pauses, as those of simulations are. The mtu does not cut reads, since Linux joins
/// what it has.
pub(crate) fn run(script: &Script) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(hangup_network::about_to_park)
        .on_thread_unpark(hangup_network::time_may_have_passed)
        .build()
        .unwrap();
    // A whole script that is not timed takes less than a second, in which nothing is sent again; so it does on Linux. Only
    // what does not fit into the buffers needs more round trips to settle.
    let (latency, pause) = match script.class {
        Class::Small | Class::Lost | Class::Hasty => (1, 10),
        Class::Big | Class::Grown => (1, 2_500),
        Class::Timed => (DELAY, 0),
    };
    let latency = Duration::from_millis(latency);
    let fixed = matches!(script.class, Class::Big | Class::Lost).then_some(64 * 1024);
    let config = Config {
        send_buffer: fixed,
        receive_buffer: fixed,
        latency,
        mtu: 1 << 30,
        ..Config::default()
    };
    runtime.block_on(async {
        let world = World::enter(config, Box::new(()));
        world.follow_pauses(Instant::now());
        tokio::spawn(world.run());
        WORLD.set(Some(world));
        let address = SocketAddr::from(([10, 0, 0, 1], 8000));
        let place = Address {
            listen: address,
            connect: address,
        };
        let outcomes = interpreter::interpret(script, place, Duration::from_millis(pause)).await;
        WORLD.set(None);
        outcomes
    })
}
