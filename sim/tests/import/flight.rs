//! Flight records: what our server remembers of its clients.

use super::judged;
use hangup::cell::Cell;
use hangup::import::{Choice, Imported, Unreadable, import};
use hangup_scenario::{Scenario, Step, Verdict};
use proptest::prelude::*;
use std::sync::Arc;

const TITLE: &str =
    r#"{"hangup_flight":1,"taken":"2026-01-05T10:11:12Z","now_s":9.0,"payload":false,"missed":0}"#;

fn read(text: &str, connection: Option<u64>) -> Result<Imported, Unreadable> {
    let choice = Choice {
        connection,
        ..Choice::default()
    };
    import(text.as_bytes(), &choice)
}

fn record(line: &str) -> String {
    format!("{TITLE}\n{line}\n")
}

fn imported(line: &str) -> Scenario {
    let scenario = read(&record(line), None).expect("it is a record").scenario;
    Scenario::from_toml("imported", scenario.to_toml()).expect("it is read back")
}

fn run(line: &str, server: &str) -> Cell {
    judged(&Arc::new(imported(line)), server)
}

/// As the flight recorder's documentation has it.
const INCIDENT: &str = r#"{"connection":1,"peer":"10.0.0.7:51234","opened_s":0.02,"now_s":105482.98,"waits_in":"expect","events":[{"at_s":0.06,"in":93},{"at_s":0.06,"request":{"method":"POST","version":"1.1","length":1000,"expect":"100-continue"}},{"at_s":0.06,"status":100},{"at_s":0.06,"out":25}]}"#;

#[test]
fn the_incident_comes_back_with_the_same_bytes_and_the_same_finding() {
    let cell = run(INCIDENT, "hangup-unbounded");
    let finding = &cell.findings[0];
    assert_eq!(
        (finding.kind, finding.never_ends, finding.phase),
        (Verdict::Hung, true, Some("body"))
    );
    assert_eq!(cell.run.connections[0].bytes_in, 93);
    assert_eq!(run(INCIDENT, "hangup").verdict(), Verdict::Clean);
}

#[test]
fn a_head_is_as_long_as_it_was_whatever_its_host_is_called() {
    // The shortest there is to /echo has a Host of one letter.
    for size in 76..120 {
        let record = INCIDENT.replace("93", &size.to_string());
        let cell = run(&record, "hangup-unbounded");
        let connection = &cell.run.connections[0];
        assert_eq!((connection.bytes_in, connection.phase()), (size, "body"));
        assert_eq!(cell.verdict(), Verdict::Hung);
    }
}

#[test]
fn a_trickled_body_and_a_reset() {
    let cell = run(
        r#"{"connection":7,"opened_s":1.0,"closed_s":9.0,"reason":"client-gone","events":[{"at_s":0.0,"in":90},{"at_s":0.0,"request":{"method":"POST","version":"1.1","length":1000}},{"at_s":1.0,"in":1,"times":8,"until_s":8.0}]}"#,
        "hangup-unbounded",
    );
    let connection = &cell.run.connections[0];
    assert_eq!((connection.bytes_in, connection.phase()), (98, "closing"));
    assert!(connection.client_gone.is_some());
}

#[test]
fn a_trickle_is_one_step() {
    let line = r#"{"connection":7,"opened_s":1.0,"now_s":9.0,"waits_in":"body","events":[{"at_s":0.0,"in":90},{"at_s":0.0,"request":{"method":"POST","version":"1.1","length":1000}},{"at_s":1.0,"in":1,"times":500,"until_s":500.0}]}"#;
    let scenario = imported(line);
    let sends = scenario.clients[0].steps.iter();
    let sends = sends.filter(|step| matches!(step, Step::Send(_)));
    // The head, the trickle, and its last byte, which has no pause behind it.
    assert_eq!(sends.count(), 3, "{}", scenario.to_toml());
}

#[test]
fn requests_one_after_the_other_with_bodies_in_the_same_read_as_their_heads() {
    let cell = run(
        r#"{"connection":7,"opened_s":1.0,"closed_s":9.0,"reason":"client-closed","events":[{"at_s":0.0,"in":1040},{"at_s":0.0,"request":{"method":"POST","version":"1.1","length":900}},{"at_s":0.0,"status":200},{"at_s":0.5,"in":60},{"at_s":0.5,"request":{"method":"GET","version":"1.1"}},{"at_s":0.5,"status":200},{"at_s":0.9,"in":75},{"at_s":0.9,"request":{"method":"POST","version":"1.1","chunked":true}},{"at_s":1.0,"in":300},{"at_s":1.1,"in":5},{"at_s":1.1,"status":200},{"at_s":2.0,"fin":true}]}"#,
        "hangup",
    );
    let connection = &cell.run.connections[0];
    let statuses = connection.responses.list.iter().map(|one| one.status);
    assert_eq!(statuses.collect::<Vec<_>>(), [200, 200, 200]);
    assert_eq!(
        (connection.bytes_in, cell.verdict()),
        (1480, Verdict::Clean)
    );
    assert!(connection.client_closed.is_some());
}

#[test]
fn a_chunked_upload_that_stopped_is_not_ended() {
    let line = r#"{"connection":7,"opened_s":1.0,"now_s":9.0,"waits_in":"body","events":[{"at_s":0.0,"in":75},{"at_s":0.0,"request":{"method":"POST","version":"1.1","chunked":true}},{"at_s":1.0,"in":300}]}"#;
    let cell = run(line, "hangup-unbounded");
    assert_eq!(cell.findings[0].phase, Some("body"));
    assert_eq!(cell.run.connections[0].bytes_in, 375);
}

