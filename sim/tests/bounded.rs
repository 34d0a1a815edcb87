//! No server holds the test bed up: one that blocks its thread, and one that is never done.

use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::run::Detail;
use hangup::server::{Server, Serving, Shutdown, UNCLAIMED};
use hangup::transport::Listener;
use hangup_scenario::Scenario;
use std::env;
use std::process::Command;
use std::sync::Arc;
use std::thread::park;
use std::time::Duration;
use tokio::time::sleep;

struct Odd {
    name: &'static str,
    serve: fn(Listener) -> Serving,
}

impl Server for Odd {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        "a server that would hold the test bed up"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn serve(&self, listener: Listener, _: Shutdown) -> Serving {
        (self.serve)(listener)
    }
}

fn judged(server: &Odd) -> Cell {
    let text = r#"
        name = "stays"
        [[client]]
        steps = [ { do = "connect" }, { do = "stall", for = "3h" } ]
    "#;
    let scenario = Scenario::from_toml("stays", text).expect("it is one");
    Cell::of(Engine::Leap, &Arc::new(scenario), server, Detail::default())
}

/// Set for the process that is to be stopped.
const CHILD: &str = "HANGUP_TEST_BLOCKS";

#[test]
fn a_server_that_blocks_its_thread_ends_the_process_with_a_line_that_says_so() {
    if env::var_os(CHILD).is_some() {
        judged(&Odd {
            name: "blocks",
            serve: |mut listener| {
                Box::pin(async move {
                    let _held = listener.accept().await;
                    loop {
                        park();
                    }
                })
            },
        });
        unreachable!("nobody wakes it");
    }
    let stopped = Command::new(env::current_exe().expect("it is this one"))
        .args([
            "--exact",
            "--nocapture",
            "a_server_that_blocks_its_thread_ends_the_process_with_a_line_that_says_so",
        ])
        .env(CHILD, "1")
        .env("HANGUP_PATIENCE", "1s")
        .output()
        .expect("it ran a moment ago");
    let said = String::from_utf8_lossy(&stopped.stderr);
    assert_eq!(stopped.status.code(), Some(1), "{said}");
    let line = "hangup: server blocks blocks its thread: in scenario stays (seed 1) one poll has taken over 1 s of wall time";
    assert!(said.contains(line), "{said}");
}

/// Keeps all connections, and wakes at these distances, in turn, in milliseconds.
fn ticks(mut listener: Listener, distances: &'static [u64]) -> Serving {
    Box::pin(async move {
        tokio::spawn(async {
            for distance in distances.iter().cycle() {
                sleep(Duration::from_millis(*distance)).await;
            }
        });
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    })
}

#[test]
fn a_server_that_wakes_every_millisecond_has_its_pauses_cut() {
    let cell = judged(&Odd {
        name: "ticks",
        serve: |listener| ticks(listener, &[1]),
    });
    let caveats = cell.run.caveats.join(" ");
    let cut =
        "the server repeats itself for ever, period 1 ms: pauses of up to 3h are cut to 2m 15s";
    assert!(caveats.contains(cut), "{caveats}");
    assert_eq!(cell.verdict(), hangup_scenario::Verdict::Hung);
}

#[test]
fn a_server_that_wakes_often_at_odd_times_is_not_followed_for_ever() {
    let cell = judged(&Odd {
        name: "ticks-oddly",
        serve: |listener| ticks(listener, &[1, 2]),
    });
    let caveats = cell.run.caveats.join(" ");
    assert!(caveats.contains("was polled 5000000 times"), "{caveats}");
    // What was past its deadline by then is told.
    assert_eq!(
        cell.verdict(),
        hangup_scenario::Verdict::Hung,
        "{:?}",
        cell.findings
    );
    assert!(!cell.findings[0].never_ends, "nothing was searched");
}
