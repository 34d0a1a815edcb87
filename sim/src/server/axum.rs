//! The probe app as an axum router: on `axum::serve`, the same behind tower-http's timeouts, and on our server.

use super::hangup::Hangup;
use super::{SHUTDOWN, Server, Serving, Shutdown, UNCLAIMED, app};
use crate::contract::Contract;
use crate::trace::lasts;
use crate::transport::{Listener, Stream};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

/// What tower-http's layers are set to, as long as hyper's one timeout in `hyper-timeouts`.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long axum waits behind an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The probe app, routed by axum.
fn router() -> Router {
    Router::new().fallback(answer)
}

async fn answer(request: Request) -> Response {
    match app::answer(request).await {
        Ok(response) => response.map(Body::new),
        // As axum's own extractors answer to a body that cannot be read.
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// `axum::serve`, in one of two set-ups.
#[derive(Debug)]
pub(super) struct Axum {
    name: &'static str,
    about: &'static str,
    /// What tower-http's layers are set to, where there are any.
    layers: Option<Duration>,
}

impl Axum {
    /// As in axum's documentation.
    pub(super) fn plain() -> Self {
        Self {
            name: "axum",
            about: "axum::serve",
            layers: None,
        }
    }

    /// With the layers that its users are told to bound requests with.
    pub(super) fn with_layers() -> Self {
        Self {
            name: "axum-tower",
            about: "axum::serve with tower-http's timeout and request body timeout, 60 s each",
            layers: Some(TIMEOUT),
        }
    }
}

impl Server for Axum {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        self.about
    }

    fn contract(&self) -> Contract {
        Contract {
            shutdown: Some(SHUTDOWN),
            ..UNCLAIMED
        }
    }

    fn hastened(&self, times: NonZeroU32) -> Option<Arc<dyn Server>> {
        Some(Arc::new(Self {
            layers: self.layers.map(|time| time / times.get()),
            ..*self
        }))
    }

    fn serve(&self, listener: Listener, shutdown: Shutdown) -> Serving {
        let app = if let Some(timeout) = self.layers {
            router()
                .layer(TimeoutLayer::with_status_code(
                    StatusCode::REQUEST_TIMEOUT,
                    timeout,
                ))
                .layer(RequestBodyTimeoutLayer::new(timeout))
        } else {
            router()
        };
        Box::pin(async move {
            // It ends only where it is told to shut down.
            let _ = axum::serve(listener, app)
                .with_graceful_shutdown(shutdown.given())
                .await;
        })
    }
}

/// The same router on our server, unchanged, with the default limits.
pub(super) fn on_ours() -> Hangup {
    Hangup::serving(router())
}

impl axum::serve::Listener for Listener {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            match Listener::accept(self).await {
                Ok(accepted) => return accepted,
                // As axum does it for tokio's listener.
                Err(_) => sleep(lasts(ACCEPT_PAUSE)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Listener::local_addr(self)
    }
}
