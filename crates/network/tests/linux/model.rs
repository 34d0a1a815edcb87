//! The sockets of the model, on a paused clock.

#[path = "interpreter.rs"]
mod interpreter;

use crate::script::{Class, DELAY, Script};
use hangup_network::{Config, World};
use interpreter::Address;
use std::net::SocketAddr;
use std::time::Duration;

/// What the interpreter is written against.
mod net {
    pub(super) use hangup_network::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};

    use crate::script::Class;
    use std::io;
    use std::net::SocketAddr;
    use std::time::Duration;

    pub(super) async fn listen(
        address: SocketAddr,
        backlog: u32,
        _: Class,
    ) -> io::Result<TcpListener> {
        TcpListener::bind_with_backlog(address, backlog).await
    }

    pub(super) fn set_linger(stream: &TcpStream, linger: Option<Duration>) -> io::Result<()> {
        stream.set_linger(linger)
    }

    pub(super) async fn connect(address: SocketAddr, _: Class) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }
}

/// Runs the script. The mtu does not cut reads, since Linux joins what it has.
pub(crate) fn run(script: &Script) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    // A whole script that is not timed takes less than a second, in which nothing is sent again; so it does on Linux. Only
    // what does not fit into the buffers needs more round trips to settle.
    let (latency, pause) = match script.class {
        Class::Small => (1, 10),
        Class::Big => (1, 10_000),
        Class::Timed => (DELAY, 0),
    };
    let latency = Duration::from_millis(latency);
    let config = Config {
        latency,
        mtu: 1 << 30,
        ..Config::default()
    };
    runtime.block_on(async {
        let world = World::enter(config, Box::new(()));
        tokio::spawn(world.run());
        let address = SocketAddr::from(([10, 0, 0, 1], 8000));
        let place = Address {
            listen: address,
            connect: address,
        };
        interpreter::interpret(script, place, Duration::from_millis(pause)).await
    })
}
