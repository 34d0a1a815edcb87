//! Servers as strangers write them, each from the description of a defect or of a habit alone.
//!
//! The page `strangers.md` has a row for each.

#[path = "strangers/acquitted.rs"]
mod acquitted;
#[path = "strangers/base.rs"]
mod base;
#[path = "strangers/guilty.rs"]
mod guilty;
#[path = "strangers/innocent.rs"]
mod innocent;
#[path = "strangers/job.rs"]
mod job;

use hangup::Bed;
use hangup::bed::Route;
use hangup::campaign::fuzz::{Plan, case_seed, explain, fuzz, scenario};
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
    /// It speaks another protocol behind a 101.
    upgrades: bool,
    /// Where it spawns tasks that are meant to outlive connections.
    background: Option<&'static str>,
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
            upgrades: false,
            background: None,
        }
    }

    pub(crate) fn stall(mut self, stall: Duration) -> Self {
        self.contract.stall = stall;
        self
    }

    pub(crate) fn drain(mut self, drain: Duration) -> Self {
        self.contract.drain = drain;
        self
    }

    pub(crate) fn buffer(mut self, bytes: u64) -> Self {
        self.contract.buffer = Some(bytes);
        self
    }

    /// A client may hold a connection for as long as it goes on.
    pub(crate) fn no_residence(mut self) -> Self {
        self.contract.residence = Duration::from_secs(365 * 24 * 60 * 60);
        self
    }

    /// Tasks that are spawned in this file are meant to outlive connections.
    pub(crate) fn background(mut self, place: &'static str) -> Self {
        self.background = Some(place);
        self
    }

    /// It has no graceful shutdown.
    pub(crate) fn dies(mut self) -> Self {
        self.contract.shutdown = None;
        self
    }

    /// It speaks another protocol behind a 101.
    pub(crate) fn upgrades(mut self) -> Self {
        self.upgrades = true;
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
        let bed = match self.background {
            Some(place) => bed.background(place),
            None => bed,
        };
        if self.speaks_lines {
            return bed.not_http("hello\n");
        }
        let bed = match self.upgrades {
            true => bed.route(Route::Upgrade, "/socket"),
            false => bed,
        };
        bed.route(Route::ReadsBody, "/upload")
            .route(Route::LeavesBody, "/form")
            .route(Route::Big, "/file")
            .route(Route::Slow, "/report")
            .route(Route::Never, "/wait")
            .route(Route::Panics, "/broken")
    }
}

#[global_allocator]
static ALLOCATOR: hangup::CountingAllocator = hangup::CountingAllocator;

/// Stands on the page where [`Bed::memory`] convicts a server: it is not looked at by default.
const BY_MEMORY: &str = "`Bed::memory`";
/// How many equal rounds are played for that.
const ROUNDS: u32 = 16;

/// How many generated cases the regular tests run where nothing is to be found.
const CASES: u64 = 200;

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

/// The findings of a cell, as the page has them.
fn found(cell: &Cell, expected: &[Verdict]) -> Option<String> {
    let finding = cell
        .findings
        .iter()
        .find(|finding| expected.contains(&finding.kind))?;
    let part = finding
        .part
        .map_or(String::new(), |part| format!(" ({part})"));
    Some(format!("`{}`{part}", finding.kind.name()))
}

/// The incidents of the book, judged.
fn incidents(server: &dyn Server) -> impl Iterator<Item = Cell> {
    let all = incident::all().iter();
    let apply = all.filter(|scenario| server.inapplicable(scenario).is_none());
    apply.map(|scenario| Cell::twice(Engine::Leap, scenario, server, Detail::default()))
}

/// How many cases were run to the first finding, and that.
fn fuzzed(server: &dyn Server, cases: u64) -> (u64, Option<Cell>) {
    let plan = Plan {
        seed: 1,
        cases,
        jobs: 1,
        shard: Default::default(),
        keep_going: false,
    };
    let (totals, convictions) = fuzz(Engine::Leap, server, plan, |_| {});
    let first = convictions.into_iter().next();
    (totals.cases, first.map(|conviction| conviction.minimal))
}

