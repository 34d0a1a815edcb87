//! The sockets of the model, on a paused clock.

#[path = "interpreter.rs"]
mod interpreter;

use crate::script::Script;
use hangup_network::{Config, World};
use std::net::SocketAddr;
use std::time::Duration;

/// What the interpreter is written against.
mod net {
    pub(super) use hangup_network::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};

    use std::io;
    use std::net::SocketAddr;

    pub(super) async fn listen(
        address: SocketAddr,
        backlog: u32,
        _: bool,
    ) -> io::Result<TcpListener> {
        TcpListener::bind_with_backlog(address, backlog).await
    }

    pub(super) async fn connect(address: SocketAddr, _: bool) -> io::Result<TcpStream> {
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
    let config = Config {
        latency: Duration::from_millis(1),
        mtu: 1 << 30,
        ..Config::default()
    };
    runtime.block_on(async {
        let world = World::enter(config, Box::new(()));
        tokio::spawn(world.run());
        // A whole script takes less than a second, in which nothing is sent again; so it does on Linux. Only what does not
        // fit into the buffers needs more round trips to settle.
        let pause = Duration::from_millis(if script.big { 10_000 } else { 10 });
        let address = SocketAddr::from(([10, 0, 0, 1], 8000));
        interpreter::interpret(script, address, pause).await
    })
}
