//! Who is at the other end.

use std::fmt;
use std::net::SocketAddr;

/// The address of a connection's other end, as far as there is one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Peer {
    /// An internet address.
    Socket(SocketAddr),
    /// An unnamed end: a Unix socket, a pipe in memory.
    #[default]
    Unnamed,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Peer::Socket(address)
    }
}

impl From<tokio::net::unix::SocketAddr> for Peer {
    fn from(_: tokio::net::unix::SocketAddr) -> Self {
        Peer::Unnamed
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Socket(address) => address.fmt(f),
            Peer::Unnamed => f.pad("unnamed"),
        }
    }
}
