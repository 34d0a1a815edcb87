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
use crate::{Body, Peer};
use exchange::Exchange;
use hangup_lifecycle::{CloseReason, Life, Phase};
use http::{Request, Response};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
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
    work: Pin<Box<Work<S::Future, B>>>,
    stopping: bool,
    /// It makes room for another connection as soon as it waits with nothing under way.
    leaving: Option<Leave>,
    handshake: Option<Handshake<I>>,
    /// The application ran since the clock was read, and may have taken long.
    worked: bool,
}

/// What a stream needs before the first request. See [`Listener::poll_handshake`](crate::Listener::poll_handshake).
pub(crate) type Handshake<I> = fn(&mut I, &mut Context<'_>) -> Poll<io::Result<()>>;

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
    /// A close without a word: FIN, and gone.
    Silent,
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
            work: Box::pin(Work::Nothing),
            stopping: false,
            leaving: None,
            handshake: None,
            worked: false,
        }
    }

    /// Whether a connection ends right now because of this one: another that makes room for it, or
    /// itself, dropped without a word.
    pub(crate) fn ends_one(&self) -> bool {
        self.account.evicts || matches!(self.account.admitted, Admitted::Dropped(_))
    }

    /// Before anything else, the stream goes through `handshake`.
    pub(crate) fn handshake(mut self, handshake: Handshake<I>) -> Self {
        self.handshake = Some(handshake);
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
            Stage::Silent => self.hang_up(cx),
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
        let deadline = self.life.wait(phase, !self.output.is_empty(), now);
        let deadline = deadline.at().map(|time| self.opened + time);
        self.account.waits(&self.life, now);
        if let Some(leave) = self.leaving
            && self.make_room(leave, phase, cx, now)
        {
            return false;
        }
        let mut at = self.opened + now;
        while self.timer.arm(deadline, at, cx) {
            at = Instant::now();
            let now = at.saturating_duration_since(self.opened);
            if let Some(reason) = self.life.expired(now) {
                self.expire(reason, cx, now);
                return false;
            }
        }
        true
    }

    /// Writes what can be written. `Ok(false)` if the peer does not take it all now.
    fn flush(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<bool, Gone> {
        if self.output.is_empty() {
            return Ok(true);
        }
        let mut accepted = 0;
        let flushed = self.output.poll_flush(&mut self.io, &mut accepted, cx);
        if accepted > 0 {
            self.life.sent(accepted, now);
            self.account.sent(accepted, now);
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
        match self.input.poll_fill(&mut self.io, most, cx) {
            Poll::Ready(Ok(Fill::Bytes(length))) => {
                self.life.received(length as u64, now);
                // What was read is behind what was there.
                let old = self.input.bytes.len().saturating_sub(length);
                self.account.received(length, &self.input.bytes[old..], now);
                Ok(true)
            }
            Poll::Ready(Ok(Fill::End)) => {
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
{
    fn drop(&mut self) {
        let at = Instant::now();
        let now = at.saturating_duration_since(self.opened);
        let span = self.account.span.clone();
        let _in = span.enter();
        // What the application says as it goes is said in the connection's span, too.
        self.work.set(Work::Nothing);
        if let Some(tunnel) = self.exchange.tunnel.take() {
            tunnel.close(
                io::ErrorKind::NotConnected,
                &mut Context::from_waker(Waker::noop()),
            );
        }
        let reason = self.life.close(CloseReason::Dropped, now);
        self.account.close(reason, self.life.entry(), at);
    }
}
