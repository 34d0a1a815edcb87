//! The hosts of a run: how the server comes to its listener, and the hosts that it calls.

use super::ADDRESS;
use crate::engine::doze;
use crate::net;
use crate::server::{Listens, Server};
use crate::transport::Listener;
use hangup_network::{TcpListener, World};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long a server may take to bind a listener of its own.
const BIND_MAX: Duration = Duration::from_secs(60);

/// The listener that an instance of `server` is given.
pub(super) async fn listener(server: &dyn Server, world: &World) -> Listener {
    match server.listens() {
        Listens::Given => Listener::Leap(
            TcpListener::bind(ADDRESS)
                .await
                .expect("only this process binds, and its last instance is dead"),
        ),
        Listens::Binds { port } => {
            world.front(ADDRESS, port);
            Listener::Own
        }
    }
}

/// Waits until a server that was started has bound the listener that clients come to. Clients of a server that does not do so
/// in time are refused.
pub(super) async fn bound(server: &dyn Server, world: &World) {
    if matches!(server.listens(), Listens::Binds { .. }) {
        let _ = timeout(BIND_MAX, world.front_open()).await;
    }
}

/// Starts the hosts that `server` calls.
pub(super) async fn start_peers(server: &dyn Server, world: &World) {
    for peer in server.peers() {
        if let Some(name) = &peer.name {
            world.name(name, peer.ip);
        }
        let address = SocketAddr::new(peer.ip, peer.port);
        match TcpListener::bind_beside(address).await {
            Ok(listener) => {
                let serving = (peer.serve)(net::TcpListener(listener, None));
                tokio::spawn(doze::may_nap(serving));
            }
            Err(error) => panic!("Bed::peer: {address} cannot be bound: {error}"),
        }
    }
}
