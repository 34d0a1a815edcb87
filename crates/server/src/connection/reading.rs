//! Between two requests, and in a request's head.

use super::exchange::Exchange;
use super::work::Work;
use super::{Connection, Gone, Stage, Step};
use crate::Body;
use crate::framing::Length;
use crate::head::{self, Head};
use hangup_lifecycle::{CloseReason, Phase, Refusal};
use http::{Request, Response};
use std::task::Context;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

impl<S, B, I> Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: AsyncRead + AsyncWrite + Unpin,
{
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
        if empty && self.stopping {
            return self.silent(CloseReason::Shutdown);
        }
        if self.input.ended {
            if empty {
                return self.silent(CloseReason::ClientClosed);
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
        match self.fill(0, cx, now) {
            Ok(true) => Step::Again,
            Ok(false) => Step::Wait(phase),
            Err(Gone) => self.gone(phase, cx),
        }
    }

    fn begin(&mut self, head: Head, cx: &mut Context<'_>, now: Duration) {
        let Head {
            method,
            uri,
            version,
            headers,
            facts,
        } = head;
        self.exchange = Exchange::new(&method, version, facts);
        let length = match facts.body {
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
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        self.work.set(Work::Request {
            request: Some(request),
        });
        self.stage = Stage::Handler;
    }
}
