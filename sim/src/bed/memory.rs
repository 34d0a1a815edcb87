//! Memory that grows: the same client comes again and again, and what the program has is counted when each is gone.
//!
//! Only the network's own part and the server are in the run, no record and no judge, so what stays from round to round is
//! the server's. What a pool or a cache takes to fill up is not counted: only the growth over the last half of the
//! rounds is, and it must go on in four times as many.

use super::route::Route;
use super::{Own, peak};
use crate::engine::leap;
use crate::finding::Finding;
use crate::server::Server;
use hangup_scenario::{Scenario, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// Less than this a round is no memory of a request: a counter's digits, a page of a table.
const GROWTH_MIN: isize = 16;
/// A growth counts if it goes on in so many times the rounds.
const CONFIRMED_BY: u32 = 4;

/// What a client does in each round, and the part that the server must have a route for.
const ROUNDS: [(&str, &str, Option<Route>); 6] = [
    (
        "finished request",
        r#"{ do = "send", head = { target = "/", connection = "close" } }, { do = "await", status = "final", within = "10s" }, { do = "close" }"#,
        None,
    ),
    (
        "connection that is closed at once",
        r#"{ do = "close" }"#,
        None,
    ),
    (
        "head that is cut off by a reset",
        r#"{ do = "send", bytes = "GET / HT" }, { do = "stall", for = "100ms" }, { do = "reset" }"#,
        None,
    ),
    (
        "request whose client resets before the answer",
        r#"{ do = "send", head = { target = "/" } }, { do = "reset" }"#,
        None,
    ),
    (
        "upload that is cut off by a reset",
        r#"{ do = "send", all = [ { head = { method = "POST", target = "/echo", length = 1000 } }, { body = 500 } ] }, { do = "stall", for = "100ms" }, { do = "reset" }"#,
        Some(Route::ReadsBody),
    ),
    (
        "request whose handler panics",
        r#"{ do = "send", head = { target = "/panic" } }, { do = "await", status = "final", within = "10s" }, { do = "close" }"#,
        Some(Route::Panics),
    ),
];

/// Every kind of round whose memory the server keeps, and every body of which it has too much at once: the scenario of one
/// round, and the finding.
///
/// # Panics
/// When the program's global allocator does not count.
pub(super) fn grown(server: &Own, rounds: u32) -> Vec<(Arc<Scenario>, Finding)> {
    assert!(
        hangup_seal::live_bytes().is_some(),
        "Bed::memory counts what the program allocates. Add to the test: \
         #[global_allocator] static ALLOCATOR: hangup::CountingAllocator = hangup::CountingAllocator;"
    );
    let known =
        |part: &Option<Route>| part.is_none_or(|part| server.routes.targets.contains_key(&part));
    let kinds = ROUNDS.iter().filter(|(_, _, part)| known(part));
    let found = kinds.filter_map(|(what, steps, _)| {
        let scenario = scenario(what, steps, "");
        let played = server.fit(&scenario);
        growth(&played, server, rounds)?;
        let rounds = rounds.saturating_mul(CONFIRMED_BY);
        let each = growth(&played, server, rounds)?;
        Some((Arc::clone(&scenario), told(what, each, rounds)))
    });
    found.chain(peak::exceeded(server)).collect()
}

pub(super) fn scenario(what: &str, steps: &str, network: &str) -> Arc<Scenario> {
    let name = what.replace(' ', "-");
    let text = format!(
        "name = \"memory-{name}\"\n{network}[[client]]\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n"
    );
    match Scenario::from_toml("memory", text) {
        Ok(scenario) => Arc::new(scenario),
        Err(error) => panic!("{error}"),
    }
}

/// By how many bytes a round the memory grew over the last half of the rounds, if that is more than nothing.
fn growth(played: &Arc<Scenario>, server: &Own, rounds: u32) -> Option<isize> {
    let rounds = rounds.max(2);
    let contract = server.contract();
    // Whatever a round leaves is gone behind its deadlines.
    let pause = contract.stall.max(contract.drain) + Duration::from_secs(60);
    let mut counts = Vec::with_capacity(rounds as usize);
    leap::rounds(played, server, (rounds, pause), || {
        counts.push(hangup_seal::live_bytes().unwrap_or_default());
    });
    let half = counts.len() / 2;
    let each = (counts.last()? - counts.get(half - 1)?) / (counts.len() - half) as isize;
    (each >= GROWTH_MIN).then_some(each)
}

fn told(what: &str, each: isize, rounds: u32) -> Finding {
    Finding {
        kind: Verdict::Hoard,
        part: Some("memory"),
        client: None,
        connection: None,
        at: Duration::ZERO,
        alive_for: None,
        never_ends: false,
        phase: None,
        task: None,
        says: format!(
            "the server keeps {each} bytes of memory for each {what}: so much it grew on average over the last {} of {rounds} equal \
             rounds, each of which was counted when the contract's time for its connection was over",
            rounds - rounds / 2
        ),
    }
}
