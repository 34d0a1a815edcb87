//! **nondeterministic**: two runs of one seed differ.

use crate::finding::{Finding, spell};
use crate::run::Run;
use hangup_scenario::Verdict;

/// The finding that says so, with the first event that differs where both timelines were kept.
pub(crate) fn finding(first: &Run, second: &Run) -> Finding {
    let differing = first
        .timeline
        .iter()
        .zip(&second.timeline)
        .find(|(one, other)| {
            (one.at, one.connection, &one.text) != (other.at, other.connection, &other.text)
        });
    let says = match differing {
        Some((one, other)) => format!(
            "two runs of one seed differ: at {} \"{}\", the second time at {} \"{}\"",
            spell(one.at),
            one.text,
            spell(other.at),
            other.text
        ),
        None => format!(
            "two runs of one seed differ: trace {:016x}, then {:016x}",
            first.hash, second.hash
        ),
    };
    Finding {
        kind: Verdict::Nondeterministic,
        client: None,
        connection: differing.and_then(|(one, _)| one.connection),
        at: differing.map_or(first.search.from, |(one, _)| one.at),
        alive_for: None,
        never_ends: false,
        phase: None,
        task: None,
        says,
    }
}
