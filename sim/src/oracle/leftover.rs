//! **leftover**: the client is gone and the contract's drain time is over, but the server is not back where it
//! started: a socket of that connection (also one in CLOSE_WAIT), or a task, is still there; or the server has closed, and its
//! kernel holds what it had written for longer than the contract allows, for a client that takes nothing.

use super::held;
use crate::contract::Promise;
use crate::finding::{Finding, StuckTask, spell};
use crate::run::{Outlook, Run};
use hangup_scenario::Verdict;

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    for (connection, breach, outlook) in held::breaches(run) {
        let left = !matches!(outlook, Outlook::Ended(_)) && connection.client_gone.is_some();
        if left || breach.promise == Promise::Kernel {
            findings.push(held::finding(
                run,
                Verdict::Leftover,
                connection,
                breach,
                outlook,
            ));
        }
    }
    // Where the server spins, or had all its polls, the run ended before its drain time.
    if run.tasks.spin().is_none() && run.tasks.exhausted_at().is_none() {
        stray_tasks(run, findings);
        residues(run, findings);
    }
}

/// What the user counts is not what it was before the first client.
fn residues(run: &Run, findings: &mut Vec<Finding>) {
    for residue in &run.life.residues {
        findings.push(Finding {
            kind: Verdict::Leftover,
            part: Some("residue"),
            client: None,
            connection: None,
            at: residue.at,
            alive_for: None,
            never_ends: false,
            phase: None,
            task: None,
            says: format!(
                "{} is {} when every client has been gone for {} (the contract's drain time), and was {} \
                 before the first came",
                residue.name,
                residue.after,
                spell(run.contract.drain),
                residue.before
            ),
        });
    }
}

/// Tasks of the server that belong to no connection, were not there at the start, and never end. One that has come in place
/// of one that was, spawned where that was, is as good as that.
fn stray_tasks(run: &Run, findings: &mut Vec<Finding>) {
    let strays = run.tasks.of_server().filter(|task| {
        let alone = task.connection.is_none_or(|id| {
            run.connection(id)
                .is_some_and(|connection| connection.accepted.is_none() && !connection.own)
        });
        !task.root && !task.background && task.ended.is_none() && alone
    });
    let mut gone: Vec<_> = run
        .tasks
        .of_server()
        .filter(|task| task.root && task.ended.is_some())
        .map(|task| task.spawned_at)
        .collect();
    for task in strays {
        if let Some(place) = gone.iter().position(|place| *place == task.spawned_at) {
            gone.swap_remove(place);
            continue;
        }
        let outlook = run.since(Some(task.last_poll));
        let stuck = StuckTask::new(run, task);
        let repeats = task
            .repeats(run.search.until)
            .map_or_else(String::new, |period| {
                format!(", and repeats for ever, period {}", spell(period))
            });
        findings.push(Finding {
            kind: Verdict::Leftover,
            part: None,
            client: None,
            connection: None,
            at: run.search.from,
            alive_for: Some(run.search.from.saturating_sub(task.born)),
            never_ends: outlook == Outlook::Never,
            phase: None,
            says: format!(
                "a task of no connection, spawned at {} {} into the run, outlives every client{repeats}",
                stuck.spawned_at,
                spell(task.born)
            ),
            task: Some(stuck),
        });
    }
}
