//! A request's body: the application's end, and the connection's end of the pipe between them.

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The body of a request, as the application reads it: [`http_body::Body`] with `Data = Bytes`.
///
/// Nothing of it is read from the peer before it is asked for, except what came together with the head: the first poll is what sends
/// `100 Continue` to a client that waits for it. It belongs to its request: once the response is complete, what was not read
/// is gone, and reading gives [`BodyError::Over`].
#[derive(Debug, Default)]
pub struct Body {
    pipe: Option<Arc<Pipe>>,
}

/// Why a request's body ended before its end. The server has its own answer to each (400, 408, 413) if no response was begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BodyError {
    /// The client closed before the end of the body.
    #[error("the client closed before the end of the body")]
    Incomplete,
    /// The framing, or a trailer, was malformed.
    #[error("the body's framing is malformed")]
    Malformed,
    /// It is larger than the limit.
    #[error("the body is larger than its limit")]
    TooLarge,
    /// The connection is over, or the response is complete: nobody reads for this body any more.
    #[error("the request is over")]
    Over,
}

impl Body {
    /// A body without a byte.
    pub const fn empty() -> Self {
        Body { pipe: None }
    }

    pub(crate) fn piped(pipe: Arc<Pipe>) -> Self {
        Body { pipe: Some(pipe) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &self.get_mut().pipe {
            Some(pipe) => pipe.state().poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pipe.as_ref().is_none_or(|pipe| {
            let state = pipe.state();
            state.end == End::Complete && state.ready.is_none() && state.trailers.is_none()
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.pipe {
            Some(pipe) => pipe
                .state()
                .unread
                .map_or_else(SizeHint::default, SizeHint::with_exact),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(pipe) = &self.pipe {
            let mut state = pipe.state();
            state.dropped = true;
            state.wanted = false;
            state.ready = None;
        }
    }
}

/// What the two ends share. It holds at most one piece, so the application's pace is the client's pace.
#[derive(Debug)]
pub(crate) struct Pipe(Mutex<State>);

#[derive(Debug)]
struct State {
    ready: Option<Bytes>,
    trailers: Option<HeaderMap>,
    end: End,
    /// Content not yet read by the application, if the length is known.
    unread: Option<u64>,
    /// The application waits for more.
    wanted: bool,
    reader: Option<Waker>,
    dropped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Open,
    Complete,
    Failed(BodyError),
}

impl State {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(data) = self.ready.take() {
            self.unread = self
                .unread
                .map(|unread| unread.saturating_sub(data.len() as u64));
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end {
            End::Complete => Poll::Ready(
                self.trailers
                    .take()
                    .map(|trailers| Ok(Frame::trailers(trailers))),
            ),
            End::Failed(error) => Poll::Ready(Some(Err(error))),
            End::Open => {
                self.wanted = true;
                match &self.reader {
                    Some(reader) if reader.will_wake(cx.waker()) => {}
                    _ => self.reader = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// The waker to call, unless it is the connection's own task, which goes on by itself.
    fn reader_elsewhere(&mut self, own: &Waker) -> Option<Waker> {
        self.wanted = false;
        self.reader.take().filter(|reader| !reader.will_wake(own))
    }
}

/// What the application does with its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reader {
    /// It waits for more.
    Waits,
    /// It has something else to do, or something to read.
    Busy,
    /// It has dropped the body.
    Gone,
}

/// The connection's side.
impl Pipe {
    pub(crate) fn new(length: Option<u64>) -> Arc<Self> {
        Arc::new(Pipe(Mutex::new(State {
            ready: None,
            trailers: None,
            end: End::Open,
            unread: length,
            wanted: false,
            reader: None,
            dropped: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reader(&self) -> Reader {
        let state = self.state();
        match (state.dropped, state.wanted) {
            (true, _) => Reader::Gone,
            (false, true) => Reader::Waits,
            (false, false) => Reader::Busy,
        }
    }

    /// Whether a piece waits for the application.
    pub(crate) fn is_full(&self) -> bool {
        self.state().ready.is_some()
    }

    /// Hands over content. The pipe must not be full.
    pub(crate) fn put(&self, data: Bytes, own: &Waker) {
        let waker = {
            let mut state = self.state();
            debug_assert!(state.ready.is_none(), "one piece at a time");
            if !state.dropped {
                state.ready = Some(data);
            }
            state.reader_elsewhere(own)
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// The body is whole.
    pub(crate) fn complete(&self, trailers: Option<HeaderMap>, own: &Waker) {
        let waker = {
            let mut state = self.state();
            state.end = End::Complete;
            state.trailers = trailers;
            state.reader_elsewhere(own)
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// There will be no more. A body that is whole stays readable.
    pub(crate) fn fail(&self, error: BodyError, own: &Waker) {
        let waker = {
            let mut state = self.state();
            if state.end == End::Open {
                state.end = End::Failed(error);
                state.ready = None;
            }
            state.reader_elsewhere(own)
        };
        waker.into_iter().for_each(Waker::wake);
    }
}
