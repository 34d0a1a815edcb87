//! Which cells there can be at all: of our server with its default limits, over plain TCP, with the probe app.
//!
//! One match over every phase, clock and action, so that a new one does not compile until it has its place here. What
//! cannot be says why; what is not excluded must be reached by a campaign of a million cases.

use super::Action;
use hangup_lifecycle::{Clock, Phase};

/// Whether the client can do this while our server waits in this phase with this clock next.
///
/// # Errors
/// Why it cannot be.
pub fn possible(phase: Phase, clock: Clock, action: Action) -> Result<(), &'static str> {
    next(phase, clock)?;
    match action {
        Action::Says
        | Action::Trickles
        | Action::Silence
        | Action::HalfClose
        | Action::Close
        | Action::Reset
        | Action::Reconnect
        | Action::Vanish
        | Action::Hole
        | Action::Link => Ok(()),
        Action::Takes if phase == Phase::Opening => Err("nothing was said to it yet"),
        Action::Takes => Ok(()),
    }
}

/// Whether a campaign of a million cases may miss this place, or what a client can do there: it is a matter of luck.
pub fn is_rare(phase: Phase, clock: Clock) -> bool {
    matches!(
        (phase, clock),
        (Phase::Opening, Clock::Shutdown)
            | (Phase::Response, Clock::Gap | Clock::HalfClose)
            | (Phase::Kernel, Clock::Gap)
            | (Phase::Linger, Clock::Age)
            | (Phase::Idle, Clock::Gap)
            | (Phase::Upgrade, _)
    )
}

/// Whether this clock can be the next to end this phase.
///
/// # Errors
/// Why it cannot.
pub fn next(phase: Phase, clock: Clock) -> Result<(), &'static str> {
    if phase == Phase::Idle && matches!(clock, Clock::Gap | Clock::Rate) {
        // The last response is still being taken.
        return Ok(());
    }
    if !phase.clocks().contains(&clock) {
        return Err("the phase has no such clock");
    }
    match (phase, clock) {
        (Phase::Handshake, _) => Err("the simulated servers speak plain TCP"),
        (_, Clock::Read) => Err("a request may take an hour, and a connection is no older"),
        (Phase::Opening, Clock::Age) => Err("the connection is new"),
        (Phase::Kernel, Clock::Total | Clock::Age) => {
            Err("they do not count while bytes wait for the client")
        }
        (Phase::Expect, Clock::Gap | Clock::Rate) => Err("they are no shorter than the total"),
        (Phase::Response, Clock::Total) => Err("it is an hour, and a connection is no older"),
        (Phase::Body, Clock::Total) => Err("only pauses of the application bring it near"),
        (
            Phase::Opening
            | Phase::Head
            | Phase::Expect
            | Phase::Body
            | Phase::Handler
            | Phase::Response
            | Phase::Drain
            | Phase::Kernel
            | Phase::Linger
            | Phase::Idle
            | Phase::Upgrade,
            Clock::Total
            | Clock::Gap
            | Clock::Rate
            | Clock::HalfClose
            | Clock::Age
            | Clock::Shutdown,
        ) => Ok(()),
    }
}
