//! Which cells of a connection's life were reached: where the connection was, which clock was the next to end that, and
//! what the client did then.
//!
//! A client's action counts where it is felt: bytes, a FIN and a reset when they reach the server's host; a host that vanishes, a
//! link that is changed, bytes that are taken from the socket, when that happens; silence when a clock ends the wait. What
//! reaches a connection that is not accepted yet, or is closed already, meets no phase and is in no cell.
//!
//! A run keeps a bit for each cell, and a campaign counts them: the table follows from the cases alone, whichever core or machine
//! ran them. It is no part of the trace.

pub mod possible;

use crate::ledger::Seen;
use hangup_lifecycle::{Clock, Phase};
use hangup_scenario::Step;

/// What a client does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// Its bytes arrive.
    Says,
    /// Its bytes arrive, in a send that trickles.
    Trickles,
    /// It takes bytes from its socket.
    Takes,
    /// It does nothing of what is waited for, until the clock ends the wait. In `response` that is a client that takes nothing.
    Silence,
    /// Its FIN arrives, and it stays to listen.
    HalfClose,
    /// Its FIN or RST arrives: it has dropped its socket.
    Close,
    /// Its RST arrives.
    Reset,
    /// Its FIN or RST arrives: it has dropped its socket to come again.
    Reconnect,
    /// Its host is gone, and nothing says so.
    Vanish,
    /// Its link swallows everything, in one direction at least.
    Hole,
    /// Its link changes, or is healed.
    Link,
}

impl Action {
    /// Every action, in the order of the table.
    pub const ALL: [Action; 11] = [
        Action::Says,
        Action::Trickles,
        Action::Takes,
        Action::Silence,
        Action::HalfClose,
        Action::Close,
        Action::Reset,
        Action::Reconnect,
        Action::Vanish,
        Action::Hole,
        Action::Link,
    ];

    /// One short lowercase word.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Says => "says",
            Action::Trickles => "drips",
            Action::Takes => "takes",
            Action::Silence => "silent",
            Action::HalfClose => "half",
            Action::Close => "close",
            Action::Reset => "reset",
            Action::Reconnect => "again",
            Action::Vanish => "vanish",
            Action::Hole => "hole",
            Action::Link => "link",
        }
    }

    /// What a step does to the connection that is open then. A step that has no place here does not compile.
    pub fn of(step: &Step) -> Option<Action> {
        match step {
            // There is none open, or nothing is done.
            Step::Connect => None,
            Step::Send(send) => Some(match &send.trickle {
                Some(trickle) if !trickle.every.is_zero() => Action::Trickles,
                _ => Action::Says,
            }),
            Step::Await(_) | Step::Read(_) => Some(Action::Takes),
            Step::Stall { .. } => Some(Action::Silence),
            Step::HalfClose => Some(Action::HalfClose),
            Step::Close => Some(Action::Close),
            Step::Reset => Some(Action::Reset),
            Step::Reconnect { .. } => Some(Action::Reconnect),
            Step::Vanish => Some(Action::Vanish),
            Step::Network(change) if change.blackhole.is_some() => Some(Action::Hole),
            Step::Network(_) => Some(Action::Link),
        }
    }
}

/// Where a connection is, and what would end that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a phase that the server tells, with the clock that is the next to end it; none if nothing would.
    Told(Phase, Option<Clock>),
    /// Of a server that tells none: what an observer sees. Its clocks are not known.
    Seen(Seen),
}

/// The clocks, and none.
const CLOCKS: usize = Clock::ALL.len() + 1;
const TOLD: usize = Phase::ALL.len() * CLOCKS;
const PLACES: usize = TOLD + Seen::ALL.len();

impl Place {
    fn index(self) -> usize {
        match self {
            Place::Told(phase, clock) => {
                phase as usize * CLOCKS + clock.map_or(CLOCKS - 1, |clock| clock as usize)
            }
            Place::Seen(seen) => TOLD + seen as usize,
        }
    }

    /// Every place, in the order of a connection's life.
    pub fn all() -> impl Iterator<Item = Place> {
        let clocks = || Clock::ALL.into_iter().map(Some).chain([None]);
        let told = Phase::ALL
            .into_iter()
            .flat_map(move |phase| clocks().map(move |clock| Place::Told(phase, clock)));
        told.chain(Seen::ALL.map(Place::Seen))
    }
}

/// The cells that one run has reached: for each place, a bit for each action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached([u16; PLACES]);

impl Default for Reached {
    fn default() -> Self {
        Self([0; PLACES])
    }
}

impl Reached {
    /// The client did this there.
    pub fn add(&mut self, place: Place, action: Action) {
        self.0[place.index()] |= 1 << action as u16;
    }
}

/// How many cases of a campaign have reached each cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage(Box<[[u64; Action::ALL.len()]; PLACES]>);

impl Default for Coverage {
    fn default() -> Self {
        Self(Box::new([[0; Action::ALL.len()]; PLACES]))
    }
}

impl Coverage {
    /// One more case.
    pub fn add(&mut self, reached: &Reached) {
        for (bits, counts) in reached.0.iter().zip(self.0.iter_mut()) {
            let mut bits = *bits;
            while bits != 0 {
                counts[bits.trailing_zeros() as usize] += 1;
                bits &= bits - 1;
            }
        }
    }

    /// The cases of another core, too.
    pub fn merge(&mut self, other: &Coverage) {
        for (counts, others) in self.0.iter_mut().zip(other.0.iter()) {
            for (count, more) in counts.iter_mut().zip(others) {
                *count += more;
            }
        }
    }

    /// How many cases the client did this there.
    pub fn count(&self, place: Place, action: Action) -> u64 {
        self.0[place.index()][action as usize]
    }

    /// The places that any case has reached, in the order of a connection's life.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        Place::all().filter(|place| self.0[place.index()].iter().any(|count| *count > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_and_every_action_has_a_bit_of_its_own() {
        for (index, place) in Place::all().enumerate() {
            assert_eq!(place.index(), index, "{place:?}");
        }
        for (index, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action as usize, index, "{action:?}");
        }
        assert!(Action::ALL.len() <= 16);
    }

    #[test]
    fn cases_are_counted_and_not_how_often_something_happens_in_one() {
        let head = Place::Told(Phase::Head, Some(Clock::Total));
        let mut reached = Reached::default();
        reached.add(head, Action::Says);
        reached.add(head, Action::Says);
        reached.add(Place::Seen(Seen::Idle), Action::Link);
        let (mut one, mut other) = (Coverage::default(), Coverage::default());
        one.add(&reached);
        other.add(&reached);
        other.merge(&one);
        assert_eq!(other.count(head, Action::Says), 2);
        assert_eq!(other.count(head, Action::Link), 0);
        assert_eq!(other.count(Place::Seen(Seen::Idle), Action::Link), 2);
        let places: Vec<Place> = other.places().collect();
        assert_eq!(places, [head, Place::Seen(Seen::Idle)]);
    }
}
