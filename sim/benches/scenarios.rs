//! `cargo bench -p hangup`: what a simulated scenario costs, on one core.
//!
//! criterion gives each figure by itself. On a machine that others use, too, such figures say little, so the last thing that
//! is printed is a table of ratios: contestants take turns in short rounds, so that what else the machine does falls on all alike,
//! and each ratio is the median over the rounds. What a client costs among others, and why, is in `clients.md` beside this.

#[path = "scenarios/ratios.rs"]
mod ratios;
#[path = "scenarios/tickers.rs"]
mod tickers;
#[path = "scenarios/walked.rs"]
mod walked;

use criterion::{BenchmarkId, Criterion, Throughput};
use hangup::campaign::fuzz;
use hangup::cell::Cell;
use hangup::engine::{Engine, leap};
use hangup::incident;
use hangup::run::Detail;
use hangup::server::{self, Server};
use hangup_scenario::{Await, Client, Head, Scenario, Step, Until, Verdict};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// Generated cases, from the first on.
const CASES: u64 = 2_000;
/// The pause of #1834 for engines that walk their clock.
const SHORT_STALL: Duration = Duration::from_secs(60);
/// Clients in one simulation.
const SCALES: [u32; 5] = [1, 10, 100, 1000, 3000];

/// The cases of `hangup fuzz --seed 1`.
fn generated(server: &dyn Server) -> Vec<Arc<Scenario>> {
    (0..CASES)
        .map(|index| Arc::new(fuzz::scenario(fuzz::case_seed(1, index), server)))
        .collect()
}

/// The incident that it began with.
fn incident_1834() -> Arc<Scenario> {
    incident::named("fasthttp-1834").expect("it is in the book")
}

/// The same, and its client waits for a minute only.
fn short_1834() -> Arc<Scenario> {
    let mut short = (*incident_1834()).clone();
    for step in &mut short.clients[0].steps {
        if let Step::Stall { duration } = step {
            *duration = SHORT_STALL;
        }
    }
    Arc::new(short)
}

/// So many clients that ask for `/`, a millisecond after each other, and go.
fn crowd(count: u32) -> Arc<Scenario> {
    let mut crowd = Scenario::of(
        "crowd",
        vec![
            Step::Connect,
            Step::Send(Head::new("GET", "/").into()),
            Step::Await(Await {
                until: Until::Final,
                within: Duration::from_secs(2),
            }),
            Step::Close,
        ],
    );
    crowd.clients = vec![Client {
        count,
        stagger: Duration::from_millis(1),
        ..crowd.clients.remove(0)
    }];
    Arc::new(crowd)
}

/// Runs a scenario on the leap engine and judges it.
fn judge(scenario: &Arc<Scenario>, server: &dyn Server) {
    let cell = Cell::of(Engine::Leap, scenario, server, Detail::default());
    assert_eq!(cell.verdict(), Verdict::Clean, "{}", scenario.name);
}

fn figures(criterion: &mut Criterion) {
    let server = server::named("hangup").expect("it is built in");
    let (cases, long, short) = (generated(&*server), incident_1834(), short_1834());

    let mut group = criterion.benchmark_group("generated cases");
    group.throughput(Throughput::Elements(1));
    let mut all = cases.iter().cycle();
    let mut next = || all.next().expect("there are cases, and they go round");
    group.bench_function("generated alone", |bencher| {
        let mut seeds = (0..).map(|index| fuzz::case_seed(1, index));
        bencher.iter(|| {
            seeds
                .next()
                .map(|case_seed| fuzz::scenario(case_seed, &*server))
        });
    });
    group.bench_function("run and judged", |bencher| {
        bencher.iter(|| judge(next(), &*server));
    });
    group.bench_function("bare", |bencher| {
        bencher.iter(|| leap::bare(next(), &*server));
    });
    group.finish();

    let mut group = criterion.benchmark_group("fasthttp-1834");
    group.bench_function("leap, stall of 29 hours", |bencher| {
        bencher.iter(|| judge(&long, &*server));
    });
    group.bench_function("leap, stall of 60 s", |bencher| {
        bencher.iter(|| judge(&short, &*server));
    });
    group.bench_function("bare, stall of 60 s", |bencher| {
        bencher.iter(|| leap::bare(&short, &*server));
    });
    group.sample_size(10);
    group.bench_function("turmoil, stall of 60 s", |bencher| {
        bencher.iter(|| black_box(walked::expect_and_stall(SHORT_STALL)));
    });
    group.finish();

    let mut group = criterion.benchmark_group("clients in one simulation");
    group.sample_size(10);
    for count in SCALES {
        let crowd = crowd(count);
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| judge(&crowd, &*server));
        });
    }
    group.finish();
}

fn main() {
    // Without `--bench` it is a test run: everything once.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    figures(&mut criterion);
    criterion.final_summary();
    ratios::print(if measures { 41 } else { 1 });
}
