//! One connection: a state machine that is polled by hand, and waits in one place.
//!
//! ```text
//! poll:  advance ---- again ----+        advance does everything that needs no waiting, and says
//!           ^                   |        what it would wait for
//!           +-------------------+
//!           |                            wait is the only place that waits: it asks `Life` for the deadline
//!         wait(phase) --- pending -->    of that phase, arms the timer, and ends the phase when its time is over
//!           |
//!         expired -> 408, 503, linger or silence, as the phase has it
//! ```
//!
//! The stages are in files of their own: `reading` (between requests, and heads), `handling` (the application works, and
//! answers), `upgrading` (another protocol), `closing` (drain, linger, and the last word).

mod closing;
mod exchange;
mod handling;
mod queue;
mod reading;
mod upgrading;
mod work;

use crate::admission::{Admitted, Leave};
use crate::date::DateLine;
use crate::held::Held;
use crate::input::{Fill, Input};
use crate::ledger::Account;
use crate::output::Output;
use crate::server::Config;
use crate::timer::Timer;
use crate::{Body, Listener, Peer};
use exchange::Exchange;
use hangup_lifecycle::{CloseReason, Life, Phase};
use http::{Request, Response};
use queue::{Kernel, KernelOf, Share};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tower_service::Service;
pub(crate) use work::Errors;
use work::Work;

/// A connection that is served while it is polled; its output is why it ended. Made by [`Server::connection`](crate::Server::connection).
///
/// Handler, body and writer live in it: when it is dropped, nothing of the connection is left.
#[must_use = "a connection is served only while it is polled"]
pub struct Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: 'static,
{
    io: Held<I>,
    service: S,
    errors: Errors<S::Error, B::Error>,
    config: Arc<Config>,
    account: Account,
    opened: Instant,
    date: Option<Arc<DateLine>>,
    life: Life,
    timer: Timer,
    input: Input,
    output: Output<B::Data>,
    stage: Stage,
    exchange: Exchange,
    work: Work<S::Future, B>,
    stopping: bool,
    /// It makes room for another connection as soon as it waits with nothing under way.
    leaving: Option<Leave>,
    /// What the listener says of its streams; a stream that came from none has only itself.
    kernel: Option<&'static Kernel<I>>,
    handshaken: bool,
    share: Share,
    /// So many bytes wait in all connections that this one is not given more.
    crowded: bool,
    /// While it is crowded, room is looked for so often.
    room_every: Duration,
    /// When the stream was last asked what is acknowledged.
    looked: Duration,
    /// It waits to read, too.
    hears: bool,
    /// The application ran since the clock was read, and may have taken long.
    worked: bool,
}

/// What the connection is at. Finer than a phase, which is what it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Just accepted.
    New,
    /// Between requests, or in a head; `begun` once a byte of it has come.
    Head {
        begun: bool,
    },
    /// The application has the request and no response.
    Handler,
    /// The response's head is given.
    Response,
    /// The response is given, and so many bytes of the request's body may still be dropped to keep the connection.
    Drain {
        allowance: u64,
    },
    /// The last response is on its way out.
    Last,
    /// Everything is said; the client's FIN is awaited. `closed` once ours is sent.
    Linger {
        closed: bool,
    },
    /// A 101 is on its way out.
    Switch,
    /// The stream is the application's.
    Upgraded,
    /// A close without a word: FIN, and gone once it is acknowledged. `closed` once it is sent.
    Silent {
        closed: bool,
    },
    Done,
}

/// What `advance` came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Something has changed; go on.
    Again,
    /// Nothing can be done without waiting.
    Wait(Phase),
}

/// The peer is not there any more.
struct Gone;

