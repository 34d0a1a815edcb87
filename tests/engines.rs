//! Two network models, one verdict: a difference between engines is a defect of the test bed, never of the server.

use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::ledger::Connection;
use hangup::run::Detail;
use hangup::server::Server;
use hangup::{incident, server};
use hangup_scenario::{Scenario, Step, Verdict};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Servers whose defect the turmoil engine cannot see, and why.
const UNSEEN: [(&str, &str); 1] = [(
    "canary-task-leak",
    "what stays behind is a task without a socket, and this engine sees sockets only",
)];

/// Incidents that turmoil tells otherwise, and why.
const TOLD_OTHERWISE: [(&str, &str); 1] = [(
    "vanish-mid-response",
    "TCP gives up a peer that acknowledges nothing; on turmoil nobody is told",
)];

/// A server and an incident that turmoil tells otherwise, and why.
const APART: [(&str, &str, &str); 1] = [(
    "canary-drain-no-clock",
    "vanish-mid-body",
    "it waits for a client that has vanished, whom TCP gives up at last; on turmoil nobody does",
)];

/// What spins keeps a walked clock from moving, and without an account of tasks nothing can end such a run.
const FREEZES: [&str; 1] = ["canary-busy-at-eof"];

fn unseen(server: &dyn Server) -> bool {
    UNSEEN.iter().any(|(name, _)| *name == server.name())
}

fn servers() -> Vec<Arc<dyn Server>> {
    server::built_in()
        .into_iter()
        .chain(server::canaries())
        .filter(|server| !FREEZES.contains(&server.name()))
        .collect()
}

fn judged(engine: Engine, scenario: &Arc<Scenario>, server: &dyn Server) -> Cell {
    Cell::of(engine, scenario, server, Detail::default())
}

/// Does the time that a segment takes depend on more than the latency?
fn unsteady(scenario: &Scenario) -> bool {
    let mut steps = scenario.clients.iter().flat_map(|client| &client.steps);
    let changes = steps.any(|step| matches!(step, Step::Network(_)));
    changes || !scenario.network.jitter.is_zero() || scenario.network.loss > 0.0
}

/// Works on every pair of an incident and a server, on all cores.
fn on_every_pair<R: Send>(
    work: impl Fn(&Arc<Scenario>, &dyn Server) -> Option<R> + Sync,
) -> Vec<R> {
    let (incidents, servers) = (incident::all(), servers());
    let next = AtomicUsize::new(0);
    let worker = || {
        let pairs = incidents.len() * servers.len();
        let taken = std::iter::from_fn(|| {
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|pair| *pair < pairs)
        });
        taken
            .filter_map(|pair| {
                let (incident, server) = (pair / servers.len(), pair % servers.len());
                work(&incidents[incident], &*servers[server])
            })
            .collect::<Vec<R>>()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|part| part.expect("no run panics")).collect()
    })
}

/// What both engines must see of a connection, to the millisecond.
fn facts(connection: &Connection) -> impl PartialEq + std::fmt::Debug + use<> {
    let responses: Vec<(u16, Duration)> = connection
        .responses
        .list
        .iter()
        .map(|response| (response.status, response.at))
        .collect();
    (
        (connection.client, connection.probe),
        (connection.opened, connection.accepted),
        (connection.server_shutdown, connection.server_closed),
        (connection.bytes_in, connection.bytes_out, responses),
    )
}

