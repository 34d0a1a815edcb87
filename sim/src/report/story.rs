//! The timeline of a run, as it is told to people: what repeats is counted, and what is too long is cut in the middle.

use crate::run::Run;
use crate::trace::{Actor, Entry};
use std::borrow::Cow;
use std::time::Duration;

/// Longer timelines are cut in the middle.
const LINES_MAX: usize = 60;

/// A line of the timeline.
#[derive(Clone, Debug)]
pub(super) enum Line<'a> {
    /// Something happened.
    Said {
        /// When.
        at: Duration,
        /// To whom.
        actor: Actor,
        /// On which connection.
        connection: Option<u32>,
        /// What.
        text: Cow<'a, str>,
        /// How often it happened again at once.
        more: usize,
    },
    /// So many lines are left out.
    Skipped(usize),
}

/// Who did it, or had it happen to them.
pub(super) fn who(actor: Actor, connection: Option<u32>) -> String {
    match (actor, connection) {
        (Actor::Client(client), _) => format!("client {client}"),
        (Actor::Probe, _) => "fresh client".to_owned(),
        (Actor::Server, Some(connection)) => format!("server #{connection}"),
        (Actor::Server, None) => "server".to_owned(),
    }
}

/// The timeline of a run; of a fresh client that is served there is one line.
pub(super) fn told(run: &Run) -> Vec<Line<'_>> {
    let served = run
        .connections
        .iter()
        .find(|connection| connection.probe && run.probe_served);
    let entries = fold(run.timeline.iter().filter(|entry| {
        entry.connection.is_none() || entry.connection != served.map(|connection| connection.id)
    }));
    let skip = if entries.len() > LINES_MAX {
        LINES_MAX / 2..entries.len() - LINES_MAX / 2
    } else {
        0..0
    };
    let mut lines = Vec::new();
    for (index, (entry, times)) in entries.iter().enumerate() {
        if !skip.contains(&index) {
            lines.push(Line::Said {
                at: entry.at,
                actor: entry.actor,
                connection: entry.connection,
                text: Cow::Borrowed(&*entry.text),
                more: times - 1,
            });
        } else if index == skip.start {
            lines.push(Line::Skipped(skip.len()));
        }
    }
    if let Some(answer) = served.and_then(|connection| connection.responses.list.first()) {
        let later = |line: &Line<'_>| matches!(line, Line::Said { at, .. } if *at > answer.at);
        let place = lines.iter().position(later).unwrap_or(lines.len());
        let served = Line::Said {
            at: answer.at,
            actor: Actor::Probe,
            connection: None,
            text: format!("is served: GET / gets {}", answer.status).into(),
            more: 0,
        };
        lines.insert(place, served);
    }
    lines
}

/// Neighbouring lines that say the same are one line with a count.
fn fold<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<(&'a Entry, usize)> {
    let mut lines: Vec<(&Entry, usize)> = Vec::new();
    for entry in entries {
        match lines.last_mut() {
            Some((last, times))
                if last.actor == entry.actor
                    && last.connection == entry.connection
                    && last.text == entry.text =>
            {
                *times += 1;
            }
            _ => lines.push((entry, 1)),
        }
    }
    lines
}
