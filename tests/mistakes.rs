//! What other servers got wrong, each as a scenario against ours: what must come of it, to the millisecond.
//!
//! | mistake | of | test |
//! |---|---|---|
//! | the 100 before the size check | fasthttp | `the_100_before_the_size_check` |
//! | 417, and then keep-alive | fasthttp, eventlet | `a_refused_expectation_and_then_keep_alive` |
//! | an unread body that is not drained | fasthttp, async-h1, pingora | `an_unread_body_is_no_request` |
//! | a stale write deadline | fasthttp | `a_stale_write_deadline` |
//! | response 1 held by body 2 | fasthttp | `a_response_held_by_the_next_body` |
//! | a shutdown that waits for a silent new connection, or half a head | fasthttp, hyper | `a_shutdown_that_waits_for_silence` |
//! | a stop flag that is reset | fasthttp | `a_stop_flag_that_is_reset` |
//! | rejecting on the accept loop | fasthttp | `rejecting_on_the_accept_loop`, `tls::a_refused_client_that_never_shakes_hands_holds_up_nobody` |
//! | EMFILE ends the server | fasthttp | `out_of_descriptors`, `descriptors::a_crowd_beyond_the_descriptors_makes_room` |
//! | a gauge below zero | fasthttp | `a_gauge_below_zero`, `gauge::opened_is_open_and_closed_through_ten_thousand_runs` |
//! | a drain bounded in bytes but not in time | net/http | `a_drain_without_a_clock` |
//! | a 100 whose write fails silently | net/http | `a_100_that_is_late_or_lost`, `faults::a_100_that_cannot_be_written_ends_the_connection` |
//! | a head clock on the first request only | actix, Node | `a_head_clock_on_the_first_request_only` |
//! | no clock while sniffing | hyper-util, Go | `no_clock_while_sniffing` |
//! | `close` ignored in one segment | actix | `close_ignored_in_one_segment` |
//! | a half-close loses the response | axum | `a_half_close_that_loses_the_response` |
//!
//! The scenarios are in `mistakes/`, for any server: `hangup run tests/mistakes/body-not-drained.toml --server NAME`. Tests with a file before
//! their name are in `crates/server/tests` and `sim/tests`: what a scenario cannot say (TLS, a process without descriptors) is shown there too.

mod stage;

use hangup_lifecycle::Limits;
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::judged;
use stage::{End, Stage};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SHUTDOWN: Duration = Duration::from_secs(3);

fn end(statuses: &[u16], reason: &'static str, at_ms: u128) -> End {
    End {
        statuses: statuses.to_vec(),
        reason,
        at_ms,
    }
}

#[test]
fn the_100_before_the_size_check() {
    let shown = Stage::new("continue-before-size-check").run();
    assert_eq!(shown.ends, [end(&[413], "refused", 2_100)]);
    assert_eq!(shown.requests, ["POST /echo"]);
}

#[test]
fn a_refused_expectation_and_then_keep_alive() {
    let shown = Stage::new("expectation-refused-then-keep-alive").run();
    assert_eq!(
        shown.ends,
        [
            end(&[417], "refused", 2_100),
            end(&[403], "unread-body", 2_200)
        ]
    );
    assert_eq!(shown.requests, ["POST /reject"]);
}

#[test]
fn an_unread_body_is_no_request() {
    let shown = Stage::new("body-not-drained").run();
    assert_eq!(
        shown.ends,
        [
            end(&[403, 200], "client-closed", 180),
            end(&[403], "unread-body", 2_200)
        ]
    );
    assert_eq!(shown.requests, ["POST /reject", "GET /", "POST /reject"]);
}

#[test]
fn a_stale_write_deadline() {
    for limits in [Limits::default(), Limits::article()] {
        let shown = Stage::new("stale-write-deadline").limits(limits).run();
        assert_eq!(shown.ends, [end(&[200, 100, 200], "client-closed", 70_220)]);
    }
}

#[test]
fn a_response_held_by_the_next_body() {
    let shown = Stage::new("response-held-by-next-body").run();
    assert_eq!(shown.ends, [end(&[200, 408], "timeout-body", 5_100)]);
    let first = shown.run.connections[0].responses.list[0];
    assert_eq!(
        first.at.as_millis(),
        80,
        "one round trip behind its request"
    );
}

#[test]
fn a_shutdown_that_waits_for_silence() {
    let shown = Stage::new("shutdown-waits-for-silence")
        .shut_down_at(SHUTDOWN)
        .run();
    assert_eq!(
        shown.ends,
        [
            end(&[], "shutdown", 3_540),
            end(&[408], "timeout-head", 12_200),
            // It may still be reading its response, and has two seconds to go.
            end(&[200], "shutdown", 5_540),
        ]
    );
    let report = shown.report.expect("the shutdown ended");
    assert!(report.cut.is_empty() && report.stuck.is_empty());
}

#[test]
fn a_stop_flag_that_is_reset() {
    let shown = Stage::new("stop-flag-reset").shut_down_at(SHUTDOWN).run();
    // The second client is refused by the host: nobody listens.
    assert_eq!(shown.ends, [end(&[], "timeout-shutdown", 13_000)]);
    assert_eq!(shown.requests, ["GET /slow/14000"]);
    let report = shown.report.expect("the shutdown ended");
    assert_eq!((report.took.as_secs(), report.cut.len()), (10, 1));
}