#[test]
fn a_head_that_never_ends() {
    let line = r#"{"connection":7,"opened_s":1.0,"now_s":9.0,"waits_in":"head","events":[{"at_s":0.0,"in":200},{"at_s":3.0,"in":3}]}"#;
    let cell = run(line, "hangup-unbounded");
    assert_eq!(cell.findings[0].phase, Some("head"));
    assert_eq!(cell.run.connections[0].bytes_in, 203);
}

#[test]
fn who_did_not_take_the_response_does_not_take_it_again() {
    let line = r#"{"connection":7,"opened_s":1.0,"now_s":900.0,"waits_in":"response","events":[{"at_s":0.0,"in":50},{"at_s":0.0,"request":{"method":"GET","version":"1.1"}},{"at_s":0.0,"status":200},{"at_s":0.0,"out":65536}]}"#;
    let scenario = imported(line);
    let reads = |step: &Step| matches!(step, Step::Await(_) | Step::Read(_));
    assert!(!scenario.clients[0].steps.iter().any(reads));
}

#[test]
fn first_bytes_that_were_kept_are_used_without_what_is_secret() {
    let line = r#"{"connection":7,"opened_s":1.0,"now_s":9.0,"waits_in":"body","events":[{"at_s":0.0,"in":104,"bytes":"PUT /upload?key=1 HTTP/1.1\r\nHost: shop\r\nCookie: secret\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\nab"},{"at_s":0.0,"request":{"method":"PUT","version":"1.1","length":9,"expect":"100-continue"}},{"at_s":0.0,"status":100}]}"#;
    let text = imported(line).to_toml();
    assert!(
        text.contains("/upload?xxxxx") && text.contains("shop"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn what_is_no_record_says_its_line() {
    for (text, line, what) in [
        ("{\"hangup_flight\":2}", 1, "allowed: 1"),
        ("{\"hangup_flight\":\"", 1, "EOF"),
        (&record("{}"), 2, "missing field"),
        (
            &record(r#"{"connection":1,"opened_s":-1,"events":[]}"#),
            2,
            "opened_s is -1",
        ),
        (
            &record(r#"{"connection":1,"opened_s":1e300,"events":[]}"#),
            2,
            "opened_s",
        ),
        (
            &record(r#"{"connection":1,"opened_s":1,"events":[{"at_s":-3,"in":4}]}"#),
            2,
            "at_s",
        ),
    ] {
        match read(text, None) {
            Err(Unreadable::Line {
                line: number,
                what: says,
            }) => {
                assert_eq!(number, line, "{says}");
                assert!(says.contains(what), "{says}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let partial = record(r#"{"connection":1,"opened_s":1,"events":[{"skipped":3,"in":9}]}"#);
    for (text, connection, says) in [
        (TITLE, None, "there is no connection in it"),
        (
            &*record(INCIDENT),
            Some(2),
            "there is no connection 2 in it, which has 1",
        ),
        (&*partial, None, "of which everything was kept"),
        (&*partial, Some(1), "skipped"),
    ] {
        let error = read(text, connection).expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
    }
    let both = format!(
        "{}{INCIDENT}\n",
        partial.replace("\"connection\":1", "\"connection\":8")
    );
    let imported = read(&both, None).expect("one of them is whole");
    assert_eq!(
        imported.notes,
        ["1 connections are left out: their middle was not kept"]
    );
}

#[test]
fn numbers_at_their_ends_do_no_harm() {
    let line = r#"{"connection":1,"opened_s":1,"events":[{"at_s":0,"in":18446744073709551615,"times":4294967295}]}"#;
    let error = read(&record(line), None).expect_err("nobody can send that");
    assert!(matches!(error, Unreadable::TooMuch(_)), "{error}");
    let line = r#"{"connection":1,"opened_s":1,"events":[{"at_s":9,"in":50,"times":0,"until_s":3},{"request":{"method":"P","version":"","length":18446744073709551615}},{"in":0},{"in":5}]}"#;
    assert_eq!(imported(line).clients.len(), 1);
}

prop_compose! {
    fn event()(
        at in 0..50_u32,
        bytes in prop::option::of(0..3000_u64),
        times in prop::option::of(0..20_u32),
        length in prop::option::of(0..2000_u64),
        kind in 0..7_usize,
    ) -> String {
        let (bytes, times) = (bytes.unwrap_or(7), times.unwrap_or(1));
        let length = length.map_or(String::new(), |length| format!(",\"length\":{length}"));
        let body = match kind {
            0 | 1 => format!("\"in\":{bytes}"),
            2 => format!("\"in\":{bytes},\"times\":{times},\"until_s\":{}", at + times),
            3 => format!("\"request\":{{\"method\":\"POST\",\"version\":\"1.1\"{length}}}"),
            4 => "\"request\":{\"method\":\"POST\",\"version\":\"1.1\",\"chunked\":true}".to_owned(),
            5 => format!("\"status\":{}", [100, 200, 408][bytes as usize % 3]),
            _ => "\"fin\":true".to_owned(),
        };
        format!("{{\"at_s\":{at},{body}}}")
    }
}

proptest! {
    #[test]
    fn any_record_sends_as_many_bytes_as_came(events in prop::collection::vec(event(), 0..20)) {
        let line = format!("{{\"connection\":1,\"opened_s\":0,\"events\":[{}]}}", events.join(","));
        let imported = read(&record(&line), None).expect("it is a record");
        let text = imported.scenario.to_toml();
        let read = Scenario::from_toml("imported", &text);
        prop_assert_eq!(read.as_ref(), Ok(&imported.scenario), "{}", text);
        let sent: u64 = imported.scenario.clients[0].steps.iter().map(|step| match step {
            Step::Send(send) => send.len(),
            _ => 0,
        }).sum();
        prop_assert_eq!(sent, imported.connections[0].bytes_in, "{}\n{}", line, text);
    }
}
