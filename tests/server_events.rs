//! What happens to a server while its clients are at work: shutdown, crash, restart, and what the oracles make of it.

use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::life::Down;
use hangup::run::Detail;
use hangup::server::{self, Server, Serving, Shutdown, UNCLAIMED};
use hangup::transport::Listener;
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::scenario;
use std::sync::Arc;
use std::time::Duration;

/// Every server that shuts down gracefully within a bound of its own.
const GRACEFUL: [&str; 4] = ["hangup", "twin", "hyper", "hyper-timeouts"];

/// A server that has no graceful shutdown: it accepts, and that is all.
struct Mute;

impl Server for Mute {
    fn name(&self) -> &str {
        "mute"
    }

    fn about(&self) -> &str {
        "accepts and says nothing"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn speaks_http(&self) -> bool {
        false
    }

    fn serve(&self, mut listener: Listener, _: Shutdown) -> Serving {
        Box::pin(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        })
    }
}

fn judged(scenario: &Arc<Scenario>, name: &str) -> Cell {
    let detail = Detail {
        timeline: true,
        ..Detail::default()
    };
    match server::named(name) {
        Some(server) => Cell::of(Engine::Leap, scenario, &*server, detail),
        None => Cell::of(Engine::Leap, scenario, &Mute, detail),
    }
}

fn with_events(steps: &str, events: &[(&str, &str)]) -> Arc<Scenario> {
    let mut text =
        format!("name = \"events\"\n[[client]]\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n");
    for (at, what) in events {
        text += &format!("[[server_event]]\nat = \"{at}\"\ndo = \"{what}\"\n");
    }
    scenario(&text)
}

fn statuses(cell: &Cell) -> Vec<u16> {
    let list = &cell.run.connections[0].responses.list;
    list.iter().map(|response| response.status).collect()
}

fn told(cell: &Cell, what: &str) -> bool {
    cell.run
        .timeline
        .iter()
        .any(|line| line.text.contains(what))
}

const SLOW: &str = r#"{ do = "send", head = { method = "GET", target = "/slow/3000" } }, { do = "await", status = "final", within = "9s" },
    { do = "await", eof = true, within = "9s" }"#;

#[test]
fn a_graceful_shutdown_answers_what_is_under_way_and_takes_nothing_more() {
    for server in GRACEFUL {
        let steps = format!("{SLOW}, {{ do = \"reconnect\" }}");
        let cell = judged(&with_events(&steps, &[("1s", "shutdown")]), server);
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{server}: {:?}",
            cell.findings
        );
        assert_eq!(statuses(&cell), [200], "{server}");
        let [shutdown] = &cell.run.life.shutdowns[..] else {
            panic!("{server}: one shutdown")
        };
        let ended = shutdown.ended.expect("it returned");
        assert!(
            ended >= Duration::from_secs(3) && ended < Duration::from_secs(6),
            "{server}: {ended:?}"
        );
        assert_eq!(cell.run.life.down, Some(Down::Dead), "{server}");
        assert!(cell.run.connections[1].stillborn, "{server}: refused");
    }
}

#[test]
fn an_idle_connection_is_closed_at_once() {
    let steps = r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" },
        { do = "await", eof = true, within = "20s" }, { do = "close" }"#;
    for server in GRACEFUL {
        let cell = judged(&with_events(steps, &[("5s", "shutdown")]), server);
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{server}: {:?}",
            cell.findings
        );
        let closed = cell.run.connections[0].released.expect("it is gone");
        assert!(closed < Duration::from_secs(6), "{server}: {closed:?}");
    }
}

#[test]
fn a_shutdown_that_takes_too_long_is_told_with_what_it_waits_for() {
    let mut slow = with_events(SLOW, &[("1s", "shutdown")]);
    Arc::make_mut(&mut slow).contract.shutdown = Some(Duration::from_secs(1));
    let cell = judged(&slow, "twin");
    let finding = &cell.findings[0];
    assert_eq!(finding.kind, Verdict::StuckShutdown, "{finding:?}");
    let says = &finding.says;
    assert!(
        says.contains("connection 1 (handler), and it took 4.26 s"),
        "{says}"
    );

    // The same of a connection on which nothing is under way, for a server that forgets to tell it.
    let silent = with_events(
        r#"{ do = "stall", for = "5s" }, { do = "send", bytes = "GET / HT" }"#,
        &[("1s", "shutdown")],
    );
    assert_eq!(judged(&silent, "twin").verdict(), Verdict::Clean);
    let cell = judged(&silent, "canary-patient-shutdown");
    assert_eq!(
        cell.verdict(),
        Verdict::StuckShutdown,
        "{:?}",
        cell.findings
    );
}

#[test]
fn a_server_without_a_graceful_shutdown_dies_at_once() {
    let cell = judged(&with_events(SLOW, &[("1s", "shutdown")]), "mute");
    assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
    assert_eq!(cell.run.life.down, Some(Down::Dead));
    assert!(cell.run.life.shutdowns.is_empty());
    assert_eq!(cell.run.connections[0].killed, Some(Duration::from_secs(1)));
}

