//! The stream and the listener that servers under test and clients see, whichever engine carries the bytes.

use crate::engine::{leap, turmoil, wire};
use crate::trace::{Recorder, record};
use hangup_lifecycle::Limits;
use hangup_network::{BlackHole, Link};
use hangup_scenario::{Blackhole, LinkChange};
use hangup_server::SocketOptions;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end of a connection.
#[derive(Debug)]
pub enum Stream {
    /// On the leap engine's network.
    Leap(hangup_network::TcpStream),
    /// Over a stream of the turmoil engine.
    Turmoil(turmoil::TcpStream),
    /// A kernel socket of the wire engine.
    Wire(wire::TcpStream),
}

/// Where a server accepts.
#[derive(Debug)]
pub enum Listener {
    /// On the leap engine's network.
    Leap(hangup_network::TcpListener),
    /// On the turmoil engine's server host.
    Turmoil(turmoil::Listener),
    /// A kernel socket of the wire engine.
    Wire(wire::Listener),
    /// None: the server binds one of its own.
    Own,
}

/// Where clients connect to.
#[derive(Clone, Copy, Debug)]
pub enum Dialer {
    /// On the leap engine's network.
    Leap(SocketAddr),
    /// On the turmoil engine's hosts.
    Turmoil(turmoil::Dialer),
    /// To a kernel socket.
    Wire(wire::Dialer),
}

impl Dialer {
    /// Opens a connection, from a host with this address or any. Where [`Dialer::has_addresses`] is false, all come
    /// from one.
    pub async fn connect(&self, from: Option<IpAddr>) -> io::Result<Stream> {
        match self {
            Self::Leap(address) => hangup_network::TcpStream::connect_from(from, *address, None)
                .await
                .map(Stream::Leap),
            Self::Turmoil(dialer) => dialer.connect(from).await.map(Stream::Turmoil),
            Self::Wire(dialer) => dialer.connect(from).await.map(Stream::Wire),
        }
    }

    /// Can clients come from different addresses?
    pub fn has_addresses(&self) -> bool {
        match self {
            Self::Leap(_) | Self::Turmoil(_) => true,
            Self::Wire(dialer) => dialer.has_addresses(),
        }
    }
}

impl Dialer {
    /// Opens a connection from a host beside the server's, with this address or any: what becomes of it says nothing about the scenario's network. On engines
    /// that have one path for all, over that.
    pub(crate) async fn connect_nearby(&self, from: Option<IpAddr>) -> io::Result<Stream> {
        match self {
            Self::Leap(address) => {
                hangup_network::TcpStream::connect_from(from, *address, Some(Link::NEARBY))
                    .await
                    .map(Stream::Leap)
            }
            Self::Turmoil(_) | Self::Wire(_) => self.connect(from).await,
        }
    }
}

impl Listener {
    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Leap(listener) => listener.local_addr(),
            Self::Turmoil(listener) => Ok(listener.local_addr()),
            Self::Wire(listener) => Ok(listener.address()),
            Self::Own => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The next connection and its peer.
    pub async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        record(Recorder::accepting);
        match self {
            Self::Leap(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Leap(stream), peer))
            }
            Self::Turmoil(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Turmoil(stream), peer))
            }
            Self::Wire(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Wire(stream), peer))
            }
            Self::Own => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// A listener for our own server, which asks what clients have acknowledged.
#[derive(Debug)]
pub struct Acknowledging {
    listener: Listener,
    options: Option<SocketOptions>,
}

impl From<Listener> for Acknowledging {
    fn from(listener: Listener) -> Self {
        Self {
            listener,
            options: None,
        }
    }
}

impl hangup_server::Listener for Acknowledging {
    type Io = Stream;

    const TELLS: bool = true;

    fn prepare(&mut self, limits: &Limits) {
        self.options = Some(limits.into());
    }

    async fn accept(&mut self) -> io::Result<(Stream, hangup_server::Peer)> {
        let (stream, address) = self.listener.accept().await?;
        if let Some(options) = self.options {
            // As on a kernel's socket, one that is gone already refuses them, which its connection will find out; the turmoil
            // engine has none of them.
            let _ = stream.set_notsent_lowat(options.not_sent_max);
            if let Some(probes) = options.keepalive {
                let _ = stream.set_keepalive(probes.idle, probes.interval, probes.count);
            }
        }
        Ok((stream, address.into()))
    }

    fn unacknowledged(io: &Stream) -> io::Result<Option<u64>> {
        // A socket that was reset has no peer, as on a kernel.
        match io {
            Stream::Leap(stream) => drop(stream.peer_addr()?),
            Stream::Turmoil(stream) if !stream.is_connected() => {
                return Err(io::ErrorKind::NotConnected.into());
            }
            Stream::Turmoil(_) | Stream::Wire(_) => {}
        }
        io.send_queue().map(|queue| Some(queue as u64))
    }

    fn abort(io: &mut Stream) {
        // A connection that is gone needs no reset.
        let _ = io.set_zero_linger();
    }
}

impl Stream {
    /// The connection's id in the ledger.
    pub fn connection(&self) -> u32 {
        match self {
            Self::Leap(stream) => stream.connection().0,
            Self::Turmoil(stream) => stream.connection().0,
            Self::Wire(stream) => stream.id(),
        }
    }

    /// Bytes that were written and that the peer's host has not acknowledged (`SIOCOUTQ`).
    ///
    /// # Errors
    /// What the engine's socket gives: the connection is gone.
    pub fn send_queue(&self) -> io::Result<usize> {
        match self {
            Self::Leap(stream) => stream.send_queue(),
            Self::Turmoil(stream) => Ok(stream.send_queue()),
            Self::Wire(stream) => stream.send_queue(),
        }
    }

