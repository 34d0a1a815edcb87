//! Our own server, with its default limits, with the article's remedy only, and with none.

use super::{Server, Serving, Shutdown, app};
use crate::contract::Contract;
use crate::coverage::Place;
use crate::trace::{Actor, Recorder, record};
use crate::transport::{Acknowledging, Listener};
use hangup_lifecycle::{Clock, CloseReason, Entry, Limits, Phase};
use hangup_server::{Body, READ_MAX, Watch};
use http::{Request, Response};
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;
use tower_service::Service;

/// The names of our server under its three sets of limits.
pub(crate) const NAMES: [&str; 3] = ["hangup", "hangup-article", "hangup-unbounded"];

/// The limits of our server by this name.
pub(crate) fn limits(name: &str) -> Option<Limits> {
    let all = [
        Hangup::default_limits(),
        Hangup::article(),
        Hangup::unbounded(),
    ];
    let ours = all.into_iter().find(|ours| ours.name == name)?;
    Some(ours.limits)
}

/// Our server, under one of three sets of limits.
#[derive(Debug)]
pub(super) struct Hangup {
    name: &'static str,
    about: &'static str,
    limits: Limits,
    contract: Contract,
    /// What it serves where that is not the probe app itself.
    router: Option<axum::Router>,
}

impl Hangup {
    fn new(name: &'static str, about: &'static str, limits: Limits) -> Self {
        Self {
            name,
            about,
            contract: Contract {
                // The probe app keeps nothing of a body, so this is the server's own.
                buffer: Some((limits.head_bytes + READ_MAX) as u64),
                ..Contract::from(&limits)
            },
            limits,
            router: None,
        }
    }

    pub(super) fn default_limits() -> Self {
        let about = "our server, default limits";
        Self::new("hangup", about, Limits::default())
    }

    /// The default limits, and an application of axum's.
    pub(super) fn serving(router: axum::Router) -> Self {
        let about = "our server, default limits, serving an axum router";
        Self {
            router: Some(router),
            ..Self::new("hangup-axum", about, Limits::default())
        }
    }

    pub(super) fn article() -> Self {
        let about = "our server with only the article's remedy: read 60 s, write 60 s, idle 300 s";
        Self::new("hangup-article", about, Limits::article())
    }

    pub(super) fn unbounded() -> Self {
        let about = "our server with every phase unbounded, as fasthttp's defaults are";
        Self::new("hangup-unbounded", about, Limits::unbounded())
    }
}

impl Server for Hangup {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        self.about
    }

    fn contract(&self) -> Contract {
        self.contract
    }

    fn hastened(&self, times: NonZeroU32) -> Option<Arc<dyn Server>> {
        Some(Arc::new(Self {
            router: self.router.clone(),
            ..Self::new(self.name, self.about, self.limits.hastened(times))
        }))
    }

    fn limits(&self) -> Option<&Limits> {
        Some(&self.limits)
    }

    fn serve(&self, listener: Listener, shutdown: Shutdown) -> Serving {
        match &self.router {
            Some(router) => serve(self.set_up(router.clone()), listener, shutdown),
            None => serve(self.set_up(App), listener, shutdown),
        }
    }
}

fn serve<S, B>(server: hangup_server::Server<S>, listener: Listener, shutdown: Shutdown) -> Serving
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<app::BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<app::BoxError>,
{
    Box::pin(async move {
        let listener = Acknowledging::from(listener);
        server.serve_with_shutdown(listener, shutdown.given()).await;
    })
}

impl Hangup {
    fn set_up<S>(&self, service: S) -> hangup_server::Server<S> {
        hangup_server::Server::new(service)
            .limits(self.limits.clone())
            // The clock of the Date header is the machine's, not the simulation's.
            .date_header(false)
            .watch(Arc::new(Told))
    }
}

/// The probe app as a service.
#[derive(Clone)]
pub(crate) struct App;

impl Service<Request<Body>> for App {
    type Response = Response<app::Answer<Body>>;
    type Error = app::BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(app::answer(request))
    }
}

/// Passes the server's own words on to the run's recorder.
struct Told;

impl Watch for Told {
    fn phase(&self, _: u64, _: Instant, phase: Phase, deadline: Option<Instant>) {
        record(|recorder| {
            // Text that nobody reads is not worth asking whose task this is.
            if !recorder.tells() {
                return;
            }
            let Some(connection) = own_connection(recorder) else {
                return;
            };
            let now = recorder.now();
            let times = recorder.clock().times();
            let deadline = |now| {
                let left = deadline?.saturating_duration_since(Instant::now());
                Some(now + left * times)
            };
            recorder.waits(connection, phase.name(), deadline);
            recorder.say(now, Actor::Server, Some(connection), || {
                match deadline(now) {
                    Some(deadline) => {
                        format!("waits: {phase}, until {:.3} s", deadline.as_secs_f64())
                    }
                    None => format!("waits: {phase}, without a deadline"),
                }
            });
        });
    }

    fn armed(&self, _: u64, _: Instant, phase: Phase, clock: Option<Clock>) {
        record(|recorder| {
            if let Some(connection) = own_connection(recorder) {
                recorder.armed(connection, Place::Told(phase, clock));
            }
        });
    }

    fn expired(&self, _: u64, _: Instant, phase: Phase, clock: Clock) {
        record(|recorder| {
            if let Some(connection) = own_connection(recorder) {
                recorder.expired(connection, Place::Told(phase, Some(clock)));
            }
        });
    }

    fn closed(&self, _: u64, _: Instant, reason: CloseReason, _: &Entry) {
        record(|recorder| {
            let Some(connection) = own_connection(recorder) else {
                return;
            };
            let now = recorder.now();
            let entry = recorder.ledger.entry(now, connection);
            entry.close_reason = Some(reason.name());
            entry.told = None;
            recorder.say(now, Actor::Server, Some(connection), || {
                format!("is done: {}", reason.explain())
            });
        });
    }
}

/// The connection of the task that is speaking.
fn own_connection(recorder: &Recorder) -> Option<u32> {
    recorder.tasks.get(tokio::task::try_id()?)?.connection
}
