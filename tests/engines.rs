//! Two network models, one verdict: a difference between engines is a defect of the test bed, never of the server.

use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::ledger::Connection;
use hangup::run::Detail;
use hangup::server::Server;
use hangup::{incident, server};
use hangup_scenario::{Scenario, Step, Verdict};
use hangup_tests::on_all_cores;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Servers whose defect the turmoil engine cannot see, and why.
const UNSEEN: [(&str, &str); 1] = [(
    "canary-task-leak",
    "what stays behind is a task without a socket, and this engine sees sockets only",
)];

/// Where leap's buffers, which grow, take all of a response before the link swallows it, and turmoil's do not.
const FITS: &str = "black-hole-mid-response x canary-lost-wake-up";

/// Incidents that are not walked, and why.
const UNWALKED: [(&str, &str); 8] = [
    (
        "events-client-closes",
        "a server without any limit may take a day, which is too long to walk",
    ),
    (
        "accept-errors-last",
        "an accept loop that spins keeps turmoil's clock from moving",
    ),
    (
        "descriptors-run-out",
        "an accept loop that spins keeps turmoil's clock from moving",
    ),
    (
        "events-client-vanishes",
        "turmoil has no keepalive, and to walk the two hours that a server without one may take is too slow",
    ),
    (
        "events-ticks-vanishes",
        "a quarter of an hour is too long to walk for each server",
    ),
    ("endless-never-read", "turmoil's buffers do not grow"),
    ("download-past-the-age", "turmoil's buffers do not grow"),
    (
        "download-large-paced",
        "turmoil's buffers do not grow, and 6 MB are too slow to walk",
    ),
];

fn unseen(server: &dyn Server) -> bool {
    UNSEEN.iter().any(|(name, _)| *name == server.name())
}

fn servers() -> Vec<Arc<dyn Server>> {
    server::built_in()
        .into_iter()
        .chain(server::canaries())
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

/// Does the server look from time to time for what its clients have acknowledged? Then its ends are where its looks are, which
/// follow from acknowledgements that are not of one instant on both engines.
fn looks(server: &dyn Server) -> bool {
    !["hyper", "axum"]
        .iter()
        .any(|other| server.name().starts_with(other))
}

/// Works on every pair of an incident and a server, on all cores.
fn on_every_pair<R: Send>(
    work: impl Fn(&Arc<Scenario>, &dyn Server) -> Option<R> + Sync,
) -> Vec<R> {
    let walked =
        |scenario: &&Arc<Scenario>| !UNWALKED.iter().any(|(name, _)| *name == scenario.name);
    let incidents: Vec<_> = incident::all().iter().filter(walked).collect();
    let servers = servers();
    let pairs: Vec<_> = incidents
        .iter()
        .flat_map(|incident| servers.iter().map(move |server| (*incident, server)))
        .collect();
    let done = on_all_cores(&pairs, |(incident, server)| work(incident, &***server));
    done.into_iter().flatten().collect()
}

/// How the connections of the clients came out: whether they reached the server, were answered, and in which order, and how, it
/// let go of them.
fn outcomes(cell: &Cell) -> impl PartialEq + std::fmt::Debug + use<> {
    let of_clients = || cell.run.connections.iter().filter(|one| !one.probe);
    let mut closed: Vec<(Duration, u32, bool)> = of_clients()
        .filter_map(|one| one.server_closed.map(|(at, reset)| (at, one.id, reset)))
        .collect();
    closed.sort_unstable();
    let order: Vec<(u32, bool)> = closed.iter().map(|&(_, id, reset)| (id, reset)).collect();
    let each: Vec<(bool, bool, Vec<u16>)> = of_clients()
        .map(|one| {
            let statuses = one.responses.list.iter().map(|response| response.status);
            (one.stillborn, one.accepted.is_some(), statuses.collect())
        })
        .collect();
    (each, order)
}

/// What both engines must see of a connection, to the millisecond: with it goes the order in which they are closed.
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
        if unseen(server) || (canary && leap.verdict() == Verdict::Clean) {
            return None;
        }
        // turmoil keeps no account of what a kernel holds behind a close.
        let mut findings = leap.findings.iter();
        if leap.verdict() != Verdict::Clean && findings.all(|found| found.part == Some("kernel")) {
            return None;
        }
        let pair = format!("{} x {}", incident.name, server.name());
        if pair == FITS {
            return None;
        }
        let turmoil = judged(Engine::Turmoil, incident, server);
        if leap.verdict() != turmoil.verdict() {
            return Some(format!(
                "{pair}: {} on leap, {} on turmoil",
                leap.verdict(),
                turmoil.verdict()
            ));
        }
        // The run ends where it is found to spin, with whatever is under way.
        if leap.verdict() == Verdict::Spin {
            return None;
        }
        // A run on turmoil ends at the first panic that leaves a task: clients that come later are not seen.
        let panicked = leap
            .run
            .connections
            .iter()
            .any(|one| one.panicked.is_some());
        if panicked && incident.client_count() > 1 {
            return None;
        }
        // No message is late there by chance: where the network makes some so, times are not compared, but what comes of it.
        if looks(server) {
            return None;
        }
        if unsteady(incident) {
            let (one, other) = (outcomes(&leap), outcomes(&turmoil));
            return (one != other).then(|| format!("{pair}: leap {one:?}, turmoil {other:?}"));
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

/// What happens to servers while clients are at work and after it. Times are whole ticks.
const EVENTS: [&str; 8] = [
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
    // Told to shut down with one request under way, one connection idle, and one that comes too late; then started again.
    r#"
    [[client]]
    steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/slow/3000" } }, { do = "await", eof = true, within = "9s" } ]
    [[client]]
    steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/" } }, { do = "await", eof = true, within = "9s" } ]
    [[client]]
    start = "2s"
    steps = [
        { do = "connect" },
        { do = "reconnect", after = "8s" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "2s" },
    ]
    [[server_event]]
    at = "1s"
    do = "shutdown"
    [[server_event]]
    at = "8s"
    do = "restart"
    "#,
    r#"
    [[client]]
    steps = [
        { do = "connect" },
        { do = "stall", for = "2s" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "2s" },
        { do = "reconnect" },
    ]
    [[server_event]]
    at = "1s"
    do = "stop_accepting"
    "#,
    r#"
    [[client]]
    count = 2
    stagger = "1s"
    steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "close" } ]
    [[server_event]]
    at = "500ms"
    do = "accept_error"
    "#,
    // The dead process has a request in hand, and another behind it, when the panic falls due: it is not for that one.
    r#"
    [[client]]
    steps = [
        { do = "connect" },
        { do = "send", head = { method = "GET", target = "/slow/3000" } },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "stall", for = "6s" },
        { do = "reconnect" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "2s" },
    ]
    [[server_event]]
    at = "1s"
    do = "crash"
    [[server_event]]
    at = "2s"
    do = "restart"
    [[server_event]]
    at = "2500ms"
    do = "handler_panic"
    "#,
];

