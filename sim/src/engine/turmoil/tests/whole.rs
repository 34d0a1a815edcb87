//! Whole runs of this engine, and the order of their facts.

use super::{LATENCY, plain, seconds};
use crate::cell::Cell;
use crate::contract::Contract;
use crate::engine::Engine;
use crate::engine::turmoil::plan::{GRACE, Plan};
use crate::engine::turmoil::{journal, simulation};
use crate::ledger::Ledger;
use crate::run::{Detail, Outlook};
use crate::server::{Server, Serving, Shutdown, UNCLAIMED};
use crate::trace::{Clock, Recorder};
use crate::transport;
use hangup_network::{ConnectionId, Event, Side};
use hangup_scenario::Scenario;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Accepts one connection, and lets its task panic or wait.
#[derive(Debug)]
struct Once {
    panics: bool,
}

impl Server for Once {
    fn name(&self) -> &str {
        "once"
    }

    fn about(&self) -> &str {
        "accepts one connection"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn serve(&self, mut listener: transport::Listener, _: Shutdown) -> Serving {
        let panics = self.panics;
        Box::pin(async move {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    assert!(!panics, "as it is told to");
                    let _stream = stream;
                    pending::<()>().await
                });
            }
        })
    }
}

fn judged(scenario: Scenario, panics: bool) -> Cell {
    let detail = Detail {
        timeline: true,
        ..Detail::default()
    };
    Cell::of(
        Engine::Turmoil,
        &Arc::new(scenario),
        &Once { panics },
        detail,
    )
}

#[test]
fn a_run_ends_sensibly_where_a_server_hangs_and_where_it_has_ended() {
    let cell = judged(plain(), false);
    let kinds: Vec<&str> = cell
        .findings
        .iter()
        .map(|finding| finding.kind.name())
        .collect();
    assert_eq!(kinds, ["hung", "deaf"], "{:?}", cell.findings);
    let [first, ..] = &cell.run.connections[..] else {
        panic!("the client connected")
    };
    assert_eq!(cell.run.outlook(first), Outlook::Unproven);
    assert!(!cell.findings[0].never_ends);
    // Opened after three latencies, hung after 75 s, watched for ten minutes more, and then the fresh client is refused.
    let opened = Duration::from_millis(3 * LATENCY);
    assert_eq!(cell.findings[0].at, opened + UNCLAIMED.stall);
    let end = opened + UNCLAIMED.stall + GRACE;
    assert!(cell.run.search.from >= end && cell.run.search.from < end + seconds(1));
    assert_eq!(cell.run.life.returned, Some(opened));
    assert!(cell.run.timeline.is_sorted_by_key(|entry| entry.at));
}

#[test]
fn where_a_task_panics_the_walk_ends_and_says_so() {
    let cell = judged(plain(), true);
    assert!(cell.findings.is_empty(), "{:?}", cell.findings);
    assert!(
        cell.run
            .caveats
            .iter()
            .any(|caveat| caveat.contains("panicked"))
    );
}

#[test]
fn facts_come_in_the_order_of_time_whichever_host_ran_first() {
    journal::clear();
    let plan = Plan::of(&Arc::new(plain()), &UNCLAIMED);
    let mut sim = simulation(&plan);
    let event = |side| Event::Closed {
        by: side,
        reset: false,
    };
    for (name, side, delay) in [("one", Side::Client, 15), ("two", Side::Server, 5)] {
        sim.client(name, async move {
            sleep(Duration::from_millis(delay)).await;
            journal::note(ConnectionId(1), event(side), &[]);
            Ok(())
        });
    }
    sim.run().expect("neither host fails");
    let ledger = Ledger::new(UNCLAIMED, &plain().network);
    let mut recorder = Recorder::new(Clock::Turmoil, ledger, Detail::default());
    assert!(journal::hand_over(&mut recorder));
    let connection = &recorder.ledger.connections()[0];
    assert_eq!(
        connection.server_closed,
        Some((Duration::from_millis(5), false))
    );
    assert_eq!(connection.client_closed, Some(Duration::from_millis(15)));
    assert!(!journal::hand_over(&mut recorder));
}
