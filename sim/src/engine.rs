//! What carries the bytes and the clock of a run.

mod descriptors;
pub(crate) mod doze;
mod hooks;
pub mod leap;
mod process;
pub(crate) mod quiet;
pub mod stack;
pub mod turmoil;
mod watchdog;
pub mod wire;

use crate::run::{Detail, Run};
use crate::server::Server;
use hangup_scenario::Scenario;
use hangup_seal::{Source, Unavailable};
use std::sync::Arc;
use std::time::Duration;

/// An engine, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// One paused runtime that leaps from timer to timer, over the network of `hangup-network`.
    #[default]
    Leap,
    /// The same, on a thread whose `std::time` clocks and hash seeds are the scenario's: see `hangup-seal`.
    Sealed,
    /// The classic `turmoil` crate: a runtime for each host, and a clock that is walked.
    Turmoil,
    /// Kernel TCP on 127.0.0.1, in real time.
    Wire,
}

impl Engine {
    /// Every engine of this version, by its name; what is sealed is leap with `--seal`.
    pub const ALL: [Self; 3] = [Self::Leap, Self::Turmoil, Self::Wire];

    /// The name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leap | Self::Sealed => "leap",
            Self::Turmoil => "turmoil",
            Self::Wire => "wire",
        }
    }

    /// One line about it, for `hangup list`.
    pub fn about(self) -> &'static str {
        match self {
            Self::Leap | Self::Sealed => {
                "one paused runtime that leaps from timer to timer, over a simulated network (the default)"
            }
            Self::Turmoil => {
                "the classic turmoil crate, a second opinion: the same verdicts from another network model"
            }
            Self::Wire => {
                "kernel TCP on 127.0.0.1 in real time, every duration divided by one factor"
            }
        }
    }

    /// Can it run here?
    ///
    /// # Errors
    /// Why not.
    pub fn available(self) -> Result<(), Unavailable> {
        match self {
            Self::Sealed => hangup_seal::available(),
            Self::Leap | Self::Turmoil | Self::Wire => Ok(()),
        }
    }

    /// Runs a scenario against a server.
    ///
    /// # Panics
    /// Where this engine is not [`available`](Self::available), or the server does not run on it.
    pub fn run(self, scenario: &Arc<Scenario>, server: &dyn Server, detail: Detail) -> Run {
        let any = matches!(self, Self::Leap | Self::Sealed);
        assert!(
            any || server.runs_on_any_engine(),
            "{} is written against hangup::net and runs on the leap engine only, not on {}",
            server.name(),
            self.name()
        );
        match self {
            Self::Leap => leap::run(scenario, server, detail),
            Self::Sealed => sealed(scenario, || leap::run(scenario, server, detail)),
            Self::Turmoil => turmoil::run(scenario, server, detail),
            Self::Wire => wire::run(scenario, server, detail),
        }
    }

    /// Runs a scenario against a server that has served clients before, see [`leap::run_warm`]; `None` where tasks are
    /// not seen.
    ///
    /// # Panics
    /// Where this engine is not [`available`](Self::available).
    pub fn run_warm(
        self,
        scenario: &Arc<Scenario>,
        server: &dyn Server,
        detail: Detail,
        idle: Duration,
    ) -> Option<Run> {
        let run = || leap::run_warm(scenario, server, detail, idle);
        match self {
            Self::Leap => Some(run()),
            Self::Sealed => Some(sealed(scenario, run)),
            Self::Turmoil | Self::Wire => None,
        }
    }
}

/// What a server depends on, beside the seed, whose two runs on the leap engine differ; `None` where it is not known, or both.
pub(crate) fn unsealed_source(scenario: &Arc<Scenario>, server: &dyn Server) -> Option<Source> {
    [Source::Random, Source::Clocks]
        .into_iter()
        .find(|&source| {
            let run = || leap::run(scenario, server, Detail::default()).hash;
            // Threads, which are not sealed, may agree by chance in two runs.
            let [first, others @ ..] =
                [0; 8].map(|_| hangup_seal::sealed_only(source, scenario.seed, run));
            first.is_ok() && others.iter().all(|other| *other == first)
        })
}

/// Runs on a sealed thread of its own.
fn sealed(scenario: &Scenario, run: impl FnOnce() -> Run + Send) -> Run {
    hangup_seal::sealed(scenario.seed, run).unwrap_or_else(|unavailable| panic!("{unavailable}"))
}
