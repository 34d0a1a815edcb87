//! **deaf**: after the scenario, a fresh and well-behaved client is not served.

use crate::finding::{Finding, StuckTask};
use crate::run::Run;
use hangup_scenario::Verdict;

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
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