#[test]
fn every_incident_has_the_same_verdict_on_both_engines() {
    let differences = on_every_pair(|incident, server| {
        let leap = judged(Engine::Leap, incident, server);
        let canary = server::canaries()
            .iter()
            .any(|canary| canary.name() == server.name());
        // What a canary does where it is healthy, its twin and the built-in servers do as well.
        let otherwise = TOLD_OTHERWISE
            .iter()
            .any(|(name, _)| *name == incident.name)
            || APART
                .iter()
                .any(|(name, story, _)| (*name, *story) == (server.name(), &*incident.name));
        // Nothing happens to a server there.
        let happens = !incident.server_events.is_empty();
        if otherwise || happens || unseen(server) || (canary && leap.verdict() == Verdict::Clean) {
            return None;
        }
        let turmoil = judged(Engine::Turmoil, incident, server);
        let pair = format!("{} x {}", incident.name, server.name());
        if leap.verdict() != turmoil.verdict() {
            return Some(format!(
                "{pair}: {} on leap, {} on turmoil",
                leap.verdict(),
                turmoil.verdict()
            ));
        }
        // No message is late there: where the network makes some so, only what comes of it can be compared.
        if unsteady(incident) {
            return None;
        }
        // The fresh client comes when the walk is over, which is earlier here.
        let seen = |cell: &Cell| {
            let of_clients = cell.run.connections.iter().filter(|one| !one.probe);
            of_clients.map(facts).collect::<Vec<_>>()
        };
        let (one, other) = (seen(&leap), seen(&turmoil));
        let first = one.iter().zip(&other).find(|(one, other)| one != other);
        match first {
            Some((one, other)) => Some(format!("{pair}: leap {one:?}, turmoil {other:?}")),
            None if one.len() != other.len() => Some(format!("{pair}: more connections")),
            None => None,
        }
    });
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Servers that die and are started again, while clients are at work and after it. Times are whole ticks.
const DEATHS: [&str; 4] = [
    r#"
    [[client]]
    steps = [
        { do = "connect" },
        { do = "send", head = { method = "POST", target = "/echo", length = 10 } },
        { do = "send", body = 3 },
        { do = "await", eof = true, within = "10s" },
        { do = "reconnect", after = "1s" },
        { do = "stall", for = "1s" },
    ]
    [[server_event]]
    at = "3s"
    do = "crash"
    "#,
    r#"
    [[client]]
    count = 3
    stagger = "20ms"
    steps = [
        { do = "connect" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "2s" },
        { do = "stall", for = "5s" },
        { do = "reconnect", after = "20ms" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "2s" },
    ]
    [[server_event]]
    at = "4s"
    do = "restart"
    "#,
    r#"
    [[client]]
    steps = [ { do = "connect" }, { do = "send", bytes = "GET / HT" }, { do = "stall", for = "8s" }, { do = "reconnect", after = "0s" } ]
    [[server_event]]
    at = "2s"
    do = "crash"
    [[server_event]]
    at = "4s"
    do = "crash"
    [[server_event]]
    at = "6s"
    do = "restart"
    "#,
    r#"
    [[client]]
    steps = [ { do = "connect" }, { do = "stall", for = "1s" } ]
    [[server_event]]
    at = "500ms"
    do = "restart"
    [[server_event]]
    at = "3s"
    do = "crash"
    "#,
];

#[test]
fn a_server_that_dies_has_the_same_verdict_on_both_engines() {
    // How each connection came out: reached the server, was answered, and was ended by the server's host at this time.
    let ends = |cell: &Cell| -> Vec<_> {
        let of_clients = cell.run.connections.iter().filter(|one| !one.probe);
        of_clients
            .map(|one| {
                let statuses: Vec<u16> = one.responses.list.iter().map(|it| it.status).collect();
                (one.stillborn, one.accepted, statuses, one.server_closed)
            })
            .collect()
    };
    let mut served_again = 0;
    for (number, steps) in DEATHS.iter().enumerate() {
        let scenario = hangup_tests::scenario(&format!("name = \"death-{number}\"\n{steps}"));
        for server in server::built_in()
            .iter()
            .chain([&server::named("twin").expect("it is there")])
        {
            let [leap, turmoil] =
                [Engine::Leap, Engine::Turmoil].map(|engine| judged(engine, &scenario, &**server));
            let pair = format!("death {number} x {}", server.name());
            assert_eq!(
                leap.verdict(),
                turmoil.verdict(),
                "{pair}: {:?} {:?}",
                leap.findings,
                turmoil.findings
            );
            assert_eq!(ends(&leap), ends(&turmoil), "{pair}");
            assert_eq!(leap.run.life.down, turmoil.run.life.down, "{pair}");
            let answered = turmoil
                .run
                .connections
                .iter()
                .filter(|one| one.responses.finals > 0);
            served_again += usize::from(answered.count() > 3);
            let caveats = turmoil.run.caveats.join("\n");
            assert!(caveats.contains("a process that dies"), "{caveats}");
        }
    }
    assert!(served_again > 0, "after a restart clients are served");
}

#[test]
fn what_turmoil_cannot_see_is_still_so() {
    for (name, why) in UNSEEN {
        let server = server::named(name).unwrap_or_else(|| panic!("no server {name}"));
        let blind = incident::all().iter().any(|incident| {
            let [leap, turmoil] =
                [Engine::Leap, Engine::Turmoil].map(|engine| judged(engine, incident, &*server));
            leap.verdict() != Verdict::Clean && turmoil.verdict() == Verdict::Clean
        });
        assert!(blind, "{name} can be compared now: {why}");
    }
}

#[test]
fn what_turmoil_tells_otherwise_is_still_so() {
    for (name, why) in TOLD_OTHERWISE {
        let incident = incident::named(name).unwrap_or_else(|| panic!("no incident {name}"));
        let server = server::named("hyper-timeouts").expect("it is built in");
        let [leap, turmoil] =
            [Engine::Leap, Engine::Turmoil].map(|engine| judged(engine, &incident, &*server));
        assert_eq!(
            (leap.verdict(), turmoil.verdict()),
            (Verdict::Late, Verdict::Hung),
            "{name}: {why}"
        );
    }
}

#[test]
fn a_hang_on_turmoil_is_not_called_proved_and_the_cut_is_told() {
    let incident = incident::named("fasthttp-1834").expect("it is in the book");
    let server = server::named("hyper-timeouts").expect("it is built in");
    let cell = judged(Engine::Turmoil, &incident, &*server);
    let finding = &cell.findings[0];
    assert_eq!(
        (finding.kind, finding.never_ends),
        (Verdict::Hung, false),
        "{}",
        finding.says
    );
    // Ten minutes past its deadline, not 29 hours.
    let alive = finding.alive_for.expect("it holds a connection");
    assert!(alive > Duration::from_secs(600) && alive < Duration::from_secs(900));
    let caveats = cell.run.caveats.join("\n");
    assert!(caveats.contains("29h 17m"), "{caveats}");
    assert!(caveats.contains("without a proof"), "{caveats}");
    assert!(
        cell.replay().ends_with("--engine turmoil"),
        "{}",
        cell.replay()
    );
}

const CHILD: &str = "HANGUP_TESTS_PRINT_TURMOIL_HASHES";

/// Trace hashes of what takes little time and moves many bytes or clients.
fn hashes() -> Vec<String> {
    let mut hashes = Vec::new();
    for name in [
        "fasthttp-1834-storm",
        "reset-mid-body",
        "half-close-mid-body",
        "response-never-read",
    ] {
        let incident = incident::named(name).unwrap_or_else(|| panic!("no incident {name}"));
        for server in server::built_in() {
            let cell = judged(Engine::Turmoil, &incident, &*server);
            hashes.push(format!(
                "hash {} {name} = {:016x}",
                server.name(),
                cell.run.hash
            ));
        }
    }
    hashes
}

/// Not a test of its own: what the fresh process of the test below runs.
#[test]
fn print_hashes() {
    if std::env::var_os(CHILD).is_some() {
        for line in hashes() {
            println!("{line}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_twice_and_in_a_fresh_process() {
    let here = hashes();
    assert_eq!(here, hashes());
    let program = std::env::current_exe().expect("this test has a path");
    let output = Command::new(program)
        .args(["print_hashes", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("this test's own program can be started");
    let text = String::from_utf8(output.stdout).expect("hashes are ASCII");
    let there: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("hash "))
        .collect();
    assert!(here.len() >= 20);
    assert_eq!(here, there);
}
