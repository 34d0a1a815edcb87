//! What a ledger has at one moment.

use crate::Peer;
use hangup_lifecycle::{Deadline, Entry, Phase};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A ledger at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Instant,
    /// How many connections there are and were.
    pub counts: Counts,
    /// What all of them have moved.
    pub totals: Totals,
    /// The open ones, oldest first; as many as [`Counts::open`] says.
    pub open: Vec<Open>,
}

/// The counts of a ledger at one moment.
///
/// `opened = open + closed by each reason` holds in each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Connections that were opened.
    pub opened: u64,
    /// Of these, the ones that are open.
    pub open: u64,
    /// Of these, the ones that were closed, by the reason's name.
    pub closed: BTreeMap<&'static str, u64>,
    /// Accepts that failed, by what was wrong: `connection`, `descriptors`, `system-files`,
    /// `memory`, `other`.
    pub accept_errors: BTreeMap<&'static str, u64>,
}

/// What the connections of a ledger have moved since it began. None of these ever falls.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Bytes from clients, as far as the connection has waited since.
    pub bytes_in: u64,
    /// Bytes that clients have taken.
    pub bytes_out: u64,
    /// Requests whose head was whole.
    pub requests: u64,
    /// Responses that were begun, by the first digit of their status: 1xx first.
    pub responses: [u64; 5],
    waits: [Waits; Phase::ALL.len()],
}

/// How often closed connections waited in a phase, and for how long in all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Waits {
    times: u64,
    time: Duration,
}

/// What one open connection waits for.
#[derive(Clone, PartialEq, Debug)]
pub struct Open {
    /// Its number, from 1 in the order of their accepts.
    pub id: u64,
    /// The other end.
    pub peer: Peer,
    /// When it was accepted.
    pub opened: Instant,
    /// What it waits for.
    pub phase: Phase,
    /// Since when.
    pub since: Instant,
    /// When the last byte came from the client or was taken by it; its accept, if none was.
    pub heard: Instant,
    /// Until when; `None` if this was made unbounded.
    pub deadline: Option<Instant>,
    /// The same, from its accept, with the clock that ends the wait, or the name under which there is none.
    pub ends: Deadline,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes that the client has taken.
    pub bytes_out: u64,
    /// Of these, the bytes that wait in the kernel for the client's acknowledgement, as far as the last look
    /// tells: more do not. 0 where a stream cannot say it.
    pub queued: u64,
    /// Requests whose head was whole.
    pub requests: u32,
    /// The last status that it was answered, 100 among them.
    pub status: Option<u16>,
}

impl Totals {
    /// How often connections that are closed now waited in `phase`, and for how long in all.
    pub fn waits(&self, phase: Phase) -> (u64, Duration) {
        let waits = Phase::ALL.into_iter().zip(self.waits);
        waits
            .filter(|(other, _)| *other == phase)
            .map(|(_, waits)| (waits.times, waits.time))
            .next()
            .unwrap_or_default()
    }

    pub(super) fn add(&mut self, bytes_in: u64, bytes_out: u64, requests: u32) {
        self.bytes_in = self.bytes_in.saturating_add(bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(bytes_out);
        self.requests = self.requests.saturating_add(requests.into());
    }

    pub(super) fn add_responses(&mut self, by_class: &[u32; 5]) {
        for (sum, count) in self.responses.iter_mut().zip(by_class) {
            *sum = sum.saturating_add((*count).into());
        }
    }

    pub(super) fn add_waits(&mut self, entry: &Entry) {
        for (phase, stay) in entry.phases() {
            let all = Phase::ALL.into_iter().zip(&mut self.waits);
            for (_, waits) in all.filter(|(other, _)| *other == phase) {
                waits.times = waits.times.saturating_add(stay.times.into());
                waits.time = waits.time.saturating_add(stay.time);
            }
        }
    }
}
