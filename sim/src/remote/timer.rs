//! Timers of a server that are documented, and longer than what it is held to: a connection on which one of them still runs is
//! open for a reason.

use crate::cell::Cell;
use crate::contract::Promise;
use crate::finding::{Finding, spell};
use crate::ledger::Connection;
use hangup_scenario::Verdict;
use std::time::Duration;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownTimer {
    /// What the server waits for, as seen from outside: one of [`PHASES`].
    pub phase: &'static str,
    /// How long it waits there after the last byte.
    pub lasts: Duration,
}

/// The phases that are told apart from outside.
pub const PHASES: [&str; 8] = [
    "opening", "head", "body", "handler", "response", "drain", "idle", "closing",
];

/// Takes the findings out of a cell that a known timer explains, and says why, connection by connection.
pub fn excuse(cell: &mut Cell, timers: &[KnownTimer], tolerance: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    let run = &cell.run;
    let mut explained = |finding: &Finding| {
        let id = finding.connection?;
        let connection = run.connections.iter().find(|one| one.id == id)?;
        if connection.breach.map(|breach| breach.promise) != Some(Promise::Stall) {
            return None;
        }
        let until = connection.released.unwrap_or(run.search.from);
        let held = until.saturating_sub(connection.last_progress);
        let phase = phase(cell, connection);
        let timer = timers
            .iter()
            .find(|timer| timer.phase == phase && held <= timer.lasts + tolerance)?;
        let (open, runs) = match connection.released {
            Some(_) => ("closed", "ran"),
            None => ("open", "runs"),
        };
        reasons.push(format!(
            "connection {id} {open} after {}: its {phase} timer of {} {runs}",
            spell(held),
            spell(timer.lasts)
        ));
        Some(())
    };
    let held = [Verdict::Hung, Verdict::Late];
    let kept = |finding: &Finding| !held.contains(&finding.kind) || explained(finding).is_none();
    let findings = cell.findings.to_vec();
    cell.findings = findings.into_iter().filter(kept).collect();
    reasons
}

/// What the server waited for before it began to close.
fn phase(cell: &Cell, connection: &Connection) -> &'static str {
    if connection.server_shutdown.is_none() && connection.server_closed.is_none() {
        return connection.phase();
    }
    let seen = cell.run.phases.iter().rev();
    let before = seen
        .filter(|phase| phase.connection == connection.id)
        .find(|phase| phase.name != "closing");
    before.map_or("closing", |phase| phase.name)
}
