//! The stream, with the names, methods and errors of `tokio::net::TcpStream`.

#[macro_use]
mod halves;
mod connect;
mod owned;
mod ready;
mod split;

pub use connect::Connect;
pub use owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use split::{ReadHalf, WriteHalf};

use crate::address::ToSocketAddrs;
use crate::config::Link;
use crate::connection::{Connection, Keepalive};
use crate::listener::{TTL, check_ttl, no_address, no_kernel};
use crate::medium::Medium;
use crate::network::Socket;
use crate::observer::{ConnectionId, Side};
use crate::readiness::Place;
use crate::world::{down, expects_dumps, process_died, with};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::{cooperative, unconstrained};

/// The greatest `TCP_KEEPIDLE` and `TCP_KEEPINTVL`, in seconds.
const KEEPALIVE_SECONDS_MAX: u64 = 32_767;
/// The greatest `TCP_KEEPCNT`.
const KEEPALIVE_PROBES_MAX: u32 = 127;

/// One end of a simulated TCP connection, in the shape of `tokio::net::TcpStream`.
///
/// It belongs to the [`World`](crate::World) of the thread that made it. It is `Send`, since servers spawn
/// their connections, but without its world every operation fails with [`ErrorKind::NetworkDown`].
/// Dropping it closes the socket: with a FIN, or with a reset if data was left unread.
pub struct TcpStream {
    socket: Socket,
}