/// Whose tasks die with a panic of a handler. turmoil shuts down the runtime of a host on which a task panics, so that nothing is
/// seen of them afterwards; the caveats say so.
fn panics(cell: &Cell) -> bool {
    let caveats = &cell.run.caveats;
    caveats.iter().any(|caveat| caveat.contains("panicked"))
}

#[test]
fn what_happens_to_a_server_has_the_same_verdict_on_both_engines() {
    let (mut served_again, mut panicked) = (0, 0);
    for (number, steps) in EVENTS.iter().enumerate() {
        let scenario = hangup_tests::scenario(&format!("name = \"event-{number}\"\n{steps}"));
        for server in server::built_in()
            .iter()
            .chain([&server::named("twin").expect("it is there")])
        {
            let [leap, turmoil] =
                [Engine::Leap, Engine::Turmoil].map(|engine| judged(engine, &scenario, &**server));
            let pair = format!("event {number} x {}", server.name());
            assert_eq!(
                leap.verdict(),
                turmoil.verdict(),
                "{pair}: {:?} {:?}",
                leap.findings,
                turmoil.findings
            );
            if panics(&turmoil) {
                panicked += 1;
                continue;
            }
            assert_eq!(outcomes(&leap), outcomes(&turmoil), "{pair}");
            let ends = |cell: &Cell| -> Vec<_> {
                let of_clients = cell.run.connections.iter().filter(|one| !one.probe);
                of_clients.map(|one| one.server_closed).collect()
            };
            let (of_leap, of_turmoil) = (ends(&leap), ends(&turmoil));
            assert_eq!(of_leap.len(), of_turmoil.len(), "{pair}");
            for (one, other) in of_leap.into_iter().zip(of_turmoil) {
                let alike = match (one, other) {
                    (Some((one, reset)), Some((other, too))) => near(one, other) && reset == too,
                    (None, None) => true,
                    _ => false,
                };
                assert!(alike, "{pair}: {one:?}, {other:?}");
            }
            let (one, other) = (&leap.run.life, &turmoil.run.life);
            assert_eq!(one.down, other.down, "{pair}");
            assert_eq!(one.shutdowns.len(), other.shutdowns.len(), "{pair}");
            for (one, other) in one.shutdowns.iter().zip(&other.shutdowns) {
                assert_eq!((one.asked, one.due), (other.asked, other.due), "{pair}");
                let ended = one.ended.zip(other.ended);
                let alike = ended.map_or(one.ended == other.ended, |(one, other)| near(one, other));
                assert!(alike, "{pair}: {one:?}, {other:?}");
            }
            let answered = turmoil
                .run
                .connections
                .iter()
                .filter(|one| one.responses.finals > 0);
            served_again += usize::from(answered.count() > 3);
            let restarts = steps.contains("restart");
            let caveats = turmoil.run.caveats.join("\n");
            assert_eq!(caveats.contains("is started again"), restarts, "{caveats}");
        }
    }
    assert!(served_again > 0, "after a restart clients are served");
    assert!(
        panicked > 0 && panicked < 6,
        "{panicked}: hangup answers 500"
    );
}

