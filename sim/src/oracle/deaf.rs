//! **deaf**: after the scenario, a fresh and well-behaved client is not served; or a client that comes during a
//! shutdown is neither served nor refused, since the server keeps its listener and does not accept.

use crate::finding::{Finding, StuckTask, spell};
use crate::ledger::Connection;
use crate::run::Run;
use hangup_scenario::Verdict;
use std::time::Duration;

/// A client that connects so soon after the signal to shut down may cross it.
const CROSSING: Duration = Duration::from_millis(250);
/// A client that waits so long for the accept should have been refused.
const WAITED: Duration = Duration::from_secs(1);

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    findings.extend(
        run.connections
            .iter()
            .find_map(|one| left_waiting(run, one)),
    );
    if run.probe_served {
        return;
    }
    let probe = run.connections.iter().rfind(|connection| connection.probe);
    let answered;
    let why = match run.life.returned {
        Some(_) => "the server's own task has ended",
        None if probe.is_none_or(|probe| probe.opened.is_none()) => "its connection was not opened",
        None if probe.is_none_or(|probe| probe.accepted.is_none()) => {
            "its connection was never accepted"
        }
        None => match probe.and_then(|probe| probe.responses.list.last()) {
            Some(response) if response.complete_at.is_some() => {
                answered = format!("it was answered {}", response.status);
                &answered
            }
            Some(response) => {
                answered = format!("its response {} did not come to an end", response.status);
                &answered
            }
            None => "it got no answer",
        },
    };
    // Who has answered is not stuck.
    let root = run
        .tasks
        .of_server()
        .find(|task| task.ended.is_none() && task.connection.is_none());
    findings.push(Finding {
        kind: Verdict::Deaf,
        part: None,
        client: None,
        connection: probe.map(|connection| connection.id),
        at: run.search.from,
        alive_for: None,
        never_ends: false,
        phase: None,
        task: root
            .filter(|_| probe.is_none_or(|probe| probe.responses.list.is_empty()))
            .map(|task| StuckTask::new(run, task)),
        says: format!("after the scenario a fresh, well-behaved client is not served: {why}"),
    });
}

/// A client came well after the signal to shut down, its connection was opened, as there still was a listener, and
/// nobody accepted it.
fn left_waiting(run: &Run, connection: &Connection) -> Option<Finding> {
    let opened = connection.opened.filter(|_| connection.client.is_some())?;
    let excused = connection.accepted.is_some() || connection.disturbed || connection.lossy;
    let mut shutdowns = run.life.shutdowns.iter().rev();
    let shutdown = shutdowns.find(|shutdown| shutdown.asked + CROSSING <= connection.born)?;
    let until = [
        shutdown.ended,
        connection.client_closed,
        connection.client_reset.map(|(at, _)| at),
        Some(run.search.from),
    ];
    let until = until.into_iter().flatten().min()?;
    if excused || until < opened + WAITED {
        return None;
    }
    Some(Finding {
        kind: Verdict::Deaf,
        part: Some("listening"),
        client: connection.client,
        connection: Some(connection.id),
        at: opened + WAITED,
        alive_for: None,
        never_ends: false,
        phase: None,
        task: None,
        says: format!(
            "connection {}: its client came at {}, {} after the signal to shut down, and waited until {}: the server accepts \
             nobody and keeps its listener, so that its kernel opens connections instead of refusing them",
            connection.id,
            spell(connection.born),
            spell(connection.born.saturating_sub(shutdown.asked)),
            spell(until)
        ),
    })
}
