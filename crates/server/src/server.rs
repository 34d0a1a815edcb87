//! The server: its configuration, the accept loop, and shutdown.

use crate::admission::Bounds;
use crate::connection::Errors;
use crate::date::DateCache;
use crate::ledger::{Ledger, Open};
use crate::{Body, Connection, Descriptors, Listener, Peer, Watch};
use hangup_lifecycle::{CloseReason, Limits};
use http::{Request, Response, request};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tower_service::Service;

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
    /// Bytes that wait in the kernel, as far as connections count them.
    pub(crate) queued: Arc<AtomicU64>,
    /// Descriptors for connections, where they take any.
    pub(crate) descriptors: Option<Descriptors>,
}

impl Config {
    /// How many connections there may be.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds::new(&self.limits, self.descriptors.as_ref())
    }
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
            descriptors: None,
            queued: Arc::default(),
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

    /// Serves no more connections than `descriptors` has for them, whatever [`Limits::connections`]
    /// says.
    ///
    /// Without this, [`Server::serve`] takes the limit of open files as it is, and leaves nothing
    /// to the application. When all are taken, the connection that has been idle longest makes
    /// room: first those between requests, then those before their first, then those within a head.
    /// A connection with a request in progress never does; if all have one, the new connection gets
    /// a 503.
    #[must_use]
    pub fn descriptors(self, descriptors: Descriptors) -> Self {
        self.with(|config| config.descriptors = Some(descriptors))
    }

    /// Has the connection that was idle longest make room. `false` if there is none.
    pub(crate) fn evict(&self) -> bool {
        self.ledger().make_room(&self.config.bounds())
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
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves every connection that `listener` gives, for ever. When the future is dropped, so are its connections.
    pub async fn serve(self, listener: impl Listener) {
        self.serve_with_shutdown(listener, pending()).await;
    }

    /// Serves until `signal` is ready. Then connections that the listener has ready are accepted, and it is closed. Requests under
    /// way, and those that come within [`Limits::shutdown_grace`], are answered with `Connection: close`; connections without one
    /// get a FIN then (who had a response may still be reading it, and has [`Limits::linger`] to go), and what is still there after
    /// [`Limits::shutdown`] is cut.
    pub async fn serve_with_shutdown<L: Listener>(
        self,
        mut listener: L,
        signal: impl Future<Output = ()>,
    ) -> Report {
        let mut server = self.fitted(&listener);
        listener.prepare(&server.config.limits);
        let mut connections = JoinSet::new();
        server
            .accept_until(&mut listener, &mut connections, signal)
            .await;
        server.accept_backlog(&mut listener, &mut connections).await;
        drop(listener);
        server.shut_down(connections).await
    }

    /// With as many connections as there are descriptors for, where `listener` takes any.
    fn fitted(self, listener: &impl Listener) -> Self {
        if self.config.descriptors.is_some() || !listener.uses_descriptors() {
            return self;
        }
        match Descriptors::current() {
            Ok(descriptors) => self.descriptors(descriptors),
            Err(error) => {
                tracing::error!("{error}");
                self
            }
        }
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
        self.connect(io, peer, true)
    }

    /// A connection that is only told that there is no room.
    pub(crate) fn refusal<I>(&self, io: I, peer: Peer) -> Connection<S, B, I>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.connect(io, peer, false)
    }

    fn connect<I>(&self, io: I, peer: Peer, room: bool) -> Connection<S, B, I>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let errors = Errors {
            service: S::Error::into,
            body: B::Error::into,
        };
        let (service, config) = (self.service.clone(), self.config.clone());
        Connection::new(io, peer, service, errors, config, room)
    }
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
