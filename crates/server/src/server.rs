//! The server: its configuration, the accept loop, and shutdown.

use crate::date::DateCache;
use crate::ledger::{Ledger, Open};
use crate::{Body, Connection, Listener, Peer, Watch};
use hangup_lifecycle::{CloseReason, Limits};
use http::{Request, Response, request};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower_service::Service;

/// The pause after an accept that failed; it doubles up to [`PAUSE_MAX`] while accepts go on failing.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a shutdown waits, behind its bound, for tasks that were cut at the bound to be gone.
const CUT_GRACE: Duration = Duration::from_millis(100);

/// An HTTP/1.1 server for a [`tower_service::Service`].
///
/// ```
/// use hangup_server::{Body, Limits, Server, service_fn};
/// use http::{Request, Response, request};
///
/// let server = Server::new(service_fn(async |_: Request<Body>| Response::new(String::from("ok"))))
///     .limits(Limits::default())
///     .date_header(false);
/// assert_eq!(server.ledger().counts().opened, 0);
/// ```
#[derive(Clone)]
pub struct Server<S> {
    service: S,
    config: Arc<Config>,
}

/// What all connections of a server share.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) limits: Arc<Limits>,
    pub(crate) date: Option<DateCache>,
    pub(crate) ledger: Ledger,
    pub(crate) watch: Option<Arc<dyn Watch>>,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) prepare: Option<Arc<Prepare>>,
}

/// The limits of a request's route, from its head.
type Route = dyn Fn(&request::Parts) -> Option<Arc<Limits>> + Send + Sync;

/// What is done to each request before the service gets it.
type Prepare = dyn Fn(&mut Request<Body>, &Peer) + Send + Sync;

/// How a shutdown went.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// How long it took.
    pub took: Duration,
    /// Connections that were open when it began.
    pub open: usize,
    /// How these ended, by the reason's name: who was served to the end, who had nothing under way, who was cut.
    pub ended: BTreeMap<&'static str, usize>,
    /// Of these, the ones that were cut at the end of [`Limits::shutdown`], with what they waited for.
    pub cut: Vec<Open>,
    /// Of these, the ones that could not be cut even then, since their application does not yield.
    pub stuck: Vec<Open>,
}

impl<S> Server<S> {
    /// A server with the default limits. Each connection gets a clone of `service`.
    pub fn new(service: S) -> Self {
        let config = Config {
            limits: Arc::new(Limits::default()),
            date: Some(DateCache::new()),
            ledger: Ledger::new(),
            watch: None,
            route: None,
            prepare: None,
        };
        Server {
            service,
            config: Arc::new(config),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// How long a connection may be in each phase, and how much it may ask for.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.with(|config| config.limits = Arc::new(limits))
    }

    /// Other limits for some requests: `route` sees each head, before anything is promised to the client, and may return the limits
    /// under which the request is read, handled and answered. For what comes behind it, the server's limits are back.
    ///
    /// A response can bring its own too, as an `Arc<Limits>` in its [extensions](http::Extensions). Limits can be changed
    /// in both directions; there is no way to have none.
    ///
    /// ```
    /// use hangup_server::{Body, Limits, Server, Span, service_fn};
    /// use http::{Request, Response};
    /// use std::sync::Arc;
    ///
    /// let uploads = Arc::new(Limits { body_bytes: 1 << 30, handler: Span::seconds(300), ..Limits::default() });
    /// let server = Server::new(service_fn(async |_: Request<Body>| Response::new(String::new())))
    ///     .route_limits(move |head| head.uri.path().starts_with("/upload").then(|| uploads.clone()));
    /// ```
    #[must_use]
    pub fn route_limits<F>(self, route: F) -> Self
    where
        F: Fn(&request::Parts) -> Option<Arc<Limits>> + Send + Sync + 'static,
    {
        self.with(|config| config.route = Some(Arc::new(route)))
    }

    /// Does something to each request before the service gets it, such as to leave the peer's address in its extensions.
    #[must_use]
    pub fn prepare<F>(self, prepare: F) -> Self
    where
        F: Fn(&mut Request<Body>, &Peer) + Send + Sync + 'static,
    {
        self.with(|config| config.prepare = Some(Arc::new(prepare)))
    }

    /// Whether responses carry a `Date` (RFC 9110 section 6.6.1); they do unless told otherwise. It is the only thing for which
    /// the system's clock is read, so a simulation switches it off.
    #[must_use]
    pub fn date_header(self, on: bool) -> Self {
        self.with(|config| config.date = on.then(DateCache::new))
    }

    /// Tells `watch` what each connection waits for.
    #[must_use]
    pub fn watch(self, watch: Arc<dyn Watch>) -> Self {
        self.with(|config| config.watch = Some(watch))
    }

    /// All connections of this server and of its clones.
    pub fn ledger(&self) -> &Ledger {
        &self.config.ledger
    }
}

impl<S, B> Server<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    /// Serves every connection that `listener` gives, for ever. When the future is dropped, so are its connections.
    pub async fn serve(self, listener: impl Listener) {
        self.serve_with_shutdown(listener, pending()).await;
    }

    /// Serves until `signal` is ready. Then the listener is closed; connections with nothing under way get a FIN at once (who had a
    /// response may still be reading it, and has [`Limits::linger`] to go), requests under way are answered with
    /// `Connection: close`, and what is still there after [`Limits::shutdown`] is cut.
    pub async fn serve_with_shutdown<L: Listener>(
        self,
        mut listener: L,
        signal: impl Future<Output = ()>,
    ) -> Report {
        let mut connections = JoinSet::new();
        let mut signal = pin!(signal);
        let mut pause = PAUSE_MIN;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut signal => break,
                // Only to forget those that are over.
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((io, peer)) => {
                    pause = PAUSE_MIN;
                    let connection = self.connection(io, peer).handshake(L::poll_handshake);
                    // In a box, since a task is moved some times before it is where it stays.
                    connections.spawn(Box::pin(connection));
                }
                // The connection's own fault; the next one may be well.
                Err(error) if is_about_one_connection(&error) => {}
                Err(_) => {
                    tokio::select! {
                        biased;
                        () = &mut signal => break,
                        () = sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
                    }
                }
            }
        }
        drop(listener);
        self.shut_down(connections).await
    }

    async fn shut_down(self, mut connections: JoinSet<CloseReason>) -> Report {
        let began = Instant::now();
        let open = connections.len();
        let Config { limits, ledger, .. } = &*self.config;
        ledger.stop();
        let mut ended = BTreeMap::new();
        let all_gone = async {
            while let Some(connection) = connections.join_next().await {
                // A task that panicked outside its application's code was dropped by that.
                let reason = connection.unwrap_or(CloseReason::Dropped);
                *ended.entry(reason.name()).or_default() += 1;
            }
        };
        let stuck = match limits.shutdown.finite() {
            Some(bound) => match timeout(bound + CUT_GRACE, all_gone).await {
                Ok(()) => Vec::new(),
                Err(_) => ledger.open(),
            },
            None => {
                all_gone.await;
                Vec::new()
            }
        };
        Report {
            took: began.elapsed(),
            open,
            ended,
            cut: ledger.cut(),
            stuck,
        }
    }

    /// One connection over `io`, to be spawned or polled by the caller. [`Server::serve`] makes one for each accept.
    pub fn connection<I>(&self, io: I, peer: Peer) -> Connection<S, B, I>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Connection::new(io, peer, self.service.clone(), self.config.clone())
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { limits, ledger, .. } = &*self.config;
        f.debug_struct("Server")
            .field("limits", limits)
            .field("ledger", ledger)
            .finish_non_exhaustive()
    }
}
