//! What became of the server itself in a run: told to shut down, dead, started again.

use crate::ledger::Ledger;
use crate::task::{Role, Tasks};
use std::time::Duration;

/// Why the server cannot be expected to take new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// Its listening socket was taken from it.
    NotListening,
    /// It was told to shut down.
    ShutDown,
    /// Its process is dead.
    Dead,
}

/// One graceful shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShuttingDown {
    /// When it was asked for.
    pub asked: Duration,
    /// When the server had returned, and its process exited.
    pub ended: Option<Duration>,
    /// Before this nothing that is under way may be cut.
    pub at_least: Duration,
    /// When its time was up.
    pub due: Duration,
    /// What it waited for when its time was up, in words; none if it had returned by then.
    pub waits_for: Option<Vec<String>>,
}

/// Something that the user counts in the server and that is not back where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residue {
    /// What is counted.
    pub name: String,
    /// How many there were before the first client.
    pub before: usize,
    /// How many there are when the drain time of the contract has passed behind the last client.
    pub after: usize,
    /// When that is.
    pub at: Duration,
}

/// The server's own life in a run.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Its future ended though nobody had asked it to.
    pub returned: Option<Duration>,
    /// What that future ended with, in Rust's debug format, where it is a server's of a user's own.
    pub ended_with: Option<String>,
    /// The first panic of one of its tasks: where, and the message.
    pub panic: Option<String>,
    /// Its graceful shutdowns, the last of which may be under way.
    pub shutdowns: Vec<ShuttingDown>,
    /// Why it takes no new connections now.
    pub down: Option<Down>,
    /// What the user counts in it and is not back where it was.
    pub residues: Vec<Residue>,
    /// How many handlers are to panic.
    pub(crate) panics_due: u32,
    /// How many instances there have been.
    pub(crate) instance: u32,
}

impl Life {
    /// The shutdown that is under way, and has not been looked at past its time.
    pub(crate) fn shutting_down(&mut self) -> Option<&mut ShuttingDown> {
        self.shutdowns
            .last_mut()
            .filter(|last| last.ended.is_none() && self.down == Some(Down::ShutDown))
    }

    /// When the time of the shutdown is up that is under way, if that is still to come.
    pub(crate) fn next_due(&self, now: Duration) -> Option<Duration> {
        let last = self.shutdowns.last()?;
        let waits = last.ended.is_none() && self.down == Some(Down::ShutDown);
        (waits && last.due > now).then_some(last.due)
    }

    /// What a server that was told to shut down still has.
    pub(crate) fn still_has(ledger: &Ledger, tasks: &Tasks) -> Vec<String> {
        let connections = ledger.connections().iter().filter(|one| one.held());
        let mut all: Vec<String> = connections
            .map(|one| format!("connection {} ({})", one.id, one.phase()))
            .collect();
        let of_none = tasks.of_server().filter(|task| {
            task.role == Role::Server
                && task.ended.is_none()
                && !task.root
                && !task.background
                && task.connection.is_none()
        });
        all.extend(of_none.map(|task| {
            let file = crate::engine::stack::short_path(task.spawned_at.file());
            format!("a task spawned at {file}:{}", task.spawned_at.line())
        }));
        all
    }
}
