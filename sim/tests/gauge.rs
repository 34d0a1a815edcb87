//! `opened = open + closed by each reason`: whenever it is looked at, through 10,000 generated scenarios.

use hangup::campaign::fuzz::{case_seed, scenario};
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::run::Detail;
use hangup::server::{Server, Serving, Shutdown, UNCLAIMED, app};
use hangup::transport::Listener;
use hangup_lifecycle::{CloseReason, Entry, Limits, Phase};
use hangup_server::{Body, Ledger, Peer, Watch};
use http::{Request, Response};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use tokio::time::Instant;
use tower_service::Service;

const CASES: u64 = 10_000;

#[derive(Clone)]
struct App;

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

/// Looks at the books whenever anything happens.
#[derive(Clone, Default)]
struct Auditor(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    ledger: Option<Ledger>,
    looks: u64,
    /// The most bytes, requests and responses that were seen: they never fall.
    most: [u64; 4],
}

impl Auditor {
    fn look(&self) -> hangup_server::Snapshot {
        let mut books = self.0.lock().unwrap();
        let ledger = books
            .ledger
            .clone()
            .expect("the server is made before it serves");
        let snapshot = ledger.snapshot();
        let counts = &snapshot.counts;
        let closed: u64 = counts.closed.values().sum();
        assert_eq!(counts.opened, counts.open + closed, "{counts:?}");
        assert_eq!(counts.open, snapshot.open.len() as u64, "{counts:?}");
        let totals = snapshot.totals;
        let responses = totals.responses.iter().sum();
        let now = [
            totals.bytes_in,
            totals.bytes_out,
            totals.requests,
            responses,
        ];
        assert!(
            now.iter().zip(books.most).all(|(now, most)| *now >= most),
            "{now:?} {:?}",
            books.most
        );
        books.most = now;
        books.looks += 1;
        snapshot
    }
}

impl Watch for Auditor {
    fn opened(&self, _: u64, _: Instant, _: &Peer) {
        self.look();
    }

    fn phase(&self, _: u64, _: Instant, _: Phase, _: Option<Instant>) {
        self.look();
    }

    fn closed(&self, _: u64, _: Instant, _: CloseReason, _: &Entry) {
        self.look();
    }
}

struct Audited {
    limits: Limits,
    auditor: Auditor,
}

impl Server for Audited {
    fn name(&self) -> &str {
        "audited"
    }

    fn about(&self) -> &str {
        "our server, with an auditor"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn serve(&self, listener: Listener, _: Shutdown) -> Serving {
        let server = hangup_server::Server::new(App)
            .limits(self.limits.clone())
            .date_header(false)
            .watch(Arc::new(self.auditor.clone()));
        self.auditor.0.lock().unwrap().ledger = Some(server.ledger().clone());
        Box::pin(server.serve(hangup::transport::Acknowledging::from(listener)))
    }
}

/// What a share of the cases came to: looks, connections, reasons of their ends.
fn audit(cases: impl Iterator<Item = u64>) -> (u64, u64, BTreeSet<&'static str>) {
    let (mut looks, mut opened, mut reasons) = (0, 0, BTreeSet::new());
    for index in cases {
        let limits = match index % 3 {
            0 => Limits::article(),
            1 => Limits::unbounded(),
            _ => Limits::default(),
        };
        let auditor = Auditor::default();
        let server = Audited {
            limits,
            auditor: auditor.clone(),
        };
        let mut scenario = scenario(case_seed(1, index), &server);
        // The books are those of one instance of the server, which lives to the end.
        scenario.server_events.clear();
        let scenario = Arc::new(scenario);
        drop(Engine::Leap.run(&scenario, &server, Detail::default()));
        let end = auditor.look();
        assert_eq!(
            end.counts.open, 0,
            "what is over leaves nothing open: case {index}"
        );
        looks += auditor.0.lock().unwrap().looks;
        opened += end.counts.opened;
        reasons.extend(end.counts.closed.into_keys());
    }
    (looks, opened, reasons)
}

#[test]
fn opened_is_open_and_closed_through_ten_thousand_runs() {
    let (mut looks, mut opened, mut reasons) = (0, 0, BTreeSet::new());
    thread::scope(|scope| {
        let half = |from: u64| scope.spawn(move || audit((from..CASES).step_by(2)));
        for half in [half(0), half(1)] {
            let (some_looks, some_opened, some_reasons) = half.join().unwrap();
            looks += some_looks;
            opened += some_opened;
            reasons.extend(some_reasons);
        }
    });
    // So that this is not true of nothing.
    assert!(opened > CASES, "{opened}");
    assert!(looks > 5 * CASES, "{looks}");
    for reason in [
        "client-closed",
        "client-gone",
        "dropped",
        "refused",
        "timeout-idle",
        "timeout-expect",
        "timeout-body",
    ] {
        assert!(reasons.contains(reason), "no {reason} in {reasons:?}");
    }
}