#[test]
fn a_crash_cuts_everything_and_nobody_is_to_blame() {
    for server in GRACEFUL {
        let cell = judged(&with_events(SLOW, &[("1s", "crash")]), server);
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{server}: {:?}",
            cell.findings
        );
        let first = &cell.run.connections[0];
        let second = Duration::from_secs(1);
        assert_eq!((first.killed, first.released), (Some(second), Some(second)));
        assert_eq!(first.server_closed, Some((second, false)));
        assert!(
            told(&cell, "crashes") && !told(&cell, "fresh client"),
            "{server}"
        );
    }
}

#[test]
fn what_is_started_again_serves_again() {
    let steps = format!(
        r#"{{ do = "send", bytes = "GET / HT" }}, {{ do = "stall", for = "2s" }}, {{ do = "reconnect" }}, {SLOW}, {{ do = "close" }}"#
    );
    for server in GRACEFUL {
        for events in [
            &[("1s", "crash"), ("1500ms", "restart")][..],
            &[("1s", "restart")],
        ] {
            let cell = judged(&with_events(&steps, events), server);
            assert_eq!(
                cell.verdict(),
                Verdict::Clean,
                "{server}: {:?}",
                cell.findings
            );
            assert_eq!(cell.run.life.down, None);
            let second = &cell.run.connections[1];
            assert_eq!(second.responses.list[0].status, 200, "{server}");
            let probe = cell.run.connections.last().expect("the fresh client's");
            assert!(probe.probe && probe.responses.complete == 1, "{server}");
        }
    }
}

#[test]
fn without_its_listening_socket_a_server_keeps_its_connections() {
    for server in GRACEFUL {
        let steps = format!("{{ do = \"stall\", for = \"2s\" }}, {SLOW}, {{ do = \"reconnect\" }}");
        let cell = judged(&with_events(&steps, &[("1s", "stop_accepting")]), server);
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{server}: {:?}",
            cell.findings
        );
        assert_eq!(statuses(&cell), [200], "{server}");
        assert!(cell.run.connections[1].stillborn, "{server}: refused");
    }
}

#[test]
fn a_failed_accept_is_waited_out() {
    let steps = r#"{ do = "stall", for = "1s" }, { do = "reconnect" }, { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "5s" }, { do = "close" }"#;
    for server in GRACEFUL {
        let cell = judged(&with_events(steps, &[("500ms", "accept_error")]), server);
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{server}: {:?}",
            cell.findings
        );
        assert_eq!(cell.run.connections[1].responses.complete, 1, "{server}");
    }
}

#[test]
fn a_panic_is_a_line_of_the_timeline_and_ends_its_connection_alone() {
    let steps = r#"{ do = "stall", for = "1s" }, { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", eof = true, within = "5s" }, { do = "close" }"#;
    for server in GRACEFUL {
        let cell = judged(&with_events(steps, &[("500ms", "handler_panic")]), server);
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{server}: {:?}",
            cell.findings
        );
        assert!(
            told(&cell, "a task panicked at sim/src/server/app.rs:"),
            "{server}"
        );
        assert!(cell.run.connections[0].panicked.is_some(), "{server}");
    }
}

#[test]
fn events_are_the_same_in_every_run() {
    let all = [
        ("500ms", "handler_panic"),
        ("700ms", "accept_error"),
        ("1s", "shutdown"),
        ("2s", "restart"),
        ("3s", "crash"),
        ("3s", "restart"),
        ("4s", "stop_accepting"),
    ];
    let steps = format!("{SLOW}, {{ do = \"reconnect\" }}, {SLOW}");
    for server in GRACEFUL {
        let [one, other] = [0; 2].map(|_| judged(&with_events(&steps, &all), server));
        assert_eq!(one.run.hash, other.run.hash, "{server}");
    }
}

#[test]
fn a_panic_that_no_client_came_to_is_not_the_fresh_clients() {
    for server in GRACEFUL {
        let events = [("50ms", "restart"), ("5s", "handler_panic")];
        let cell = judged(&with_events("{ do = \"close\" }", &events), server);
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{server}: {:?}",
            cell.findings
        );
    }
}

#[test]
fn a_request_may_cross_the_signal_to_shut_down() {
    let steps = r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "close" }"#;
    for server in GRACEFUL {
        for at in ["59ms", "60ms", "61ms"] {
            let cell = judged(&with_events(steps, &[(at, "shutdown")]), server);
            assert_eq!(
                cell.verdict(),
                Verdict::Clean,
                "{server} {at}: {:?}",
                cell.findings
            );
        }
    }
}

#[test]
fn a_panic_is_for_the_process_that_lives_not_for_what_is_left_of_a_dead_one() {
    // The dead process still has a request in hand, and another behind it, when the panic falls due.
    let steps = r#"{ do = "send", head = { method = "GET", target = "/slow/3000" } }, { do = "send", head = { method = "GET", target = "/" } },
        { do = "stall", for = "6s" }, { do = "reconnect" }, { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "2s" }"#;
    let events = [
        ("1s", "crash"),
        ("2s", "restart"),
        ("2500ms", "handler_panic"),
    ];
    let cell = judged(&with_events(steps, &events), "hangup");
    assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
    let second = &cell.run.connections[1].responses.list;
    assert_eq!(
        second
            .iter()
            .map(|response| response.status)
            .collect::<Vec<_>>(),
        [500]
    );
}
