//! **Metamorphic rules**: what must not matter to a server, whatever it claims.
//!
//! | rule | what is changed |
//! |---|---|
//! | segmentation | how the network cuts what is sent: the stream is the same |
//! | latency | how long a segment travels, by far less than any timeout |
//! | company | a second client comes, asks for `/` and goes |
//! | extension | chunks have no extensions: see [`extensions`] |
//!
//! The final statuses of each connection, how many of its responses came whole, and who ended it, must stay as they are. HTTP is defined on streams of
//! bytes, and each connection by itself (RFC 9112 sections 2 and 9), so a difference is a finding of `protocol`.
//!
//! It is true only where nothing is left to chance or to a race, so little is compared: no loss, no jitter, no changes of a link, nothing that happens to
//! the server, nobody who leaves before he has his answer, no request that a server may answer before it has come whole, little enough that no
//! window and no limit is met. And since something may still sit at a deadline, a difference counts only if it is there too when every pause of
//! the clients is longer, and when it is shorter.

mod extensions;

use crate::cell::Cell;
use crate::engine::Engine;
use crate::exchange::asks::Asks;
use crate::finding::Finding;
use crate::ledger::Connection;
use crate::run::Run;
use crate::server::Server;
use hangup_scenario::{Await, Client, Head, Read, Scenario, Send, Step, Until, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// One thing that must not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Segmentation,
    Latency,
    Company,
}

const RULES: [Rule; 3] = [Rule::Segmentation, Rule::Latency, Rule::Company];

/// More bytes than this of a connection may meet a limit or a window.
const BYTES_MAX: u64 = 4 << 10;
const WINDOW_MIN: usize = 16 << 10;
/// Where segments may be so small, the others are large.
const SMALL_MTU: usize = 536;
const LARGE_MTU: usize = 1500;
/// In about so many segments is sent what came in few.
const PIECES: u64 = 200;
/// Latencies up to this are changed, and by no more.
const LATENCY: Duration = Duration::from_millis(25);
/// A client that leaves has waited so long, or has all its answers.
const PATIENT: Duration = Duration::from_secs(1);
/// By so much all pauses are changed: more than all round trips of a client together.
const SHIFT: Duration = Duration::from_millis(800);
/// The second client comes so long after the first.
const COMPANY: [Duration; 3] = [
    Duration::from_millis(1),
    Duration::from_millis(1003),
    Duration::from_millis(4007),
];

/// The first rule that a server breaks in this cell, of which every other rule is kept.
pub(crate) fn finding(engine: Engine, cell: &Cell, server: &dyn Server) -> Option<Finding> {
    let simulated = matches!(engine, Engine::Leap | Engine::Sealed);
    if !simulated || !cell.findings.is_empty() {
        return None;
    }
    let comparable = comparable(&cell.base, &cell.run);
    let mut rules = RULES.into_iter().filter(|_| comparable);
    rules
        .find_map(|rule| broken(engine, rule, cell, server))
        .or_else(|| extensions::finding(engine, cell, server))
}

fn broken(engine: Engine, rule: Rule, cell: &Cell, server: &dyn Server) -> Option<Finding> {
    let (scenario, run) = (&cell.base, &cell.run);
    let (other, change) = rule.applied(scenario, run)?;
    // What the run is of was fitted to the server, so what it is compared with is, too.
    let run_of = |scenario: Scenario| {
        let played = server.fit(&Arc::new(scenario));
        engine.run(&played, server, cell.as_run())
    };
    let first = difference(run, &run_of(other))?;
    for longer in [true, false] {
        let shifted = shifted(scenario, longer);
        let base = run_of(shifted.clone());
        let (other, _) = rule.applied(&shifted, &base)?;
        if !comparable(&shifted, &base) {
            return None;
        }
        difference(&base, &run_of(other))?;
    }
    Some(Finding {
        kind: Verdict::Protocol,
        part: Some(rule.name()),
        client: first.client,
        connection: Some(first.connection),
        at: first.at,
        alive_for: None,
        never_ends: false,
        phase: None,
        task: None,
        says: format!(
            "connection {}: {}; {change}, {} ({})",
            first.connection,
            first.base,
            first.other,
            rule.why()
        ),
    })
}

