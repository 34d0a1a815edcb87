//! The accept loop: it ends only when it is told to, waits out errors, and leaves nobody
//! unanswered.

use crate::descriptors::Spare;
use crate::ledger::AcceptFailure;
use crate::{Body, Listener, Peer, Server};
use hangup_lifecycle::CloseReason;
use http::{Request, Response};
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower_service::Service;

/// The pause after an accept that failed; it doubles up to [`PAUSE_MAX`] while accepts go on
/// failing. A connection that ends cuts it short, because that gives back what may have been
/// missing.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// No listener's backlog is longer: so many are accepted before a shutdown.
const BACKLOG_MAX: usize = 4096;

/// So many errors in a row that concern one connection each are passed over without a pause.
const AT_ONCE_MAX: u32 = 16;

/// How long the next accept waits for a connection that ends because of this one, so that its
/// descriptor is free. It takes microseconds, unless that connection lingers.
const ROOM_WAIT: Duration = Duration::from_millis(10);

/// Errors of accept, one behind the other.
struct Failures {
    in_a_row: u32,
    pause: Duration,
}

impl Failures {
    const NONE: Failures = Failures {
        in_a_row: 0,
        pause: PAUSE_MIN,
    };
}

impl<S, B> Server<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Accepts connections and spawns them into `connections`, until `signal` is ready.
    ///
    /// `self` is borrowed exclusively because a service need not be `Sync`.
    pub(crate) async fn accept_until<L: Listener>(
        &mut self,
        listener: &mut L,
        connections: &mut JoinSet<CloseReason>,
        signal: impl Future<Output = ()>,
    ) {
        let mut signal = pin!(signal);
        let mut failures = Failures::NONE;
        let mut spare = Spare::new(listener.uses_descriptors());
        // The spare descriptor was given up: who is accepted now takes its place, and is refused.
        let mut refusing = false;
        loop {
            if !refusing {
                spare.renew();
            }
            let accepted = tokio::select! {
                biased;
                () = &mut signal => return,
                // Only to forget those that are over.
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            let wait = match accepted {
                Ok((io, peer)) => {
                    failures = Failures::NONE;
                    let connection = if std::mem::take(&mut refusing) {
                        self.refusal(io, peer)
                    } else {
                        self.connection(io, peer)
                    };
                    let ends_one = connection.ends_one();
                    let connection = connection.over::<L>();
                    // In a box, since a task is moved some times before it is where it stays.
                    connections.spawn(Box::pin(connection));
                    if !ends_one {
                        continue;
                    }
                    ROOM_WAIT
                }
                Err(error) => {
                    let failure = AcceptFailure::of(&error);
                    self.ledger().accept_failed(failure, &error, Instant::now());
                    refusing = false;
                    failures.in_a_row = failures.in_a_row.saturating_add(1);
                    match failure {
                        AcceptFailure::OneConnection if failures.in_a_row <= AT_ONCE_MAX => {
                            continue;
                        }
                        AcceptFailure::Descriptors | AcceptFailure::Files => {
                            if !self.evict() && spare.release() {
                                refusing = true;
                                continue;
                            }
                        }
                        AcceptFailure::Memory => {
                            self.evict();
                        }
                        AcceptFailure::OneConnection | AcceptFailure::Other => {}
                    }
                    let pause = failures.pause;
                    failures.pause = (pause * 2).min(PAUSE_MAX);
                    pause
                }
            };
            tokio::select! {
                biased;
                () = &mut signal => return,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Accepts those that wait already: each was told that it is connected, and may have sent a
    /// request before the shutdown was asked for.
    pub(crate) async fn accept_backlog<L: Listener>(
        &mut self,
        listener: &mut L,
        connections: &mut JoinSet<CloseReason>,
    ) {
        for _ in 0..BACKLOG_MAX {
            match accept_now(listener).await {
                Some(Ok((io, peer))) => {
                    let connection = self.connection(io, peer).over::<L>();
                    connections.spawn(Box::pin(connection));
                }
                Some(Err(error))
                    if matches!(AcceptFailure::of(&error), AcceptFailure::OneConnection) => {}
                Some(Err(_)) | None => return,
            }
        }
    }
}

/// The next connection, if there is one already.
async fn accept_now<L: Listener>(listener: &mut L) -> Option<io::Result<(L::Io, Peer)>> {
    let mut accept = pin!(tokio::task::unconstrained(listener.accept()));
    poll_fn(|cx| match accept.as_mut().poll(cx) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
