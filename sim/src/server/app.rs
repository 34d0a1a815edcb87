//! The probe app, which every built-in server serves.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | `ok` |
//! | `POST /echo` | reads the body, answers `LENGTH SHA256-HEX` |
//! | `POST /reject` | 403, without reading the body |
//! | `GET /big/N` | N bytes |
//! | `GET /slow/MS` | `ok` after MS milliseconds |
//! | `POST /stream` | the body, as it comes |
//! | `GET /panic` | panics |
//! | `GET /never` | never answers |
//! | `GET /events` | one event, and then nothing for ever: a stream that the application paces |
//! | `GET /events/MS` | an event every MS milliseconds, for ever |
//! | `GET /upgrade` | 101 where the request asks for `Upgrade: echo`; from there on whatever comes is sent back |
//! | `GET /endless` | a response without an end: 64 MiB as fast as they are taken, and then nothing for ever |

pub(crate) mod tunnel;

use crate::digest::Digest;
use crate::trace::{Recorder, lasts, record};
use bytes::Bytes;
use hangup_scenario::render::SMUGGLED_TARGET;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::coop::poll_proceed;
use tokio::time::Sleep;

/// What goes wrong when a body cannot be read.
pub type BoxError = Box<dyn Error + Send + Sync>;

const PAGE: usize = 16 * 1024;
static FILLER: [u8; PAGE] = [b'x'; PAGE];
/// So much of a response without an end comes as fast as it is taken: more than any socket holds, and not more than a server that
/// takes all of it at once can have in memory.
const ENDLESS_BYTES: u64 = 64 << 20;
/// An event, as the HTML standard writes them (section 9.2.5).
const EVENT: &[u8] = b"event: tick\ndata: x\n\n";
/// The shortest pause between two events: a stream without a pause would keep the clock from moving.
const EVENT_PAUSE_MIN: Duration = Duration::from_millis(1);

/// The body of an answer; `B` is the request's, for `/stream`.
#[derive(Debug)]
pub enum Answer<B> {
    /// All of it at once.
    Full(Bytes),
    /// So many bytes more, a page at a time.
    Big(u64),
    /// The request's own body.
    Stream(B),
    /// Events without an end.
    Events(Events),
    /// Bytes without an end: so many more as fast as they are taken, and then none for now.
    Endless(u64),
}

/// A stream of events that its application paces. It never ends by itself.
#[derive(Debug)]
pub struct Events {
    /// The first one is sent.
    begun: bool,
    /// Between two of them; `None`: there is no second.
    every: Option<Duration>,
    next: Option<Pin<Box<Sleep>>>,
}

impl Events {
    fn new(every: Option<Duration>) -> Self {
        Self {
            begun: false,
            every,
            next: None,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        if self.begun {
            let Some(every) = self.every else {
                return Poll::Pending;
            };
            let next = self
                .next
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(lasts(every))));
            ready!(next.as_mut().poll(cx));
        }
        self.begun = true;
        self.next = None;
        Poll::Ready(Bytes::from_static(EVENT))
    }
}

/// What the probe app does with each request first: it takes note of one that was hidden in a body, and panics if it is to.
pub(crate) fn begin(target: &str) {
    record(|recorder| recorder.asked(target == SMUGGLED_TARGET));
    panic_if_asked();
}

/// Panics if the scenario has a `handler_panic` due. The probe app asks at each request; a handler of your own can, too.
///
/// # Panics
/// When the scenario says so; outside a run never.
pub fn panic_if_asked() {
    if record(Recorder::takes_panic) == Some(true) {
        panic!("the scenario lets this handler panic");
    }
}

/// Answers one request.
///
/// # Errors
/// When the request's body cannot be read to its end; there is no answer then.
pub async fn answer<B>(request: Request<B>) -> Result<Response<Answer<B>>, BoxError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let path = request.uri().path();
    begin(path);
    if let Some(count) = argument(path, "/big/") {
        return Ok(Response::new(Answer::Big(count)));
    }
    if let Some(milliseconds) = argument(path, "/slow/") {
        tokio::time::sleep(lasts(Duration::from_millis(milliseconds))).await;
        return Ok(full(StatusCode::OK, "ok"));
    }
    if let Some(milliseconds) = argument(path, "/events/") {
        let every = Duration::from_millis(milliseconds).max(EVENT_PAUSE_MIN);
        return Ok(events(Some(every)));
    }
    match (request.method().as_str(), path) {
        ("GET", "/events") => Ok(events(None)),
        ("GET", "/endless") => Ok(Response::new(Answer::Endless(ENDLESS_BYTES))),
        ("GET" | "HEAD", "/") => Ok(full(StatusCode::OK, "ok")),
        ("POST", "/echo") => {
            let mut body = request.into_body();
            let (mut length, mut digest) = (0_u64, Digest::default());
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.map_err(Into::into)?.into_data() {
                    length += data.len() as u64;
                    digest.update(&data);
                }
            }
            Ok(full(StatusCode::OK, echoed(length, &digest.finish())))
        }
        ("POST", "/reject") => Ok(full(StatusCode::FORBIDDEN, "rejected")),
        ("POST", "/stream") => Ok(Response::new(Answer::Stream(request.into_body()))),
        ("GET", "/panic") => panic!("the probe app was asked to panic"),
        ("GET", tunnel::TARGET) => Ok(tunnel::switch(request)),
        ("GET", "/never") => std::future::pending().await,
        _ => Ok(full(StatusCode::NOT_FOUND, "not found")),
    }
}

/// What `/echo` says of so many bytes with this digest.
pub(crate) fn echoed(length: u64, digest: &[u8; 32]) -> String {
    let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let mut said = format!("{length} ");
    said.reserve(2 * digest.len());
    said.extend(nibbles.map(|nibble| char::from(b"0123456789abcdef"[usize::from(nibble)])));
    said
}

fn events<B>(every: Option<Duration>) -> Response<Answer<B>> {
    let mut response = Response::new(Answer::Events(Events::new(every)));
    let event_stream = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, event_stream);
    response
}

fn argument(path: &str, prefix: &str) -> Option<u64> {
    path.strip_prefix(prefix)?.parse().ok()
}

fn full<B>(status: StatusCode, text: impl Into<Bytes>) -> Response<Answer<B>> {
    let mut response = Response::new(Answer::Full(text.into()));
    *response.status_mut() = status;
    response
}

impl<B> Body for Answer<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Big(0) => Poll::Ready(None),
            Self::Big(left) => {
                let page = usize::try_from(*left).unwrap_or(PAGE).min(PAGE);
                *left -= page as u64;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&FILLER[..page])))))
            }
            Self::Stream(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Events(events) => events
                .poll_next(cx)
                .map(|event| Some(Ok(Frame::data(event)))),
            Self::Endless(left) => {
                let Some(rest) = left.checked_sub(PAGE as u64) else {
                    return Poll::Pending;
                };
                // Whoever takes it without ever waiting would not let anything else run.
                ready!(poll_proceed(cx)).made_progress();
                *left = rest;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&FILLER)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Big(left) => *left == 0,
            Self::Stream(body) => body.is_end_stream(),
            Self::Events(_) | Self::Endless(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Big(left) => SizeHint::with_exact(*left),
            Self::Stream(body) => body.size_hint(),
            Self::Events(_) | Self::Endless(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_tells_length_and_digest() {
        assert_eq!(
            echoed(3, &Digest::of(b"abc")),
            "3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
