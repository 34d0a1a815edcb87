//! What the application does for the connection, in the connection's own task.

use crate::Body;
use http::{Request, Response};
use http_body::Frame;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

pin_project_lite::pin_project! {
    /// The application's part: nothing, a request that its service is not ready for, its future, its response's body.
    #[project = Doing]
    pub(super) enum Work<F, B> {
        Nothing,
        Request { request: Option<Request<Body>> },
        Calling { #[pin] future: F },
        Streaming { #[pin] body: B },
    }
}

/// Why there is no response, or no more of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    Error,
    Panic,
}

/// Runs the application's code. A panic ends its request and its connection, and nothing else.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Fault::Panic)
}

impl<F, B> Work<F, B>
where
    B: http_body::Body,
{
    /// Goes on with the request, up to its response.
    pub(super) fn poll_response<S>(
        mut self: Pin<&mut Self>,
        service: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<B>, Fault>>
    where
        S: Service<Request<Body>, Response = Response<B>, Future = F>,
        F: Future<Output = Result<Response<B>, S::Error>>,
    {
        if let Doing::Request { request } = self.as_mut().project() {
            match guarded(|| service.poll_ready(cx)) {
                Ok(Poll::Ready(Ok(()))) => {}
                Ok(Poll::Ready(Err(_))) => return Poll::Ready(Err(Fault::Error)),
                Ok(Poll::Pending) => return Poll::Pending,
                Err(fault) => return Poll::Ready(Err(fault)),
            }
            let Some(request) = request.take() else {
                return Poll::Ready(Err(Fault::Error));
            };
            match guarded(|| service.call(request)) {
                Ok(future) => self.set(Work::Calling { future }),
                Err(fault) => return Poll::Ready(Err(fault)),
            }
        }
        let Doing::Calling { future } = self.project() else {
            return Poll::Ready(Err(Fault::Error));
        };
        match guarded(|| future.poll(cx)) {
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(Ok(response)),
            Ok(Poll::Ready(Err(_))) => Poll::Ready(Err(Fault::Error)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }

    /// The next frame of the response's body.
    pub(super) fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Fault>>> {
        let Doing::Streaming { body } = self.project() else {
            return Poll::Ready(None);
        };
        match guarded(|| body.poll_frame(cx)) {
            Ok(Poll::Ready(Some(Ok(frame)))) => Poll::Ready(Some(Ok(frame))),
            Ok(Poll::Ready(Some(Err(_)))) => Poll::Ready(Some(Err(Fault::Error))),
            Ok(Poll::Ready(None)) => Poll::Ready(None),
            Ok(Poll::Pending) => Poll::Pending,
            Err(fault) => Poll::Ready(Some(Err(fault))),
        }
    }
}