/// Does this incident, or `case N` of `fuzz --seed 1`, convict a server? The case is run alone: that no earlier one convicts
/// is what [`survey`] shows.
fn convicted_by(server: &dyn Server, what: &str) -> Option<Cell> {
    let detail = Detail::default();
    let cell = match what.strip_prefix("case ") {
        Some(case) => {
            let case: u64 = case.parse().expect("a case has a number");
            let scenario = Arc::new(scenario(case_seed(1, case - 1), server));
            let cell = Cell::of(Engine::Leap, &scenario, server, detail);
            match cell.findings.is_empty() {
                true => Cell::twice(Engine::Leap, &scenario, server, detail),
                false => cell,
            }
        }
        None => {
            let scenario = incident::named(what).unwrap_or_else(|| panic!("no incident {what}"));
            Cell::twice(Engine::Leap, &scenario, server, detail)
        }
    };
    (!cell.findings.is_empty()).then_some(cell)
}

/// The first kind of request of which the server keeps memory, or has more at once than it claims.
fn grown(stranger: &Stranger) -> Option<Cell> {
    let outcome = stranger.bed().cases(0).memory(ROUNDS).run();
    let of_memory = |one: &hangup::finding::Finding| matches!(one.part, Some("memory" | "peak"));
    let grows = |cell: &Cell| cell.findings.iter().any(of_memory);
    outcome.convicted.into_iter().find(grows)
}

/// The rows of the page's table with this many columns: the name, and the columns behind it.
fn rows(columns: usize) -> Vec<Vec<&'static str>> {
    let lines = include_str!("strangers.md").lines();
    let rows = lines.filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| {
        let (name, others) = row.split_once('`').expect("a name ends");
        let others = others.trim_start_matches(" | ").trim_end_matches(" |");
        std::iter::once(name).chain(others.split(" | ")).collect()
    });
    cells.filter(|row: &Vec<_>| row.len() == columns).collect()
}

#[test]
fn the_page_is_whole() {
    let listed: Vec<&str> = rows(4).iter().map(|row| row[0]).collect();
    let guilty = guilty::all().into_iter().map(|(stranger, _)| stranger.name);
    assert_eq!(listed, guilty.collect::<Vec<_>>());
    let listed: Vec<&str> = rows(3).iter().map(|row| row[0]).collect();
    let innocent = innocent::all().into_iter().map(|stranger| stranger.name);
    assert_eq!(listed, innocent.collect::<Vec<_>>());
}