    /// Takes the error that no call has reported yet (`SO_ERROR`), such as a reset that came behind the end of the stream.
    ///
    /// # Errors
    /// What the engine's socket gives.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Leap(stream) => stream.take_error(),
            Self::Turmoil(stream) => Ok(stream.take_error()),
            Self::Wire(stream) => stream.with_socket(|socket| socket.take_error()),
        }
    }

    /// With a zero duration, dropping the stream resets the connection and forgets what was not sent; see
    /// [`hangup_network::TcpStream::set_linger`].
    ///
    /// # Errors
    /// `Unsupported` on the turmoil engine for anything but zero; else what the engine's socket gives.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Leap(stream) => stream.set_linger(linger),
            Self::Turmoil(stream) if linger == Some(Duration::ZERO) => {
                stream.set_zero_linger();
                Ok(())
            }
            Self::Turmoil(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::Wire(stream) => stream.with_socket(|socket| socket.set_linger(linger)),
        }
    }

    /// Dropping the stream resets the connection.
    ///
    /// # Errors
    /// What the engine's socket gives.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Sets `TCP_NOTSENT_LOWAT`; see [`hangup_network::TcpStream::set_notsent_lowat`].
    ///
    /// # Errors
    /// `Unsupported` on the turmoil engine; else what the engine's socket gives.
    pub fn set_notsent_lowat(&self, bytes: u32) -> io::Result<()> {
        match self {
            Self::Leap(stream) => stream.set_notsent_lowat(bytes),
            Self::Turmoil(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::Wire(stream) => stream.with_socket(|socket| socket.set_tcp_notsent_lowat(bytes)),
        }
    }

    /// Turns keep-alive probes on; see [`hangup_network::TcpStream::set_keepalive`].
    ///
    /// # Errors
    /// `Unsupported` on the turmoil engine; else what the engine's socket gives.
    pub fn set_keepalive(&self, idle: Duration, interval: Duration, count: u32) -> io::Result<()> {
        match self {
            Self::Leap(stream) => stream.set_keepalive(idle, interval, count),
            Self::Turmoil(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::Wire(stream) => stream.with_socket(|socket| {
                let probes = socket2::TcpKeepalive::new()
                    .with_time(idle)
                    .with_interval(interval)
                    .with_retries(count);
                socket.set_tcp_keepalive(&probes)
            }),
        }
    }

    /// Sets `TCP_USER_TIMEOUT`; see [`hangup_network::TcpStream::set_user_timeout`].
    ///
    /// # Errors
    /// `Unsupported` on the turmoil engine; else what the engine's socket gives.
    pub fn set_user_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Leap(stream) => stream.set_user_timeout(timeout),
            Self::Turmoil(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::Wire(stream) => {
                stream.with_socket(|socket| socket.set_tcp_user_timeout(Some(timeout)))
            }
        }
    }

    /// Lets go of the stream with an RST, as `SO_LINGER` 0 does.
    pub fn reset(self) {
        match self {
            Self::Leap(stream) => {
                // A stream that has already failed needs no RST.
                let _ = stream.set_zero_linger();
            }
            Self::Turmoil(stream) => stream.set_zero_linger(),
            Self::Wire(stream) => stream.reset(),
        }
    }

    /// The client's host is gone: no FIN, no RST, nothing acknowledged from now on.
    pub fn vanish(self) {
        match self {
            Self::Leap(stream) => leap::with_world(|world| world.vanish(stream.connection())),
            Self::Turmoil(stream) => stream.vanish(),
            Self::Wire(stream) => stream.vanish(),
        }
    }

    /// Changes the path under this connection from now on.
    pub fn set_link(&self, change: &LinkChange) {
        match self {
            Self::Leap(stream) => leap::with_world(|world| {
                let connection = stream.connection();
                record(|recorder| recorder.disturbed(connection.0));
                let before = if change.heal {
                    None
                } else {
                    world.link(connection)
                };
                let mut link = before.unwrap_or_else(|| world.default_link());
                link.latency = change.latency.unwrap_or(link.latency);
                link.jitter = change.jitter.unwrap_or(link.jitter);
                link.mtu = change.mtu.unwrap_or(link.mtu);
                link.loss = change.loss.unwrap_or(link.loss);
                link.black_hole = match change.blackhole {
                    Some(Blackhole::Both) => BlackHole::Both,
                    Some(Blackhole::ToServer) => BlackHole::ToServer,
                    Some(Blackhole::ToClient) => BlackHole::ToClient,
                    None => link.black_hole,
                };
                world.set_link(connection, link);
            }),
            Self::Turmoil(stream) => stream.set_link(change),
            // The engine says in its caveats that it leaves this out.
            Self::Wire(_) => {}
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Leap(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Turmoil(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Wire(stream) => stream.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Leap(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Turmoil(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Wire(stream) => stream.poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Leap(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Turmoil(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Wire(stream) => stream.poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Leap(stream) => stream.is_write_vectored(),
            Self::Turmoil(stream) => stream.is_write_vectored(),
            Self::Wire(_) => true,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Leap(stream) => Pin::new(stream).poll_flush(cx),
            Self::Turmoil(stream) => Pin::new(stream).poll_flush(cx),
            Self::Wire(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Leap(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Turmoil(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Wire(stream) => stream.poll_shutdown(),
        }
    }
}
