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
use hangup_lifecycle::Limits;
use hangup_server::SocketOptions;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::sleep;

pub use hangup_network::{TcpStream, ToSocketAddrs, lookup_host};

/// How long axum waits behind an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The halves of a stream, as in `tokio::net::tcp`.
pub mod tcp {
    pub use hangup_network::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
}

/// A listening socket of the simulated network, in the shape of `tokio::net::TcpListener`.
#[derive(Debug)]
pub struct TcpListener(
    pub(crate) hangup_network::TcpListener,
    /// What our own server wants of the sockets that it accepts.
    pub(crate) Option<SocketOptions>,
);

impl TcpListener {
    /// Listens on the run's network. The scenario's clients connect to the listener that a server is given, and to this one
    /// if it is given none, see [`Bed::binding`](crate::Bed::binding).
    ///
    /// # Errors
    /// `AddrInUse` if a listener is there, `NetworkDown` outside a run.
    pub async fn bind<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        let listener = hangup_network::TcpListener::bind(address).await?;
        Ok(Self(listener, None))
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

    /// A socket of the kernel's cannot be put on the simulated network.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        hangup_network::TcpListener::from_std(listener).map(|listener| Self(listener, None))
    }

    /// A simulated socket cannot become one of the kernel's.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.0.into_std()
    }

    /// The time to live of what is sent, in hops: always 64 here.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.ttl()
    }

    /// Accepted, and without effect: no simulated path is longer than one hop.
    ///
    /// # Errors
    /// `InvalidInput` unless it is 1 to 255, as on Linux.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
    }
}

/// A socket that is neither listening nor connected, in the shape of `tokio::net::TcpSocket`. Its options are those of
/// [`hangup_network::TcpSocket`].
#[derive(Debug)]
pub struct TcpSocket(hangup_network::TcpSocket);

impl TcpSocket {
    /// A socket for IPv4.
    pub fn new_v4() -> io::Result<Self> {
        hangup_network::TcpSocket::new_v4().map(Self)
    }

    /// A socket for IPv6.
    pub fn new_v6() -> io::Result<Self> {
        hangup_network::TcpSocket::new_v6().map(Self)
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`TcpStream::connect`], and `InvalidInput` if the address is of the other kind.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        self.0.connect(address).await
    }

    /// Listens, with room for `backlog + 1` connections that are not accepted.
    ///
    /// # Errors
    /// As [`TcpListener::bind`].
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.0
            .listen(backlog)
            .map(|listener| TcpListener(listener, None))
    }
}

impl Deref for TcpSocket {
    type Target = hangup_network::TcpSocket;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl hangup_server::Listener for TcpListener {
    type Io = TcpStream;

    const TELLS: bool = true;

    fn prepare(&mut self, limits: &Limits) {
        self.1 = Some(limits.into());
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, hangup_server::Peer)> {
        let (stream, address) = Self::accept(self).await?;
        if let Some(options) = self.1 {
            // As on a kernel's socket, one that is gone already refuses them, which its connection will find out.
            let _ = stream.set_notsent_lowat(options.not_sent_max);
            if let Some(probes) = options.keepalive {
                let _ = stream.set_keepalive(probes.idle, probes.interval, probes.count);
            }
        }
        Ok((stream, address.into()))
    }

    fn unacknowledged(io: &TcpStream) -> io::Result<Option<u64>> {
        // A socket that was reset has no peer, as on a kernel.
        io.peer_addr()?;
        io.send_queue().map(|queue| Some(queue as u64))
    }

    fn abort(io: &mut TcpStream) {
        // A connection that is gone needs no reset.
        let _ = io.set_zero_linger();
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
