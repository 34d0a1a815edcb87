//! What depends on the order of a `HashMap` or on the time of day is convicted, and acquitted where both are sealed.

#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use hangup::campaign::fuzz::{Plan, fuzz};
use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::incident;
use hangup::run::Detail;
use hangup::server::{self, Server, Serving, Shutdown, UNCLAIMED};
use hangup::transport::Listener;
use hangup_scenario::{Scenario, Verdict};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

const CANARIES: [&str; 2] = ["canary-hash-order", "canary-wall-clock"];

const TOLD: Detail = Detail {
    stacks: false,
    ..Detail::TOLD
};

fn asks_once() -> Arc<Scenario> {
    hangup_tests::scenario(
        r#"
        name = "asks-once"
        [[client]]
        steps = [
            { do = "connect" },
            { do = "send", head = { method = "GET", target = "/" } },
            { do = "await", status = "final", within = "2s" },
        ]
        "#,
    )
}

#[test]
fn a_seal_acquits_both_canaries_of_everything() {
    for name in CANARIES {
        let canary = server::named(name).expect("it is built in");
        for incident in incident::all() {
            let sealed = Cell::twice(Engine::Sealed, incident, &*canary, Detail::default());
            assert_eq!(sealed.verdict(), Verdict::Clean, "{name} {}", incident.name);
            assert!(sealed.run.sealed);
        }
        let plan = Plan {
            seed: 1,
            cases: 2_000,
            jobs: 2,
            shard: Default::default(),
            keep_going: false,
        };
        let (totals, convictions) = fuzz(Engine::Sealed, &*canary, plan, |_| {});
        assert_eq!((totals.cases, convictions.len()), (2_000, 0), "{name}");
    }
}

#[test]
fn the_first_event_that_differs_is_shown_with_its_task() {
    for name in CANARIES {
        let canary = server::named(name).expect("it is built in");
        for told in [TOLD, Detail::default()] {
            let cell = Cell::twice(Engine::Leap, &asks_once(), &*canary, told);
            let [finding] = &cell.findings[..] else {
                panic!("{name}: {:?}", cell.findings)
            };
            assert_eq!(finding.kind, Verdict::Nondeterministic);
            assert_eq!(finding.connection, Some(1));
            // The handshake and the request's way are three latencies of 20 ms, the response's is one more.
            assert_eq!(finding.at, Duration::from_millis(80), "{}", finding.says);
            let task = finding.task.as_ref().expect("the connection has a task");
            assert!(
                task.spawned_at
                    .starts_with("sim/src/server/canary/twin.rs:"),
                "{}",
                task.spawned_at
            );
            assert!(
                finding.says.contains("with other bytes the second time")
                    && finding.says.contains(&task.spawned_at),
                "{}",
                finding.says
            );
        }
    }
}

#[test]
fn a_seal_changes_nothing_for_who_needs_none() {
    for server in server::built_in() {
        for incident in incident::all() {
            let [open, sealed] = [Engine::Leap, Engine::Sealed]
                .map(|engine| Cell::of(engine, incident, &*server, Detail::default()));
            assert_eq!(
                open.run.hash,
                sealed.run.hash,
                "{} {}",
                server.name(),
                incident.name
            );
            assert_eq!(open.verdict(), sealed.verdict());
        }
    }
}

/// What std's and tokio's clocks have shown since the server began, at each connection.
type Readings = Arc<Mutex<Vec<[Duration; 3]>>>;

/// Accepts, reads three clocks, and closes.
#[derive(Debug, Default)]
struct Clocks(Readings);

impl Server for Clocks {
    fn name(&self) -> &str {
        "clocks"
    }

    fn about(&self) -> &str {
        "reads clocks"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn serve(&self, mut listener: Listener, _: Shutdown) -> Serving {
        let readings = Arc::clone(&self.0);
        Box::pin(async move {
            let (start, today, simulated) = (
                Instant::now(),
                SystemTime::now(),
                tokio::time::Instant::now(),
            );
            // std's and tokio's instants are of one clock.
            assert_eq!(simulated.into_std(), start);
            while listener.accept().await.is_ok() {
                let passed = today.elapsed().expect("the clock was not set back");
                let reading = [start.elapsed(), passed, simulated.elapsed()];
                readings
                    .lock()
                    .expect("nobody panics with it")
                    .push(reading);
            }
        })
    }
}

#[test]
fn the_clocks_of_std_follow_the_simulated_one() {
    let scenario = hangup_tests::scenario(
        r#"
        name = "two-visits"
        [[client]]
        steps = [ { do = "connect" }, { do = "reconnect", after = "29h 17m" } ]
        "#,
    );
    let server = Clocks::default();
    Cell::of(Engine::Sealed, &scenario, &server, Detail::default());
    let readings = server.0.lock().expect("the run is over");
    assert!(readings.len() >= 2, "{readings:?}");
    for [instant, system, simulated] in readings.iter() {
        assert_eq!((instant, system), (simulated, simulated));
    }
    assert!(readings[1][0] > Duration::from_secs(29 * 3600));
}
