//! One end of a connection, as an application holds it, and the task that takes what arrives there.

use super::endpoint::Endpoint;
use super::frame::{Departure, Frame};
use super::journal::{note, now};
use super::link::Link;
use super::path::{self, GIVE_UP, Journey};
use super::spinning;
use crate::engine::descriptors::Held;
use hangup_network::{ConnectionId, Event, Side};
use hangup_scenario::LinkChange;
use std::fmt;
use std::future::pending;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::coop::{poll_proceed, unconstrained};
use tokio::time::sleep;
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// One end of a connection on the turmoil engine. Dropping it closes the socket: with a FIN, or with a reset if data was
/// left unread.
pub struct TcpStream {
    end: Arc<End>,
    /// The descriptor of one that the server has accepted.
    held: Option<Held>,
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("connection", &self.connection())
            .finish()
    }
}

/// What the application's handle and the pump share.
pub(super) struct End {
    both: Mutex<(Endpoint, OwnedWriteHalf)>,
}

impl End {
    pub(super) fn new(endpoint: Endpoint, wire: OwnedWriteHalf) -> Arc<Self> {
        Arc::new(Self {
            both: Mutex::new((endpoint, wire)),
        })
    }

    /// Works on the endpoint, sends what came of it, and wakes who waits for it.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Endpoint) -> R) -> R {
        let mut both = self.both.lock().unwrap_or_else(PoisonError::into_inner);
        let (endpoint, wire) = &mut *both;
        let result = work(endpoint);
        let (id, side) = (endpoint.id, endpoint.side);
        for frame in endpoint.outbox.drain(..) {
            send(wire, &frame, |at| path::departure(id, side, at));
        }
        let woken = std::mem::take(&mut endpoint.woken);
        drop(both);
        woken.into_iter().for_each(Waker::wake);
        result
    }
}

/// Puts a frame under way. It is not lost: turmoil's buffers are larger than the windows of our own. It fails only where
/// the peer's host has died, and then the pump learns of it.
pub(super) fn send(
    wire: &mut OwnedWriteHalf,
    frame: &Frame,
    departure: impl FnOnce(Duration) -> Departure,
) {
    if let Some(at) = now() {
        let bytes = frame.encode(departure(at));
        let _ = Pin::new(wire).poll_write(&mut Context::from_waker(Waker::noop()), &bytes);
    }
}

/// Takes frames off the wire, each at its time.
pub(super) struct Arrivals {
    wire: OwnedReadHalf,
    link: Link,
    buffer: Vec<u8>,
    /// Whose they are, once that is known, and who sends them.
    path: Option<(ConnectionId, Side)>,
}

impl Arrivals {
    pub(super) fn new(wire: OwnedReadHalf, link: Link) -> Self {
        Self {
            wire,
            link,
            buffer: vec![0; Frame::size(link.segment())],
            path: None,
        }
    }

    /// From now on they are those of a connection.
    pub(super) fn of(self, id: ConnectionId, sender: Side) -> Self {
        Self {
            path: Some((id, sender)),
            ..self
        }
    }

    /// The next frame, when it has travelled for its time: turmoil delivers at the edges of ticks, which is
    /// never later. None when the stream of turmoil has ended, in whatever way.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        // turmoil never joins two writes in one read.
        let count = self.wire.read(&mut self.buffer).await.ok()?;
        let (departure, frame) = Frame::decode(&self.buffer[..count])?;
        let Some((id, sender)) = self.path else {
            until(departure.at + self.link.latency).await?;
            return Some(frame);
        };
        let mut journey = Journey::beginning(departure);
        loop {
            until(journey.departure() + self.link.tick).await?;
            if let Some(latency) = journey.latency(id, sender, self.link) {
                until(journey.departure() + latency).await?;
                return Some(frame);
            }
            if !journey.again() {
                return pending().await;
            }
        }
    }
}

/// Waits until `time`, if that is still to come; none when the simulation is torn down.
async fn until(time: Duration) -> Option<()> {
    let early = time.saturating_sub(now()?);
    if !early.is_zero() {
        sleep(early).await;
    }
    Some(())
}

/// Takes what arrives at `end`, whether its application reads it or not, until nobody has a use for it. What arrives at
/// one instant is taken in one go.
pub(super) fn pump(arrivals: Arrivals, end: Arc<End>) -> impl Future<Output = ()> {
    unconstrained(async move {
        tokio::select! {
            biased;
            () = take(arrivals, &end) => {}
            () = give_up(&end) => {}
        }
    })
}

