//! What somebody saw in production, and whether a run shows the same.
//!
//! | module | idea |
//! |---|---|
//! | `frame` | frames that tell what a connection waits for |
//! | `dump` | stacks that somebody pasted |
//! | `prefix` | what stands before each line of a log |
//! | `stranger` | dumps of other tools |

mod dump;
mod frame;
mod prefix;
mod stranger;

pub use dump::{Seen, Unreadable};
pub(super) use frame::telling;

use crate::cell::Cell;
use crate::finding::{Finding, spell};
use crate::ledger::Connection;
use hangup_scenario::Verdict;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Every phase that can be asked for: those that a connection is seen in from outside, and two that only our server tells apart
/// (`expect`: a body for which 100 was sent, `linger`: closing). `open` is all that is seen where a server does not speak HTTP.
pub const PHASES: [&str; 12] = [
    "opening", "head", "expect", "body", "handler", "response", "drain", "linger", "closing",
    "idle", "upgrade", "open",
];

/// A phase as it is seen from outside, and the last status that goes with it.
fn seen_from_outside(phase: &str) -> (&str, Option<u16>) {
    match phase {
        "expect" => ("body", Some(100)),
        "linger" => ("closing", None),
        phase => (phase, None),
    }
}

/// What is seen of a server as a whole, or of many of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Sockets stay in CLOSE-WAIT: the client has closed, the server has not.
    CloseWait,
    /// A graceful shutdown does not end.
    Shutdown,
    /// A response that the server sent did not arrive.
    LostResponse,
    /// A core is busy, and nothing is done.
    Cpu,
}

impl Sign {
    /// All of them, as they are named.
    pub const NAMES: [&str; 4] = ["close-wait", "shutdown", "lost-response", "cpu"];

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::CloseWait,
            Self::Shutdown,
            Self::LostResponse,
            Self::Cpu,
        ];
        let place = Self::NAMES.iter().position(|known| *known == name)?;
        Some(all[place])
    }

    fn kinds(self) -> &'static [Verdict] {
        match self {
            Self::CloseWait => &[Verdict::Hung, Verdict::Leftover, Verdict::Late],
            Self::Shutdown => &[Verdict::StuckShutdown],
            Self::LostResponse => &[Verdict::Lost],
            Self::Cpu => &[Verdict::Spin],
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::CloseWait => "whose client has closed (CLOSE-WAIT)",
            Self::Shutdown => "whose shutdown does not end",
            Self::LostResponse => "that lost a response",
            Self::Cpu => "that is busy with nothing",
        }
    }
}

/// What is known of a connection that hangs. What is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symptom {
    /// Its phase, one of [`PHASES`].
    pub phase: Option<String>,
    /// How old it is at least.
    pub age: Option<Duration>,
    /// The last status that it got.
    pub status: Option<u16>,
    /// Whether its last request has an Expect.
    pub expects: Option<bool>,
    /// What is seen of the server.
    pub sign: Option<Sign>,
    /// A part of a frame of the stack: of the server under test, or one of Go's that are known here.
    pub stack: Option<String>,
    /// Roughly so many bytes reached the server: half of it to twice as many.
    pub bytes_in: Option<u64>,
    /// Roughly so many bytes reached the client.
    pub bytes_out: Option<u64>,
    /// How many connections there are like it. 1: no other of its run is held; more: each of several that do the same is.
    pub connections: Option<u64>,
}

fn roughly(wanted: Option<u64>, seen: u64) -> bool {
    wanted.is_none_or(|wanted| (wanted / 2..=wanted.saturating_mul(2)).contains(&seen))
}

impl Symptom {
    /// Reads a goroutine dump of Go's, a task dump or backtrace of Rust, or our server's `/debug/connections`.
    ///
    /// # Errors
    /// When nothing in it says what a connection waits for.
    pub fn from_dump(text: &str) -> Result<Seen, Unreadable> {
        dump::read(text)
    }

