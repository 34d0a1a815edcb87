//! Honest clients *during* a scenario: each comes from an address of its own while the scenario's clients
//! are stalled, makes one whole request, and is to be answered in time, the wait for the accept included.
//!
//! They come in a run of their own, behind one without a finding: what the scenario's clients do, and what
//! is judged of them, stays as it is. An overloaded server may refuse them: any whole response will do.

use crate::cell::Cell;
use crate::engine::Engine;
use crate::finding::{Finding, StuckTask, spell};
use crate::ledger::Connection;
use crate::run::{Detail, Run};
use crate::server::Server;
use hangup_scenario::{Scenario, Verdict};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How many of them come at most.
pub(crate) const HONEST_MAX: usize = 2;
/// An honest client is answered within this, counted from its connect call. Its own path has no latency.
const BOUND: Duration = Duration::from_secs(15);
/// How long it waits, so that the finding can tell when it would have been served.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// So long after the scenario's last connect call, and after the last byte, clients count as stalled.
const STALLED: [Duration; HONEST_MAX] = [Duration::from_millis(500), Duration::from_millis(100)];
/// More connections that the server has are counted, and not named.
const NAMED_MAX: usize = 3;

/// When honest clients come; none in most runs.
pub type Moments = [Option<Duration>; HONEST_MAX];

/// The address of the honest client with this number, or, with [`HONEST_MAX`], of the fresh client that comes from elsewhere: no
/// client of a scenario has it.
pub(crate) fn address(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1 + number as u8))
}

/// The finding that an honest client was shut out, where there is one.
pub(crate) fn finding(engine: Engine, cell: &Cell, server: &dyn Server) -> Option<Finding> {
    let simulated = matches!(engine, Engine::Leap | Engine::Sealed);
    if !simulated || !cell.findings.is_empty() || !is_fair(&cell.base, &cell.run) {
        return None;
    }
    let honest = moments(&cell.run);
    if honest == Moments::default() {
        return None;
    }
    let played = server.fit(&cell.base);
    let run = |detail| engine.run(&played, server, detail);
    let visited = run(Detail {
        honest,
        ..cell.as_run()
    });
    let shut_out = visited.connections.iter().find(|one| is_shut_out(one))?;
    // A second run stops at the bound, and shows what the server does then.
    let meanwhile = run(Detail {
        honest,
        stacks: true,
        stop_at: Some(shut_out.born + BOUND),
        ..Detail::JUDGED
    });
    Some(told(shut_out, &meanwhile))
}

/// Does the server have all that it needs, and does its contract speak of HTTP?
fn is_fair(scenario: &Scenario, run: &Run) -> bool {
    run.speaks_http
        && scenario.server_events.is_empty()
        && scenario.server.descriptors.is_none()
        && run.connections.iter().all(|one| one.panicked.is_none())
}

/// The times at which all clients of the scenario have made their last connect call, or sent and taken their
/// last byte, and the server still has, or has not accepted, one of their connections.
fn moments(run: &Run) -> Moments {
    let clients = || run.connections.iter().filter(|one| one.client.is_some());
    let last = |of: fn(&Connection) -> Option<Duration>| clients().filter_map(of).max();
    let ends = [last(|one| one.opened), last(|one| Some(one.last_progress))];
    let mut moments = Moments::default();
    for ((moment, end), stalled) in moments.iter_mut().zip(ends).zip(STALLED) {
        let at = end.map(|end| end + stalled);
        let has = |one: &Connection, at| {
            one.opened.is_some_and(|opened| opened < at)
                && one.released.is_none_or(|released| released > at)
        };
        *moment = at.filter(|at| clients().any(|one| has(one, *at)));
    }
    moments
}

/// It got no whole response within the bound.
fn is_shut_out(connection: &Connection) -> bool {
    let finals = connection.responses.list.iter();
    let whole = finals.filter(|response| response.is_final());
    let answered = whole.filter_map(|response| response.complete_at).min();
    connection.honest && answered.is_none_or(|at| at > connection.born + BOUND)
}

fn told(shut_out: &Connection, meanwhile: &Run) -> Finding {
    let born = shut_out.born;
    let came = match shut_out.accepted {
        None => "was never accepted".to_owned(),
        Some(accepted) => {
            let accepted_after = spell(accepted.saturating_sub(born));
            let answer = match shut_out.responses.list.last() {
                Some(response) => format!("answered at {}", spell(response.at)),
                None => "never answered".to_owned(),
            };
            format!(
                "was accepted at {}, {accepted_after} after its connect call, and {answer}",
                spell(accepted)
            )
        }
    };
    let clients = meanwhile.connections.iter();
    let held: Vec<&Connection> = clients
        .filter(|one| one.client.is_some() && one.held())
        .collect();
    let mut names: Vec<String> = held
        .iter()
        .take(NAMED_MAX)
        .map(|one| format!("connection {} (phase: {})", one.id, one.phase()))
        .collect();
    if held.len() > NAMED_MAX {
        names.push(format!("{} more", held.len() - NAMED_MAX));
    }
    let had = match names[..] {
        [] => "no connection of the scenario's clients".to_owned(),
        _ => names.join(", "),
    };
    let accept_loop = || {
        let mut tasks = meanwhile.tasks.of_server();
        tasks.find(|task| task.root && task.ended.is_none())
    };
    let task = match meanwhile.connection(shut_out.id) {
        Some(known) if known.accepted.is_some() => StuckTask::of(meanwhile, known.id),
        _ => accept_loop().map(|task| StuckTask::new(meanwhile, task)),
    };
    Finding {
        kind: Verdict::Deaf,
        part: Some("shut-out"),
        client: None,
        connection: None,
        at: born + BOUND,
        alive_for: None,
        never_ends: false,
        phase: None,
        task,
        says: format!(
            "an honest client from another address, which came at {} while the scenario's clients were stalled, was not answered \
             within {}: it {came}; at the end of that time the server had {had}",
            spell(born),
            spell(BOUND)
        ),
    }
}
