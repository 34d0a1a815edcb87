//! Kernel sockets on 127.0.0.1, as clients and servers of a run see them.

use super::book;
use hangup_network::Side;
use hangup_scenario::Network;
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream as Socket};

/// As many connections wait in the accept queue as with `tokio::net::TcpListener::bind`.
const BACKLOG: u32 = 1024;

/// Socket buffers, which a kernel doubles for its own accounts and never makes smaller than a few KiB.
#[derive(Clone, Copy, Debug)]
struct Buffers {
    send: u32,
    receive: u32,
}

impl Buffers {
    fn of(network: &Network) -> Self {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).min(1 << 24);
        Self {
            send: size(network.send_buffer),
            receive: size(network.receive_buffer),
        }
    }

    /// A socket with these buffers on any port.
    fn socket(self) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(self.send)?;
        socket.set_recv_buffer_size(self.receive)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(socket)
    }
}

/// Where the server of a run accepts.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on a free port; accepted connections have the buffers of `network`.
    pub(super) fn bind(network: &Network) -> io::Result<Self> {
        let listener = Buffers::of(network).socket()?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection of this run's clients, and its peer.
    pub(crate) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let (stream, peer) = self.listener.accept().await?;
            // Anybody on this machine can connect here; who is not of the run is sent away.
            if let Some(id) = book::accepted(peer.port()) {
                stream.set_nodelay(true)?;
                return Ok((TcpStream::new(id, Side::Server, stream), peer));
            }
        }
    }
}

/// Where clients connect to.
#[derive(Clone, Copy, Debug)]
pub struct Dialer {
    address: SocketAddr,
    buffers: Buffers,
    /// Nobody of this process listens there.
    far: bool,
}

impl Dialer {
    pub(super) fn to(address: SocketAddr, network: &Network) -> Self {
        Self {
            address,
            buffers: Buffers::of(network),
            far: false,
        }
    }

    /// To a server that is not of this process.
    pub(super) fn far(address: SocketAddr, network: &Network) -> Self {
        Self {
            far: true,
            ..Self::to(address, network)
        }
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        if self.far {
            return self.connect_far().await;
        }
        let socket = self.buffers.socket()?;
        let mut attempt = Attempt(Some(book::connecting(socket.local_addr()?.port())));
        let connected = socket.connect(self.address).await;
        let id = attempt.0.take().unwrap_or_default();
        let stream = connected.and_then(|stream| {
            // One write is one segment.
            stream.set_nodelay(true)?;
            let handle = stream.as_fd().try_clone_to_owned()?;
            Ok((stream, handle))
        });
        match stream {
            Ok((socket, handle)) => {
                book::connected(id, handle.into());
                Ok(TcpStream::new(id, Side::Client, socket))
            }
            Err(error) => {
                book::failed(id, error.kind());
                Err(error)
            }
        }
    }
}

impl Dialer {
    async fn connect_far(&self) -> io::Result<TcpStream> {
        let mut attempt = Attempt(Some(book::connecting(0)));
        let own = |error: io::Error| {
            book::refused(format!("a socket: {error}"));
            error
        };
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
        .map_err(own)?;
        socket.set_send_buffer_size(self.buffers.send)?;
        socket.set_recv_buffer_size(self.buffers.receive)?;
        let connected = socket.connect(self.address).await;
        let id = attempt.0.take().unwrap_or_default();
        let socket = connected.inspect_err(|error| {
            // No port or no buffer is left here.
            if matches!(
                error.kind(),
                io::ErrorKind::AddrNotAvailable
                    | io::ErrorKind::AddrInUse
                    | io::ErrorKind::OutOfMemory
            ) {
                book::refused(format!("a connection: {error}"));
            }
            book::failed(id, error.kind());
        })?;
        // One write is one segment.
        socket.set_nodelay(true)?;
        let from = socket.local_addr()?;
        let handle = socket.as_fd().try_clone_to_owned().map_err(own)?;
        book::connected_far(id, handle.into(), from);
        Ok(TcpStream::new(id, Side::Client, socket))
    }
}

/// A connect that may be given up.
struct Attempt(Option<u32>);

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            book::abandoned(id);
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct TcpStream {
    id: u32,
    side: Side,
    socket: Socket,
    shut: bool,
    reset: bool,
}

impl TcpStream {
    fn new(id: u32, side: Side, socket: Socket) -> Self {
        Self {
            id,
            side,
            socket,
            shut: false,
            reset: false,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Lets go of the stream with an RST.
    pub(crate) fn reset(mut self) {
        // What has failed already needs no RST.
        self.reset = SockRef::from(&self.socket)
            .set_linger(Some(Duration::ZERO))
            .is_ok();
    }

    /// Nobody can vanish from his own machine: the socket stays open until the run is over.
    pub(crate) fn vanish(self) {
        book::keep(self);
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.side == Side::Server {
            return Pin::new(&mut self.socket).poll_read(cx, buffer);
        }
        book::look(self.id);
        if book::has_enough(self.id) {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        book::took(self.id, &buffer.filled()[before..]);
        match &polled {
            Poll::Ready(Err(error)) => {
                book::told_by(self.id, error.kind());
            }
            // The look has taken the error from the socket.
            Poll::Ready(Ok(())) if count == 0 && book::is_reset_far(self.id) => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            _ => {}
        }
        polled
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes));
        let count = written.inspect_err(|error| {
            book::told_by(self.id, error.kind());
        })?;
        book::wrote(self.id, self.side, &bytes[..count]);
        Poll::Ready(Ok(count))
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, slices))?;
        let mut left = count;
        for slice in slices {
            let taken = &slice[..left.min(slice.len())];
            left -= taken.len();
            if !taken.is_empty() {
                book::wrote(self.id, self.side, taken);
            }
        }
        Poll::Ready(Ok(count))
    }

    pub(crate) fn poll_shutdown(&mut self) -> Poll<io::Result<()>> {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        let done = SockRef::from(&self.socket).shutdown(Shutdown::Write);
        if done.is_ok() {
            self.shut = true;
            book::shut_down(self.id, self.side);
        }
        Poll::Ready(done)
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        // Linux answers for unread data with an RST.
        let unread = SockRef::from(&self.socket)
            .peek(&mut [MaybeUninit::uninit()])
            .is_ok_and(|count| count > 0);
        book::closed(self.id, self.side, self.reset || unread);
    }
}
