//! What is going to happen, in order of time.

use crate::observer::Side;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use tokio::time::Instant;

/// A connection's place in the network; the generation tells it from those that had the place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What happens at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The first segment in flight from this side arrives.
    Arrival,
    /// The retransmission timer of this side goes off, unless it was set anew since: its serial number tells.
    Timer(u32),
    /// The keep-alive timer of this side goes off, unless it was set anew since.
    Keepalive(u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    /// Breaks ties: what was caused first happens first.
    pub(crate) order: u64,
    pub(crate) key: Key,
    pub(crate) from: Side,
    pub(crate) what: What,
}

impl Ord for Entry {
    /// The earliest is the greatest, since the standard heap gives the greatest first.
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// The events to come. A direction of a connection is in it at most once for its segments in flight (the
/// first of them), so its size follows the connections that are busy and not the bytes under way.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Entry>,
    orders: u64,
}

impl Agenda {
    /// A number greater than all before.
    pub(crate) fn order(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.heap.push(entry);
    }

    pub(crate) fn first(&self) -> Option<&Entry> {
        self.heap.peek()
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.heap.pop()
    }
}
