//! The server's host: a backlog that takes connections whether the application accepts or not.
//!
//! turmoil completes a handshake only when the application calls accept. So a task of the host accepts at once, and what
//! the application has not taken yet waits here, with its data.

use super::endpoint::Endpoint;
use super::frame::Frame;
use super::journal::{note, now};
use super::link::Link;
use super::stream::{Arrivals, End, TcpStream, pump};
use crate::engine::descriptors::Descriptors;
use hangup_network::{Event, Side};
use hangup_scenario::AcceptError;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

/// Where the server listens.
pub(super) const PORT: u16 = 80;

/// Where a server under test accepts on the turmoil engine.
#[derive(Debug)]
pub struct Listener {
    backlog: Arc<Backlog>,
}

/// What has been opened and not accepted.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    queue: Mutex<Queue>,
    descriptors: Arc<Descriptors>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(TcpStream, SocketAddr)>,
    /// What was opened, in this order, accepted or not.
    opened: Vec<Weak<End>>,
    closed: bool,
    /// The application, in accept.
    acceptor: Option<Waker>,
    /// The host's task.
    host: Option<Waker>,
}

impl Backlog {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
        mut peer: SocketAddr,
        link: Link,
    ) {
        let (read, write) = stream.into_split();
        let mut arrivals = Arrivals::new(read, link);
        let Some(Frame::Hello { id, from }) = arrivals.next().await else {
            return;
        };
        if let Some(from) = from {
            peer.set_ip(from.into());
        }
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

    /// Accepts fail from now on, as in a process that has no file descriptor left.
    pub(super) fn fail_accept(&self, how: AcceptError) {
        self.descriptors.fail(now().unwrap_or_default(), how);
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
    /// A listener, and the host's part of it. The process can hold `most` connections; `None` is no limit.
    pub(super) fn new(most: Option<u32>) -> (Self, Arc<Backlog>) {
        let backlog = Arc::new(Backlog {
            queue: Mutex::default(),
            descriptors: Descriptors::new(most),
        });
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
        let (mut stream, peer, held) = poll_fn(|cx| {
            let mut queue = self.backlog.queue();
            let Some((stream, peer)) = queue.waiting.pop_front() else {
                queue.acceptor = Some(cx.waker().clone());
                return Poll::Pending;
            };
            match self.backlog.descriptors.take(now().unwrap_or_default()) {
                Ok(held) => Poll::Ready(Ok((stream, peer, held))),
                Err(error) => {
                    queue.waiting.push_front((stream, peer));
                    Poll::Ready(Err(error))
                }
            }
        })
        .await?;
        stream.accepted(held);
        Ok((stream, peer))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.backlog.close();
    }
}
