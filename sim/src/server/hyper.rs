//! hyper's http1 server, as its documentation's example has it, and with its one timeout switched on.

use super::{Server, Serving, Shutdown, UNCLAIMED, app};
use crate::contract::Contract;
use crate::trace::lasts;
use crate::transport::Listener;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Its documentation says that a connection's buffer takes some 400 kB at most; it grows in powers of two.
const BUFFER: u64 = 512 * 1024;
/// How long the example waits for its connections.
const SHUTDOWN: Duration = Duration::from_secs(10);
/// How long it waits behind an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// hyper, in one of two set-ups.
#[derive(Debug)]
pub(super) struct Hyper {
    name: &'static str,
    about: &'static str,
    header_read_timeout: Option<Duration>,
    shutdown: Duration,
}

impl Hyper {
    /// As in hyper's documentation: no timer, and so no timeout.
    pub(super) fn plain() -> Self {
        Self {
            name: "hyper",
            about: "hyper http1, as its documentation's example has it",
            header_read_timeout: None,
            shutdown: SHUTDOWN,
        }
    }

    /// With a timer and a header read timeout of 60 s: all the timeouts that hyper has.
    pub(super) fn with_timeouts() -> Self {
        Self {
            name: "hyper-timeouts",
            about: "hyper http1 with a timer and a header read timeout of 60 s",
            header_read_timeout: Some(Duration::from_secs(60)),
            shutdown: SHUTDOWN,
        }
    }
}

impl Server for Hyper {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        self.about
    }

    fn contract(&self) -> Contract {
        Contract {
            shutdown: Some(SHUTDOWN),
            buffer: Some(BUFFER),
            ..UNCLAIMED
        }
    }

    fn hastened(&self, times: NonZeroU32) -> Option<Arc<dyn Server>> {
        Some(Arc::new(Self {
            header_read_timeout: self.header_read_timeout.map(|time| time / times.get()),
            shutdown: self.shutdown / times.get(),
            ..*self
        }))
    }

    fn serve(&self, listener: Listener, shutdown: Shutdown) -> Serving {
        let mut builder = http1::Builder::new();
        // The clock of the Date header is the machine's, not the simulation's.
        builder.auto_date_header(false);
        if let Some(timeout) = self.header_read_timeout {
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(timeout);
        }
        Box::pin(serve(listener, builder, shutdown, self.shutdown))
    }
}

/// As the example of hyper-util's graceful shutdown has it, also where accept fails.
async fn serve(
    mut listener: Listener,
    builder: http1::Builder,
    shutdown: Shutdown,
    bound: Duration,
) {
    let graceful = GracefulShutdown::new();
    let mut told = pin!(shutdown.given());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut told => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(lasts(ACCEPT_PAUSE)).await;
            continue;
        };
        let connection = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            // A connection that fails is the client's affair; the ledger has what happened.
            let _ = poll_fn(|cx| outlined(connection.as_mut(), cx)).await;
        });
    }
    drop(listener);
    // Who is not done by then is cut off with the process.
    let _ = timeout(bound, graceful.shutdown()).await;
}

/// Answers a request. hyper-util's graceful shutdown takes no `http1::UpgradeableConnection`, so the
/// example cannot switch protocols: the right to do so is dropped, and the probe app answers 426.
async fn answer(
    mut request: Request<Incoming>,
) -> Result<Response<app::Answer<Incoming>>, app::BoxError> {
    request.extensions_mut().remove::<OnUpgrade>();
    app::answer(request).await
}

/// Polls in a function of its own. tokio's task dumps end at the function of the task's root: what an optimiser has drawn into
/// that is cut off with it.
#[inline(never)]
fn outlined<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}
