//! What the application does for the connection, in the connection's own task.

use crate::Body;
use http::{Request, Response};
use http_body::Frame;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// The application's part. While it has nothing to do, which is most of a connection's life, it takes no room.
pub(super) struct Work<F, B>(Option<Pin<Box<Part<F, B>>>>);

pin_project_lite::pin_project! {
    /// A request that its service is not ready for, its future, its response's body.
    #[project = Doing]
    enum Part<F, B> {
        Request { request: Option<Request<Body>> },
        Calling { #[pin] future: F },
        Streaming { #[pin] body: B },
    }
}

/// An error of the application's, whatever its type was.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Why there is no response, or no more of it.
#[derive(Debug)]
pub(super) enum Fault {
    Error(BoxError),
    /// What the panic said.
    Panic(String),
}

/// How the errors of a service and of a response's body become one type.
pub(crate) struct Errors<S, B> {
    pub(crate) service: fn(S) -> BoxError,
    pub(crate) body: fn(B) -> BoxError,
}

/// An error and its causes, as `error: cause: its cause`.
pub(super) struct Chain<'a>(pub(super) &'a BoxError);

/// Causes that are told. An error that is its own cause would have no end.
const CAUSES_MAX: usize = 16;

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |cause| (*cause).source());
        for cause in causes.take(CAUSES_MAX) {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

/// Runs the application's code. A panic ends its request and its connection, and nothing else.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let said = match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(said), _) => (*said).to_owned(),
            (None, Some(said)) => said.clone(),
            (None, None) => "the panic has no text".to_owned(),
        };
        Fault::Panic(said)
    })
}

impl<F, B> Work<F, B> {
    pub(super) const fn nothing() -> Self {
        Work(None)
    }

    pub(super) fn begin(&mut self, request: Request<Body>) {
        self.set(Part::Request {
            request: Some(request),
        });
    }

    pub(super) fn stream(&mut self, body: B) {
        self.set(Part::Streaming { body });
    }

    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    fn set(&mut self, part: Part<F, B>) {
        match &mut self.0 {
            Some(room) => room.set(part),
            None => self.0 = Some(Box::pin(part)),
        }
    }
}

impl<F, B> Work<F, B>
where
    B: http_body::Body,
{
    /// Goes on with the request, up to its response.
    pub(super) fn poll_response<S>(
        &mut self,
        service: &mut S,
        explain: fn(S::Error) -> BoxError,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<B>, Fault>>
    where
        S: Service<Request<Body>, Response = Response<B>, Future = F>,
        F: Future<Output = Result<Response<B>, S::Error>>,
    {
        let Some(part) = &mut self.0 else {
            return Poll::Ready(Err(Fault::Error("there is no request".into())));
        };
        if let Doing::Request { request } = part.as_mut().project() {
            match guarded(|| service.poll_ready(cx)) {
                Ok(Poll::Ready(Ok(()))) => {}
                Ok(Poll::Ready(Err(error))) => {
                    return Poll::Ready(Err(Fault::Error(explain(error))));
                }
                Ok(Poll::Pending) => return Poll::Pending,
                Err(fault) => return Poll::Ready(Err(fault)),
            }
            let Some(request) = request.take() else {
                return Poll::Ready(Err(Fault::Error("the request was given already".into())));
            };
            match guarded(|| service.call(request)) {
                Ok(future) => part.set(Part::Calling { future }),
                Err(fault) => return Poll::Ready(Err(fault)),
            }
        }
        let Doing::Calling { future } = part.as_mut().project() else {
            return Poll::Ready(Err(Fault::Error("there is no request".into())));
        };
        match guarded(|| future.poll(cx)) {
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(Ok(response)),
            Ok(Poll::Ready(Err(error))) => Poll::Ready(Err(Fault::Error(explain(error)))),
            Ok(Poll::Pending) => Poll::Pending,
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }

    /// The next frame of the response's body.
    pub(super) fn poll_frame(
        &mut self,
        explain: fn(B::Error) -> BoxError,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Fault>>> {
        let Some(Doing::Streaming { body }) = self.0.as_mut().map(|part| part.as_mut().project())
        else {
            return Poll::Ready(None);
        };
        match guarded(|| body.poll_frame(cx)) {
            Ok(Poll::Ready(Some(Ok(frame)))) => Poll::Ready(Some(Ok(frame))),
            Ok(Poll::Ready(Some(Err(error)))) => {
                Poll::Ready(Some(Err(Fault::Error(explain(error)))))
            }
            Ok(Poll::Ready(None)) => Poll::Ready(None),
            Ok(Poll::Pending) => Poll::Pending,
            Err(fault) => Poll::Ready(Some(Err(fault))),
        }
    }
}
