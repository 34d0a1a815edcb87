//! TLS by `tokio-rustls` (feature `tls`): the handshake is in the connection's own task, under a clock of its own.

use crate::{Limits, Listener, Peer};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// The most bytes of records that wait in the session for the stream to take them: one of the
/// largest size. The stream counts them as accepted, and its kernel does not know of them, so that
/// they pass for acknowledged by the client.
const RECORDS: usize = 16 * 1024;

/// A listener whose connections speak TLS.
///
/// The handshake is no part of `accept`: a client that does not finish it holds up nobody but itself, and is closed at the
/// end of [`Limits::handshake`](crate::Limits::handshake).
///
/// ```no_run
/// # async fn serve(config: tokio_rustls::rustls::ServerConfig) -> std::io::Result<()> {
/// # let service = hangup_server::service_fn(async |_| http::Response::new(String::new()));
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:443").await?;
/// let listener = hangup_server::Tls::new(listener, std::sync::Arc::new(config).into());
/// hangup_server::Server::new(service).serve(listener).await;
/// # Ok(()) }
/// ```
pub struct Tls<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

/// A connection's stream, before its handshake and behind it.
pub struct TlsIo<I>(State<I>);

enum State<I> {
    Handshake(Box<Accept<I>>),
    Open(Box<TlsStream<I>>),
    Failed,
}

impl<L> Tls<L> {
    /// What `listener` accepts speaks TLS, with the certificates that `acceptor` has.
    pub fn new(listener: L, acceptor: TlsAcceptor) -> Self {
        Tls { listener, acceptor }
    }
}

impl<L: Listener> Listener for Tls<L> {
    type Io = TlsIo<L::Io>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Peer)> {
        let (io, peer) = self.listener.accept().await?;
        Ok((
            TlsIo(State::Handshake(Box::new(self.acceptor.accept(io)))),
            peer,
        ))
    }

    fn uses_descriptors(&self) -> bool {
        self.listener.uses_descriptors()
    }

    const TELLS: bool = L::TELLS;

    fn prepare(&mut self, limits: &Limits) {
        self.listener.prepare(limits);
    }

    fn unacknowledged(io: &Self::Io) -> io::Result<Option<u64>> {
        match &io.0 {
            State::Open(stream) => L::unacknowledged(stream.get_ref().0),
            // Nothing of a connection was written yet.
            State::Handshake(_) | State::Failed => Ok(Some(0)),
        }
    }

    fn abort(io: &mut Self::Io) {
        match &mut io.0 {
            State::Open(stream) => L::abort(stream.get_mut().0),
            State::Handshake(accept) => {
                if let Some(io) = accept.get_mut() {
                    L::abort(io);
                }
            }
            State::Failed => {}
        }
    }

    fn poll_handshake(io: &mut Self::Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Handshake(accept) = &mut io.0 {
            let accepted = ready!(Pin::new(accept).poll(cx));
            let (state, result) = match accepted {
                Ok(mut stream) => {
                    stream.get_mut().1.set_buffer_limit(Some(RECORDS));
                    (State::Open(Box::new(stream)), Ok(()))
                }
                Err(error) => (State::Failed, Err(error)),
            };
            io.0 = state;
            return Poll::Ready(result);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I> TlsIo<I>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    fn open(self: Pin<&mut Self>) -> io::Result<Pin<&mut TlsStream<I>>> {
        match &mut self.get_mut().0 {
            State::Open(stream) => Ok(Pin::new(stream)),
            State::Handshake(_) | State::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The session, once the handshake is done: its protocol version, its ALPN, the client's certificates.
    pub fn get_ref(&self) -> Option<&TlsStream<I>> {
        match &self.0 {
            State::Open(stream) => Some(stream),
            State::Handshake(_) | State::Failed => None,
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsIo<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.open()?.poll_read(cx, buffer)) {
            // A close without TLS's own is accepted (RFC 9112 section 9.8): every message has a length of its own, so none can be cut
            // short unseen.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsIo<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.open()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_shutdown(cx)
    }
}
