//! Where connections come from.

use crate::{Peer, kernel};
use hangup_lifecycle::Limits;
use std::future::Future;
use std::io;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Gives out connections: tokio's listener, a simulated one, one that speaks TLS.
pub trait Listener: Send + 'static {
    /// The stream of one connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection. An error is waited out with a growing pause, and does not end the server: out of descriptors today is not
    /// out of descriptors tomorrow.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;

    /// Whether each connection takes one of the process's file descriptors. If so, the server fits
    /// its limit of connections to the limit of open files ([`Descriptors`](crate::Descriptors));
    /// `false` unless this is overridden.
    fn uses_descriptors(&self) -> bool {
        false
    }

    /// Sets the listener up before its first [`accept`](Listener::accept), for what only the system can do: keepalive probes
    /// that end a connection whose client has [vanished](Limits::vanished), and a short send queue. There is nothing to do
    /// unless this is overridden.
    fn prepare(&mut self, limits: &Limits) {
        let _ = limits;
    }

    /// Whether [`Listener::unacknowledged`] can say anything. Where it cannot, what a stream accepts is taken for
    /// acknowledged by the peer.
    const TELLS: bool = false;

    /// How many bytes of what was written to the stream its peer has not acknowledged, a FIN included: what `SIOCOUTQ` says.
    /// `None` if this cannot be said of this stream.
    ///
    /// # Errors
    /// If the stream is no longer connected.
    fn unacknowledged(io: &Self::Io) -> io::Result<Option<u64>> {
        let _ = io;
        Ok(None)
    }

    /// Makes the next close a reset that leaves nothing of the connection behind: `SO_LINGER` 0. Unless this is overridden, a
    /// close is a close.
    fn abort(io: &mut Self::Io) {
        let _ = io;
    }

    /// Goes on with what a connection needs before its first request, as TLS does. It runs in the connection's task, and has
    /// [`Limits::handshake`](crate::Limits::handshake); there is nothing to do unless this is overridden.
    fn poll_handshake(io: &mut Self::Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = (io, cx);
        Poll::Ready(Ok(()))
    }
}

impl Listener for TcpListener {
    type Io = TcpStream;

    fn uses_descriptors(&self) -> bool {
        true
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = TcpListener::accept(self).await?;
        // A response goes out in few writes, and none should wait for the client's acknowledgement. A socket that refuses
        // this is already gone, which its connection will find out.
        let _ = stream.set_nodelay(true);
        Ok((stream, address.into()))
    }

    const TELLS: bool = kernel::TELLS;

    fn prepare(&mut self, limits: &Limits) {
        #[cfg(unix)]
        kernel::prepare(self, limits);
        #[cfg(not(unix))]
        let _ = limits;
    }

    fn unacknowledged(io: &TcpStream) -> io::Result<Option<u64>> {
        kernel::unacknowledged(io.local_addr(), io.peer_addr())
    }

    fn abort(io: &mut TcpStream) {
        // A socket that refuses this is already reset.
        let _ = io.set_zero_linger();
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Io = tokio::net::UnixStream;

    fn uses_descriptors(&self) -> bool {
        true
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, Peer)> {
        let (stream, address) = tokio::net::UnixListener::accept(self).await?;
        Ok((stream, address.into()))
    }
}
