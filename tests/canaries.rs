//! The proof that the oracles can fail: each convicts the canary with its defect, and acquits the healthy twin.

use hangup::campaign::fuzz::{Plan, fuzz};
use hangup::engine::Engine;
use hangup::{incident, server};
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::{judged, scenario};
use std::sync::Arc;

const CANARIES: [(&str, Verdict); 9] = [
    ("canary-no-write-deadline", Verdict::Hung),
    ("canary-task-leak", Verdict::Leftover),
    ("canary-long-idle", Verdict::Late),
    ("canary-permit-leak", Verdict::Deaf),
    ("canary-old-continue", Verdict::Protocol),
    ("canary-busy-at-eof", Verdict::Spin),
    ("canary-patient-shutdown", Verdict::StuckShutdown),
    ("canary-hash-order", Verdict::Nondeterministic),
    ("canary-wall-clock", Verdict::Nondeterministic),
];

/// A client behaviour that brings each defect out.
fn provocation(canary: &str) -> Arc<Scenario> {
    let (count, steps) = match canary {
        "canary-no-write-deadline" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/big/1000000" } }"#,
        ),
        "canary-task-leak" => (
            1,
            r#"{ do = "send", bytes = "GET / HT" }, { do = "reset" }"#,
        ),
        "canary-long-idle" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }"#,
        ),
        "canary-permit-leak" => (
            4,
            r#"{ do = "send", bytes = "GET / HT" }, { do = "reset" }"#,
        ),
        "canary-old-continue" => (
            1,
            r#"{ do = "send", head = { method = "POST", target = "/echo", version = "1.0", length = 3, expect = "100-continue" } }"#,
        ),
        "canary-busy-at-eof" => (
            1,
            r#"{ do = "send", head = { method = "POST", target = "/echo", length = 3 } }, { do = "send", bytes = "a" }, { do = "half_close" }"#,
        ),
        "canary-patient-shutdown" => (
            1,
            r#"{ do = "stall", for = "5s" }, { do = "send", bytes = "GET / HT" }"#,
        ),
        "canary-hash-order" | "canary-wall-clock" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/" } }"#,
        ),
        other => panic!("no provocation for {other}"),
    };
    let event = match canary {
        "canary-patient-shutdown" => "[[server_event]]\nat = \"1s\"\ndo = \"shutdown\"\n",
        _ => "",
    };
    scenario(&format!(
        "name = \"provocation\"\n[[client]]\ncount = {count}\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n{event}"
    ))
}

/// Canaries that sing only at a server event, of which the fuzzer makes none.
const NEED_AN_EVENT: [&str; 1] = ["canary-patient-shutdown"];

#[test]
fn every_canary_is_convicted_and_its_twin_acquitted() {
    for (canary, verdict) in CANARIES {
        let provocation = provocation(canary);
        let convicted = judged(&provocation, canary);
        assert_eq!(
            convicted.verdict(),
            verdict,
            "{canary}: {:?}",
            convicted.findings
        );
        let acquitted = judged(&provocation, "twin");
        assert_eq!(
            acquitted.verdict(),
            Verdict::Clean,
            "twin of {canary}: {:?}",
            acquitted.findings
        );
    }
}

#[test]
fn every_canary_in_the_list_is_tried() {
    let mut listed: Vec<String> = server::canaries()
        .iter()
        .map(|canary| canary.name().to_owned())
        .collect();
    listed.retain(|name| name != "twin");
    assert_eq!(listed, CANARIES.map(|(name, _)| name));
}

#[test]
fn the_fuzzer_finds_every_canary_by_itself() {
    for (canary, _) in CANARIES {
        if NEED_AN_EVENT.contains(&canary) {
            continue;
        }
        let server = server::named(canary).expect("it is built in");
        let plan = Plan {
            seed: 1,
            cases: 20_000,
            jobs: 1,
            shard: Default::default(),
            keep_going: false,
        };
        let (totals, convictions) = fuzz(Engine::Leap, &*server, plan, |_| {});
        assert_eq!(
            convictions.len(),
            1,
            "{canary} went free for {} cases",
            totals.cases
        );
    }
}

#[test]
fn the_twin_is_clean_on_every_incident() {
    for incident in incident::all() {
        let cell = judged(incident, "twin");
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{}: {:?}",
            incident.name,
            cell.findings
        );
    }
}
