//! Kernel sockets on 127.0.0.1, as clients and servers of a run see them.

use super::book;
use super::descriptor::Descriptor;
use super::now;
use super::table;
use crate::engine::descriptors::{Descriptors, Held};
use hangup_network::Side;
use hangup_scenario::Network;
use socket2::SockRef;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream as Socket};

/// As many connections wait in the accept queue as with `tokio::net::TcpListener::bind`.
const BACKLOG: u32 = 1024;

/// Socket buffers, which a kernel doubles for its own accounts and never makes smaller than a few KiB.
#[derive(Clone, Copy, Debug)]
struct Buffers {
    /// None where the kernel lets it grow.
    send: Option<u32>,
    receive: Option<u32>,
}

impl Buffers {
    fn of(network: &Network) -> Self {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).min(1 << 24);
        Self {
            send: network.send_buffer.map(size),
            receive: network.receive_buffer.map(size),
        }
    }

    fn set(self, socket: &TcpSocket) -> io::Result<()> {
        if let Some(size) = self.send {
            socket.set_send_buffer_size(size)?;
        }
        if let Some(size) = self.receive {
            socket.set_recv_buffer_size(size)?;
        }
        Ok(())
    }

    /// A socket with these buffers.
    fn unbound(self) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        self.set(&socket)?;
        Ok(socket)
    }

    /// The same on any port of this host.
    fn socket(self, host: Ipv4Addr) -> io::Result<TcpSocket> {
        let socket = self.unbound()?;
        socket.bind((host, 0).into())?;
        Ok(socket)
    }
}

