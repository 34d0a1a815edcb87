//! The proof that the oracles can fail: each convicts the canary with its defect, and acquits the healthy twin.

use hangup::campaign::fuzz::{self, Plan};
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::run::Detail;
use hangup::server::Server;
use hangup::{incident, server};
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::{judged, on_all_cores, scenario};
use std::sync::Arc;
use std::time::Instant;

const CANARIES: [(&str, Verdict); 33] = [
    ("canary-no-write-deadline", Verdict::Hung),
    ("canary-task-leak", Verdict::Leftover),
    ("canary-long-idle", Verdict::Late),
    ("canary-permit-leak", Verdict::Deaf),
    ("canary-old-continue", Verdict::Protocol),
    ("canary-busy-at-eof", Verdict::Spin),
    ("canary-patient-shutdown", Verdict::StuckShutdown),
    ("canary-hash-order", Verdict::Nondeterministic),
    ("canary-wall-clock", Verdict::Nondeterministic),
    ("canary-drain-no-clock", Verdict::Hung),
    ("canary-first-head-clock", Verdict::Hung),
    ("canary-twice-continue", Verdict::Protocol),
    ("canary-body-as-request", Verdict::Protocol),
    ("canary-close-ignored", Verdict::Protocol),
    ("canary-accept-dies", Verdict::Deaf),
    ("canary-accept-spins", Verdict::Spin),
    ("canary-accept-gives-up", Verdict::Deaf),
    ("canary-reject-inline", Verdict::Hung),
    ("canary-lost-wake-up", Verdict::Hung),
    ("canary-rst-at-close", Verdict::Lost),
    ("canary-endless-head", Verdict::Hoard),
    ("canary-hasty-shutdown", Verdict::Lost),
    ("canary-reads-on", Verdict::Protocol),
    ("canary-hostless", Verdict::Protocol),
    ("canary-loses-byte", Verdict::Lost),
    ("canary-swapped", Verdict::Protocol),
    ("canary-head-in-one-read", Verdict::Protocol),
    ("canary-hasty-idle", Verdict::Protocol),
    ("canary-evicts", Verdict::Protocol),
    ("canary-orphan", Verdict::Leftover),
    ("canary-total-write", Verdict::Lost),
    ("canary-pooled-answer", Verdict::Protocol),
    ("canary-sniffs-inline", Verdict::Deaf),
];

/// One way to judge a scenario.
type Judge = fn(Engine, &Arc<Scenario>, &dyn Server, Detail) -> Cell;

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
        "canary-drain-no-clock" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/", connection = "close" } }"#,
        ),
        "canary-first-head-clock" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }, { do = "send", bytes = "GET / HT" }"#,
        ),
        "canary-twice-continue" => (
            1,
            r#"{ do = "send", head = { method = "POST", target = "/echo", length = 3, expect = "100-continue" } }, { do = "await", status = 100, within = "2s" }"#,
        ),
        "canary-body-as-request" => (
            1,
            r#"{ do = "send", all = [ { head = { method = "POST", target = "/reject", length = 1000 } }, { body = 1000 } ] }"#,
        ),
        "canary-close-ignored" => (
            1,
            r#"{ do = "send", all = [ { head = { method = "GET", target = "/", connection = "close" } }, { head = { method = "GET", target = "/" } } ] }"#,
        ),
        "canary-accept-dies" | "canary-accept-spins" | "canary-accept-gives-up" => {
            (1, r#"{ do = "close" }"#)
        }
        "canary-reject-inline" => (5, r#"{ do = "stall", for = "1s" }"#),
        "canary-lost-wake-up" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "half_close" }"#,
        ),
        "canary-rst-at-close" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/big/100000", connection = "close" } }, { do = "stall", for = "50ms" },
               { do = "send", body = 100 }, { do = "await", eof = true, within = "20s" }"#,
        ),
        "canary-endless-head" => (
            1,
            r#"{ do = "send", bytes = "GET / HTTP/1.1\r\nX: <40000>" }"#,
        ),
        "canary-hasty-shutdown" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/slow/5000" } }, { do = "await", status = "final", within = "9s" }, { do = "close" }"#,
        ),
        "canary-reads-on" => (
            1,
            r#"{ do = "send", bytes = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" },
               { do = "send", head = { method = "GET", target = "/" } }"#,
        ),
        "canary-hostless" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/", host = false } }"#,
        ),
        "canary-loses-byte" => (
            1,
            r#"{ do = "send", all = [ { head = { method = "POST", target = "/stream", length = 9000 } }, { body = 9000 } ] }"#,
        ),
        "canary-swapped" => (
            1,
            r#"{ do = "send", all = [ { head = { method = "GET", target = "/slow/50", headers = [["X-Why", "one read takes both"]] } },
                 { head = { method = "GET", target = "/big/10" } } ] }"#,
        ),
        "canary-head-in-one-read" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }, { do = "close" }"#,
        ),
        "canary-hasty-idle" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" },
               { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }"#,
        ),
        "canary-evicts" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }, { do = "stall", for = "8s" },
               { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }, { do = "close" }"#,
        ),
        "canary-orphan" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/big/400000", connection = "close" } }, { do = "stall", for = "1s" }"#,
        ),
        "canary-total-write" => (
            1,
            r#"{ do = "send", head = { method = "GET", target = "/big/2000000" } },
               { do = "read", bytes = 2000100, size = 5000, every = "500ms" }, { do = "close" }"#,
        ),
        // What is sent is whole, and its client has reset the connection when the answer is there.
        "canary-pooled-answer" => (
            1,
            r#"{ do = "send", all = [ { head = { method = "POST", target = "/stream", length = 400 } }, { body = 400 } ] }, { do = "reset" }"#,
        ),
        "canary-sniffs-inline" => (1, r#"{ do = "stall", for = "5s" }"#),
        other => panic!("no provocation for {other}"),
    };
    let steps = steps.replace("<40000>", &"x".repeat(40_000));
    let event = match canary {
        "canary-patient-shutdown" => "[[server_event]]\nat = \"1s\"\ndo = \"shutdown\"\n",
        "canary-hasty-shutdown" => "[[server_event]]\nat = \"2s\"\ndo = \"shutdown\"\n",
        "canary-accept-dies" => "[[server_event]]\nat = \"0s\"\ndo = \"accept_error\"\n",
        "canary-accept-spins" | "canary-accept-gives-up" => {
            "[[server_event]]\nat = \"0s\"\ndo = \"accept_error\"\nfor = \"10s\"\n"
        }
        _ => "",
    };
    scenario(&format!(
        "name = \"provocation\"\n[[client]]\ncount = {count}\nstagger = \"10ms\"\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n{event}"
    ))
}

