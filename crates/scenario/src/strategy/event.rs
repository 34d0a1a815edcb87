//! What happens to the server while its clients are at work.

use std::time::Duration;

use super::{grid::Draw, mask::EVENTS};
use crate::server_event::{AcceptError, ServerAction, ServerEvent};

/// The actions, as often as they come: a server is shut down more often than its process dies. How long accepts fail is
/// drawn.
const ACTIONS: [ServerAction; 13] = [
    ServerAction::Shutdown,
    ServerAction::Shutdown,
    ServerAction::Shutdown,
    ServerAction::Shutdown,
    ServerAction::HandlerPanic,
    ServerAction::HandlerPanic,
    ServerAction::AcceptError(AcceptError::Once),
    ServerAction::AcceptError(AcceptError::UntilClose),
    ServerAction::AcceptError(AcceptError::Lasts(Duration::ZERO)),
    ServerAction::StopAccepting,
    ServerAction::Restart,
    ServerAction::Restart,
    ServerAction::Crash,
];

/// As long as most exchanges take.
const SOON_MS: u64 = 500;
/// As long as a handler takes that is slow.
const LATER_MS: u64 = 10_000;

impl Draw<'_> {
    /// What happens to the server, in the order of time: nothing in most cases, since what it does to the connections
    /// hides what their clients do.
    pub(super) fn server_events(mut self) -> Vec<ServerEvent> {
        if !self.mask.has(EVENTS) || !self.stream.chance(1, 4) {
            return Vec::new();
        }
        let count = *self.stream.pick(&[1, 1, 1, 2]);
        let mut events: Vec<ServerEvent> = (0..count)
            .map(|_| {
                let action = match *self.stream.pick(&ACTIONS) {
                    ServerAction::AcceptError(AcceptError::Lasts(_)) => {
                        let lasts = Duration::from_millis(self.stream.between(1, LATER_MS));
                        ServerAction::AcceptError(AcceptError::Lasts(lasts))
                    }
                    action => action,
                };
                // In the middle of the exchange, of one that takes its time, or while nothing happens.
                let at = match self.stream.below(8) {
                    0..3 => Duration::from_millis(self.stream.below(SOON_MS)),
                    3..6 => Duration::from_millis(self.stream.below(LATER_MS)),
                    _ => self.delay(),
                };
                ServerEvent { at, action }
            })
            .collect();
        events.sort_by_key(|event| event.at);
        events
    }
}
