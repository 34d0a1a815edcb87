//! Where connections come from.

use crate::Peer;
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
