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
    let Some(task) = run.tasks.of_server().find(|task| task.id == spin.task) else {
        return;
    };
    let connection = task.connection.and_then(|id| {
        run.connections
            .iter()
            .find(|connection| connection.id == id)
    });
    let whose = match connection {
        Some(connection) => format!(
            "a task of connection {} wakes itself over and over (phase: {})",
            connection.id,
            connection.phase()
        ),
        None => "a task of no connection wakes itself over and over".to_owned(),
    };
    let born = connection
        .and_then(|connection| connection.opened)
        .unwrap_or(task.born);
    findings.push(Finding {
        kind: Verdict::Spin,
        part: None,
        client: connection.and_then(|connection| connection.client),
        connection: connection.map(|connection| connection.id),
        at: spin.at,
        alive_for: Some(spin.at.saturating_sub(born)),
        never_ends: false,
        phase: connection.map(|connection| connection.phase()),
        task: Some(StuckTask::new(run, task)),
        says: format!(
            "the server was polled {SPIN_POLLS} times within one simulated second, and nothing happened on the network: {whose}"
        ),
    });
}