impl Rule {
    /// The scenario with the one change, and the change in words; none where it says nothing.
    fn applied(self, scenario: &Scenario, run: &Run) -> Option<(Scenario, String)> {
        let mut other = scenario.clone();
        let change = match self {
            Self::Segmentation => {
                let bytes = clients(run).map(|one| one.bytes_in.max(one.bytes_out));
                let small = bytes.max()?.div_ceil(PIECES).max(1 + scenario.seed % 5);
                let mtu = match scenario.network.mtu > SMALL_MTU {
                    true => usize::try_from(small).ok()?,
                    false => LARGE_MTU,
                };
                other.network.mtu = mtu;
                format!("with the same bytes in segments of {mtu}")
            }
            Self::Latency => {
                if scenario.network.latency > LATENCY || trickles(scenario) {
                    return None;
                }
                let latency = match scenario.network.latency.is_zero() {
                    true => LATENCY,
                    false => Duration::ZERO,
                };
                other.network.latency = latency;
                format!("with a latency of {} ms", latency.as_millis())
            }
            Self::Company => {
                let mut all = clients(run);
                let (first, None) = (all.next()?, all.next()) else {
                    return None;
                };
                let after = COMPANY[(scenario.seed % 3) as usize];
                let mut visitor = visitor();
                visitor.start = first.opened? + after;
                other.clients.push(visitor);
                format!(
                    "with another client that asks for / {} ms later",
                    after.as_millis()
                )
            }
        };
        Some((other, change))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Segmentation => "segmentation",
            Self::Latency => "latency",
            Self::Company => "company",
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Segmentation => "how a stream is cut says nothing",
            Self::Latency => "no timeout is as short as a round trip",
            Self::Company => "connections are independent",
        }
    }
}

/// Asks for `/`, and goes.
fn visitor() -> Client {
    Client {
        steps: vec![
            Step::Connect,
            Step::Send(Send::from(Head::default())),
            Step::Await(Await {
                until: Until::Final,
                within: Duration::from_secs(10),
            }),
            Step::Close,
        ],
        ..Client::default()
    }
}

/// Those of the scenario's clients, by client.
fn clients(run: &Run) -> impl Iterator<Item = &Connection> {
    let all = run.connections.iter();
    all.filter(|connection| connection.client.is_some())
}

fn steps(scenario: &Scenario) -> impl Iterator<Item = &Step> {
    scenario.clients.iter().flat_map(|client| &client.steps)
}

fn trickles(scenario: &Scenario) -> bool {
    steps(scenario).any(|step| matches!(step, Step::Send(send) if send.trickle.is_some()))
}

/// Is nothing in this run left to chance, to a race, or to a limit?
fn comparable(scenario: &Scenario, run: &Run) -> bool {
    let network = &scenario.network;
    scenario.server_events.is_empty()
        && scenario.client_count() <= 2
        && network.loss == 0.0
        && network.jitter.is_zero()
        && network.send_buffer.is_none_or(|size| size >= WINDOW_MIN)
        && network.receive_buffer.is_none_or(|size| size >= WINDOW_MIN)
        && steps(scenario).all(is_comparable)
        && in_order(run)
}

/// Nobody's course hangs by a hair.
fn in_order(run: &Run) -> bool {
    run.speaks_http
        && clients(run).all(|connection| {
            let little = connection.bytes_in.max(connection.bytes_out) <= BYTES_MAX;
            little && is_plain(connection) && leaves_in_peace(connection)
        })
}

/// Who counts bytes does something else when they come in other pieces.
fn is_comparable(step: &Step) -> bool {
    let counts = matches!(step, Step::Read(Read::Bytes(_)))
        || matches!(step, Step::Await(what) if matches!(what.until, Until::Bytes(_)));
    !counts && !matches!(step, Step::Network(_) | Step::Vanish)
}

/// All that came is requests, and none that may be answered early. A head of which only a part has come may be refused at once or
/// waited for: hyper, for one, does not look at it again until its end is there.
fn is_plain(connection: &Connection) -> bool {
    let requests = &connection.requests;
    let whole =
        |request: &crate::exchange::Request| !request.has_body || request.asks == Asks::Echo;
    connection.opened.is_some()
        && connection.panicked.is_none()
        && !connection.disturbed
        && !requests.broken
        && !requests.lax
        && !requests.in_head()
        && !connection.responses.broken
        && (connection.probe_app > 0 || requests.list.iter().all(|request| !request.has_body))
        && requests.list.iter().all(whole)
}

