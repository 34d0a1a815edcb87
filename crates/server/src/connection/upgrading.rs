//! After a 101: the stream is the application's, and the connection keeps its count and its clock.

use super::{Connection, Gone, Stage, Step};
use crate::Body;
use hangup_lifecycle::{Clock, CloseReason, Phase};
use http::{Request, Response};
use std::io;
use std::task::Context;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

impl<S, B, I> Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Sees the 101 out, then gives the stream away, with what has been read of it.
    pub(super) fn switch(&mut self, cx: &mut Context<'_>, now: Duration) -> Step {
        match self.flush(cx, now) {
            Ok(true) => {}
            Ok(false) => return Step::Wait(Phase::Response),
            Err(Gone) => return self.gone(Phase::Response, cx),
        }
        if let (Some(tunnel), Some(io)) = (&mut self.exchange.tunnel, self.io.0.take()) {
            tunnel.open(io, std::mem::take(&mut self.input.bytes).freeze());
        }
        self.stage = Stage::Upgraded;
        Step::Again
    }

    /// Waits for the application's end of it.
    pub(super) fn upgraded(&mut self, cx: &mut Context<'_>, now: Duration) -> Step {
        let ended = self
            .exchange
            .tunnel
            .as_ref()
            .is_none_or(|tunnel| tunnel.poll_dropped(cx).is_ready());
        if !ended {
            return Step::Wait(Phase::Upgrade);
        }
        self.end_upgrade(CloseReason::Upgraded, cx, now);
        Step::Again
    }

    /// Takes the stream back, sees out what the application wrote to it, and closes it.
    pub(super) fn end_upgrade(&mut self, reason: CloseReason, cx: &mut Context<'_>, now: Duration) {
        if let Some(tunnel) = self.exchange.tunnel.take() {
            let (moved, io) = tunnel.close(io::ErrorKind::TimedOut);
            self.io.0 = io;
            self.life.received(moved.received, now);
            self.life.sent(moved.sent, now);
        }
        self.life.upgrade_ends();
        let cut = matches!(
            reason,
            CloseReason::TimedOut {
                clock: Clock::Shutdown,
                ..
            }
        );
        if cut {
            return self.cut(reason, cx);
        }
        self.life.because(reason);
        self.stage = Stage::Silent { closed: false };
    }
}

impl<S, B, I> Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: 'static,
{
    /// An offered upgrade comes to nothing.
    pub(super) fn abandon_upgrade(&mut self) {
        if let Some(tunnel) = self.exchange.tunnel.take() {
            let (_, stream) = tunnel.close::<I>(io::ErrorKind::NotConnected);
            if stream.is_some() {
                self.io.0 = stream;
            }
        }
    }
}
