//! Our server on the test bed, with what the built-in one does not have: a shutdown, accepts that fail, a handler that reads late;
//! and with somebody who looks at its books at every event.

use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::ledger::Connection;
use hangup::run::{Detail, Run};
use hangup::server::{Server, Serving, Shutdown, UNCLAIMED, app};
use hangup::transport::{Acknowledging, Listener, Stream};
use hangup_lifecycle::{CloseReason, Entry, Limits, Phase};
use hangup_scenario::Scenario;
use hangup_server::{Body, Ledger, Peer, Report, Watch, service_fn};
use http::{Request, Response, Uri, request};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// What reached the client's host.
    pub(crate) statuses: Vec<u16>,
    /// In the server's own words.
    pub(crate) reason: &'static str,
    /// When the server had nothing more to do with it, since the start of the run.
    pub(crate) at_ms: u128,
}

/// What came of a scenario.
#[derive(Debug)]
pub(crate) struct Shown {
    /// How each connection of the scenario's clients ended, in the order of their accepts.
    pub(crate) ends: Vec<End>,
    /// Method and path of each request whose head was whole and acceptable.
    pub(crate) requests: Vec<String>,
    /// How often the books were looked at.
    pub(crate) looks: u32,
    /// How the shutdown went, if there was one.
    pub(crate) report: Option<Report>,
    pub(crate) run: Run,
}

/// A scenario of `mistakes/`, and the server that it is for.
#[derive(Debug)]
pub(crate) struct Stage {
    scenario: Arc<Scenario>,
    server: Ours,
}

impl Stage {
    /// The scenario of this name, against our server with its default limits.
    pub(crate) fn new(name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("mistakes/{name}.toml"));
        let scenario = Scenario::read(&file).unwrap_or_else(|error| panic!("{error}"));
        Stage {
            scenario: Arc::new(scenario),
            server: Ours {
                limits: Limits::default(),
                accepts_fail: 0,
                shut_down_at: None,
                told: Told::default(),
            },
        }
    }

    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.server.limits = limits;
        self
    }

    /// The first so many accepts fail with EMFILE.
    pub(crate) fn accepts_fail(mut self, times: u32) -> Self {
        self.server.accepts_fail = times;
        self
    }

    /// The server is asked to shut down at this time.
    pub(crate) fn shut_down_at(mut self, at: Duration) -> Self {
        self.server.shut_down_at = Some(at);
        self
    }

    pub(crate) fn run(self) -> Shown {
        let detail = Detail::default();
        let run = Engine::Leap.run(&self.scenario, &self.server, detail);
        let told = std::mem::take(&mut *self.server.told.0.lock().unwrap());
        let served = |connection: &&Connection| !connection.probe && connection.accepted.is_some();
        let mut connections: Vec<_> = run.connections.iter().filter(served).collect();
        connections.sort_by_key(|connection| connection.accepted);
        let ends = connections.iter().zip(told.closed.values());
        let ends = ends.map(|(connection, (reason, at))| End {
            statuses: connection
                .responses
                .list
                .iter()
                .map(|response| response.status)
                .collect(),
            reason,
            at_ms: at.as_millis(),
        });
        // The fresh client comes last.
        let of_clients = |connection: u64| connection <= connections.len() as u64;
        let requests = told.requests.into_iter();
        Shown {
            ends: ends.collect(),
            requests: requests
                .filter(|(connection, _)| of_clients(*connection))
                .map(|(_, request)| request)
                .collect(),
            looks: told.looks,
            report: told.report,
            run,
        }
    }
}

#[derive(Debug)]
struct Ours {
    limits: Limits,
    accepts_fail: u32,
    shut_down_at: Option<Duration>,
    told: Told,
}

/// What the server says of itself. The fresh client that comes behind the scenario is told of too.
#[derive(Clone, Default, Debug)]
struct Told(Arc<Mutex<Words>>);

#[derive(Default, Debug)]
struct Words {
    began: Option<Instant>,
    ledger: Option<Ledger>,
    looks: u32,
    requests: Vec<(u64, String)>,
    /// By the number of the connection.
    closed: BTreeMap<u64, (&'static str, Duration)>,
    report: Option<Report>,
}

impl Told {
    /// `opened = open + closed by each reason`, at this moment too.
    fn look(&self) {
        let mut words = self.0.lock().unwrap();
        let ledger = words
            .ledger
            .clone()
            .expect("the server is made before it serves");
        let counts = ledger.counts();
        let closed: u64 = counts.closed.values().sum();
        assert_eq!(counts.opened, counts.open + closed, "{counts:?}");
        assert_eq!(counts.open, ledger.open().len() as u64, "{counts:?}");
        words.looks += 1;
    }
}

impl Watch for Told {
    fn opened(&self, _: u64, _: Instant, _: &Peer) {
        self.look();
    }

    fn request(&self, connection: u64, _: Instant, head: &request::Parts) {
        let request = format!("{} {}", head.method, head.uri.path());
        self.0.lock().unwrap().requests.push((connection, request));
    }

    fn phase(&self, _: u64, _: Instant, _: Phase, _: Option<Instant>) {
        self.look();
    }

    fn closed(&self, connection: u64, at: Instant, reason: CloseReason, _: &Entry) {
        self.look();
        let mut words = self.0.lock().unwrap();
        let began = words.began.expect("it began before it ended");
        words.closed.insert(connection, (reason.name(), at - began));
    }
}

/// Accepts that fail first.
struct Accepts {
    listener: Acknowledging,
    fail: u32,
}

impl hangup_server::Listener for Accepts {
    type Io = Stream;

    const TELLS: bool = Acknowledging::TELLS;

    fn prepare(&mut self, limits: &Limits) {
        self.listener.prepare(limits);
    }

    fn unacknowledged(io: &Stream) -> io::Result<Option<u64>> {
        Acknowledging::unacknowledged(io)
    }

    fn abort(io: &mut Stream) {
        Acknowledging::abort(io);
    }

    async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        if self.fail > 0 {
            self.fail -= 1;
            // EMFILE
            return Err(io::Error::from_raw_os_error(24));
        }
        hangup_server::Listener::accept(&mut self.listener).await
    }
}

/// The probe app, and `/late/MS`, which reads its body only after that time.
async fn answer(mut request: Request<Body>) -> Response<app::Answer<Body>> {
    let late = request.uri().path().strip_prefix("/late/");
    if let Some(Ok(late)) = late.map(str::parse) {
        sleep(Duration::from_millis(late)).await;
        *request.uri_mut() = Uri::from_static("/echo");
    }
    // A body that cannot be read has its answer from the server.
    app::answer(request)
        .await
        .unwrap_or_else(|_| Response::new(app::Answer::Big(0)))
}

impl Server for Ours {
    fn name(&self) -> &str {
        "ours"
    }

    fn about(&self) -> &str {
        "our server on a stage"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn serve(&self, listener: Listener, _: Shutdown) -> Serving {
        let server = hangup_server::Server::new(service_fn(answer))
            .limits(self.limits.clone())
            .date_header(false)
            .watch(Arc::new(self.told.clone()));
        let told = self.told.clone();
        {
            let mut words = told.0.lock().unwrap();
            (words.began, words.ledger) = (Some(Instant::now()), Some(server.ledger().clone()));
        }
        let accepts = Accepts {
            listener: listener.into(),
            fail: self.accepts_fail,
        };
        let Some(at) = self.shut_down_at else {
            return Box::pin(server.serve(accepts));
        };
        Box::pin(async move {
            let report = server.serve_with_shutdown(accepts, sleep(at)).await;
            told.0.lock().unwrap().report = Some(report);
        })
    }
}
