//! Who is there, and what for: the open connections, grouped like the stacks of a goroutine profile.

use crate::ledger::{Counts, Ledger, Open};
use crate::spell::Spelt;
use hangup_lifecycle::{Clock, Deadline, Phase};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The connections of a server at one moment, grouped by what they wait for and what will end that wait.
///
/// Its `Display` is the text, [`Dump::to_json`] the same for programs. The incident of fasthttp #1834 is one line of it:
///
/// ```text
/// 412 in body, oldest 29h17m, deadline none (as fasthttp's defaults)
/// ```
#[derive(Clone, Debug)]
pub struct Dump {
    at: Instant,
    taken: Option<SystemTime>,
    rows: usize,
    /// How many connections there are and were.
    pub counts: Counts,
    /// What they wait for, the most common first.
    pub groups: Vec<Group>,
}

/// Connections that wait for the same, and that the same clock will end.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they wait for.
    pub phase: Phase,
    /// The clock that ends the wait, or the name under which there is none.
    pub ends: Result<Clock, &'static str>,
    /// They, the one that has waited longest first.
    pub connections: Vec<Open>,
}

impl Ledger {
    /// Who is there now.
    pub fn dump(&self) -> Dump {
        let snapshot = self.snapshot();
        let mut groups: Vec<Group> = Vec::new();
        for open in snapshot.open {
            let ends = match open.ends {
                Deadline::At { clock, .. } => Ok(clock),
                Deadline::Never(named) => Err(named),
            };
            let group = groups
                .iter_mut()
                .find(|group| (group.phase, group.ends) == (open.phase, ends));
            match group {
                Some(group) => group.connections.push(open),
                None => groups.push(Group {
                    phase: open.phase,
                    ends,
                    connections: vec![open],
                }),
            }
        }
        for group in &mut groups {
            group.connections.sort_by_key(|open| open.since);
        }
        groups.sort_by_key(|group| (usize::MAX - group.connections.len(), group.phase));
        Dump {
            at: snapshot.at,
            taken: None,
            rows: Dump::ROWS,
            counts: snapshot.counts,
            groups,
        }
    }
}

impl Dump {
    /// How many connections of a group are shown each by itself, unless told otherwise.
    pub const ROWS: usize = 5;

    /// Shows so many connections of each group.
    #[must_use]
    pub fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// Says since when by the calendar too; `now` is the time of the dump.
    #[must_use]
    pub fn taken(mut self, now: SystemTime) -> Self {
        self.taken = Some(now);
        self
    }

    /// The dump as one JSON object; times are seconds, and their names end in `_s`.
    ///
    /// ```
    /// use hangup_server::{Body, Server, service_fn};
    /// use http::{Request, Response};
    ///
    /// let server = Server::new(service_fn(async |_: Request<Body>| Response::new(String::new())));
    /// assert_eq!(server.ledger().dump().to_json(), r#"{"opened":0,"open":0,"closed":{},"groups":[]}"#);
    /// ```
    pub fn to_json(&self) -> String {
        let groups = self.groups.iter().map(|group| group.shape(self)).collect();
        let shape = Shape {
            taken: self.taken.map(calendar),
            opened: self.counts.opened,
            open: self.counts.open,
            closed: &self.counts.closed,
            accept_errors: &self.counts.accept_errors,
            groups,
        };
        // Nothing in it can fail: no map has a key that is not a string.
        serde_json::to_string(&shape).unwrap_or_default()
    }

    fn ago(&self, at: Instant) -> Duration {
        self.at.saturating_duration_since(at)
    }

    fn since(&self, at: Instant) -> Option<String> {
        let taken = self.taken?.checked_sub(self.ago(at))?;
        Some(calendar(taken))
    }
}