#[test]
fn every_canary_is_convicted_and_its_twin_acquitted() {
    on_all_cores(&CANARIES, |&(canary, verdict)| {
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
    });
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

/// The page has a row for each.
#[test]
fn the_page_is_whole() {
    let rows: Vec<String> = rows().map(|(name, ..)| name).collect();
    assert_eq!(rows, CANARIES.map(|(name, _)| name));
}

/// The rows of the page: the name, and as what and by which case it is found.
fn rows() -> impl Iterator<Item = (String, &'static str, u64)> {
    let rows = include_str!("canaries.md").lines();
    rows.filter_map(|line| {
        let mut columns = line.strip_prefix("| `")?.split(" | ");
        let name = columns.next()?.trim_end_matches('`');
        let (_, found) = (columns.next()?, columns.next()?);
        let case = columns.next()?.parse().expect("a case has a number");
        Some((format!("canary-{name}"), found.trim_matches('`'), case))
    })
}

/// The case of the page is run alone: that no earlier one convicts is what [`survey`] shows.
#[test]
fn the_case_of_the_page_convicts_every_canary() {
    let rows: Vec<_> = rows().collect();
    on_all_cores(&rows, |(canary, found, case)| {
        let server = server::named(canary).expect("it is built in");
        let scenario = Arc::new(fuzz::scenario(fuzz::case_seed(1, case - 1), &*server));
        let judge = |judge: Judge| judge(Engine::Leap, &scenario, &*server, Detail::default());
        let mut cells = [Cell::of as Judge, Cell::twice].into_iter().map(judge);
        let cell = cells.find(|cell| !cell.findings.is_empty());
        let kinds = cell.iter().flat_map(|cell| &cell.findings);
        let kinds: Vec<_> = kinds.map(|finding| finding.kind.name()).collect();
        assert!(kinds.contains(found), "{canary}, case {case}: {kinds:?}");
    });
}

/// Prints the table of the page, without what is wrong with each.
#[test]
#[ignore = "it takes half a minute, and is for people"]
fn survey() {
    on_all_cores(&CANARIES, |&(canary, _)| {
        let server = server::named(canary).expect("it is built in");
        let plan = Plan {
            seed: 1,
            cases: 20_000,
            jobs: 1,
            shard: Default::default(),
            keep_going: false,
        };
        let start = Instant::now();
        let (totals, convictions) = fuzz::fuzz(Engine::Leap, &*server, plan, |_| {});
        let found = convictions.first().map(|one| one.minimal.verdict());
        println!(
            "| `{canary}` | `{}` | {} | {:.2} |",
            found.map_or("-", Verdict::name),
            totals.cases,
            start.elapsed().as_secs_f64()
        );
        assert_eq!(
            convictions.len(),
            1,
            "{canary} went free for {} cases",
            totals.cases
        );
    });
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
