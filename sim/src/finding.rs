//! What the oracles say about a run.

use crate::run::Run;
use hangup_scenario::Verdict;
use std::time::Duration;

/// One broken rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub kind: Verdict,
    /// Which of its parts, where it has several: `host`, `framing`, `segmentation`, `erased` ...
    pub part: Option<&'static str>,
    /// The client, counted from 0, whose behaviour it was.
    pub client: Option<u32>,
    /// The connection that it was seen on.
    pub connection: Option<u32>,
    /// When the rule was broken.
    pub at: Duration,
    /// How long the connection was held in all, for what holds one.
    pub alive_for: Option<Duration>,
    /// It is proved that nothing would ever end it: nothing came due in the two years that were searched. tokio's clock has no longer
    /// timers; one that is set further ahead counts as none.
    pub never_ends: bool,
    /// What the server was waiting for, as seen from outside.
    pub phase: Option<&'static str>,
    /// The stuck task, if there is one.
    pub task: Option<StuckTask>,
    /// One sentence for people.
    pub says: String,
}

impl Finding {
    /// Are both of the same rule and part?
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (self.kind, self.part) == (other.kind, other.part)
    }
}

/// The task that a finding is about, and where it is stuck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckTask {
    /// File and line of the `spawn`.
    pub spawned_at: String,
    /// Its await stack, innermost frame first; empty where it was not captured.
    pub stack: Vec<String>,
}

/// The gravest kind among findings, or [`Verdict::Clean`].
pub fn verdict(findings: &[Finding]) -> Verdict {
    findings
        .iter()
        .map(|finding| finding.kind)
        .max()
        .unwrap_or(Verdict::Clean)
}

/// A length of time as people write it: `75 s`, `20 ms`, `29h 17m`.
pub fn spell(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        1..=119 if time.subsec_millis() == 0 => format!("{} s", time.as_secs()),
        1..=119 => {
            let text = format!("{:.3}", time.as_secs_f64());
            format!("{} s", text.trim_end_matches('0'))
        }
        seconds => {
            let parts = [
                (seconds / 3600, "h"),
                (seconds / 60 % 60, "m"),
                (seconds % 60, "s"),
            ];
            let parts = parts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, unit)| format!("{count}{unit}"));
            parts.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Much time: in days, where it is days.
pub fn spell_days(time: Duration) -> String {
    match time.as_secs() / 86_400 {
        0 => spell(time),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

impl StuckTask {
    /// The stuck task of a connection, with its stack if that was captured.
    pub(crate) fn of(run: &Run, connection: u32) -> Option<Self> {
        run.stuck_task(connection).map(|task| Self::new(run, task))
    }

    /// This task, with its stack if that was captured.
    pub(crate) fn new(run: &Run, task: &crate::task::Task) -> Self {
        Self {
            spawned_at: spelled(task.spawned_at),
            stack: run.stacks.get(&task.id).cloned().unwrap_or_default(),
        }
    }
}

/// File and line.
pub(crate) fn spelled(place: &std::panic::Location<'_>) -> String {
    format!(
        "{}:{}",
        crate::engine::stack::short_path(place.file()),
        place.line()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_for_people() {
        for (time, text) in [
            (Duration::from_millis(20), "20 ms"),
            (Duration::from_secs(75), "75 s"),
            (Duration::from_millis(75_080), "75.08 s"),
            (Duration::from_secs(1757 * 60), "29h 17m"),
        ] {
            assert_eq!(spell(time), text);
        }
    }
}
