//! What carries the bytes and the clock of a run.

pub mod leap;
pub mod stack;
pub mod turmoil;

use crate::run::{Detail, Run};
use crate::server::Server;
use hangup_scenario::Scenario;
use std::sync::Arc;

/// An engine, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// One paused runtime that leaps from timer to timer, over the network of `hangup-network`.
    #[default]
    Leap,
    /// The classic `turmoil` crate: a runtime for each host, and a clock that is walked.
    Turmoil,
}

impl Engine {
    /// Every engine of this version.
    pub const ALL: [Self; 2] = [Self::Leap, Self::Turmoil];

    /// The name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leap => "leap",
            Self::Turmoil => "turmoil",
        }
    }

    /// One line about it, for `hangup list`.
    pub fn about(self) -> &'static str {
        match self {
            Self::Leap => {
                "one paused runtime that leaps from timer to timer, over a simulated network (the default)"
            }
            Self::Turmoil => {
                "the classic turmoil crate, a second opinion: the same verdicts from another network model"
            }
        }
    }

    /// Runs a scenario against a server.
    pub fn run(self, scenario: &Arc<Scenario>, server: &dyn Server, detail: Detail) -> Run {
        match self {
            Self::Leap => leap::run(scenario, server, detail),
            Self::Turmoil => turmoil::run(scenario, server, detail),
        }
    }
}
