//! The rules that a run is held against: one file each.
//!
//! An oracle reads a finished [`Run`] and gives findings; it knows no engine and no report. Each has a canary in
//! `server::canary` that it convicts, and a healthy twin that it acquits.

pub(crate) mod behaviour;
mod deaf;
mod echo;
mod held;
mod hoard;
mod hung;
mod late;
mod leftover;
mod lost;
pub(crate) mod nondeterministic;
mod protocol;
mod spin;
mod stuck_shutdown;

use crate::finding::Finding;
use crate::run::Run;

/// An oracle: its name in reports, and its rule.
pub type Oracle = (&'static str, fn(&Run, &mut Vec<Finding>));

/// Every oracle, the gravest first.
pub const ORACLES: [Oracle; 9] = [
    ("protocol", protocol::judge),
    ("lost", lost::judge),
    ("hung", hung::judge),
    ("leftover", leftover::judge),
    ("late", late::judge),
    ("stuck-shutdown", stuck_shutdown::judge),
    ("deaf", deaf::judge),
    ("spin", spin::judge),
    ("hoard", hoard::judge),
];

/// Holds a run against every rule; the gravest finding comes first.
pub fn judge(run: &Run) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, oracle) in ORACLES {
        oracle(run, &mut findings);
    }
    findings
}
