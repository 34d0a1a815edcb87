//! The same seed gives the same trace: twice in this process, on any number of cores, and in a fresh process.

use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::run::Detail;
use hangup::{campaign::fuzz, incident, server};
use hangup_scenario::Verdict;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

const CHILD: &str = "HANGUP_TESTS_PRINT_HASHES";

/// Trace hashes of the whole book on every server, and of some generated cases.
fn hashes() -> BTreeMap<String, u64> {
    let mut hashes = BTreeMap::new();
    for server in server::built_in().into_iter().chain(server::canaries()) {
        // Without a seal these two have no hash to speak of.
        let engine = match server.name() {
            "canary-hash-order" | "canary-wall-clock" => Engine::Sealed,
            _ => Engine::Leap,
        };
        if engine.available().is_err() {
            continue;
        }
        for incident in incident::all() {
            let cell = Cell::of(engine, incident, &*server, Detail::default());
            hashes.insert(
                format!("{} {}", server.name(), incident.name),
                cell.run.hash,
            );
        }
        for index in 0..50 {
            let case_seed = fuzz::case_seed(7, index);
            let cell = Cell::of(
                engine,
                &Arc::new(fuzz::scenario(case_seed, &*server)),
                &*server,
                Detail::default(),
            );
            hashes.insert(format!("{} case {case_seed}", server.name()), cell.run.hash);
        }
    }
    hashes
}

/// Not a test of its own: what the fresh process of the test below runs.
#[test]
fn print_hashes() {
    if std::env::var_os(CHILD).is_some() {
        for (run, hash) in hashes() {
            println!("hash {run} = {hash:016x}");
        }
    }
}

#[test]
fn a_fresh_process_gives_the_same_hashes() {
    let program = std::env::current_exe().expect("this test has a path");
    // The two processes work at the same time.
    let fresh = Command::new(program)
        .args(["print_hashes", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test's own program can be started");
    let here: Vec<String> = hashes()
        .iter()
        .map(|(run, hash)| format!("hash {run} = {hash:016x}"))
        .collect();
    let output = fresh.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("hashes are ASCII");
    let there: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("hash "))
        .map(str::to_owned)
        .collect();
    assert!(here.len() > 500);
    assert_eq!(here.len(), there.len());
    let differing: Vec<_> = here
        .iter()
        .zip(&there)
        .filter(|(here, there)| here != there)
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn keeping_a_timeline_and_stacks_does_not_change_a_run() {
    let server = server::named("hyper-timeouts").expect("it is built in");
    for incident in incident::all() {
        let bare = Cell::of(Engine::Leap, incident, &*server, Detail::default());
        let told = Cell::of(Engine::Leap, incident, &*server, Detail::TOLD);
        assert_eq!(bare.run.hash, told.run.hash, "{}", incident.name);
    }
}

#[test]
fn a_seed_matters_where_chance_does() {
    let server = server::named("hangup").expect("it is built in");
    let mut scenario = (*incident::named("fasthttp-1834").expect("it is in the book")).clone();
    scenario.network.jitter = std::time::Duration::from_millis(50);
    let hash = |scenario: &hangup_scenario::Scenario| {
        let cell = Cell::of(
            Engine::Leap,
            &Arc::new(scenario.clone()),
            &*server,
            Detail::default(),
        );
        assert_eq!(cell.verdict(), Verdict::Clean);
        cell.run.hash
    };
    let first = hash(&scenario);
    assert_eq!(first, hash(&scenario));
    scenario.seed += 1;
    assert_ne!(first, hash(&scenario));
}

#[test]
fn the_first_finding_is_the_same_on_any_number_of_cores() {
    let server = server::named("hyper-timeouts").expect("it is built in");
    let first = |jobs| {
        let plan = fuzz::Plan {
            seed: 3,
            cases: 5_000,
            jobs,
            shard: Default::default(),
            keep_going: false,
        };
        let (_, convictions) = fuzz::fuzz(Engine::Leap, &*server, plan, |_| {});
        let conviction = convictions.first().expect("hyper hangs");
        (conviction.case_seed, conviction.minimal.run.hash)
    };
    assert_eq!(first(1), first(4));
}
