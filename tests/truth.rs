//! One truth: what the simulation says of a server, kernel TCP says, too.

use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::healthy;
use hangup::incident;
use hangup::ledger::Connection;
use hangup::run::Detail;
use hangup::server::{self, Server};
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::{at_once, on_all_cores, scenario};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SERVERS: [&str; 3] = ["hangup", "hyper-timeouts", "axum"];

/// What differs, and why it must.
const DIFFERENCES: [(&str, &str, &str); 7] = [
    ("half-close-after-request", "hyper-timeouts", FIN_AT_ONCE),
    ("half-close-after-request", "axum", FIN_AT_ONCE),
    ("early-reply-erased", "hyper-timeouts", ERASED),
    ("early-reply-erased", "axum", ERASED),
    ("early-reply-expect", "hyper-timeouts", ERASED),
    ("early-reply-expect", "axum", ERASED),
    ("response-never-read", "hyper-timeouts", BUFFERED),
];

/// Incidents that kernel TCP on one machine cannot tell, and why.
const UNTOLD: [(&str, &str); 8] = [
    ("idle-race", "without latency no request crosses a close"),
    (
        "vanish-mid-body",
        "a client that says nothing more still reads",
    ),
    ("vanish-mid-response", "a peer that is there acknowledges"),
    (
        "events-client-vanishes",
        "a peer that is there answers keepalive probes",
    ),
    ("events-ticks-vanishes", "a peer that is there acknowledges"),
    (
        "download-past-the-age",
        "an hour and a half takes minutes, though time is 50 times faster",
    ),
    ("upgrade-silent", AN_HOUR),
    ("upgrade-vanishes", AN_HOUR),
];

const AN_HOUR: &str =
    "an upgraded connection may be silent for an hour, which takes more than a minute";

const FIN_AT_ONCE: &str = "hyper drops its response when it sees the FIN before it has answered. On leap request and FIN \
     arrive together. On the wire tokio reads a socket that was accepted just now before epoll has told it of the FIN, so that the \
     answer goes out first. Where the connection has stood for a moment it is lost there, too: see the test below";

const BUFFERED: &str = "loopback's segments of 64 KiB let the send queue take the whole million bytes: the server is done with the response, and its \
     timer for the next head ends the connection";

const ERASED: &str = "the incident is of a client whose stack erases what it has not read when a reset comes. Linux lets it be read";

