//! **hung**: a task or socket of the server is past its deadline, its client is still there, and nothing is armed
//! that could end it.

use super::held;
use crate::contract::Promise;
use crate::finding::Finding;
use crate::run::{Outlook, Run};
use hangup_scenario::Verdict;

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    for (connection, breach, outlook) in held::breaches(run) {
        let ended = matches!(outlook, Outlook::Ended(_)) || breach.promise == Promise::Kernel;
        if !ended && connection.client_gone.is_none() {
            findings.push(held::finding(
                run,
                Verdict::Hung,
                connection,
                breach,
                outlook,
            ));
        }
    }
}
