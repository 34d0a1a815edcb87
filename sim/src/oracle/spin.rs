//! **spin**: the server is polled over and over though nothing happens that it could wait for. A task that wakes itself for
//! ever takes a whole core, and in simulation it keeps the clock from moving, so the run ends there.
//!
//! A loop that never gives control back (no `await` that is ever pending) cannot be seen from within: it hangs the test bed.

use crate::finding::{Finding, StuckTask};
use crate::run::Run;
use crate::task::SPIN_POLLS;
use hangup_scenario::Verdict;

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    let Some(spin) = run.tasks.spin() else {
        return;
    };
    let task = spin
        .task
        .and_then(|id| run.tasks.of_server().find(|task| task.id == id));
    if task.is_none() && spin.connection.is_none() {
        return;
    }
    let connection = spin
        .connection
        .or(task.and_then(|task| task.connection))
        .and_then(|id| run.connection(id));
    let whose = match connection {
        Some(connection) => format!(
            "a task of connection {} wakes itself over and over (phase: {})",
            connection.id,
            connection.phase()
        ),
        None => "a task of no connection wakes itself over and over".to_owned(),
    };
    let how = match task {
        Some(_) => "the server was polled",
        None => "the server asked its socket",
    };
    let born = connection
        .and_then(|connection| connection.opened)
        .or(task.map(|task| task.born))
        .unwrap_or_default();
    findings.push(Finding {
        kind: Verdict::Spin,
        part: None,
        client: connection.and_then(|connection| connection.client),
        connection: connection.map(|connection| connection.id),
        at: spin.at,
        alive_for: Some(spin.at.saturating_sub(born)),
        never_ends: false,
        phase: connection.map(|connection| connection.phase()),
        task: task.map(|task| StuckTask::new(run, task)),
        says: format!(
            "{how} {SPIN_POLLS} times within one simulated second, and nothing happened on the network: {whose}"
        ),
    });
}
