//! The ends of a connection: an answer of our own, a drain, the lingering close, silence.

use super::{Connection, Gone, Stage, Step};
use crate::Body;
use crate::admission::Leave;
use crate::body::BodyError;
use crate::chunked::Piece;
use crate::input::Fill;
use crate::response::{self, Framing};
use hangup_lifecycle::{Clock, CloseReason, Phase, Refusal};
use http::{Request, Response};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

impl<S, B, I> Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// A phase has had its time.
    pub(super) fn expire(&mut self, reason: CloseReason, cx: &mut Context<'_>, now: Duration) {
        let CloseReason::TimedOut { phase, clock } = reason else {
            // A clock that says that the client is gone.
            return self.cut(reason, cx);
        };
        self.account.expired(phase, clock, now);
        match phase {
            Phase::Upgrade => self.end_upgrade(reason, cx, now),
            // Nothing was under way, and nothing came on its way.
            Phase::Opening | Phase::Idle if clock == Clock::Shutdown => {
                self.life.because(CloseReason::Shutdown);
                // The last response may still be read, and a request that crosses our FIN must not take it back.
                self.stage = match self.life.entry().requests {
                    0 => Stage::Silent { closed: false },
                    _ => Stage::Linger { closed: false },
                };
            }
            _ if clock == Clock::Shutdown => self.cut(reason, cx),
            Phase::Head | Phase::Expect | Phase::Body | Phase::Handler => {
                self.answer(reason, cx, now)
            }
            Phase::Drain => {
                self.life.because(reason);
                self.stage = Stage::Linger { closed: false };
            }
            Phase::Opening | Phase::Idle | Phase::Handshake => {
                self.life.because(reason);
                self.stage = Stage::Silent { closed: false };
            }
            // The peer has it all and does not close; that it then gets a FIN lets it read what it has.
            Phase::Linger if self.output.is_empty() && !self.life.may_wait() => {
                self.life.because(reason);
                self.stage = Stage::Done;
            }
            Phase::Response | Phase::Kernel | Phase::Linger => self.cut(reason, cx),
        }
    }

    /// Makes room for another connection, if nothing is under way. What has come was read before
    /// this wait, so a request that is there is served first, with `close`.
    pub(super) fn make_room(
        &mut self,
        leave: Leave,
        phase: Phase,
        cx: &mut Context<'_>,
        now: Duration,
    ) -> bool {
        let reason = CloseReason::Evicted(phase);
        match phase {
            Phase::Head if leave == Leave::Lingering => self.answer(reason, cx, now),
            Phase::Head | Phase::Handshake | Phase::Opening => {
                self.silent(reason);
            }
            // Its last response may still be under way, as at a shutdown.
            Phase::Idle if leave == Leave::Lingering && self.answered_lately(now) => {
                self.life.because(reason);
                self.stage = Stage::Linger { closed: false };
            }
            Phase::Idle => {
                self.silent(reason);
            }
            _ => return false,
        }
        true
    }

    fn answered_lately(&self, now: Duration) -> bool {
        let gap = self.life.limits().linger.gap.finite();
        now.saturating_sub(self.life.since()) < gap.unwrap_or_default()
    }

    /// Ends the exchange with the server's own answer, if none was begun; else there is nothing to say and the response is broken off.
    /// The status follows from the reason ([`CloseReason::answer`]).
    pub(super) fn answer(&mut self, reason: CloseReason, cx: &mut Context<'_>, now: Duration) {
        let status = match reason.answer() {
            Some(status) if !self.exchange.begun => status,
            _ => return self.break_off(reason, cx),
        };
        self.end_work(reason, cx);
        self.exchange.begun = true;
        let at = self.opened + now;
        let cache = self.config.date.as_ref();
        let date = cache.map(|cache| cache.line(&mut self.date, at));
        response::write_answer(&mut self.output.bytes, status, date);
        self.responds(status, now);
        self.stage = Stage::Linger { closed: false };
    }

    /// Ends the connection within a response. What was written still goes out, finished responses before this one above all, and
    /// the missing end tells the client. Where only the close would be that end, the connection is cut.
    pub(super) fn break_off(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        if self.exchange.begun && self.exchange.framing == Framing::Close {
            return self.cut(reason, cx);
        }
        self.end_work(reason, cx);
        self.stage = Stage::Linger { closed: false };
    }

    /// Ends the connection as it is, with a reset: what is under way must not look complete, and nothing of it stays in the
    /// kernel.
    pub(super) fn cut(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        self.end_work(reason, cx);
        self.abort();
        self.stage = Stage::Done;
    }

    fn end_work(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        self.life.because(reason);
        self.work.end();
        let error = match reason {
            CloseReason::Refused(Refusal::BodyTooLarge) => BodyError::TooLarge,
            CloseReason::Refused(Refusal::BodyIncomplete) => BodyError::Incomplete,
            CloseReason::Refused(_) => BodyError::Malformed,
            _ => BodyError::Over,
        };
        self.exchange.abandon_body(error, cx.waker());
        self.abandon_upgrade();
    }

    /// The peer is gone: so is everything that was done for it.
    pub(super) fn gone(&mut self, phase: Phase, cx: &mut Context<'_>) -> Step {
        self.cut(CloseReason::ClientGone(phase), cx);
        Step::Again
    }

    pub(super) fn silent(&mut self, reason: CloseReason) -> Step {
        self.life.because(reason);
        self.stage = Stage::Silent { closed: false };
        Step::Again
    }

    /// FIN without a word. Where the stream can tell, it is ours until the FIN is acknowledged.
    pub(super) fn hang_up(&mut self, closed: bool, cx: &mut Context<'_>, now: Duration) -> Step {
        if !closed {
            // What a stream cannot say at once (a TLS alert that does not fit) stays unsaid.
            let _ = Pin::new(&mut self.io).poll_shutdown(cx);
            self.life.closes(now);
            self.stage = Stage::Silent { closed: true };
            // Over a short path the FIN is acknowledged by the next poll, before the first look of the phase.
            cx.waker().wake_by_ref();
        }
        match self.is_delivered(now) {
            // Its place is needed now.
            Ok(false) if self.leaving == Some(Leave::AtOnce) => {
                self.abort();
                self.stage = Stage::Done;
            }
            Ok(false) => return Step::Wait(Phase::Kernel),
            Ok(true) | Err(Gone) => self.stage = Stage::Done,
        }
        Step::Again
    }

    /// Reads what is left of a body that the application did not read, within both bounds.
    pub(super) fn drain(
        &mut self,
        mut allowance: u64,
        cx: &mut Context<'_>,
        now: Duration,
    ) -> Step {
        let limits = self.life.limits().clone();
        match self
            .exchange
            .discard(&mut self.input, &mut allowance, &limits)
        {
            Ok(Some(Piece::End)) => {
                self.next_request();
                return Step::Again;
            }
            Ok(Some(_)) => self.stage = Stage::Drain { allowance },
            Ok(None) => return self.last(CloseReason::UnreadBody),
            Err(refusal) => return self.last(CloseReason::Refused(refusal)),
        }
        match self.flush(cx, now) {
            Ok(true) => {}
            Ok(false) => return Step::Wait(Phase::Response),
            Err(Gone) => return self.gone(Phase::Response, cx),
        }
        match self.fill(0, cx, now) {
            Ok(true) => Step::Again,
            Ok(false) => Step::Wait(Phase::Drain),
            Err(Gone) => self.gone(Phase::Drain, cx),
        }
    }

    fn last(&mut self, reason: CloseReason) -> Step {
        self.exchange.ending = Some(reason);
        self.stage = Stage::Last;
        Step::Again
    }

    /// Sees the last response out.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>, now: Duration) -> Step {
        match self.flush(cx, now) {
            Ok(true) => {
                if let Some(reason) = self.exchange.ending {
                    self.life.because(reason);
                }
                self.stage = Stage::Linger { closed: false };
                Step::Again
            }
            Ok(false) => Step::Wait(Phase::Response),
            Err(Gone) => self.gone(Phase::Response, cx),
        }
    }

    /// Our FIN, then the client's (RFC 9112 section 9.6): a close at once could take back a response that it has not read yet.
    /// Until what we sent is acknowledged, the response's clocks run for it; then the linger's.
    pub(super) fn linger(&mut self, closed: bool, cx: &mut Context<'_>, now: Duration) -> Step {
        let sending = if self.life.can_tell() {
            Phase::Kernel
        } else {
            Phase::Linger
        };
        match self.flush(cx, now) {
            Ok(true) => {}
            Ok(false) => return Step::Wait(sending),
            Err(Gone) => return self.gone(Phase::Linger, cx),
        }
        if !closed {
            match Pin::new(&mut self.io).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => {
                    self.life.closes(now);
                    self.stage = Stage::Linger { closed: true };
                }
                Poll::Ready(Err(_)) => return self.gone(Phase::Linger, cx),
                Poll::Pending => return Step::Wait(sending),
            }
        }
        let phase = match self.is_delivered(now) {
            Ok(true) => Phase::Linger,
            Ok(false) => Phase::Kernel,
            Err(Gone) => return self.gone(Phase::Kernel, cx),
        };
        if self.input.ended && phase == Phase::Kernel {
            return Step::Wait(phase);
        }
        if self.input.ended {
            self.stage = Stage::Done;
            return Step::Again;
        }
        self.hears = true;
        match self.input.poll_discard(&mut self.io, cx) {
            Poll::Ready(Ok(Fill::Bytes(length))) => {
                self.life.received(length as u64, now);
                self.account.received(length, &[], now);
                Step::Again
            }
            Poll::Ready(Ok(Fill::End)) => {
                self.life.ended(now);
                self.account.ended(now);
                Step::Again
            }
            Poll::Ready(Err(_)) => self.gone(phase, cx),
            Poll::Pending => Step::Wait(phase),
        }
    }
}
