//! **stuck-shutdown**: the server was told to shut down, and had not returned when the time was up that it claims for
//! that.

use crate::finding::{Finding, StuckTask, spell};
use crate::run::Run;
use hangup_scenario::Verdict;

/// More of what it waits for is counted, and not named.
const NAMED_MAX: usize = 3;

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    // Where the server spins, the run ended before the time was up.
    if run.tasks.spin().is_some() {
        return;
    }
    let Some(bound) = run.contract.shutdown else {
        return;
    };
    for shutdown in &run.life.shutdowns {
        // One that was cut short by a crash or a restart was not looked at.
        let Some(waits_for) = &shutdown.waits_for else {
            continue;
        };
        let ended = match shutdown.ended {
            Some(ended) => format!("it took {}", spell(ended.saturating_sub(shutdown.asked))),
            None => "it has not returned since".to_owned(),
        };
        let mut names: Vec<String> = waits_for.iter().take(NAMED_MAX).cloned().collect();
        match waits_for.len().saturating_sub(NAMED_MAX) {
            0 => {}
            more => names.push(format!("{more} more")),
        }
        let what = match &names[..] {
            [] => "nothing that can be seen from outside".to_owned(),
            names => names.join(", "),
        };
        let held = run.connections.iter().find(|one| one.held());
        let root = run
            .tasks
            .of_server()
            .find(|task| task.ended.is_none() && task.root);
        findings.push(Finding {
            kind: Verdict::StuckShutdown,
            part: None,
            client: held.and_then(|one| one.client),
            connection: held.map(|one| one.id),
            at: shutdown.due,
            alive_for: None,
            never_ends: false,
            phase: held.map(|one| one.phase()),
            task: held
                .and_then(|one| StuckTask::of(run, one.id))
                .or_else(|| root.map(|task| StuckTask::new(run, task))),
            says: format!(
                "a graceful shutdown was to take {} at most; when that was over it still waited for {what}, and {ended}",
                spell(bound)
            ),
        });
    }
}
