//! **late**: a connection was held past its deadline, but it did end, or would have.

use super::held;
use crate::contract::Promise;
use crate::finding::Finding;
use crate::run::{Outlook, Run};
use hangup_scenario::Verdict;

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    for (connection, breach, outlook) in held::breaches(run) {
        if matches!(outlook, Outlook::Ended(_)) && breach.promise != Promise::Kernel {
            findings.push(held::finding(
                run,
                Verdict::Late,
                connection,
                breach,
                outlook,
            ));
        }
    }
}