impl<S, B, I> Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Without `room`, it is only told that there is none.
    pub(crate) fn new(
        io: I,
        peer: Peer,
        service: S,
        errors: Errors<S::Error, B::Error>,
        config: Arc<Config>,
        room: bool,
    ) -> Self {
        let opened = Instant::now();
        Connection {
            io: Held(Some(io)),
            service,
            errors,
            account: config.ledger.enter(peer, opened, &config, room),
            opened,
            date: None,
            life: Life::new(config.limits.clone(), Duration::ZERO),
            config,
            timer: Timer::default(),
            input: Input::default(),
            output: Output::default(),
            stage: Stage::New,
            exchange: Exchange::none(),
            work: Work::nothing(),
            stopping: false,
            leaving: None,
            kernel: None,
            handshaken: false,
            share: Share::default(),
            crowded: false,
            room_every: queue::ROOM,
            looked: Duration::ZERO,
            hears: false,
            worked: false,
        }
    }

    /// Whether a connection ends right now because of this one: another that makes room for it, or
    /// itself, dropped without a word.
    pub(crate) fn ends_one(&self) -> bool {
        self.account.evicts || matches!(self.account.admitted, Admitted::Dropped(_))
    }

    /// The stream is one of an `L`: it goes through that listener's [handshake](Listener::poll_handshake) first, is asked what its
    /// peer [has not acknowledged](Listener::unacknowledged), and is [reset](Listener::abort) where bytes cannot be delivered.
    /// [`Server::serve`](crate::Server::serve) does this for each that it accepts.
    pub fn over<L: Listener<Io = I>>(mut self) -> Self {
        self.kernel = Some(KernelOf::<L>::KERNEL);
        if L::TELLS {
            self.life.tells();
        }
        self
    }

    /// The time since the accept. Reading the clock costs as much as parsing a line, so a poll does it once, and once more if the
    /// application ran.
    fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.opened)
    }

    fn advance(&mut self, cx: &mut Context<'_>, now: Duration) -> Step {
        match self.stage {
            Stage::New => self.welcome(cx, now),
            Stage::Head { begun } => self.read_head(begun, cx, now),
            Stage::Handler => self.handle(cx, now),
            Stage::Response => self.respond(cx, now),
            Stage::Drain { allowance } => self.drain(allowance, cx, now),
            Stage::Last => self.finish(cx, now),
            Stage::Linger { closed } => self.linger(closed, cx, now),
            Stage::Switch => self.switch(cx, now),
            Stage::Upgraded => self.upgraded(cx, now),
            Stage::Silent { closed } => self.hang_up(closed, cx, now),
            Stage::Done => Step::Again,
        }
    }

    /// The one place that waits. `false` if the wait is over already: its phase has ended, and the stage is another.
    fn wait(&mut self, phase: Phase, cx: &mut Context<'_>, now: Duration) -> bool {
        let now = if std::mem::take(&mut self.worked) {
            self.now()
        } else {
            now
        };
        let mut at = self.opened + now;
        let mut now = now;
        loop {
            let deadline = self.life.wait(phase, !self.output.is_empty(), now).at();
            self.account.waits(&self.life, now);
            if let Some(leave) = self.leaving
                && self.make_room(leave, phase, cx, now)
            {
                return false;
            }
            let look = self.next_look(phase, now);
            let wakes = deadline.into_iter().chain(look).min();
            let wakes = wakes.map(|time| self.opened + time);
            if !self.timer.arm(wakes, at, cx) {
                return true;
            }
            at = Instant::now();
            now = at.saturating_duration_since(self.opened);
            if self.looks(phase, cx, now) {
                return false;
            }
            if let Some(reason) = self.life.expired(now) {
                self.expire(reason, cx, now);
                return false;
            }
            // Only behind the clocks: who waits for room is ended by them, too.
            if std::mem::take(&mut self.crowded) {
                self.room_every = (self.room_every * 2).min(queue::ROOM_MAX);
                return false;
            }
        }
    }

    /// Looks for what was acknowledged, since a deadline may be the later for it. Returns whether there is more to do than wait.
    fn looks(&mut self, phase: Phase, cx: &mut Context<'_>, now: Duration) -> bool {
        if phase == Phase::Upgrade {
            return false;
        }
        if self.look(now).is_err() {
            self.gone(phase, cx);
            return true;
        }
        self.life.wait(phase, !self.output.is_empty(), now);
        phase == Phase::Kernel && !self.life.may_wait()
    }

    /// Writes what can be written. `Ok(false)` if the peer does not take it all now.
    fn flush(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<bool, Gone> {
        if self.output.is_empty() {
            return Ok(true);
        }
        let most = self.room(now)?;
        let mut accepted = 0;
        let flushed = self
            .output
            .poll_flush(&mut self.io, most, &mut accepted, cx);
        self.crowded = accepted == most;
        if accepted > 0 {
            self.room_every = queue::ROOM;
            self.life.sent(accepted, now);
            self.account.sent(accepted, now);
            // What a fast reader has long acknowledged must not count against the others' room.
            if self.life.queued() > queue::UNSEEN_MAX {
                self.look(now)?;
            }
            self.share.is(self.life.queued(), &self.config.queued);
        }
        match flushed {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(_)) => Err(Gone),
            Poll::Pending => Ok(false),
        }
    }

    /// A response begins with this status.
    fn responds(&mut self, status: u16, now: Duration) {
        self.life.response_begins(status, now);
        self.account.responded(status, now);
    }

    /// Reads once. `Ok(false)` if there is nothing to read now.
    fn fill(&mut self, most: usize, cx: &mut Context<'_>, now: Duration) -> Result<bool, Gone> {
        self.hears = true;
        match self.input.poll_fill(&mut self.io, most, cx) {
            Poll::Ready(Ok(Fill::Bytes(length))) => {
                self.life.received(length as u64, now);
                // What was read is behind what was there.
                let old = self.input.bytes.len().saturating_sub(length);
                self.account.received(length, &self.input.bytes[old..], now);
                Ok(true)
            }
            Poll::Ready(Ok(Fill::End)) => {
                self.life.ended(now);
                self.account.ended(now);
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(Gone),
            Poll::Pending => Ok(false),
        }
    }
}