/// A client that goes while something is under way for it decides by a hair what it gets, unless the server has ended it before.
fn leaves_in_peace(connection: &Connection) -> bool {
    let left = connection.client_closed.or(connection.client_gone);
    let requests = &connection.requests;
    let all = connection.responses.complete == requests.list.len() && !requests.in_head();
    let ended = connection.client_waited
        && (connection.server_fin_arrived || connection.client_reset.is_some());
    left.is_none_or(|left| all || ended || connection.last_progress + PATIENT <= left)
}

/// Every pause longer by far more than all round trips, or shorter.
fn shifted(scenario: &Scenario, longer: bool) -> Scenario {
    let mut shifted = scenario.clone();
    let shift = |time: &mut Duration| match longer {
        true => *time += SHIFT,
        // What is shorter than that stays: to leave it out would be another behaviour.
        false if *time > 2 * SHIFT => *time -= SHIFT,
        false => {}
    };
    for step in shifted
        .clients
        .iter_mut()
        .flat_map(|client| &mut client.steps)
    {
        match step {
            Step::Stall { duration } => shift(duration),
            Step::Reconnect { after } => shift(after),
            Step::Await(what) => shift(&mut what.within),
            _ => {}
        }
    }
    shifted
}

/// What must stay as it is of a connection.
struct Course {
    statuses: Vec<u16>,
    whole: usize,
    end: &'static str,
    /// Client and server ended it at about the same time, each because the response was over: which of them was first
    /// hangs on how long a segment travels.
    together: bool,
}

impl Course {
    fn of(connection: &Connection) -> Self {
        let finals = connection.responses.list.iter();
        let finals = finals.filter(|response| response.is_final());
        Self {
            statuses: finals.map(|response| response.status).collect(),
            whole: connection.responses.complete,
            end: match connection.server_closed {
                None => "nobody ended it",
                Some(_) if connection.client_waited => "the server ended it",
                Some(_) => "the client ended it",
            },
            together: ended_together(connection),
        }
    }

    fn is(&self, other: &Self) -> bool {
        (&self.statuses, self.whole) == (&other.statuses, other.whole)
            && (self.end == other.end || (self.together && other.together))
    }

    fn describe(&self) -> String {
        let statuses: Vec<String> = self.statuses.iter().map(u16::to_string).collect();
        let got = match statuses.is_empty() {
            true => "no response".to_owned(),
            false => statuses.join(", "),
        };
        let rest = self.statuses.len() - self.whole.min(self.statuses.len());
        let cut = if rest > 0 { " (not all of it)" } else { "" };
        format!("it got {got}{cut} and {}", self.end)
    }
}

fn ended_together(connection: &Connection) -> bool {
    let closed = connection.server_closed.map(|(at, _)| at);
    let server = connection.server_shutdown.or(closed);
    let client = connection.client_closed;
    let apart = client.zip(server).map(|(one, two)| one.abs_diff(two));
    apart.is_some_and(|apart| apart < PATIENT)
}

struct Difference {
    client: Option<u32>,
    connection: u32,
    at: Duration,
    base: String,
    other: String,
}

/// The first of the base's connections that went another way; none where the runs say nothing about each other.
fn difference(base: &Run, other: &Run) -> Option<Difference> {
    if !in_order(other) {
        return None;
    }
    let by_client = |run: &Run, client| -> Vec<u32> {
        let ids = clients(run).filter(|one| one.client == client);
        ids.map(|one| one.id).collect()
    };
    for connection in clients(base) {
        let client = connection.client;
        let nth = by_client(base, client)
            .iter()
            .position(|&id| id == connection.id)?;
        let id = *by_client(other, client).get(nth)?;
        let twin = other.connections.iter().find(|one| one.id == id)?;
        // Whether 100 Continue is left out hangs on what is there already, and may.
        if interim(connection) != interim(twin) {
            return None;
        }
        let (one, two) = (Course::of(connection), Course::of(twin));
        if !one.is(&two) {
            return Some(Difference {
                client,
                connection: connection.id,
                at: connection
                    .responses
                    .list
                    .last()
                    .map_or(connection.born, |last| last.at),
                base: one.describe(),
                other: two.describe(),
            });
        }
    }
    None
}

fn interim(connection: &Connection) -> usize {
    let all = connection.responses.list.iter();
    all.filter(|response| !response.is_final()).count()
}