/// The statuses that came, and the ends in their order.
type Course = (Vec<u16>, Vec<&'static str>);

/// What both networks must show of a connection: its statuses, and who let go of it in which order. A server that
/// answers a client that is gone has the RST back before it can shut down, where there is no latency: so its FIN and its
/// close count as one.
fn course(connection: &Connection) -> Course {
    let closed = connection.server_closed.map(|(at, _)| at);
    let mut ends = [
        ("server", connection.server_shutdown.or(closed)),
        ("client half-closes", connection.client_shutdown),
        ("client", connection.client_closed),
    ]
    .map(|(what, at)| at.map(|at| (at, what)));
    // Stable, so that what happens at one instant keeps this order.
    ends.sort_by_key(|end| end.map(|(at, _)| at));
    let responses = connection.responses.list.iter();
    (
        responses.map(|response| response.status).collect(),
        ends.into_iter().flatten().map(|(_, what)| what).collect(),
    )
}

/// The courses of the connections of each client.
fn courses(cell: &Cell) -> BTreeMap<u32, Vec<Course>> {
    let mut all: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for connection in &cell.run.connections {
        if let Some(client) = connection.client {
            all.entry(client).or_default().push(course(connection));
        }
    }
    all
}

/// What a run must have in common with the same run on the other network.
struct Seen {
    verdict: Verdict,
    courses: BTreeMap<u32, Vec<Course>>,
}

impl Seen {
    fn of(cell: &Cell) -> Self {
        Self {
            verdict: cell.verdict(),
            courses: courses(cell),
        }
    }
}

/// Says what is different, if anything is.
fn same(leap: &Seen, wire: &Cell) -> Result<(), String> {
    if leap.verdict != wire.verdict() {
        let says = wire.findings.first().map(|finding| &finding.says);
        return Err(format!(
            "{} on leap, {} on the wire ({says:?})",
            leap.verdict,
            wire.verdict()
        ));
    }
    let other = courses(wire);
    let mut clients = leap.courses.iter().zip(&other);
    match clients.find(|(one, other)| one != other) {
        Some((leap, wire)) => Err(format!("leap {leap:?}, wire {wire:?}")),
        None => Ok(()),
    }
}

fn servers() -> Vec<Arc<dyn Server>> {
    let named = |name| server::named(name).unwrap_or_else(|| panic!("no server {name}"));
    SERVERS.into_iter().map(named).collect()
}

/// How often the wire may be late: a machine under load is.
const TRIES: usize = 3;

/// So many runs that mostly wait go on at once: a server's whole incident book lasts as long as its longest incident.
const AT_ONCE: usize = 256;

/// A scenario and the server that it is run against.
type Pair = (Arc<Scenario>, Arc<dyn Server>);

/// Every one of these scenarios against every one of these servers.
fn pairs(scenarios: &[Arc<Scenario>], servers: &[Arc<dyn Server>]) -> Vec<Pair> {
    let scenarios = scenarios.iter();
    let each = scenarios.flat_map(|one| servers.iter().map(|server| (one.clone(), server.clone())));
    each.collect()
}

fn named((scenario, server): &Pair) -> String {
    format!("{} x {}", scenario.name, server.name())
}

fn run(engine: Engine, (scenario, server): &Pair) -> Cell {
    Cell::twice(engine, scenario, &**server, Detail::default())
}

/// Runs all of them over kernel TCP at once, and those of which `holds` is not true again, the last time one by one. For each the
/// run of which it is true, or else what the last one says.
fn on_the_wire(
    pairs: &[Pair],
    holds: impl Fn(usize, &Cell) -> Result<(), String> + Sync,
) -> Vec<Result<Cell, String>> {
    let mut told: Vec<Result<Cell, String>> = pairs.iter().map(|_| Err(String::new())).collect();
    for round in 1..=TRIES {
        let left: Vec<usize> = (0..pairs.len()).filter(|&one| told[one].is_err()).collect();
        let threads = if round == TRIES { 1 } else { AT_ONCE };
        let again = at_once(threads, &left, |&one| {
            let cell = run(Engine::Wire, &pairs[one]);
            holds(one, &cell).map(|()| cell)
        });
        for (one, said) in left.into_iter().zip(again) {
            told[one] = said;
        }
    }
    told
}

/// Is true of every pair on leap, and on the wire.
fn holds_on_both(pairs: &[Pair], holds: impl Fn(usize, &Cell) -> Result<(), String> + Sync) {
    for (place, pair) in pairs.iter().enumerate() {
        let said = holds(place, &run(Engine::Leap, pair));
        assert_eq!(said, Ok(()), "{} on leap", named(pair));
    }
    for (pair, said) in pairs.iter().zip(on_the_wire(pairs, holds)) {
        assert_eq!(said.map(drop), Ok(()), "{} on the wire", named(pair));
    }
}

/// Why this pair may differ, if it may.
fn known_difference((scenario, server): &Pair) -> Option<&'static str> {
    let known = DIFFERENCES
        .iter()
        .find(|(name, of, _)| *name == scenario.name && *of == server.name());
    known.map(|(_, _, why)| *why)
}

