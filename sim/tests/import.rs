//! `hangup import`: what was recorded comes back as a scenario with the same verdict, wherever and however it was captured.

#[path = "import/captures.rs"]
mod captures;
#[path = "import/cases.rs"]
mod cases;
#[path = "import/command.rs"]
mod command;
#[path = "import/flight.rs"]
mod flight;
#[path = "import/secrets.rs"]
mod secrets;

use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::import::{Choice, Imported, import};
use hangup::incident;
use hangup::report::pcap;
use hangup::run::Detail;
use hangup::server;
use hangup_scenario::Scenario;
use std::sync::Arc;

fn judged(scenario: &Arc<Scenario>, server: &str) -> Cell {
    let server = server::named(server).expect("a built-in server");
    Cell::of(Engine::Leap, scenario, &*server, Detail::WHOLE)
}

fn imported(capture: &[u8]) -> Imported {
    import(capture, &Choice::default()).expect("it is a capture")
}

/// What comes of a capture of this run, judged by the contract that was there too: no packet tells of that.
fn again(cell: &Cell, server: &str) -> (Imported, Cell) {
    let imported = imported(&pcap::capture(&cell.run.packets));
    let mut scenario = imported.scenario.clone();
    scenario.contract = cell.scenario.contract;
    scenario.network.rst = cell.scenario.network.rst;
    let text = scenario.to_toml();
    let read = Scenario::from_toml("imported", &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(read, scenario, "{text}");
    let cell = judged(&Arc::new(read), server);
    (imported, cell)
}

const SERVER_EVENT: &str = "no packet says that the server was told to shut down";
const ONE_FIN: &str = "a FIN is the same of a client that closes and of one that still reads, where the server sends nothing more";

const UNSENT: &str = "what had not left the client when the reset came is in no packet";

/// Incidents of which a capture does not have what decides them, and what that is.
const DIFFERENT: [(&str, &str, &str); 5] = [
    ("early-reply-erased", "hyper-timeouts", UNSENT),
    ("half-close-after-request", "hyper-timeouts", ONE_FIN),
    ("half-close-slow-handler", "hyper-timeouts", ONE_FIN),
    ("shutdown-body", "hyper-timeouts", SERVER_EVENT),
    ("shutdown-expect", "hyper-timeouts", SERVER_EVENT),
];

#[test]
fn every_incident_has_the_same_verdict_after_a_round_trip() {
    let mut wrong = Vec::new();
    for incident in incident::all() {
        for server in ["hangup", "hyper-timeouts"] {
            let cell = judged(incident, server);
            let (imported, again) = again(&cell, server);
            let is = cell.verdict() == again.verdict();
            let listed = DIFFERENT
                .iter()
                .any(|(name, of, _)| *name == incident.name && *of == server);
            if is == listed {
                let reason = DIFFERENT.iter().find(|(name, ..)| *name == incident.name);
                wrong.push(format!(
                    "{} on {server}: {} became {} ({reason:?})\n{}",
                    incident.name,
                    cell.verdict(),
                    again.verdict(),
                    imported.scenario.to_toml()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n\n"));
}
