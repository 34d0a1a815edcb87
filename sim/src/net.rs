//! `tokio::net` on the simulated network, for servers that are written against it: the same names, the same methods.
//!
//! A server that says `use tokio::net::{TcpListener, TcpStream};` is put on the test bed by one changed import,
//!
//! ```
//! # #[cfg(any())]
//! #[cfg(test)]
//! use hangup::net::{TcpListener, TcpStream};
//! # #[cfg(any())]
//! #[cfg(not(test))]
//! use tokio::net::{TcpListener, TcpStream};
//! ```
//!
//! or by being generic over what it accepts from and what it reads. `axum::serve` and
//! [`hangup_server::Server`] take the listener as it is, hyper takes the stream in a `TokioIo`.
//!
//! They work inside a run only: outside of one every operation fails with
//! [`NetworkDown`](std::io::ErrorKind::NetworkDown).

use crate::trace::{Recorder, record};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::ToSocketAddrs;
use tokio::time::sleep;

pub use hangup_network::TcpStream;

/// How long axum waits behind an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The halves of a stream, as in `tokio::net::tcp`.
pub mod tcp {
    pub use hangup_network::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
}

/// A listening socket of the simulated network, in the shape of `tokio::net::TcpListener`.
#[derive(Debug)]
pub struct TcpListener(pub(crate) hangup_network::TcpListener);

impl TcpListener {
    /// Listens on the run's network. The scenario's clients connect to the listener that a server is given, not to this one.
    ///
    /// # Errors
    /// `AddrInUse` if a listener is there, `NetworkDown` outside a run.
    pub async fn bind<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        hangup_network::TcpListener::bind(address).await.map(Self)
    }

    /// The next connection, and the address of its client.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        // The task that accepts is no connection's own, which its next spawn must not be taken for.
        record(Recorder::accepting);
        self.0.accept().await
    }

    /// As [`TcpListener::accept`]; only the task of the last call is woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        record(Recorder::accepting);
        self.0.poll_accept(cx)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl hangup_server::Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, hangup_server::Peer)> {
        let (stream, address) = Self::accept(self).await?;
        Ok((stream, address.into()))
    }
}

impl axum::serve::Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match Self::accept(self).await {
                Ok(accepted) => return accepted,
                // As axum does it for tokio's listener.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}
