//! The application works, reads the body, and answers.

use super::exchange::{Expect, Fed};
use super::work::{Chain, Fault};
use super::{Connection, Gone, Stage, Step};
use crate::Body;
use crate::body::{BodyError, Reader};
use crate::chunked;
use crate::response::{self, Framing};
use hangup_lifecycle::{CloseReason, Limits, Phase};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

/// While the application is busy, so much is read ahead: to see a client that is gone, and to have the next request ready.
const READ_AHEAD: usize = 8 * 1024;

impl<S, B, I> Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    pub(super) fn handle(&mut self, cx: &mut Context<'_>, now: Duration) -> Step {
        self.worked = true;
        let explain = self.errors.service;
        match self.work.poll_response(&mut self.service, explain, cx) {
            Poll::Ready(Ok(response)) => {
                self.begin_response(response, cx, now);
                Step::Again
            }
            Poll::Ready(Err(fault)) => {
                let reason = self.blame(fault);
                self.answer(reason, cx, now);
                Step::Again
            }
            Poll::Pending => self.pump(Phase::Handler, cx, now),
        }
    }

    fn begin_response(&mut self, response: Response<B>, cx: &mut Context<'_>, now: Duration) {
        let (parts, body) = response.into_parts();
        let size = body.size_hint();
        let asked = self.exchange.asked;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return self.begin_switch(&parts, cx, now);
        }
        self.abandon_upgrade();
        let Ok(framing) = response::framing(&parts, &size, asked) else {
            self.blame(Fault::Error(
                "the response has an informational status or an invalid Content-Length".into(),
            ));
            return self.answer(CloseReason::ApplicationFailed, cx, now);
        };
        self.exchange.framing = framing;
        if let Some(limits) = parts.extensions.get::<Arc<Limits>>() {
            self.life.limit(limits.clone());
        }
        self.work.stream(body);

        // The response's body may be made of the request's. Then its first poll asks for that, and the 100 must go out
        // before the final status does (RFC 9110 section 15.2).
        let may_read = framing != Framing::None && self.exchange.reader() != Reader::Gone;
        let first = if may_read && self.exchange.expect == Expect::Waits {
            let first = self.work.poll_frame(self.errors.body, cx);
            if self.exchange.reader() == Reader::Waits {
                self.invite(now);
            }
            Some(first)
        } else {
            None
        };

        self.exchange.ending = self.why_not_keep(&parts, framing, now);
        let keep = self.exchange.ending.is_none();
        let at = self.opened + now;
        let cache = self.config.date.as_ref();
        let date = cache.map(|cache| cache.line(&mut self.date, at));
        response::write_head(
            &mut self.output.bytes,
            &parts,
            framing,
            &size,
            asked,
            keep,
            date,
        );
        self.responds(parts.status.as_u16(), now);
        self.exchange.begun = true;
        self.stage = Stage::Response;
        match first {
            _ if framing == Framing::None => self.end_response(cx),
            Some(Poll::Ready(frame)) => self.produce(frame, cx),
            Some(Poll::Pending) | None => {}
        }
    }

    /// Switches protocols, if the request asked for it and is read to its end (RFC 9110 section 7.8).
    fn begin_switch(&mut self, parts: &http::response::Parts, cx: &mut Context<'_>, now: Duration) {
        if self.exchange.tunnel.is_none() || !self.exchange.is_whole() {
            self.blame(Fault::Error(
                "a 101 to a request that asks for no upgrade, or whose body is not read".into(),
            ));
            return self.answer(CloseReason::ApplicationFailed, cx, now);
        }
        if let Some(limits) = parts.extensions.get::<Arc<Limits>>() {
            self.life.limit(limits.clone());
        }
        self.work.end();
        let at = self.opened + now;
        let cache = self.config.date.as_ref();
        let date = cache.map(|cache| cache.line(&mut self.date, at));
        response::write_switch(&mut self.output.bytes, parts, date);
        self.responds(parts.status.as_u16(), now);
        self.exchange.begun = true;
        self.stage = Stage::Switch;
    }

    /// Why no further request can follow behind this response, if so.
    fn why_not_keep(
        &self,
        parts: &http::response::Parts,
        framing: Framing,
        now: Duration,
    ) -> Option<CloseReason> {
        let limits = self.life.limits();
        let body_owed = !self.exchange.is_whole()
            && (self.exchange.expect == Expect::Waits
                || self.exchange.reader() == Reader::Gone
                    && self.exchange.surely_owed(&self.input) > limits.drain.bytes);
        if !self.exchange.asked.persistent {
            Some(CloseReason::ClientAsked)
        } else if framing == Framing::Close || response::wants_close(&parts.headers) {
            Some(CloseReason::ApplicationAsked)
        } else if body_owed {
            Some(CloseReason::UnreadBody)
        } else if self.stopping {
            Some(CloseReason::Shutdown)
        } else if self.leaving.is_some() {
            Some(CloseReason::Evicted(Phase::Idle))
        } else if self.life.entry().requests >= self.config.limits.requests {
            Some(CloseReason::RequestLimit)
        } else if self.life.too_old_for_more(&self.config.limits, now) {
            Some(CloseReason::Age)
        } else if self.input.ended && self.input.bytes.is_empty() {
            Some(CloseReason::ClientClosed)
        } else {
            None
        }
    }

    pub(super) fn respond(&mut self, cx: &mut Context<'_>, now: Duration) -> Step {
        while self.stage == Stage::Response && self.output.has_room() {
            self.worked = true;
            match self.work.poll_frame(self.errors.body, cx) {
                Poll::Ready(frame) => self.produce(frame, cx),
                Poll::Pending => break,
            }
        }
        if self.stage != Stage::Response {
            return Step::Again;
        }
        let starved = !self.output.has_room();
        match self.pump(Phase::Response, cx, now) {
            Step::Wait(_) if starved && self.output.has_room() => Step::Again,
            step => step,
        }
    }

    /// Frames what the response's body gave.
    fn produce(&mut self, frame: Option<Result<Frame<B::Data>, Fault>>, cx: &mut Context<'_>) {
        use bytes::Buf;
        let vectored = self.io.is_write_vectored();
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(fault)) => {
                self.blame(fault);
                return self.break_off(CloseReason::ResponseFailed, cx);
            }
            None => {
                match self.exchange.framing {
                    Framing::Length(left) if left > 0 => {
                        self.blame(Fault::Error(
                            format!("the body is {left} bytes shorter than its length").into(),
                        ));
                        return self.break_off(CloseReason::ResponseFailed, cx);
                    }
                    Framing::Chunked => response::write_last_chunk(&mut self.output.bytes, None),
                    _ => {}
                }
                return self.end_response(cx);
            }
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                // Trailers are the last frame there is; only chunked can carry them.
                if let (Ok(trailers), Framing::Chunked) =
                    (frame.into_trailers(), self.exchange.framing)
                {
                    response::write_last_chunk(&mut self.output.bytes, Some(&trailers));
                    self.end_response(cx);
                }
                return;
            }
        };
        let length = data.remaining();
        match &mut self.exchange.framing {
            Framing::Length(left) if length as u64 > *left => {
                self.blame(Fault::Error("the body is longer than its length".into()));
                return self.break_off(CloseReason::ResponseFailed, cx);
            }
            Framing::Length(left) => *left -= length as u64,
            // A chunk of no size would be the last one.
            Framing::Chunked if length == 0 => return,
            Framing::Chunked => {
                chunked::write_size(&mut self.output.bytes, length);
                self.output.push_chunk(data, vectored);
                return;
            }
            Framing::Close | Framing::None => {}
        }
        self.output.push(data, vectored);
        if self.exchange.framing == Framing::Length(0) {
            self.end_response(cx);
        }
    }

    /// The response is given in full, though perhaps not yet accepted by the peer.
    fn end_response(&mut self, cx: &mut Context<'_>) {
        self.work.end();
        self.exchange.abandon_body(BodyError::Over, cx.waker());
        if self.exchange.ending.is_some() {
            self.stage = Stage::Last;
        } else if self.exchange.is_whole() {
            self.next_request();
        } else {
            self.stage = Stage::Drain {
                allowance: self.life.limits().drain.bytes,
            };
        }
    }

    pub(super) fn next_request(&mut self) {
        self.life.request_ends();
        if !Arc::ptr_eq(self.life.limits(), &self.config.limits) {
            self.life.limit(self.config.limits.clone());
        }
        self.exchange = super::Exchange::none();
        self.stage = Stage::Head { begun: false };
    }

    /// Tells `tracing` what the application did wrong, at a bounded rate. Returns the reason for a
    /// close.
    pub(super) fn blame(&self, fault: Fault) -> CloseReason {
        let suppressed = self.config.ledger.failure();
        match fault {
            Fault::Error(error) => {
                if let Some(suppressed) = suppressed {
                    tracing::error!(error = %Chain(&error), suppressed, "the application failed");
                }
                CloseReason::ApplicationFailed
            }
            Fault::Panic(panic) => {
                if let Some(suppressed) = suppressed {
                    tracing::error!(panic, suppressed, "the application panicked");
                }
                CloseReason::ApplicationPanicked
            }
        }
    }

    /// Sends `100 Continue`, if the client waits for it and no response has begun.
    fn invite(&mut self, now: Duration) {
        if self.exchange.expect == Expect::Waits && !self.exchange.begun {
            self.exchange.expect = Expect::Sent;
            self.output
                .bytes
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.life.continue_sent(now);
            self.account.responded(100, now);
        }
    }

    /// Moves bytes both ways while the application waits or works, until there is something new for it or everything waits.
    fn pump(&mut self, otherwise: Phase, cx: &mut Context<'_>, now: Duration) -> Step {
        loop {
            let hungry = self.exchange.reader() == Reader::Waits;
            if hungry {
                match self
                    .exchange
                    .feed(&mut self.input, &mut self.life, cx.waker(), now)
                {
                    Ok(Fed::Something) => return Step::Again,
                    Ok(Fed::Hungry) => self.invite(now),
                    Ok(Fed::Enough) => {}
                    Err(refusal) => {
                        self.answer(CloseReason::Refused(refusal), cx, now);
                        return Step::Again;
                    }
                }
            }
            let phase = match (
                hungry,
                self.exchange.expect == Expect::Sent && !self.exchange.body_began,
            ) {
                (true, true) => Phase::Expect,
                (true, false) => Phase::Body,
                (false, _) => otherwise,
            };
            if self.flush(cx, now).is_err() {
                return self.gone(Phase::Response, cx);
            }
            if self.input.ended || !hungry && self.input.bytes.len() >= READ_AHEAD {
                // Nothing is read any more, so that a reset has to be looked for.
                self.hears = false;
                return Step::Wait(phase);
            }
            let most = if hungry {
                self.exchange.appetite(&self.input)
            } else {
                0
            };
            match self.fill(most, cx, now) {
                Ok(true) => {}
                Ok(false) => return Step::Wait(phase),
                Err(Gone) => return self.gone(phase, cx),
            }
        }
    }
}