#[test]
fn the_guilty_are_convicted_as_the_page_says() {
    let mut wrong = Vec::new();
    for (stranger, expected) in guilty::all() {
        let row = rows(4).into_iter().find(|row| row[0] == stranger.name);
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", stranger.name));
        let server: Arc<dyn Server> = stranger.bed().into();
        let cell = match row[3] {
            BY_MEMORY => grown(&stranger),
            by => convicted_by(&*server, by),
        };
        let found = cell.as_ref().and_then(|cell| found(cell, expected));
        if (stranger.about, found.as_deref()) != (row[1], Some(row[2])) {
            wrong.push(format!(
                "{}, {}: {found:?} instead of {}: {:?}",
                stranger.name,
                row[3],
                row[2],
                cell.map(|cell| cell.findings)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_innocent_are_clean() {
    for stranger in innocent::all() {
        let server: Arc<dyn Server> = stranger.bed().into();
        for cell in incidents(&*server) {
            let what = (stranger.name, &cell.scenario.name);
            assert_eq!(
                cell.verdict(),
                Verdict::Clean,
                "{what:?}: {:?}",
                cell.findings
            );
        }
        let (_, cell) = fuzzed(&*server, CASES);
        if let Some(cell) = cell {
            panic!(
                "{}: {:?}\n{}",
                stranger.name,
                cell.findings,
                cell.scenario.to_toml()
            );
        }
    }
}

#[test]
fn the_memory_of_the_innocent_does_not_grow() {
    for name in ["base", "registry", "catches-panics"] {
        let stranger = innocent::all().into_iter().find(|one| one.name == name);
        let grown = grown(&stranger.expect("it is one of them"));
        assert!(
            grown.is_none(),
            "{name}: {:?}",
            grown.map(|cell| cell.findings)
        );
    }
}

/// The address of a scenario's clients may be banned for what they did, as long as others are served and the ban ends.
#[test]
fn a_ban_of_one_address_for_a_while_is_no_deafness() {
    let scenario = incident::named("reset-at-once").expect("it is in the book");
    let judged = |stranger: Stranger| {
        let server: Arc<dyn Server> = stranger.bed().into();
        Cell::of(Engine::Leap, &scenario, &*server, Detail::default())
    };
    let named = |name| move |one: &Stranger| one.name == name;
    let guilty = || guilty::all().into_iter().map(|(stranger, _)| stranger);
    // The fresh client is turned away, is served at another address, and comes again; or is turned away everywhere. Where it
    // is told to come later, it comes seven times.
    for (stranger, verdict, probes) in [
        (
            innocent::all().into_iter().find(named("bans-abusers")),
            Verdict::Clean,
            3,
        ),
        (
            guilty().find(named("address-never-forgotten")),
            Verdict::Deaf,
            7 + 1 + 7,
        ),
        (guilty().find(named("bans-everybody")), Verdict::Deaf, 2),
    ] {
        let cell = judged(stranger.expect("it is one of them"));
        let came = cell.run.connections.iter().filter(|one| one.probe).count();
        let what = (&cell.server, &cell.findings);
        assert_eq!((cell.verdict(), came), (verdict, probes), "{what:?}");
    }
}

/// Prints the rows of the page: `cargo test --test strangers -- --ignored --nocapture survey`.
/// `STRANGER=NAME,NAME` names the servers, and `CASES=N` how many cases are tried at most. `CASE=N` tells the story of that case
/// alone, as it is and as small as it gets.
#[test]
#[ignore = "it takes minutes, and is for people"]
fn survey() {
    let only = std::env::var("STRANGER").ok();
    let wanted = |name: &str| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|it| it == name))
    };
    let cases = std::env::var("CASES").map_or(20_000, |cases| cases.parse().expect("a number"));
    let guilty = guilty::all().into_iter();
    let innocent = innocent::all().into_iter();
    let innocent = innocent.map(|stranger| (stranger, &[] as &[Verdict]));
    for (stranger, expected) in guilty.chain(innocent) {
        if !wanted(stranger.name) {
            continue;
        }
        match std::env::var("CASE") {
            Ok(case) => story(&stranger, case.parse().expect("a number")),
            Err(_) => tell(&stranger, expected, cases),
        }
    }
}

fn story(stranger: &Stranger, case: u64) {
    let server: Arc<dyn Server> = stranger.bed().into();
    let seed = case_seed(1, case - 1);
    let scenario = Arc::new(scenario(seed, &*server));
    let whole = Cell::twice(Engine::Leap, &scenario, &*server, Detail::TOLD);
    println!("{}\n{}", scenario.to_toml(), hangup_tests::plain(&whole));
    if let Some(small) = explain(Engine::Leap, &*server, seed) {
        println!(
            "{}\n{}",
            small.scenario.to_toml(),
            hangup_tests::plain(&small)
        );
    }
}

fn tell(stranger: &Stranger, expected: &[Verdict], cases: u64) {
    let server: Arc<dyn Server> = stranger.bed().into();
    let start = Instant::now();
    let (name, about) = (stranger.name, stranger.about);
    let all: &[Verdict] = if expected.is_empty() {
        &Verdict::ALL
    } else {
        expected
    };
    let mut others = Vec::new();
    for cell in incidents(&*server) {
        match found(&cell, all) {
            Some(found) => {
                println!("| `{name}` | {about} | {found} | {} |", cell.scenario.name);
                println!("    {}", says(&cell));
                if !expected.is_empty() {
                    return;
                }
            }
            None if !cell.findings.is_empty() => others.push(cell),
            None => {}
        }
    }
    for other in others {
        println!("    by luck? {} {}", other.scenario.name, says(&other));
    }
    let (case, cell) = fuzzed(&*server, cases);
    match &cell {
        None => println!("| `{name}` | {about} | {case} |"),
        Some(cell) => {
            let found = found(cell, all);
            println!(
                "| `{name}` | {about} | {} | case {case} |",
                found.as_deref().unwrap_or("BY LUCK")
            );
            println!("    {}\n{}", says(cell), cell.scenario.to_toml());
        }
    }
    println!("    {:?}", start.elapsed());
}