#[test]
fn rejecting_on_the_accept_loop() {
    let two = Limits {
        connections: 2,
        ..Limits::default()
    };
    let shown = Stage::new("reject-on-the-accept-loop").limits(two).run();
    let reasons = |reason| shown.ends.iter().filter(|end| end.reason == reason).count();
    // Who has said nothing yet makes room for whoever comes: nobody is refused, and nobody waits.
    assert_eq!(
        (
            reasons("evicted"),
            reasons("timeout-opening"),
            reasons("too-many-connections")
        ),
        (29, 1, 0)
    );
    assert_eq!(shown.ends[31], end(&[200], "client-closed", 11_140));
}

#[test]
fn out_of_descriptors() {
    let shown = Stage::new("accept-out-of-descriptors")
        .accepts_fail(10)
        .run();
    assert_eq!(shown.ends, [end(&[200], "client-closed", 3_355)]);
}

#[test]
fn a_gauge_below_zero() {
    // The stage looks at the books at every event of every scenario here; 30 of these are connections that come and go.
    let shown = Stage::new("gauge-below-zero").shut_down_at(SHUTDOWN).run();
    assert_eq!(shown.ends.len(), 15);
    assert!(shown.looks > 30, "{}", shown.looks);
    let report = shown.report.expect("the shutdown ended");
    assert_eq!(
        report.ended,
        [("shutdown", 3), ("timeout-shutdown", 3)].into()
    );
}

#[test]
fn a_drain_without_a_clock() {
    let shown = Stage::new("drain-without-a-clock").run();
    assert_eq!(shown.ends, [end(&[403], "timeout-drain", 4_100)]);
}

#[test]
fn a_100_that_is_late_or_lost() {
    let shown = Stage::new("lost-continue").run();
    assert_eq!(
        shown.ends,
        [
            end(&[100, 200], "client-closed", 20_180),
            end(&[], "timeout-expect", 5_160)
        ]
    );
}

#[test]
fn a_head_clock_on_the_first_request_only() {
    let shown = Stage::new("head-clock-on-the-first-request-only").run();
    assert_eq!(shown.ends, [end(&[200, 408], "timeout-head", 12_140)]);
}

#[test]
fn no_clock_while_sniffing() {
    let shown = Stage::new("no-clock-while-sniffing").run();
    assert_eq!(
        shown.ends,
        [
            end(&[], "timeout-opening", 10_100),
            end(&[408], "timeout-head", 12_200),
            end(&[400], "refused", 2_300),
        ]
    );
}

#[test]
fn close_ignored_in_one_segment() {
    let shown = Stage::new("close-ignored-in-one-segment").run();
    assert_eq!(shown.ends, [end(&[200], "client-asked", 100)]);
    assert_eq!(shown.requests, ["GET /"]);
}

#[test]
fn a_half_close_that_loses_the_response() {
    let shown = Stage::new("half-close-loses-the-response").run();
    assert_eq!(
        shown.ends,
        [
            end(&[200], "client-closed", 100),
            end(&[200], "client-closed", 3_200)
        ]
    );
}

/// On the built-in server no oracle has anything to say of them.
#[test]
fn our_server_is_clean_on_every_mistake() {
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("mistakes"))
        .expect("it is part of the checkout")
        .flatten()
    {
        let scenario = Scenario::read(file.path()).unwrap_or_else(|error| panic!("{error}"));
        let cell = judged(&Arc::new(scenario), "hangup");
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{:?}: {:?}",
            file.path(),
            cell.findings
        );
    }
}

/// The table above names tests that exist, and every scenario of the folder is in one of those here.
#[test]
fn the_table_is_whole() {
    let own = include_str!("mistakes.rs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rows: Vec<&str> = own
        .lines()
        .filter(|line| line.starts_with("//! | "))
        .skip(1)
        .collect();
    assert_eq!(rows.len(), 16);
    for row in rows {
        let tests = row.rsplit(" | ").next().unwrap_or_default();
        for test in tests.split('`').skip(1).step_by(2) {
            let shown = match test.split_once("::") {
                None => own.contains(&format!("#[test]\nfn {test}()")),
                Some((file, test)) => [
                    "crates/server/tests",
                    "crates/server/tests/connection",
                    "sim/tests",
                ]
                .iter()
                .filter_map(|folder| {
                    fs::read_to_string(root.join(folder).join(format!("{file}.rs"))).ok()
                })
                .any(|source| source.contains(&format!("fn {test}()"))),
            };
            assert!(shown, "{row}: no test {test}");
        }
    }
    let folder = fs::read_dir(root.join("tests/mistakes")).expect("it is part of the checkout");
    let mut scenarios = 0;
    for file in folder.flatten() {
        let name = file
            .path()
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        assert!(
            own.contains(&format!("Stage::new(\"{name}\")")),
            "{name}: no test"
        );
        scenarios += 1;
    }
    assert_eq!(scenarios, 16);
}
