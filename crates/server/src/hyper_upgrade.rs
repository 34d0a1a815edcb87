//! hyper's own `OnUpgrade`, for applications that look for it in a request's extensions, as axum's
//! `WebSocketUpgrade` does (feature `hyper-upgrade`).
//!
//! hyper makes one only within a connection of its own. So a request that asks for an upgrade gets
//! one from a hyper connection over a stream in memory, on which a fixed request asks for an
//! upgrade:
//!
//! ```text
//! the request is dispatched -> hyper reads the fixed request, and makes its OnUpgrade
//! our 101 is sent           -> hyper answers 101, which nobody reads, and gives its stream away:
//!                              from there on that stream is our upgraded one
//! another end               -> hyper's connection is dropped, and its OnUpgrade fails
//! ```
//!
//! It is polled twice, by our connection; there is no task, and it never waits.

use crate::Body;
use crate::upgrade::{Offer, Upgraded};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: any\r\n\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A hyper connection that has read its request, and has not answered.
pub(crate) struct Bridge {
    connection: Pin<Box<http1::UpgradeableConnection<TokioIo<Relay>, Answer>>>,
    switch: Arc<AtomicBool>,
}

impl Bridge {
    /// The bridge and the right to its stream, which is the stream of `offer`.
    pub(crate) fn new(offer: Offer) -> Option<(Self, OnUpgrade)> {
        let answer = Answer::default();
        let (switch, upgrade) = (answer.switch.clone(), answer.upgrade.clone());
        let relay = Relay {
            request: REQUEST,
            head: HEAD_END,
            stream: Stream::Offered(offer),
        };
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(relay), answer)
            .with_upgrades();
        let mut bridge = Bridge {
            connection: Box::pin(connection),
            switch,
        };
        bridge.poll();
        let upgrade = upgrade
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Some((bridge, upgrade?))
    }

    /// The stream is there: hyper's `OnUpgrade` gives it.
    pub(crate) fn open(mut self) {
        self.switch.store(true, Ordering::SeqCst);
        self.poll();
    }

    /// Nothing wakes it, and nothing has to: all that it waits for is told by the next poll.
    fn poll(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // An error is told to the `OnUpgrade`.
        let _ = self.connection.as_mut().poll(&mut cx);
    }
}

/// Keeps the `OnUpgrade`, and answers when it is told to.
#[derive(Default)]
struct Answer {
    switch: Arc<AtomicBool>,
    upgrade: Arc<Mutex<Option<OnUpgrade>>>,
}

impl Service<Request<Incoming>> for Answer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Switch;

    fn call(&self, request: Request<Incoming>) -> Switch {
        let upgrade = hyper::upgrade::on(request);
        *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
        Switch(self.switch.clone())
    }
}

/// 101, once it is told.
struct Switch(Arc<AtomicBool>);

impl Future for Switch {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.0.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Poll::Ready(Ok(response))
    }
}

/// hyper's stream: the fixed request, then nothing until hyper's answer is written, then the
/// upgraded one.
struct Relay {
    request: &'static [u8],
    /// What is still to come of the end of hyper's head. All before it is dropped.
    head: &'static [u8],
    stream: Stream,
}

enum Stream {
    Offered(Offer),
    Open(Upgraded),
}

impl Relay {
    fn stream(&mut self) -> io::Result<Pin<&mut Upgraded>> {
        if let Stream::Offered(offer) = &self.stream {
            let upgraded = offer.take().ok_or(io::ErrorKind::NotConnected)?;
            self.stream = Stream::Open(upgraded);
        }
        match &mut self.stream {
            Stream::Open(upgraded) => Ok(Pin::new(upgraded)),
            Stream::Offered(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Drops the rest of hyper's head off `bytes`, and returns how much that is.
    fn drop_head(&mut self, bytes: &[u8]) -> usize {
        let mut dropped = 0;
        for byte in bytes {
            let [expected, behind @ ..] = self.head else {
                break;
            };
            dropped += 1;
            self.head = match byte {
                _ if byte == expected => behind,
                b'\r' => &HEAD_END[1..],
                _ => HEAD_END,
            };
        }
        dropped
    }
}

impl AsyncRead for Relay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.request.is_empty() {
            let (now, later) = self
                .request
                .split_at(self.request.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.request = later;
            return Poll::Ready(Ok(()));
        }
        if !self.head.is_empty() {
            return Poll::Pending;
        }
        self.stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Relay {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let dropped: usize = slices.iter().map(|slice| self.drop_head(slice)).sum();
        if dropped > 0 {
            return Poll::Ready(Ok(dropped));
        }
        self.stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Offered(_) => Poll::Ready(Ok(())),
            Stream::Open(upgraded) => Pin::new(upgraded).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.head.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.stream()?.poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}
