//! What is kept of a connection: a few words each, whatever it does.

use crate::{CloseReason, Phase};
use std::time::Duration;

/// One connection in the ledger. Its size is fixed: a client cannot make it grow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When the connection was accepted, from the caller's epoch.
    pub opened: Duration,
    /// When it was closed.
    pub closed: Option<Duration>,
    /// Why it was closed. Set once.
    pub reason: Option<CloseReason>,
    /// Bytes read from the peer.
    pub bytes_in: u64,
    /// Bytes accepted by the peer's side of the stream.
    pub bytes_out: u64,
    /// Requests whose head was whole.
    pub requests: u32,
    statuses: Statuses,
    stays: Stays,
}

/// The [`Stay`] in each phase, without the room that a `Duration` leaves: every idle connection has it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Stays {
    times: [u32; Phase::ALL.len()],
    nanoseconds: [u64; Phase::ALL.len()],
}

impl Stays {
    fn of(&self, phase: Phase) -> Stay {
        Stay {
            times: self.times[phase.index()],
            time: Duration::from_nanos(self.nanoseconds[phase.index()]),
        }
    }

    fn add(&mut self, phase: Phase, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (times, sum) = (
            &mut self.times[phase.index()],
            &mut self.nanoseconds[phase.index()],
        );
        *times = times.saturating_add(1);
        *sum = sum.saturating_add(nanoseconds);
    }
}

/// How often a connection waited in a phase, and for how long in all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stay {
    /// How often the phase was entered and waited in.
    pub times: u32,
    /// For how long in all.
    pub time: Duration,
}

/// The last statuses in order, and how many there were.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Statuses {
    last: [u16; Entry::STATUSES],
    count: u32,
}

impl Entry {
    /// How many of the last statuses are kept.
    pub const STATUSES: usize = 8;

    pub(crate) fn new(opened: Duration) -> Self {
        Entry {
            opened,
            closed: None,
            reason: None,
            bytes_in: 0,
            bytes_out: 0,
            requests: 0,
            statuses: Statuses::default(),
            stays: Stays::default(),
        }
    }

    /// What was waited for and how long, in the order of [`Phase::ALL`]; only phases in which it waited.
    pub fn phases(&self) -> impl Iterator<Item = (Phase, Stay)> + '_ {
        Phase::ALL
            .into_iter()
            .map(|phase| (phase, self.stays.of(phase)))
            .filter(|(_, stay)| stay.times > 0)
    }

    /// The last [`Entry::STATUSES`] statuses that were sent, 100 included, oldest first.
    pub fn statuses(&self) -> impl Iterator<Item = u16> + '_ {
        let count = self.statuses.count as usize;
        (count.saturating_sub(Entry::STATUSES)..count)
            .map(|at| self.statuses.last[at % Entry::STATUSES])
    }

    /// How many statuses were sent in all.
    pub fn statuses_sent(&self) -> u32 {
        self.statuses.count
    }

    pub(crate) fn status(&mut self, status: u16) {
        self.statuses.last[self.statuses.count as usize % Entry::STATUSES] = status;
        self.statuses.count = self.statuses.count.saturating_add(1);
    }

    pub(crate) fn stay(&mut self, phase: Phase, time: Duration) {
        self.stays.add(phase, time);
    }
}