/// Nothing in it is pinned but what is in a box of its own.
impl<S, B, I> Unpin for Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: 'static,
{
}

impl<S, B, I> Future for Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = CloseReason;

    // tokio's task dumps end at the function of the task's root: drawn into that, this one would be cut off with it.
    #[inline(never)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.get_mut();
        let span = this.account.span.clone();
        let _in = span.enter();
        let now = this.now();
        if !this.stopping && this.account.is_stopping(cx.waker()) {
            this.stopping = true;
            this.life.shut_down(now);
        }
        this.leaving = this.account.leave();
        while this.stage != Stage::Done {
            this.hears = false;
            match this.advance(cx, now) {
                Step::Again => {}
                Step::Wait(phase) => {
                    if this.wait(phase, cx, now) {
                        return Poll::Pending;
                    }
                }
            }
        }
        Poll::Ready(this.life.close(CloseReason::Dropped, now))
    }
}

impl<S, B, I> Drop for Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: 'static,
{
    fn drop(&mut self) {
        let at = Instant::now();
        let now = at.saturating_duration_since(self.opened);
        let span = self.account.span.clone();
        let _in = span.enter();
        // What the application says as it goes is said in the connection's span, too.
        self.work.end();
        self.abandon_upgrade();
        // Nobody is left to wait for what is under way, which must not look as if it were complete.
        if !matches!(
            self.stage,
            Stage::Done | Stage::New | Stage::Head { begun: false }
        ) || !self.output.is_empty()
            || self.stage != Stage::Done && !matches!(self.is_delivered(now), Ok(true))
        {
            self.abort();
        }
        self.share.is(0, &self.config.queued);
        let reason = self.life.close(CloseReason::Dropped, now);
        self.account.close(reason, self.life.entry(), at);
    }
}