async fn take(mut arrivals: Arrivals, end: &End) {
    while let Some(frame) = arrivals.next().await {
        let over = end.with(|endpoint| {
            endpoint.arrive(frame);
            endpoint.is_over()
        });
        if over {
            return;
        }
    }
    // The other host's side is gone. If it did not say so, it has died.
    end.with(Endpoint::left_alone);
}

/// Gives up a peer that answers nothing. Nothing that begins later than now is given up before that time has passed once more,
/// so that nobody has to be woken when it does.
async fn give_up(end: &End) {
    while let Some(now) = now() {
        let due = end.with(|endpoint| endpoint.gives_up_at());
        if due.is_some_and(|due| due <= now) {
            end.with(Endpoint::time_out);
        }
        let due = due.filter(|due| *due > now);
        sleep(due.unwrap_or(now + GIVE_UP).min(now + GIVE_UP) - now).await;
    }
}

impl TcpStream {
    pub(super) fn new(end: Arc<End>) -> Self {
        Self { end, held: None }
    }

    /// The connection that this is an end of.
    pub fn connection(&self) -> ConnectionId {
        self.end.with(|endpoint| endpoint.id)
    }

    /// Dropping the stream resets the connection.
    pub fn set_zero_linger(&self) {
        self.end.with(Endpoint::set_zero_linger);
    }

    /// Takes the error that no call has reported yet.
    pub fn take_error(&self) -> Option<io::Error> {
        self.end.with(|end| end.take_fault().map(Into::into))
    }

    /// Whether it has a peer: it was not reset.
    pub fn is_connected(&self) -> bool {
        self.end.with(|end| end.is_connected())
    }

    /// Bytes that were written and that the peer's host has not acknowledged.
    pub fn send_queue(&self) -> usize {
        self.end.with(|end| end.send_queue())
    }

    /// This host is gone: nothing leaves it any more, nothing is taken or acknowledged.
    pub fn vanish(self) {
        path::vanish(self.connection());
        self.end.with(Endpoint::vanish);
    }

    /// Changes the path from now on.
    pub fn set_link(&self, change: &LinkChange) {
        self.end.with(|endpoint| endpoint.set_link(change));
    }

    /// What came of a call, unless the server has called so often in vain that it is not answered any more.
    fn unless_it_spins<R>(&self, polled: Poll<R>, gave: bool) -> Poll<R> {
        let (id, side) = self.end.with(|endpoint| (endpoint.id, endpoint.side));
        if side == Side::Client || polled.is_pending() {
            return polled;
        }
        if gave {
            spinning::asked_well();
        } else if spinning::asked_in_vain(id) {
            return Poll::Pending;
        }
        polled
    }

    /// The server's application takes the connection.
    pub(super) fn accepted(&mut self, held: Held) {
        self.held = Some(held);
        note(self.connection(), Event::Accepted { task: None }, &[]);
    }

    /// The listener goes before anybody has accepted this.
    pub(super) fn abort(self) {
        self.end.with(Endpoint::abort);
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        // When the simulation is torn down there is no host left to say anything.
        if now().is_some() {
            self.end.with(Endpoint::close);
        }
    }
}

/// Spends the task's cooperative budget, as tokio's own sockets do: a task that always finds something ready yields in
/// the end, and its timers get their turn.
fn budgeted<R>(
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<R>>,
) -> Poll<io::Result<R>> {
    let budget = ready!(poll_proceed(cx));
    let polled = poll(cx);
    if polled.is_ready() {
        budget.made_progress();
    }
    polled
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        let polled = budgeted(cx, |cx| {
            self.end.with(|endpoint| {
                let polled = endpoint.read(cx, buffer);
                endpoint.took(room - buffer.remaining());
                polled
            })
        });
        self.unless_it_spins(polled, room > buffer.remaining())
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = budgeted(cx, |cx| {
            self.end.with(|endpoint| {
                let polled = endpoint.write(cx, parts);
                if let Poll::Ready(Ok(count)) = polled {
                    endpoint.put(count);
                }
                polled
            })
        });
        let gave = matches!(polled, Poll::Ready(Ok(count)) if count > 0);
        self.unless_it_spins(polled, gave)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end.with(Endpoint::shutdown);
        Poll::Ready(Ok(()))
    }
}
