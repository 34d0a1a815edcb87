//! The listener, with the names, methods and errors of `tokio::net::TcpListener`.

use crate::agenda::Key;
use crate::readiness::Place;
use crate::stream::{TcpStream, leaf};
use crate::world::{current, down, process_died, with};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::net::{ToSocketAddrs, lookup_host};

/// EMFILE.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// The backlog of `tokio::net::TcpListener::bind`.
const BACKLOG: usize = 1024;

/// A listening socket of the thread's simulated network, in the shape of `tokio::net::TcpListener`.
///
/// Its host completes handshakes and takes data by itself, up to one connection more than the backlog; a SYN that comes
/// then is ignored, and its client sends it again. Dropping it resets the connections that were not accepted.
pub struct TcpListener {
    world: u64,
    /// The process that listens.
    process: u32,
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
        for addr in lookup_host(addr).await? {
            match TcpListener::listen(addr, backlog) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| {
            io::Error::new(ErrorKind::InvalidInput, "could not resolve to any address")
        }))
    }

    fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
        let world = current()?;
        let (process, (key, address)) = with(world, |network| {
            let bound = network.bind(addr, backlog as usize)?;
            Ok((network.process, bound))
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
            let dead = with(self.world, |network| network.process != self.process);
            if dead == Some(true) {
                return process_died();
            }
            let accepted = with(self.world, |network| {
                let next = network.listener(self.key);
                let next = next.and_then(|listener| listener.queue.front().copied());
                // The peer of a connection that the process has made stands for another process, on another host.
                let mut own = |key| {
                    network
                        .get(key)
                        .is_some_and(|(connection, _)| connection.own)
                };
                if next.is_some_and(|key| !own(key)) && network.is_out_of_descriptors() {
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