/// A port for one instance of a server after the other. Also while none listens there it is the run's own: the system would
/// give it to the next socket that asks for any.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// Any that is free.
    pub(super) fn any() -> io::Result<Self> {
        let held = bound((Ipv4Addr::LOCALHOST, 0).into(), TcpSocket::new_v4()?)?;
        Ok(Self {
            address: held.local_addr()?,
            _held: held,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Binds beside other sockets of `address` that were bound like this, as long as none of them listens.
fn bound(address: SocketAddr, socket: TcpSocket) -> io::Result<TcpSocket> {
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Where the server of a run accepts.
#[derive(Debug)]
pub struct Listener {
    socket: Descriptor<Listening>,
    address: SocketAddr,
    descriptors: Arc<Descriptors>,
}

/// A listening socket, and what was taken from its queue without being given to the server.
#[derive(Debug)]
pub(super) struct Listening {
    listener: TcpListener,
    next: Option<(Socket, SocketAddr)>,
}

impl Listening {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, SocketAddr)>> {
        match self.next.take() {
            Some(next) => Poll::Ready(Ok(next)),
            None => self.listener.poll_accept(cx),
        }
    }
}

impl Listener {
    /// Listens on `port`; accepted connections have the buffers of `network`, and use up `descriptors`.
    pub(super) fn bind(
        port: &Port,
        network: &Network,
        descriptors: Arc<Descriptors>,
    ) -> io::Result<Self> {
        let listener = bound(port.address, Buffers::of(network).unbound()?)?.listen(BACKLOG)?;
        Ok(Self {
            socket: Descriptor::of(Listening {
                listener,
                next: None,
            }),
            address: port.address,
            descriptors,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the process has of it.
    pub(super) fn descriptor(&self) -> Descriptor<Listening> {
        self.socket.clone()
    }

    /// The next connection of this run's clients, and its peer. Where the listening socket is closed none comes any more.
    pub(crate) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            let (stream, peer) = ready!(self.socket.poll(|socket| socket.poll_next(cx)))?;
            // Anybody on this machine can connect here; who is not of the run is sent away.
            if !book::expects(peer) {
                continue;
            }
            let held = match self.descriptors.take(now()) {
                Ok(held) => held,
                Err(error) => {
                    // It stays in the queue.
                    self.socket
                        .with(|socket| socket.next = Some((stream, peer)));
                    return Poll::Ready(Err(error));
                }
            };
            stream.set_nodelay(true)?;
            let socket = Descriptor::of(stream);
            if let Some(id) = book::accepted(peer, socket.clone()) {
                let mut stream = TcpStream::new(id, Side::Server, socket);
                stream.held = Some(held);
                return Poll::Ready(Ok((stream, peer)));
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // What the kernel has closed is closed.
        if self.socket.close().is_some() {
            book::unlistened();
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

    /// Can clients come from different addresses? Linux has all of 127.0.0.0/8 for clients that connect to it; others
    /// have the one address.
    pub(crate) fn has_addresses(&self) -> bool {
        cfg!(target_os = "linux")
            && matches!(self.address, SocketAddr::V4(address) if address.ip().is_loopback())
    }

    /// The address of loopback that stands for this one.
    fn host(&self, from: Option<IpAddr>) -> Option<Ipv4Addr> {
        match from {
            Some(IpAddr::V4(from)) if self.has_addresses() => {
                let [_, net, subnet, host] = from.octets();
                Some(Ipv4Addr::new(127, net, subnet, host))
            }
            _ => None,
        }
    }

    /// Opens a connection, from an address that stands for this one, or from any.
    pub(crate) async fn connect(&self, from: Option<IpAddr>) -> io::Result<TcpStream> {
        let host = self.host(from);
        if self.far {
            return self.connect_far(host).await;
        }
        let socket = self.buffers.socket(host.unwrap_or(Ipv4Addr::LOCALHOST))?;
        let mut attempt = Attempt(Some(book::connecting(Some(socket.local_addr()?))));
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
                Ok(TcpStream::new(id, Side::Client, Descriptor::of(socket)))
            }
            Err(error) => {
                book::failed(id, error.kind());
                Err(error)
            }
        }
    }
}

impl Dialer {
    async fn connect_far(&self, host: Option<Ipv4Addr>) -> io::Result<TcpStream> {
        let mut attempt = Attempt(Some(book::connecting(None)));
        let own = |error: io::Error| {
            book::refused(format!("a socket: {error}"));
            error
        };
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
        .map_err(own)?;
        self.buffers.set(&socket)?;
        if let Some(host) = host {
            socket.bind((host, 0).into()).map_err(own)?;
        }
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
        Ok(TcpStream::new(id, Side::Client, Descriptor::of(socket)))
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
    socket: Descriptor<Socket>,
    shut: bool,
    reset: bool,
    /// The descriptor of one that the server has accepted.
    held: Option<Held>,
}

impl TcpStream {
    fn new(id: u32, side: Side, socket: Descriptor<Socket>) -> Self {
        Self {
            id,
            side,
            socket,
            shut: false,
            reset: false,
            held: None,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Works on the kernel's socket.
    ///
    /// # Errors
    /// `NotConnected` if it is closed; else what `work` gives.
    pub(crate) fn with_socket<R>(
        &self,
        work: impl FnOnce(SockRef<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let worked = self.socket.with(|socket| work(SockRef::from(&*socket)));
        worked.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }

    /// Bytes that were written and that the peer's host has not acknowledged.
    ///
    /// # Errors
    /// When the connection is gone, or this machine has no table of sockets.
    pub(crate) fn send_queue(&self) -> io::Result<usize> {
        let ends = |socket: &mut Socket| Ok((socket.local_addr()?, socket.peer_addr()?));
        let not_connected = || io::Error::from(io::ErrorKind::NotConnected);
        let ends: io::Result<_> = self.socket.with(ends).ok_or_else(not_connected)?;
        let (local, peer) = ends?;
        let row = table::find(local, peer)?.ok_or_else(not_connected)?;
        Ok(row.queued)
    }

    /// Lets go of the stream with an RST.
    pub(crate) fn reset(mut self) {
        // What has failed already needs no RST.
        let linger = |socket: &mut Socket| SockRef::from(&*socket).set_linger(Some(Duration::ZERO));
        self.reset = self.socket.with(linger).is_some_and(|set| set.is_ok());
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
            return self
                .socket
                .poll(|socket| Pin::new(socket).poll_read(cx, buffer));
        }
        book::look(self.id);
        if book::has_enough(self.id) {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let before = buffer.filled().len();
        let polled = self
            .socket
            .poll(|socket| Pin::new(socket).poll_read(cx, buffer));
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
        let written = ready!(
            self.socket
                .poll(|socket| Pin::new(socket).poll_write(cx, bytes))
        );
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
        let count = ready!(
            self.socket
                .poll(|socket| Pin::new(socket).poll_write_vectored(cx, slices))
        )?;
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
        let done = ready!(
            self.socket
                .poll(|socket| { Poll::Ready(SockRef::from(&*socket).shutdown(Shutdown::Write)) })
        );
        if done.is_ok() {
            self.shut = true;
            book::shut_down(self.id, self.side);
        }
        Poll::Ready(done)
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        // What the kernel has closed is closed.
        if let Some(socket) = self.socket.close() {
            book::closed(self.id, self.side, self.reset || has_unread(&socket));
        }
    }
}

/// Is there data that nobody has read? Linux answers for that with an RST when the socket is closed.
pub(super) fn has_unread(socket: &Socket) -> bool {
    let peeked = SockRef::from(socket).peek(&mut [MaybeUninit::uninit()]);
    peeked.is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangup_scenario::Network;

    #[tokio::test]
    async fn a_port_is_for_one_listener_after_the_other_and_for_nobody_else() {
        let port = Port::any().unwrap();
        let network = Network::default();
        for _ in 0..2 {
            let refused = Socket::connect(port.address()).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            // As whoever asks for any port does.
            let other = Buffers::of(&network).unbound().unwrap();
            let taken = other.bind(port.address()).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);

            let listener = Listener::bind(&port, &network, Descriptors::new(None)).unwrap();
            let client = Socket::connect(port.address()).await.unwrap();
            // What it has not accepted is reset with it, and leaves nothing behind.
            drop((listener, client));
        }
    }
}
