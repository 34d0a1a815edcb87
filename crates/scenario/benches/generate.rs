//! What it costs to make a scenario: `cargo bench -p hangup-scenario`.

use std::{hint::black_box, time::Instant};

use hangup_scenario::{Scenario, Send, Step, strategy};
use proptest::strategy::ValueTree as _;

fn main() {
    let options = strategy::Options::default();
    measure("generate", |case_seed| {
        drop(black_box(strategy::generate(case_seed, &options)))
    });
    measure("case, current", |case_seed| {
        drop(black_box(strategy::case(case_seed, &options).current()))
    });
    let scenarios: Vec<_> = (0..1000)
        .map(|case_seed| strategy::generate(case_seed, &options))
        .collect();
    let of = |case_seed: u64| &scenarios[case_seed as usize % scenarios.len()];
    let mut bytes = Vec::new();
    measure("render all its sends", |case_seed| {
        for send in sends(of(case_seed)) {
            bytes.clear();
            send.render(&mut bytes);
            black_box(&bytes);
        }
    });
    measure("write", |case_seed| {
        drop(black_box(of(case_seed).to_toml()))
    });
    let texts: Vec<_> = scenarios.iter().map(Scenario::to_toml).collect();
    measure("read", |case_seed| {
        let text = &texts[case_seed as usize % texts.len()];
        drop(black_box(Scenario::from_toml("x.toml", text)));
    });
}

fn sends(scenario: &Scenario) -> impl Iterator<Item = &Send> {
    let steps = scenario.clients.iter().flat_map(|client| &client.steps);
    steps.filter_map(|step| match step {
        Step::Send(send) => Some(send),
        _ => None,
    })
}

/// Prints the mean time of a call, the least of five rounds.
fn measure(what: &str, mut call: impl FnMut(u64)) {
    const CALLS: u64 = 100_000;
    let mut round = || {
        let start = Instant::now();
        (0..CALLS).for_each(&mut call);
        start.elapsed().as_secs_f64() / CALLS as f64
    };
    let best = (0..5).map(|_| round()).fold(f64::INFINITY, f64::min);
    println!("{what:<22} {:7.2} us", best * 1e6);
}
