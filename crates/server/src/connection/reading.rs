//! Between two requests, and in a request's head.

use super::exchange::Exchange;
use super::work::guarded;
use super::{Connection, Gone, Stage, Step};
use crate::Body;
use crate::admission::Admitted;
use crate::framing::Length;
use crate::head::{self, Head};
use crate::upgrade::Offered;
use hangup_lifecycle::{CloseReason, Phase, Refusal};
use http::{Request, Response};
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
    /// The first that is done for a connection: to serve it, or to say why not.
    pub(super) fn welcome(&mut self, cx: &mut Context<'_>, now: Duration) -> Step {
        if let (false, Some(kernel), Some(io)) = (self.handshaken, self.kernel, &mut self.io.0)
            && !matches!(self.account.admitted, Admitted::Dropped(_))
        {
            match (kernel.handshake)(io, cx) {
                Poll::Ready(Ok(())) => self.handshaken = true,
                Poll::Ready(Err(_)) => return self.silent(CloseReason::HandshakeFailed),
                Poll::Pending => return Step::Wait(Phase::Handshake),
            }
        }
        match self.account.admitted {
            Admitted::Served(_) => self.stage = Stage::Head { begun: false },
            Admitted::Refused(reason) => self.answer(reason, cx, now),
            Admitted::Dropped(reason) => self.cut(reason, cx),
        }
        Step::Again
    }

    pub(super) fn read_head(&mut self, begun: bool, cx: &mut Context<'_>, now: Duration) -> Step {
        let empty = !self.input.begins_request();
        // A client that does not take its responses gets no more of them.
        if !empty && !self.output.blocked && self.output.has_room() {
            if !begun {
                self.life.request_begins(now);
                self.stage = Stage::Head { begun: true };
            }
            match head::take(
                &mut self.input.bytes,
                &mut self.input.scanned,
                self.life.limits(),
            ) {
                Ok(Some(head)) => {
                    self.begin(head, cx, now);
                    return Step::Again;
                }
                Ok(None) => {}
                Err(refusal) => {
                    self.answer(CloseReason::Refused(refusal), cx, now);
                    return Step::Again;
                }
            }
        }
        // What is finished is flushed before anything waits.
        match self.flush(cx, now) {
            Ok(true) => {}
            Ok(false) => return Step::Wait(Phase::Response),
            Err(Gone) => return self.gone(Phase::Response, cx),
        }
        if self.input.ended {
            if empty {
                // It may still take the last response.
                self.life.because(CloseReason::ClientClosed);
                self.stage = Stage::Linger { closed: false };
                return Step::Again;
            }
            if self.input.scanned > 0 {
                let refusal = head::unfinished(&self.input.bytes, self.life.limits());
                self.answer(CloseReason::Refused(refusal), cx, now);
            }
            // Else it is not looked at yet: the output was in the way.
            return Step::Again;
        }
        if !empty && self.input.scanned == 0 {
            return Step::Again;
        }
        let phase = match (empty, self.life.entry().requests) {
            (false, _) => Phase::Head,
            (true, 0) => Phase::Opening,
            (true, _) => Phase::Idle,
        };
        // A body may come with its head: where bodies are large, both are read at once.
        match self.fill(usize::MAX, cx, now) {
            Ok(true) => Step::Again,
            Ok(false) => Step::Wait(phase),
            Err(Gone) => self.gone(phase, cx),
        }
    }

    fn begin(&mut self, head: Head, cx: &mut Context<'_>, now: Duration) {
        let (mut parts, ()) = Request::new(()).into_parts();
        (parts.method, parts.uri, parts.version, parts.headers) =
            (head.method, head.uri, head.version, head.headers);
        self.account.requested(&parts, now);
        if let Some(route) = &self.config.route {
            match guarded(|| route(&parts)) {
                Ok(limits) => self
                    .life
                    .limit(limits.unwrap_or_else(|| self.config.limits.clone())),
                Err(fault) => {
                    let reason = self.blame(fault);
                    return self.answer(reason, cx, now);
                }
            }
        }
        self.exchange = Exchange::new(&parts.method, parts.version, head.facts);
        let length = match head.facts.body {
            Length::None => Some(0),
            Length::Known(length) => Some(length),
            Length::Chunked => None,
        };
        self.life.head(length);
        if length.is_some_and(|length| length > self.life.limits().body_bytes) {
            return self.answer(CloseReason::Refused(Refusal::BodyTooLarge), cx, now);
        }
        // What came with the head is there when the application first looks.
        if let Err(refusal) = self
            .exchange
            .feed(&mut self.input, &mut self.life, cx.waker(), now)
            && refusal != Refusal::BodyIncomplete
        {
            return self.answer(CloseReason::Refused(refusal), cx, now);
        }
        let body = self
            .exchange
            .pipe
            .clone()
            .map_or_else(Body::empty, Body::piped);
        let mut request = Request::from_parts(parts, body);
        if head.facts.wants_upgrade {
            self.exchange.tunnel = Some(Offered::to(&mut request));
        }
        if let Some(prepare) = &self.config.prepare
            && let Err(fault) = guarded(|| prepare(&mut request, self.account.peer()))
        {
            let reason = self.blame(fault);
            return self.answer(reason, cx, now);
        }
        self.work.begin(request);
        self.stage = Stage::Handler;
    }
}
