//! What a task watch has to say, and the advice that goes with it.

use crate::ledger::Open;
use crate::spell::Spelt;
use hangup_lifecycle::Phase;
use std::fmt;
use std::time::Duration;

/// Something that should not be.
#[derive(Clone, PartialEq, Debug)]
pub enum Alert {
    /// A number has grown for a whole window of looks and never fallen.
    Growing {
        /// What grows.
        what: Counted,
        /// How many there were.
        from: u64,
        /// How many there are.
        to: u64,
        /// Within this time.
        over: Duration,
    },
    /// Connections are past a bound.
    PastBound {
        /// Which bound.
        bound: Past,
        /// How many are.
        count: u64,
        /// The one that is furthest past it.
        worst: Box<Open>,
        /// How long that one has waited, or lived, when it was looked at.
        time: Duration,
    },
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// The open connections of the server.
    Connections,
    /// The tasks of the runtime, whoever has spawned them.
    Tasks,
}

/// A bound that a connection is past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Past {
    /// It waits without a deadline, and has done so for longer than any wait under the default limits.
    Endless,
    /// It is older than the limits let a connection become; where they have no bound, than the default ones do.
    Residence,
    /// Its deadline is over and its task has not noticed.
    Overdue,
}

impl Alert {
    /// What to do about it.
    pub const fn advice(&self) -> &'static str {
        match self {
            Alert::Growing { .. } => {
                "Look at what they wait for: /debug/connections groups connections by it, a task dump or tokio-console shows the stacks. \
                 Where a group only grows, its limit is missing: set read, write and idle timeouts (Limits::default has one for every phase)."
            }
            Alert::PastBound {
                bound: Past::Endless,
                worst,
                ..
            } => match worst.phase {
                Phase::Expect | Phase::Body => {
                    "A client announced a body and does not send it (with Expect: 100-continue this is fasthttp #1834). Set read timeouts: expect, body \
                     and read in Limits; Limits::default has them. hangup run fasthttp-1834 shows it on any server."
                }
                Phase::Handshake | Phase::Opening | Phase::Head | Phase::Drain => {
                    "A client is silent before the end of its request. Set read timeouts: opening, head, read and drain in Limits; \
                     Limits::default has them."
                }
                Phase::Idle => {
                    "A client keeps a connection and asks for nothing. Set an idle timeout: idle in Limits; 75 s by default."
                }
                Phase::Response | Phase::Kernel | Phase::Linger => {
                    "A client does not take its response, or the application does not go on with it. Set write timeouts: response and linger in \
                     Limits; Limits::default has them."
                }
                Phase::Handler => {
                    "The application has not answered. Set handler in Limits, and look at its stack with a task dump or tokio-console."
                }
                Phase::Upgrade => {
                    "The application holds an upgraded stream. Set upgrade in Limits, and a timeout of the protocol's own."
                }
            },
            Alert::PastBound {
                bound: Past::Residence,
                ..
            } => {
                "The client is heard of but never done: no total bounds it. Set age and read in Limits; a minimum rate ends a trickle."
            }
            Alert::PastBound {
                bound: Past::Overdue,
                ..
            } => {
                "Its task was not polled in time: the application blocks a thread of the runtime. Look at the stacks of the threads; use \
                 spawn_blocking for what blocks."
            }
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alert::Growing {
                what,
                from,
                to,
                over,
            } => {
                let what = match what {
                    Counted::Connections => "connections",
                    Counted::Tasks => "tasks",
                };
                let over = Spelt(*over);
                write!(f, "{what} only grow: from {from} to {to} within {over}")
            }
            Alert::PastBound {
                bound,
                count,
                worst,
                time,
            } => {
                let (noun, time) = (
                    if *count == 1 {
                        "connection"
                    } else {
                        "connections"
                    },
                    Spelt(*time),
                );
                let (id, peer, phase) = (worst.id, worst.peer, worst.phase);
                match bound {
                    Past::Endless => write!(
                        f,
                        "{count} {noun} without a deadline: #{id} from {peer} in {phase} for {time}, waiting for {}",
                        phase.explain()
                    ),
                    Past::Residence => write!(
                        f,
                        "{count} {noun} older than any may be: #{id} from {peer} is {time} old, in {phase}"
                    ),
                    Past::Overdue => write!(
                        f,
                        "{count} {noun} past the deadline: #{id} from {peer} in {phase}, {time} over"
                    ),
                }
            }
        }
    }
}