impl TcpStream {
    /// Connects to a listener of the same world. A name is one that the world was told, see
    /// [`World::name`](crate::World::name).
    ///
    /// # Errors
    /// `ConnectionRefused` if nobody listens there, `TimedOut` after 131 s without an answer.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let mut failure = None;
        for addr in addr.to_socket_addrs()? {
            match Connect::new(addr, None, None).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(no_address))
    }

    /// As [`TcpStream::connect`], from a host with this address (`None`: any), over a link of its own (`None`: as
    /// the network's settings say).
    pub fn connect_from(from: Option<IpAddr>, to: SocketAddr, link: Option<Link>) -> Connect {
        Connect::new(to, from, link)
    }

    pub(crate) fn new(socket: Socket) -> TcpStream {
        TcpStream { socket }
    }

    /// The connection that this is an end of.
    pub fn connection(&self) -> ConnectionId {
        self.socket.id
    }

    /// Which end it is.
    pub fn side(&self) -> Side {
        self.socket.side
    }

    /// The address of this end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.socket.local)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `NotConnected` once the connection is over: also on a stream that was reset while it waited to be accepted.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.with(|connection, side, _| match connection.is_closed(side) {
            true => Err(ErrorKind::NotConnected.into()),
            false => Ok(self.socket.peer),
        })
    }

    /// Takes the error that no call has reported yet (`SO_ERROR`).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.with(|connection, side, _| Ok(connection.end(side).fault.take().map(Into::into)))
    }

    /// Whether small segments are sent at once. Here they always are; the setting is only remembered.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.with(|connection, side, _| Ok(connection.end(side).nodelay))
    }

    /// See [`TcpStream::nodelay`].
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.with(|connection, side, _| {
            connection.end(side).nodelay = nodelay;
            Ok(())
        })
    }

    /// What a close does about unsent data (`SO_LINGER`).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.with(|connection, side, _| Ok(connection.end(side).linger))
    }

    /// With a zero duration, dropping the stream resets the connection and forgets what was not sent. Any other setting
    /// is only remembered: a close does not block here, and what is unsent goes out behind it.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.with(|connection, side, _| {
            connection.end(side).linger = linger;
            Ok(())
        })
    }

    /// A socket of the kernel's cannot be put on the simulated network.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        drop(stream);
        Err(no_kernel("TcpStream::from_std"))
    }

    /// A simulated socket cannot become one of the kernel's.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        Err(no_kernel("TcpStream::into_std"))
    }

    /// The time to live of what is sent, in hops: always 64 here.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(TTL)
    }

    /// Accepted, and without effect: no simulated path is longer than one hop.
    ///
    /// # Errors
    /// `InvalidInput` unless it is 1 to 255, as on Linux.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        check_ttl(ttl)
    }

    /// Whether acknowledgements are sent at once (`TCP_QUICKACK`). Here they always are.
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Accepted, and without effect: see [`TcpStream::quickack`].
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        let _ = quickack;
        Ok(())
    }

    /// Bytes that were written and that the peer's host has not acknowledged (`SIOCOUTQ`). The end of
    /// the stream counts as one.
    ///
    /// # Errors
    /// `NetworkDown` without its world.
    pub fn send_queue(&self) -> io::Result<usize> {
        self.with(|connection, side, _| Ok(connection.send_queue(side)))
    }

    /// Sets `TCP_NOTSENT_LOWAT`: a write is refused while this many bytes have not been sent, and the
    /// socket is writable again once less than half of them are left. Zero removes the limit.
    ///
    /// # Errors
    /// `NetworkDown` without its world.
    pub fn set_notsent_lowat(&self, bytes: u32) -> io::Result<()> {
        self.with(|connection, side, medium| {
            connection.set_unsent_most(side, bytes as usize, medium);
            Ok(())
        })
    }

    /// Turns keep-alive probes on. A connection on which nothing has arrived for `idle`, and nothing
    /// waits to be acknowledged, is probed every `interval`; after `count` probes without an answer, and
    /// one more interval, it fails with `TimedOut`, that is `idle + count * interval` after its last
    /// segment.
    ///
    /// # Errors
    /// `InvalidInput` unless the times are whole seconds from 1 to 32767 and `count` is 1 to 127, the
    /// bounds of Linux; `NetworkDown` without its world.
    pub fn set_keepalive(&self, idle: Duration, interval: Duration, count: u32) -> io::Result<()> {
        let allowed = |time: Duration| {
            time.subsec_nanos() == 0 && (1..=KEEPALIVE_SECONDS_MAX).contains(&time.as_secs())
        };
        if !allowed(idle) || !allowed(interval) || !(1..=KEEPALIVE_PROBES_MAX).contains(&count) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let settings = Some(Keepalive {
            idle,
            interval,
            count,
        });
        self.with(|connection, side, medium| {
            connection.set_keepalive(side, settings, medium);
            Ok(())
        })
    }

    /// Turns keep-alive probes off, which is the default.
    ///
    /// # Errors
    /// `NetworkDown` without its world.
    pub fn clear_keepalive(&self) -> io::Result<()> {
        self.with(|connection, side, medium| {
            connection.set_keepalive(side, None, medium);
            Ok(())
        })
    }

    /// Sets `TCP_USER_TIMEOUT`: how long written bytes may stay unacknowledged, also behind a closed
    /// window, before the connection fails with `TimedOut`. As on Linux the time is counted from the
    /// first retransmission or probe, 200 ms after the first attempt. Zero means the system's limits.
    ///
    /// # Errors
    /// `NetworkDown` without its world.
    pub fn set_user_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.with(|connection, side, medium| {
            connection.set_user_timeout(side, timeout, medium);
            Ok(())
        })
    }

    /// Dropping the stream resets the connection.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Works on the connection at this end.
    fn with<R>(
        &self,
        work: impl FnOnce(&mut Connection, Side, &mut Medium) -> io::Result<R>,
    ) -> io::Result<R> {
        let Socket {
            world,
            process,
            key,
            side,
            ..
        } = self.socket;
        with(world, |network| {
            if process.is_some_and(|process| process != network.process) {
                return None;
            }
            let (connection, medium) = network.get(key)?;
            Some(work(connection, side, medium))
        })
        .flatten()
        .unwrap_or_else(|| Err(down()))
    }

    /// Was its process killed? Nobody is there then who could learn of anything.
    fn is_dead(&self) -> bool {
        let Socket { world, process, .. } = self.socket;
        process.is_some_and(|process| {
            with(world, |network| network.process != process).unwrap_or(false)
        })
    }

    /// As [`TcpStream::with`], for calls that may have to wait.
    fn poll_with<R>(
        &self,
        work: impl FnOnce(&mut Connection, Side, &mut Medium) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let polled = self.with(|connection, side, medium| {
            connection.used(side, medium);
            Ok(work(connection, side, medium))
        });
        match polled {
            Ok(poll) => poll,
            Err(_) if self.is_dead() => process_died(),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_fill(
        &self,
        place: Place,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        take: bool,
    ) -> Poll<io::Result<usize>> {
        let most = buf.remaining();
        leaf(cx, |cx| {
            self.poll_with(|connection, side, medium| {
                let put = |bytes: &[u8]| buf.put_slice(bytes);
                let wait = Some((place, &*cx));
                match take {
                    true => connection.read(side, most, wait, medium, put),
                    false => connection.peek(side, most, wait, medium, put),
                }
            })
        })
    }

    fn poll_write_parts(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        leaf(cx, |cx| {
            self.poll_with(|connection, side, medium| {
                connection.write(side, parts, Some((Place::Poll, cx)), medium)
            })
        })
    }

    /// As `writev(2)`, which does nothing at all with nothing, while a `write(2)` of nothing fails where one of bytes would.
    fn poll_write_several(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if parts.iter().all(|part| part.is_empty()) {
            return self.poll_write_ready(cx).map_ok(|()| 0);
        }
        self.poll_write_parts(cx, parts)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.with(|connection, side, medium| {
            connection.shutdown(side, medium);
            Ok(())
        })
    }

    /// Copies unread bytes without taking them; how many. Zero means that the peer has no more to say.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        poll_fn(|cx| self.poll_fill(Place::Shared, cx, &mut buf, false)).await
    }

    /// As [`TcpStream::peek`]; only the task of the last call is woken.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.poll_fill(Place::Poll, cx, buf, false)
    }

    /// Halves that borrow the stream.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Halves that own the stream together. Dropping the write half shuts it down; the socket is closed with the last.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        owned::split(self)
    }
}

/// Does an operation as tokio's own sockets do theirs.
///
/// A task dump finds the await stack here: tokio takes it and answers `Pending`, so nothing may have been done before. And the
/// operation spends the task's cooperative budget, which it gets back where it has to wait; otherwise a task with
/// many idle sockets would use it up each time it looks at them all, and wake itself for ever.
pub(crate) fn leaf<T>(
    cx: &mut Context<'_>,
    operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if expects_dumps() {
        // A read of nothing would keep what it spends.
        let seen = poll_fn(|cx| {
            Pin::new(&mut tokio::io::empty())
                .poll_read(cx, &mut ReadBuf::new(&mut []))
                .map(drop)
        });
        ready!(pin!(unconstrained(seen)).poll(cx));
    }
    pin!(cooperative(poll_fn(operation))).poll(cx)
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_fill(Place::Poll, cx, buf, true).map_ok(drop)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_parts(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_several(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush: what was written is the host's.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        let Socket {
            world, key, side, ..
        } = self.socket;
        with(world, |network| network.close(key, side));
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Socket {
            id,
            side,
            local,
            peer,
            ..
        } = &self.socket;
        f.debug_struct("TcpStream")
            .field("connection", &id.0)
            .field("side", side)
            .field("local", local)
            .field("peer", peer)
            .finish()
    }
}
