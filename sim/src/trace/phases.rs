//! What the connections of a run wait for, one after the other.

use rustc_hash::FxHashMap;
use std::time::Duration;

/// From here on a connection waits for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Simulated time since the start of the run.
    pub at: Duration,
    /// The connection.
    pub connection: u32,
    /// What is waited for.
    pub name: &'static str,
    /// Until when: the server's own deadline, or else the contract's; none if the server has none.
    pub deadline: Option<Duration>,
    /// The server said so itself; otherwise it is what an observer sees.
    pub told: bool,
}

/// The phases of all connections.
#[derive(Debug, Default)]
pub(super) struct Phases {
    pub(super) list: Vec<Phase>,
    /// Where in the list each connection's last one is.
    last: FxHashMap<u32, usize>,
}

impl Phases {
    /// Adds a phase, if it is news; where the server speaks for itself, nobody else does.
    pub(super) fn add(&mut self, phase: Phase) {
        if let Some(&last) = self.last.get(&phase.connection) {
            let last = &mut self.list[last];
            if last.told && !phase.told {
                return;
            }
            if !last.told && phase.told {
                // What was seen before the server began to speak.
                self.list
                    .retain(|seen| seen.connection != phase.connection || seen.told);
                self.last.clear();
                for (place, seen) in self.list.iter().enumerate() {
                    self.last.insert(seen.connection, place);
                }
            } else if (last.name, last.deadline) == (phase.name, phase.deadline) {
                return;
            }
        }
        self.last.insert(phase.connection, self.list.len());
        self.list.push(phase);
    }
}
