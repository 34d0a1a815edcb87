//! **nondeterministic**: two runs of one seed behave differently, see [`behaviour`](super::behaviour).

use super::behaviour::Difference;
use crate::finding::{Finding, StuckTask, spell, spelled};
use crate::run::Run;
use crate::trace::Entry;
use hangup_scenario::Verdict;
use hangup_seal::Source;

/// The finding that says so: how their behaviour is unlike, with the first event that differs and its task, where both timelines were kept, and what the difference
/// comes from, where that is known.
pub(crate) fn finding(
    first: &Run,
    second: &Run,
    source: Option<Source>,
    unlike: &Difference,
) -> Finding {
    let (one, other) = first_difference(&first.timeline, &second.timeline);
    let told = |entry: &Entry| format!("at {} \"{}\"", spell(entry.at), entry.text);
    let difference = match (one, other) {
        (Some(one), Some(other)) if looks(one) == looks(other) => {
            format!("{} with other bytes the second time", told(one))
        }
        (Some(one), Some(other)) => format!("{}, the second time {}", told(one), told(other)),
        (Some(one), None) => format!("{}, and nothing the second time", told(one)),
        (None, Some(other)) => format!("nothing, and the second time {}", told(other)),
        (None, None) => format!("trace {:016x}, then {:016x}", first.hash, second.hash),
    };
    let differing = one.or(other);
    let connection = differing
        .and_then(|entry| entry.connection)
        .or(unlike.connection);
    let task = differing.and_then(|entry| task(first, entry));
    let of_task = match &task {
        Some(task) => format!(" (the task spawned at {})", task.spawned_at),
        None => String::new(),
    };
    let from = match (source, first.sealed) {
        (Some(Source::Random), _) => {
            "; it comes from the system's random bytes (getrandom), such as the order of a HashMap: --seal gives those of the seed"
        }
        (Some(Source::Clocks), _) => {
            "; it comes from std's Instant or SystemTime (clock_gettime): with --seal they follow simulated time"
        }
        (None, false) => "; --seal shows whether it comes from random bytes and std's clocks",
        (None, true) => {
            "; it comes neither from random bytes nor from std's clocks: look at threads, addresses and what is left of the run before"
        }
    };
    Finding {
        kind: Verdict::Nondeterministic,
        part: None,
        client: None,
        connection,
        at: differing.map_or(first.search.from, |entry| entry.at),
        alive_for: None,
        never_ends: false,
        phase: None,
        task,
        says: format!(
            "two runs of one seed differ: {difference}{of_task}; {}{from}; `Bed::tolerate(Verdict::Nondeterministic)` accepts that",
            unlike.says
        ),
    }
}

/// What people see of an event.
fn looks(entry: &Entry) -> impl PartialEq {
    (entry.at, entry.connection, entry.text.clone())
}

fn first_difference<'a>(
    one: &'a [Entry],
    other: &'a [Entry],
) -> (Option<&'a Entry>, Option<&'a Entry>) {
    let same =
        |(one, other): &(&Entry, &Entry)| one.hash == other.hash && looks(one) == looks(other);
    let alike = one.iter().zip(other).take_while(same).count();
    (one.get(alike), other.get(alike))
}

/// The server's task that did it, or else that of its connection.
fn task(run: &Run, entry: &Entry) -> Option<StuckTask> {
    let of_connection = || {
        let mut tasks = run.tasks.of_server();
        tasks.find(|task| entry.connection.is_some() && task.connection == entry.connection)
    };
    let spawned_at = entry
        .task
        .or_else(|| of_connection().map(|task| task.spawned_at))?;
    Some(StuckTask {
        spawned_at: spelled(spawned_at),
        stack: Vec::new(),
    })
}
