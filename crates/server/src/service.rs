//! A closure as a service.

use crate::Body;
use http::{Request, Response};
use std::convert::Infallible;
use std::future::Future;
use std::task::{Context, Poll};
use tower_service::Service;

/// A [`tower_service::Service`] made of a closure. See [`service_fn`].
#[derive(Clone, Copy, Debug)]
pub struct ServiceFn<F>(F);

/// Makes a service of `answer`, which gets each request and returns its response.
///
/// ```
/// use hangup_server::{Body, service_fn};
/// use http::{Request, Response};
///
/// let service = service_fn(async |request: Request<Body>| Response::new(request.uri().path().to_owned()));
/// # fn is_service<S: tower_service::Service<Request<Body>>>(_: S) {}
/// # is_service(service);
/// ```
pub fn service_fn<F, Fut, B>(answer: F) -> ServiceFn<F>
where
    F: FnMut(Request<Body>) -> Fut,
    Fut: Future<Output = Response<B>>,
{
    ServiceFn(answer)
}

impl<F, Fut, B> Service<Request<Body>> for ServiceFn<F>
where
    F: FnMut(Request<Body>) -> Fut,
    Fut: Future<Output = Response<B>>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Infallibly<Fut>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Infallibly<Fut> {
        Infallibly {
            answer: (self.0)(request),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of a [`ServiceFn`]: its closure's, which cannot fail.
    #[derive(Debug)]
    pub struct Infallibly<Fut> {
        #[pin]
        answer: Fut,
    }
}

impl<Fut: Future> Future for Infallibly<Fut> {
    type Output = Result<Fut::Output, Infallible>;

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().answer.poll(cx).map(Ok)
    }
}