    /// This, and what only `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            phase: self.phase.or(other.phase),
            age: self.age.or(other.age),
            status: self.status.or(other.status),
            expects: self.expects.or(other.expects),
            sign: self.sign.or(other.sign),
            stack: self.stack.or(other.stack),
            bytes_in: self.bytes_in.or(other.bytes_in),
            bytes_out: self.bytes_out.or(other.bytes_out),
            connections: self.connections.or(other.connections),
        }
    }

    /// The built-in server that it is looked for in where nobody says which: the one whose stacks have such a frame.
    pub fn server(&self) -> &'static str {
        match (self.sign, &self.stack) {
            // Nothing ends what waits in hangup-unbounded, but a shutdown does.
            (Some(Sign::Shutdown), None) => "axum",
            (Some(Sign::LostResponse), None) => "hyper",
            (_, stack) => frame::server(stack.as_deref().unwrap_or_default()),
        }
    }

    /// Must the await stack be looked at? Not for a frame of Go's, which no server under test has: it stands for a phase.
    pub(super) fn needs_stack(&self) -> bool {
        self.stack.is_some() && self.go().is_none()
    }

    fn go(&self) -> Option<&'static frame::Known> {
        frame::go(self.stack.as_deref()?)
    }

    /// The status that is asked for, by itself or by what else is.
    fn last_status(&self) -> Option<u16> {
        let of_phase = || seen_from_outside(self.phase.as_deref()?).1;
        self.status.or_else(of_phase).or_else(|| self.go()?.status)
    }

    /// The findings of a run that fit, as far as can be told without their stacks.
    pub(super) fn fits<'a>(&'a self, cell: &'a Cell) -> impl Iterator<Item = &'a Finding> {
        let held = |finding: &&Finding| self.is_held(cell, finding);
        cell.findings.iter().filter(held)
    }

    /// Does the stuck task wait in that frame?
    pub(super) fn fits_stack(&self, finding: &Finding) -> bool {
        let (Some(frame), Some(task)) = (&self.stack, &finding.task) else {
            return self.stack.is_none();
        };
        task.stack.iter().any(|line| line.contains(frame.as_str()))
    }

    fn is_held(&self, cell: &Cell, finding: &Finding) -> bool {
        let kinds = self.sign.unwrap_or(Sign::CloseWait).kinds();
        let holds = kinds.contains(&finding.kind);
        // A server that spins, or does not end, does so of its own.
        let of_server = matches!(self.sign, Some(Sign::Shutdown | Sign::Cpu));
        let is_bare = *self
            == Self {
                sign: self.sign,
                ..Self::default()
            };
        if holds && of_server && is_bare {
            return true;
        }
        let connection = finding.connection.and_then(|id| {
            let mut all = cell.run.connections.iter();
            all.find(|connection| connection.id == id)
        });
        let Some(connection) = connection.filter(|_| holds) else {
            return false;
        };
        let old = self.age.is_none_or(|age| {
            finding.never_ends || finding.alive_for.is_some_and(|alive| alive >= age)
        });
        let phase = connection.phase();
        let wanted = self
            .phase
            .as_deref()
            .map(|phase| seen_from_outside(phase).0);
        let closed = self.sign != Some(Sign::CloseWait)
            || connection.client_closed.is_some()
            || connection.client_shutdown.is_some();
        let expects = connection.requests.list.last().map(|last| last.expects);
        old && closed
            && self.expects.is_none_or(|wanted| expects == Some(wanted))
            && wanted.is_none_or(|wanted| wanted == phase)
            && self.go().is_none_or(|known| known.phases.contains(&phase))
            && self
                .last_status()
                .is_none_or(|status| last_status(connection) == Some(status))
            && roughly(self.bytes_in, connection.bytes_in)
            && roughly(self.bytes_out, connection.bytes_out)
    }
}

fn last_status(connection: &Connection) -> Option<u16> {
    connection.responses.list.last().map(|last| last.status)
}

impl Display for Symptom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let stack = self.stack.as_ref().map(|frame| match self.go() {
            Some(_) if self.phase.is_some() => format!("with {frame} in its stack"),
            Some(known) => format!(
                "with {frame} in its stack (here: phase {})",
                known.phases.join(" or ")
            ),
            None => format!("with {frame} in its stack"),
        });
        let all = [
            self.phase.as_ref().map(|phase| format!("in phase {phase}")),
            stack,
            self.expects.map(|expects| match expects {
                true => "whose request has Expect: 100-continue".to_owned(),
                false => "whose request has no Expect".to_owned(),
            }),
            self.sign.map(|sign| sign.says().to_owned()),
            self.age.map(|age| format!("at least {} old", spell(age))),
            self.last_status()
                .map(|status| format!("whose last status was {status}")),
            self.bytes_in.map(|count| format!("some {count} bytes in")),
            self.bytes_out
                .map(|count| format!("some {count} bytes out")),
            self.connections.map(|count| match count {
                0 | 1 => "the only one".to_owned(),
                count => format!("one of {count}"),
            }),
        ];
        let told: Vec<String> = all.into_iter().flatten().collect();
        let what = match self.sign {
            Some(Sign::Shutdown | Sign::Cpu) => "a server",
            _ => "a connection",
        };
        match told.is_empty() {
            true => write!(f, "{what} that is held too long"),
            false => write!(f, "{what} {}", told.join(", ")),
        }
    }
}