#[test]
fn every_incident_has_the_same_verdict_statuses_and_close_order_on_the_wire() {
    let told = |incident: &&Arc<Scenario>| UNTOLD.iter().all(|(name, _)| *name != incident.name);
    let incidents: Vec<_> = incident::all().iter().filter(told).cloned().collect();
    let pairs = pairs(&incidents, &servers());
    let leap = on_all_cores(&pairs, |pair| Seen::of(&run(Engine::Leap, pair)));
    let told = on_the_wire(&pairs, |place, wire| {
        match (same(&leap[place], wire), known_difference(&pairs[place])) {
            // What is known to differ needs no other try.
            (Err(says), Some(why)) => {
                println!("{}: {says}, since {why}", named(&pairs[place]));
                Ok(())
            }
            (said, _) => said,
        }
    });
    let differences = pairs.iter().zip(told).filter_map(|(pair, said)| {
        let says = said.err()?;
        Some(format!("{}: {says}", named(pair)))
    });
    let differences: Vec<String> = differences.collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_response_that_hyper_loses_on_leap_is_lost_on_the_wire_too() {
    let scenario = scenario(
        r#"
        name = "half-close-after-a-moment"
        seed = 1
        [[client]]
        steps = [
          { do = "connect" },
          { do = "stall", for = "500ms" },
          { do = "send", head = { method = "GET", target = "/" } },
          { do = "half_close" },
          { do = "await", eof = true, within = "10s" },
        ]
        "#,
    );
    holds_on_both(&pairs(&[scenario], &servers()[1..]), |_, cell| {
        let statuses = &courses(cell)[&0][0].0;
        said(statuses.is_empty(), || format!("{statuses:?}"))
    });
}

/// That, or what there is to say.
fn said(holds: bool, says: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(says()) }
}

/// What happens to the server, while this is what its client does.
const EVENTS: [(&str, &[(&str, &str)]); 6] = [
    (ASKS_AGAIN, &[("1s", "crash")]),
    (ASKS_AGAIN, &[("1s", "crash"), ("3s", "restart")]),
    (ASKS_AGAIN, &[("1s", "restart")]),
    (ASKS_AGAIN, &[("1s", "stop_accepting")]),
    (ASKS_AGAIN, &[("3s", "accept_error")]),
    (ASKS_AGAIN, &[("1s", "handler_panic")]),
];

/// Half a request before anything happens and half of it behind that; then another one on a new connection.
const ASKS_AGAIN: &str = r#"
    { do = "send", bytes = "GET / HTTP/1.1\r\n" }, { do = "stall", for = "2s" },
    { do = "send", bytes = "Host: a\r\n\r\n" }, { do = "await", status = "final", within = "1s" }, { do = "close" },
    { do = "reconnect", after = "2s" },
    { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "3s" }, { do = "close" }
"#;

#[test]
fn what_happens_to_a_server_has_the_same_end_on_the_wire() {
    let numbered = EVENTS.iter().enumerate();
    let scenarios = numbered.map(|(number, (steps, events))| {
        let mut text = format!(
            "name = \"event-{number}\"\nseed = 1\n[[client]]\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n"
        );
        for (at, what) in *events {
            text += &format!("[[server_event]]\nat = \"{at}\"\ndo = \"{what}\"\n");
        }
        scenario(&text)
    });
    let scenarios: Vec<_> = scenarios.collect();
    let fate = |cell: &Cell| {
        let of_client = cell.run.connections.iter().filter(|one| !one.probe);
        let fates = of_client.map(|one| (one.stillborn, one.accepted.is_some()));
        (cell.run.life.down, fates.collect::<Vec<_>>())
    };
    let pairs = pairs(&scenarios, &servers());
    let leap = on_all_cores(&pairs, |pair| {
        let cell = run(Engine::Leap, pair);
        (Seen::of(&cell), fate(&cell))
    });
    let told = on_the_wire(&pairs, |place, wire| {
        let (leap, fate_on_leap) = &leap[place];
        same(leap, wire)?;
        let fates = (fate_on_leap.clone(), fate(wire));
        said(fates.0 == fates.1, || format!("{fates:?}"))
    });
    let mut seen = Vec::new();
    for (pair, wire) in pairs.iter().zip(told) {
        let wire = wire.unwrap_or_else(|says| panic!("{}: {says}", named(pair)));
        let courses = &courses(&wire)[&0];
        seen.extend(courses.iter().map(|(statuses, _)| statuses.clone()));
    }
    // Served before and after, cut, refused, and the panic's own answer.
    for statuses in [&[200][..], &[], &[500]] {
        assert!(seen.iter().any(|one| one == statuses), "{seen:?}");
    }
}

