//! The listener, with the names, methods and errors of `tokio::net::TcpListener`.

use crate::address::ToSocketAddrs;
use crate::agenda::Key;
use crate::network::Host;
use crate::observer::Caller;
use crate::readiness::Place;
use crate::stream::{TcpStream, leaf};
use crate::world::{current, down, process_died, with};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// EMFILE.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// The time to live of what a Linux host sends, in hops.
pub(crate) const TTL: u32 = 64;

/// The backlog of `tokio::net::TcpListener::bind`.
const BACKLOG: usize = 1024;

/// A listening socket of the thread's simulated network, in the shape of `tokio::net::TcpListener`.
///
/// Its host completes handshakes and takes data by itself, up to one connection more than the backlog; a SYN that comes
/// then is ignored, and its client sends it again. Dropping it resets the connections that were not accepted.
pub struct TcpListener {
    world: u64,
    /// The process that listens; `None`: it is not the one that is tested.
    process: Option<u32>,
    key: Key,
    address: SocketAddr,
}

impl TcpListener {
    /// Listens with a backlog of 1024. Port 0 is replaced by a free one; `0.0.0.0` and `[::]` hear every address.
    ///
    /// # Errors
    /// `AddrInUse` if a listener is there, `NetworkDown` if this thread has no world.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        TcpListener::bind_with_backlog(addr, BACKLOG as u32).await
    }

    /// As [`TcpListener::bind`], with room for `backlog + 1` connections that are not accepted.
    pub async fn bind_with_backlog<A: ToSocketAddrs>(
        addr: A,
        backlog: u32,
    ) -> io::Result<TcpListener> {
        let mut failure = None;
        for addr in addr.to_socket_addrs()? {
            match TcpListener::listen(addr, backlog, Host::Tested) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(no_address))
    }

    /// Listens on another host than the one that is tested, such as that of a database which the tested
    /// server calls. The listener, and the connections that it gives, outlive the tested process.
    ///
    /// # Errors
    /// As [`TcpListener::bind`].
    pub async fn bind_beside<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let mut failure = None;
        for addr in addr.to_socket_addrs()? {
            match TcpListener::listen(addr, BACKLOG as u32, Host::Other) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(no_address))
    }

    pub(crate) fn listen(addr: SocketAddr, backlog: u32, host: Host) -> io::Result<TcpListener> {
        let world = current()?;
        let (process, (key, address)) = with(world, |network| {
            let bound = network.bind(addr, backlog as usize, host)?;
            let process = (host == Host::Tested).then_some(network.process);
            Ok((process, bound))
        })
        .unwrap_or_else(|| Err(down()))?;
        Ok(TcpListener {
            world,
            process,
            key,
            address,
        })
    }

    /// The next connection, and the address of its client.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_next(Place::Shared, cx)).await
    }

    /// As [`TcpListener::accept`]; only the task of the last call is woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_next(Place::Poll, cx)
    }

    fn poll_next(
        &self,
        place: Place,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        leaf(cx, |cx| {
            let dead = self.process.is_some_and(|process| {
                with(self.world, |network| network.process != process).unwrap_or(false)
            });
            if dead {
                return process_died();
            }
            let accepted = with(self.world, |network| {
                let next = network.listener(self.key);
                let next = next.and_then(|listener| listener.queue.front().copied());
                // The peer of a connection that the process has made stands for another process, on another host.
                let mut of_client = |key| {
                    let connection = network.get(key).map(|(connection, _)| connection);
                    connection.is_none_or(|connection| connection.caller == Caller::Client)
                };
                if next.is_some_and(&mut of_client) && network.is_out_of_descriptors() {
                    return Poll::Ready(Err(io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES)));
                }
                if let Some(socket) = network.accept(self.key) {
                    return Poll::Ready(Ok((TcpStream::new(socket), socket.peer)));
                }
                // One that was closed under its application gives nothing any more.
                network.wait_acceptable(self.key, place, cx);
                Poll::Pending
            });
            accepted.unwrap_or_else(|| Poll::Ready(Err(down())))
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    /// A socket of the kernel's cannot be put on the simulated network.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        drop(listener);
        Err(no_kernel("TcpListener::from_std"))
    }

    /// A simulated socket cannot become one of the kernel's.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        Err(no_kernel("TcpListener::into_std"))
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
}

/// The answer where nothing was resolved.
pub(crate) fn no_address() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "could not resolve to any address")
}

/// The answer to what only a socket of the kernel's can do.
pub(crate) fn no_kernel(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        format!("{what}: the simulated network has no sockets of the kernel's"),
    )
}

pub(crate) fn check_ttl(ttl: u32) -> io::Result<()> {
    match ttl {
        1..=255 => Ok(()),
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        with(self.world, |network| network.unlisten(self.key));
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("address", &self.address)
            .finish()
    }
}
