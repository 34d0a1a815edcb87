//! Timers of a server that are documented, and longer than what it is held to: a connection on which one of them still runs is
//! open for a reason.

use crate::cell::Cell;
use crate::contract::Promise;
use crate::finding::{Finding, spell};
use crate::ledger::{Connection, Seen};
use hangup_scenario::Verdict;
use std::time::Duration;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownTimer {
    /// What the server waits for, as seen from outside: one of [`PHASES`].
    pub phase: &'static str,
    /// How long it waits there.
    pub lasts: Duration,
    /// It counts from the phase's begin, whatever comes in it; otherwise from the last byte, and every byte winds it up again.
    pub total: bool,
}

/// The phases that are told apart from outside.
pub const PHASES: [&str; 8] = [
    "opening", "head", "body", "handler", "response", "drain", "idle", "closing",
];

/// Takes the findings out of a cell that a known timer explains, and says why, each timer once.
pub fn excuse(cell: &mut Cell, timers: &[KnownTimer], tolerance: Duration) -> Vec<String> {
    let run = &cell.run;
    let mut reasons: Vec<((KnownTimer, bool), Vec<u32>)> = Vec::new();
    let mut explained = |finding: &Finding| {
        let id = finding.connection?;
        let connection = run.connections.iter().find(|one| one.id == id)?;
        let stalls = connection.breach?.promise == Promise::Stall;
        let until = connection.released.unwrap_or(run.search.from);
        let (phase, began) = phase(cell, connection);
        let timer = timers.iter().find(|timer| {
            let from = match timer.total {
                true => began,
                false => connection.last_progress,
            };
            timer.phase == phase
                && (timer.total || stalls)
                && until.saturating_sub(from) <= timer.lasts + tolerance
        })?;
        let reason = (*timer, connection.released.is_some());
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, ids)) => ids.push(id),
            None => reasons.push((reason, vec![id])),
        }
        Some(())
    };
    let held = [Verdict::Hung, Verdict::Late];
    let kept = |finding: &Finding| !held.contains(&finding.kind) || explained(finding).is_none();
    let findings = cell.findings.to_vec();
    cell.findings = findings.into_iter().filter(kept).collect();
    let told = reasons.into_iter().map(|((timer, over), ids)| {
        let whose = match ids[..] {
            [id] => format!("connection {id}: its"),
            _ => format!("{} connections: their", ids.len()),
        };
        let runs = if over { "ran" } else { "runs" };
        format!(
            "{whose} {} timer of {} {runs}",
            timer.phase,
            spell(timer.lasts)
        )
    });
    told.collect()
}

/// What the server waited for before it began to close, and since when.
fn phase(cell: &Cell, connection: &Connection) -> (&'static str, Duration) {
    let all = cell.run.phases.iter();
    let own = all.filter(|phase| phase.connection == connection.id).rev();
    let closes = connection.server_shutdown.is_some() || connection.server_closed.is_some();
    let name = match closes {
        true => own
            .clone()
            .find(|phase| phase.name != "closing")
            .map_or("closing", |phase| phase.name),
        false => connection.phase(),
    };
    let ended = own.skip_while(|phase| phase.name != name);
    let began = ended.take_while(|phase| phase.name == name).last();
    // Who has not answered what we take for no request still waits for the end of a head, and whoever has waits for the next one.
    let answered = connection.responses.finals > connection.requests.list.len();
    let malformed = name == Seen::Malformed.name();
    let waits_for = match (malformed, answered) {
        (true, false) => Seen::Head.name(),
        (true, true) => Seen::Idle.name(),
        (false, _) => name,
    };
    (waits_for, began.map_or(connection.born, |phase| phase.at))
}
