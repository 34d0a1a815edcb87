//! What findings have in common that are the same defect: kind, the broken promise or another part of the rule, the phase at
//! the breach, what ended the connection, and the place where its task waited.

use crate::cell::Cell;
use crate::finding::Finding;
use crate::ledger::Connection;
use hangup_scenario::Verdict;
use std::fmt::{self, Display, Formatter};
use std::hash::{Hash, Hasher};

/// What findings have in common that are of one shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The rule.
    pub kind: Verdict,
    /// Which of its parts.
    pub part: Option<&'static str>,
    /// The phase of the connection when the rule was broken, as seen from outside.
    pub phase: Option<&'static str>,
    /// What ended the connection in the end; none where nothing did, or where no connection is held.
    pub ended: Option<&'static str>,
    /// The innermost frame of the stuck task's await stack that is not the network's or a runtime's.
    pub place: Option<String>,
}

/// Crates whose frames are the same whatever a server waits for.
const PLUMBING: [&str; 5] = ["tokio::", "hangup_network::", "hyper_util::", "core::", "<"];

impl Shape {
    /// The shape of a finding of a judged run. The place is known only where stacks were captured.
    pub(super) fn of(cell: &Cell, finding: &Finding) -> Self {
        Self {
            kind: finding.kind,
            part: finding.part,
            phase: finding.phase,
            ended: ended(cell, finding),
            place: place(finding),
        }
    }
}

/// What ended the connection that a finding holds.
fn ended(cell: &Cell, finding: &Finding) -> Option<&'static str> {
    finding.alive_for?;
    let connection = finding.connection.and_then(|id| cell.run.connection(id))?;
    let released = connection.released?;
    if let Some(reason) = connection.close_reason {
        return Some(reason);
    }
    if connection.killed.is_some_and(|killed| killed <= released) {
        return Some("the end of its process");
    }
    let gone = connection.client_gone.is_some_and(|gone| gone <= released);
    Some(match (gone, connection.server_closed) {
        (_, Some((_, true))) => "the server's reset",
        (true, _) => "a close behind its client's",
        (false, _) => "the server's close",
    })
}

fn place(finding: &Finding) -> Option<String> {
    let stack = &finding.task.as_ref()?.stack;
    let frame = stack
        .iter()
        .find(|frame| !PLUMBING.iter().any(|crate_| frame.starts_with(crate_)))
        .or_else(|| stack.first())?;
    Some(frame.clone())
}

impl Display for Shape {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(part) = self.part {
            write!(f, " ({part})")?;
        }
        if let Some(phase) = self.phase {
            write!(f, " in {phase}")?;
        }
        if let Some(ended) = self.ended {
            write!(f, ", ended by {ended}")?;
        }
        if let Some(place) = &self.place {
            write!(f, ", {place}")?;
        }
        Ok(())
    }
}

/// What a conviction looks like without its stack, which takes a hundred times as long as the run: convictions that
/// differ in this are not taken for one shape before their stacks were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Look(u64);

impl Look {
    /// The look of a finding of a judged run.
    pub(super) fn of(cell: &Cell, finding: &Finding) -> Self {
        let mut hasher = rustc_hash::FxHasher::default();
        (
            finding.kind,
            finding.part,
            finding.phase,
            finding.never_ends,
            ended(cell, finding),
        )
            .hash(&mut hasher);
        let spawned_at = finding.task.as_ref().map(|task| &task.spawned_at);
        spawned_at.hash(&mut hasher);
        let connection = finding
            .connection
            .and_then(|id| cell.run.connections.iter().find(|it| it.id == id));
        connection.map(course).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// How far a connection had come, in few enough values that most convictions share one.
fn course(connection: &Connection) -> impl Hash + use<> {
    let status = connection.responses.list.last().map(|it| it.status);
    let last = connection.requests.list.last();
    (
        status,
        last.map(|request| (request.expects, request.has_body, request.close)),
        connection.requests.broken,
        connection.client_gone.is_some(),
        connection.client_shutdown.is_some(),
        connection.server_closed.is_some(),
        connection.server_shutdown.is_some(),
    )
}