#[test]
fn a_shutdown_that_is_stuck_is_stuck_on_the_wire_too() {
    let incident = incident::named("shutdown-body").expect("it is in the book");
    let server = server::named("hangup-article").expect("it is built in");
    holds_on_both(&[(incident, server)], |_, cell| {
        let mut findings = cell.findings.iter();
        let stuck = findings.find(|finding| finding.kind == Verdict::StuckShutdown);
        let named = stuck.is_some_and(|finding| finding.says.contains("connection 1 (body)"));
        said(named, || format!("{:?}", cell.findings))
    });
}

#[test]
fn a_healthy_client_is_never_cut() {
    let clients: Vec<_> = healthy::all().collect();
    let servers = servers();
    let scenarios: Vec<_> = clients.iter().map(|one| one.scenario.clone()).collect();
    holds_on_both(&pairs(&scenarios, &servers), |place, cell| {
        let clean = cell.verdict() == Verdict::Clean;
        said(clean, || format!("{:?}", cell.findings))?;
        let seen = &courses(cell)[&0];
        let statuses = &clients[place / servers.len()].statuses;
        let served = seen.len() == 1 && seen[0].0 == *statuses;
        said(served, || format!("{seen:?}"))
    });
}

/// Is true of our server over the wire.
fn holds_on_the_wire(
    scenario: &Arc<Scenario>,
    holds: impl Fn(&Connection) -> Result<(), String> + Sync,
) {
    let server = server::named("hangup").expect("it is ours");
    let pair = [(Arc::clone(scenario), server)];
    let said = on_the_wire(&pair, |_, cell| holds(&cell.run.connections[0])).remove(0);
    assert_eq!(said.map(drop), Ok(()), "{}", scenario.name);
}

#[test]
fn a_fin_is_not_the_release_and_a_reset_is_no_fin() {
    let silent = incident::named("fasthttp-1834").expect("it is in the book");
    holds_on_the_wire(&silent, |connection| {
        let (shut, closed) = (connection.server_shutdown, connection.server_closed);
        let lingers = match (shut, closed) {
            // For two seconds of the run.
            (Some(shut), Some((closed, false))) => closed > shut + Duration::from_secs(1),
            _ => false,
        };
        said(lingers, || {
            format!("our server lingers behind its FIN: {shut:?}, {closed:?}")
        })
    });

    let reset = incident::named("reset-mid-body").expect("it is in the book");
    holds_on_the_wire(&reset, |connection| {
        let gone = connection.client_gone.is_some() && connection.client_shutdown.is_none();
        // There is nobody to answer.
        let unanswered = connection.responses.list.is_empty();
        said(gone && unanswered, || format!("{connection:?}"))
    });
}

#[test]
fn what_lies_in_a_receive_queue_is_seen_though_nobody_reads_it_also_behind_a_reset() {
    let scenario = scenario(
        r#"
        name = "never-read"
        seed = 1
        [[client]]
        steps = [
          { do = "connect" },
          { do = "send", head = { method = "GET", target = "/" } },
          { do = "send", bytes = "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n" },
          { do = "stall", for = "60s" },
        ]
        "#,
    );
    holds_on_the_wire(&scenario, |connection| {
        let (statuses, _) = course(connection);
        said(statuses == [200, 400], || format!("{statuses:?}"))
    });
}

#[test]
fn what_the_wire_cannot_express_is_said() {
    let scenario = scenario(
        r#"
        name = "vanishes"
        seed = 1
        network = { loss = 0.1, mtu = 100 }
        [[client]]
        steps = [
          { do = "connect" },
          { do = "network", latency = "1s" },
          { do = "send", head = { method = "GET", target = "/" }, size = 10, every = "2s" },
          { do = "vanish" },
          { do = "stall", for = "29h" },
        ]
        "#,
    );
    let cell = run(Engine::Wire, &(scenario, servers().remove(0)));
    let caveats = cell.run.caveats.join("\n");
    for what in [
        "for ever",
        "latency",
        "mtu",
        "loss",
        "changes of the network",
        "vanish",
        "cut to",
        "3 ms longer",
        "times faster",
    ] {
        assert!(caveats.contains(what), "{what}: {caveats}");
    }
}