/// Our server looks from time to time for what its clients have acknowledged, and the engines' acknowledgements are not of one instant.
fn near(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= Duration::from_millis(100)
}

/// What happens to the paths of clients.
const PATHS: [&str; 5] = [
    // A request that nobody hears of until the hole is healed.
    r#"
    [[client]]
    steps = [
        { do = "connect" },
        { do = "network", blackhole = "to_server" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "stall", for = "3s" },
        { do = "network", heal = true },
        { do = "await", status = "final", within = "1m" },
        { do = "close" },
    ]
    "#,
    // A body that stops in one, for good: it is the deadlines of the server that count.
    r#"
    [[client]]
    steps = [
        { do = "connect" },
        { do = "send", head = { method = "POST", target = "/echo", length = 1000 } },
        { do = "network", blackhole = "both" },
        { do = "send", body = 1000 },
        { do = "stall", for = "30m" },
    ]
    "#,
    // A response that fills the buffers, for good: TCP gives the client up.
    r#"
    [[client]]
    steps = [
        { do = "connect" },
        { do = "send", head = { method = "GET", target = "/big/1000000" } },
        { do = "read", bytes = 20000 },
        { do = "network", blackhole = "to_client" },
        { do = "stall", for = "30m" },
    ]
    "#,
    // One of two clients is cut off for a while; the other one must not notice.
    r#"
    [[client]]
    steps = [
        { do = "connect" },
        { do = "network", blackhole = "both" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "stall", for = "5s" },
        { do = "network", heal = true },
        { do = "await", status = "final", within = "1m" },
        { do = "close" },
    ]
    [[client]]
    start = "1s"
    steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "close" } ]
    "#,
    // Slower, and then faster than it began.
    r#"
    [[client]]
    steps = [
        { do = "connect" },
        { do = "network", latency = "2s" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "20s" },
        { do = "network", latency = "5ms" },
        { do = "send", head = { method = "GET", target = "/" } },
        { do = "await", status = "final", within = "20s" },
        { do = "close" },
    ]
    "#,
];

#[test]
fn what_happens_to_a_path_has_the_same_verdict_on_both_engines() {
    let mut verdicts = Vec::new();
    for (number, steps) in PATHS.iter().enumerate() {
        let scenario = hangup_tests::scenario(&format!("name = \"path-{number}\"\n{steps}"));
        for server in server::built_in() {
            let [leap, turmoil] =
                [Engine::Leap, Engine::Turmoil].map(|engine| judged(engine, &scenario, &*server));
            let pair = format!("path {number} x {}", server.name());
            assert_eq!(
                leap.verdict(),
                turmoil.verdict(),
                "{pair}: {:?} {:?}",
                leap.findings,
                turmoil.findings
            );
            assert_eq!(outcomes(&leap), outcomes(&turmoil), "{pair}");
            verdicts.push(turmoil.verdict());
        }
    }
    for verdict in [Verdict::Clean, Verdict::Hung, Verdict::Late] {
        assert!(verdicts.contains(&verdict), "{verdict} never came of it");
    }
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

/// What takes little time and moves many bytes or clients.
fn hashed() -> Vec<(Arc<Scenario>, Arc<dyn Server>)> {
    let names = [
        "fasthttp-1834-storm",
        "reset-mid-body",
        "half-close-mid-body",
        "response-never-read",
    ];
    let incidents =
        names.map(|name| incident::named(name).unwrap_or_else(|| panic!("no incident {name}")));
    let pairs = incidents.iter().flat_map(|incident| {
        let servers = server::built_in().into_iter();
        servers.map(move |server| (Arc::clone(incident), server))
    });
    pairs.collect()
}

/// The line that says the trace hash of a run.
fn hash((incident, server): &(Arc<Scenario>, Arc<dyn Server>)) -> String {
    let cell = judged(Engine::Turmoil, incident, &**server);
    let (server, name) = (server.name(), &incident.name);
    format!("hash {server} {name} = {:016x}", cell.run.hash)
}

/// Not a test of its own: what the fresh process of the test below runs, in the opposite order.
#[test]
fn print_hashes() {
    if std::env::var_os(CHILD).is_some() {
        for pair in hashed().iter().rev() {
            println!("{}", hash(pair));
        }
    }
}

/// A trace depends neither on the process nor on the runs before it: what comes first here comes last in the
/// fresh process.
#[test]
fn the_same_seed_gives_the_same_trace_in_another_order_and_in_a_fresh_process() {
    let program = std::env::current_exe().expect("this test has a path");
    let fresh = Command::new(program)
        .args(["print_hashes", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test's own program can be started");
    let here: Vec<String> = hashed().iter().map(hash).collect();
    let output = fresh.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("hashes are ASCII");
    let mut there: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("hash "))
        .collect();
    there.reverse();
    assert!(here.len() >= 20);
    assert_eq!(here, there);
}