fn calendar(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

impl Group {
    fn bytes(&self) -> (u64, u64) {
        let sum = |bytes: fn(&Open) -> u64| self.connections.iter().map(bytes).sum();
        (sum(|open| open.bytes_in), sum(|open| open.bytes_out))
    }

    fn queued(&self) -> u64 {
        self.connections.iter().map(|open| open.queued).sum()
    }

    fn deadlines(&self) -> Option<(Instant, Instant)> {
        let deadlines = || self.connections.iter().filter_map(|open| open.deadline);
        Some((deadlines().min()?, deadlines().max()?))
    }

    /// The group in one line: how many, where, how long, until when.
    fn headline(&self, dump: &Dump) -> String {
        let oldest = self.connections.first();
        let oldest = oldest.map_or(Duration::ZERO, |open| dump.ago(open.since));
        let until = match (self.ends, self.deadlines()) {
            (Err(named), _) => format!("deadline none ({named})"),
            (Ok(clock), Some((first, last))) if first < last => {
                let last = last.saturating_duration_since(dump.at);
                format!(
                    "deadline {} to {} ({clock})",
                    left(dump, first),
                    Spelt(last)
                )
            }
            (Ok(clock), Some((first, _))) => format!("deadline {} ({clock})", left(dump, first)),
            (Ok(clock), None) => format!("deadline by its {clock} clock"),
        };
        let (count, phase) = (self.connections.len(), self.phase);
        format!("{count} in {phase}, oldest {}, {until}", Spelt(oldest))
    }

    fn shape<'a>(&'a self, dump: &Dump) -> GroupShape<'a> {
        let signed = |at: Instant| {
            at.saturating_duration_since(dump.at).as_secs_f64()
                - dump.at.saturating_duration_since(at).as_secs_f64()
        };
        let (bytes_in, bytes_out) = self.bytes();
        let oldest = self.connections.first().map(|open| open.since);
        GroupShape {
            phase: self.phase.name(),
            waits_for: self.phase.explain(),
            count: self.connections.len(),
            oldest_s: oldest.map_or(0.0, |since| dump.ago(since).as_secs_f64()),
            since: oldest.and_then(|since| dump.since(since)),
            clock: self.ends.ok().map(Clock::name),
            unbounded: self.ends.err(),
            first_deadline_in_s: self.deadlines().map(|(first, _)| signed(first)),
            last_deadline_in_s: self.deadlines().map(|(_, last)| signed(last)),
            bytes_in,
            bytes_out,
            queued: self.queued(),
            connections: self
                .connections
                .iter()
                .take(dump.rows)
                .map(|open| RowShape {
                    id: open.id,
                    peer: open.peer.to_string(),
                    age_s: dump.ago(open.opened).as_secs_f64(),
                    in_phase_s: dump.ago(open.since).as_secs_f64(),
                    silent_s: dump.ago(open.heard).as_secs_f64(),
                    since: dump.since(open.since),
                    deadline_in_s: open.deadline.map(signed),
                    bytes_in: open.bytes_in,
                    bytes_out: open.bytes_out,
                    queued: open.queued,
                    requests: open.requests,
                    status: open.status,
                })
                .collect(),
        }
    }
}

fn left(dump: &Dump, deadline: Instant) -> String {
    if deadline < dump.at {
        format!("{} ago", Spelt(dump.ago(deadline)))
    } else {
        format!("in {}", Spelt(deadline.saturating_duration_since(dump.at)))
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            opened,
            open,
            closed,
            accept_errors,
        } = &self.counts;
        write!(f, "{opened} connections opened, {open} open")?;
        for (reason, count) in closed {
            write!(f, ", {count} {reason}")?;
        }
        writeln!(f)?;
        for (what, count) in accept_errors {
            writeln!(f, "{count} accepts failed ({what})")?;
        }
        if let Some(taken) = self.taken {
            writeln!(f, "{}", calendar(taken))?;
        }
        for group in &self.groups {
            let (bytes_in, bytes_out) = group.bytes();
            writeln!(f, "\n{}", group.headline(self))?;
            writeln!(
                f,
                "    waiting for {}; {bytes_in} bytes in, {bytes_out} bytes out{}",
                group.phase.explain(),
                match group.queued() {
                    0 => String::new(),
                    queued => format!(", {queued} not acknowledged"),
                }
            )?;
            for open in group.connections.iter().take(self.rows) {
                self.row(open, f)?;
            }
            let more = group.connections.len().saturating_sub(self.rows);
            if more > 0 {
                writeln!(f, "    and {more} more")?;
            }
        }
        Ok(())
    }
}

impl Dump {
    fn row(&self, open: &Open, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, peer) = (open.id, open.peer.to_string());
        let [phase, age, silent] =
            [open.since, open.opened, open.heard].map(|at| Spelt(self.ago(at)));
        write!(
            f,
            "    #{id:<6} {peer:<21}  waits {phase:<7} age {age:<7} silent {silent:<7} in {} out {}, {} requests",
            open.bytes_in, open.bytes_out, open.requests
        )?;
        if let Some(status) = open.status {
            write!(f, ", last {status}")?;
        }
        match open.deadline {
            Some(deadline) => write!(f, ", deadline {}", left(self, deadline))?,
            None => write!(f, ", deadline none")?,
        }
        match self.since(open.since) {
            Some(since) => writeln!(f, ", since {since}"),
            None => writeln!(f),
        }
    }
}

#[derive(Serialize)]
struct Shape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<String>,
    opened: u64,
    open: u64,
    closed: &'a BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    accept_errors: &'a BTreeMap<&'static str, u64>,
    groups: Vec<GroupShape<'a>>,
}

#[derive(Serialize)]
struct GroupShape<'a> {
    phase: &'a str,
    waits_for: &'a str,
    count: usize,
    oldest_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    clock: Option<&'a str>,
    /// The name under which it was made unbounded.
    unbounded: Option<&'a str>,
    first_deadline_in_s: Option<f64>,
    last_deadline_in_s: Option<f64>,
    bytes_in: u64,
    bytes_out: u64,
    /// Bytes that wait in the kernel for acknowledgement.
    queued: u64,
    connections: Vec<RowShape>,
}

#[derive(Serialize)]
struct RowShape {
    id: u64,
    peer: String,
    age_s: f64,
    in_phase_s: f64,
    silent_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    deadline_in_s: Option<f64>,
    bytes_in: u64,
    bytes_out: u64,
    queued: u64,
    requests: u32,
    status: Option<u16>,
}
