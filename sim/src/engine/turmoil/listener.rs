//! The server's host: a backlog that takes connections whether the application accepts or not.
//!
//! turmoil completes a handshake only when the application calls accept. So a task of the host accepts at once, and what
//! the application has not taken yet waits here, with its data.

use super::endpoint::Endpoint;
use super::frame::Frame;
use super::journal::note;
use super::link::Link;
use super::stream::{Arrivals, End, TcpStream, pump};
use hangup_network::{Event, Side};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

/// Where the server listens.
pub(super) const PORT: u16 = 80;
/// EMFILE.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// Where a server under test accepts on the turmoil engine.
#[derive(Debug)]
pub struct Listener {
    backlog: Arc<Backlog>,
}

/// What has been opened and not accepted.
#[derive(Debug, Default)]
pub(super) struct Backlog(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(TcpStream, SocketAddr)>,
    /// What was opened, in this order, accepted or not.
    opened: Vec<Weak<End>>,
    closed: bool,
    /// So many accepts are to fail.
    failures: u32,
    /// The application, in accept.
    acceptor: Option<Waker>,
    /// The host's task.
    host: Option<Waker>,
}

impl Backlog {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the application drops its listener.
    async fn closed(&self) {
        poll_fn(|cx| {
            let mut queue = self.queue();
            queue.host = Some(cx.waker().clone());
            if queue.closed {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Answers connection requests until the listener is dropped. This is the host's part, in a task of its own.
    pub(super) async fn answer(self: Arc<Self>, link: Link) -> io::Result<()> {
        let listener = turmoil::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        loop {
            let (stream, peer) = tokio::select! {
                biased;
                () = self.closed() => return Ok(()),
                accepted = listener.accept() => accepted?,
            };
            tokio::spawn(Arc::clone(&self).handshake(stream, peer, link));
        }
    }

    /// The third segment opens the connection; what comes behind it is for the application.
    async fn handshake(
        self: Arc<Self>,
        stream: turmoil::net::TcpStream,
        peer: SocketAddr,
        link: Link,
    ) {
        let (read, write) = stream.into_split();
        let mut arrivals = Arrivals::new(read, link);
        let Some(Frame::Hello { id }) = arrivals.next().await else {
            return;
        };
        let id = hangup_network::ConnectionId(id);
        note(id, Event::Opened, &[]);
        let end = End::new(Endpoint::new(id, Side::Server, link), write);
        self.queue().opened.push(Arc::downgrade(&end));
        self.offer(TcpStream::new(Arc::clone(&end)), peer);
        pump(arrivals.of(id, Side::Client), end).await;
    }

    /// The process is gone: its kernel closes the listener and every connection.
    pub(super) fn kill(&self) {
        self.close();
        for end in self.opened() {
            end.with(Endpoint::close);
        }
    }

    fn opened(&self) -> Vec<Arc<End>> {
        let queue = self.queue();
        queue.opened.iter().filter_map(Weak::upgrade).collect()
    }

    /// The kernel has nothing more to send or to expect on any connection.
    pub(super) fn is_over(&self) -> bool {
        let mut opened = self.opened().into_iter();
        opened.all(|end| end.with(|endpoint| endpoint.is_over()))
    }

    /// The next accept that would give a connection fails instead, as in a process that has no file descriptor left.
    pub(super) fn fail_accept(&self) {
        self.queue().failures += 1;
    }

    /// Nothing is accepted any more.
    pub(super) fn close(&self) {
        let (waiting, host) = {
            let mut queue = self.queue();
            queue.closed = true;
            (std::mem::take(&mut queue.waiting), queue.host.take())
        };
        waiting.into_iter().for_each(|(stream, _)| stream.abort());
        host.into_iter().for_each(Waker::wake);
    }

    fn offer(&self, stream: TcpStream, peer: SocketAddr) {
        let mut queue = self.queue();
        if queue.closed {
            drop(queue);
            stream.abort();
        } else {
            queue.waiting.push_back((stream, peer));
            let acceptor = queue.acceptor.take();
            drop(queue);
            acceptor.into_iter().for_each(Waker::wake);
        }
    }
}

impl Listener {
    /// A listener, and the host's part of it.
    pub(super) fn new() -> (Self, Arc<Backlog>) {
        let backlog = Arc::default();
        (
            Self {
                backlog: Arc::clone(&backlog),
            },
            backlog,
        )
    }

    /// Where it listens: on every address of its host.
    pub fn local_addr(&self) -> SocketAddr {
        (Ipv4Addr::UNSPECIFIED, PORT).into()
    }

    /// The next connection and its peer.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = poll_fn(|cx| {
            let mut queue = self.backlog.queue();
            if queue.failures > 0 && !queue.waiting.is_empty() {
                queue.failures -= 1;
                return Poll::Ready(Err(io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES)));
            }
            match queue.waiting.pop_front() {
                Some(waiting) => Poll::Ready(Ok(waiting)),
                None => {
                    queue.acceptor = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await?;
        stream.accepted();
        Ok((stream, peer))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.backlog.close();
    }
}
