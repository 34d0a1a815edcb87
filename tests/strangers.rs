//! Servers as strangers write them, each from the description of a defect or of a habit alone.
//!
//! The page `strangers.md` has a row for each. What the bed misjudges is in [`MISJUDGED`], and a test fails as soon as
//! one of these is judged rightly, so that the list stays true.

#[path = "strangers/base.rs"]
mod base;
#[path = "strangers/guilty.rs"]
mod guilty;
#[path = "strangers/innocent.rs"]
mod innocent;

use hangup::Bed;
use hangup::bed::Route;
use hangup::campaign::fuzz::{Plan, fuzz};
use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::incident;
use hangup::net::TcpListener;
use hangup::run::Detail;
use hangup::server::{Server, Serving, Shutdown};
use hangup_scenario::Verdict;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server that somebody else wrote.
pub(crate) struct Stranger {
    name: &'static str,
    about: &'static str,
    serve: fn(TcpListener, Shutdown) -> Serving,
    contract: Contract,
    speaks_lines: bool,
}

impl Stranger {
    pub(crate) fn new(
        name: &'static str,
        about: &'static str,
        serve: fn(TcpListener, Shutdown) -> Serving,
    ) -> Self {
        let contract = Contract {
            shutdown: Some(Duration::from_secs(15)),
            ..Contract::default()
        };
        Self {
            name,
            about,
            serve,
            contract,
            speaks_lines: false,
        }
    }

    pub(crate) fn stall(mut self, stall: Duration) -> Self {
        self.contract.stall = stall;
        self
    }

    pub(crate) fn buffer(mut self, bytes: u64) -> Self {
        self.contract.buffer = Some(bytes);
        self
    }

    /// It has no graceful shutdown.
    pub(crate) fn dies(mut self) -> Self {
        self.contract.shutdown = None;
        self
    }

    pub(crate) fn lines(mut self) -> Self {
        self.speaks_lines = true;
        self
    }

    fn bed(&self) -> Bed {
        let bed = Bed::new(self.name, self.serve)
            .contract(self.contract)
            .keep_nothing();
        if self.speaks_lines {
            return bed.not_http("hello\n");
        }
        bed.route(Route::ReadsBody, "/upload")
            .route(Route::LeavesBody, "/form")
            .route(Route::Big, "/file")
            .route(Route::Slow, "/report")
            .route(Route::Never, "/wait")
            .route(Route::Panics, "/broken")
    }
}

fn says(cell: &Cell) -> String {
    let told = |finding: &hangup::finding::Finding| {
        let part = finding
            .part
            .map_or(String::new(), |part| format!(" ({part})"));
        format!("{}{part}: {}", finding.kind.name(), finding.says)
    };
    cell.findings
        .iter()
        .map(told)
        .collect::<Vec<_>>()
        .join(" || ")
}

fn incidents(server: &dyn Server) -> impl Iterator<Item = Cell> {
    incident::all()
        .iter()
        .filter(|scenario| server.inapplicable(scenario).is_none())
        .map(|scenario| Cell::twice(Engine::Leap, scenario, server, Detail::default()))
}

fn plan(cases: u64) -> Plan {
    Plan {
        seed: 1,
        cases,
        jobs: 1,
        shard: Default::default(),
        keep_going: false,
    }
}

/// Everything that is found, for the page: `cargo test --test strangers -- --ignored --nocapture`.
#[test]
#[ignore = "it is for people"]
fn survey() {
    let only = std::env::var("STRANGER").ok();
    let wanted = |name: &str| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|it| it == name))
    };
    let cases = std::env::var("CASES").map_or(20_000, |cases| cases.parse().unwrap());
    for (stranger, _) in guilty::all() {
        if wanted(stranger.name) {
            tell("G", &stranger, cases);
        }
    }
    for stranger in innocent::all() {
        if wanted(stranger.name) {
            tell("I", &stranger, cases);
        }
    }
}

fn tell(letter: &str, stranger: &Stranger, cases: u64) {
    let server: Arc<dyn Server> = stranger.bed().into();
    let start = Instant::now();
    println!("{letter} {}: {}", stranger.name, stranger.about);
    let mut kinds = std::collections::BTreeSet::new();
    let mut count = 0;
    for cell in incidents(&*server) {
        count += 1;
        if !cell.findings.is_empty()
            && (kinds.insert((cell.verdict(), cell.findings[0].part)) || letter == "I")
        {
            println!("    {:24} {}", cell.scenario.name, says(&cell));
        }
    }
    let middle = start.elapsed();
    let (totals, convictions) = fuzz(Engine::Leap, &*server, plan(cases), |_| {});
    for conviction in &convictions {
        println!("    case {:6} {}", totals.cases, says(&conviction.minimal));
        if std::env::var("TOML").is_ok() {
            println!("{}", conviction.minimal.scenario.to_toml());
        }
    }
    if convictions.is_empty() {
        println!(
            "    clean for {} cases and {count} incidents less those above",
            totals.cases
        );
    }
    println!("    {:?}, {:?}", middle, start.elapsed() - middle);
}
