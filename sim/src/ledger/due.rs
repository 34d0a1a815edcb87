//! Whose deadline comes first: known without asking every connection each time.
//!
//! Deadlines move away with every byte, and nobody is told. So a connection stands in the queue by the deadline that it had when
//! it was last looked at; when it comes to the front it is looked at again, and goes back if its deadline has moved away.
//! What brings a deadline nearer has to be told.

use super::{ACCEPTING, Connection, Ledger, TIMER_STEP};
use crate::contract::Contract;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::time::Duration;

/// Connections, by their places in the ledger, in the order of their deadlines.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Duration, usize)>>,
    /// The nearest deadline by which each connection stands in the queue.
    stands_by: Vec<Duration>,
    /// Those of them whose deadline may be nearer than that.
    nearer: Vec<usize>,
}

impl Queue {
    /// The deadline of this connection may have come nearer.
    pub(super) fn comes_nearer(&mut self, id: u32) {
        let place = (id as usize).saturating_sub(1);
        if place < self.stands_by.len() {
            self.nearer.push(place);
        }
    }

    fn enter(&mut self, place: usize, due: Duration) {
        if due < self.stands_by[place] {
            self.stands_by[place] = due;
            self.heap.push(Reverse((due, place)));
        }
    }
}

impl Ledger {
    /// Notes every breach that there is, and gives the time at which the next connection will be past its deadline, or
    /// should have been accepted; none when each is gone or past it already.
    pub fn next_due(&mut self, now: Duration) -> Option<Duration> {
        let (contract, slack) = (self.contract, self.slack);
        let Self { list, queue, .. } = self;
        let new = queue.stands_by.len()..list.len();
        queue.stands_by.resize(list.len(), Duration::MAX);
        for place in new.chain(std::mem::take(&mut queue.nearer)) {
            if let Some(due) = list[place].look(now, &contract, slack) {
                queue.enter(place, due);
            }
        }
        while let Some(mut first) = queue.heap.peek_mut() {
            let Reverse((stood_by, place)) = *first;
            if queue.stands_by[place] != stood_by {
                // Its deadline has come nearer since: it stood further ahead, too.
                PeekMut::pop(first);
                continue;
            }
            match list[place].look(now, &contract, slack) {
                None => {
                    queue.stands_by[place] = Duration::MAX;
                    PeekMut::pop(first);
                }
                Some(due) if due > stood_by => {
                    queue.stands_by[place] = due;
                    *first = Reverse((due, place));
                }
                Some(due) => return Some(due),
            }
        }
        None
    }
}

impl Connection {
    /// Notes a breach if there is one; otherwise gives the time at which there will be, or at which the connection should
    /// have been accepted. None if it is gone or was judged.
    fn look(&mut self, now: Duration, contract: &Contract, slack: Duration) -> Option<Duration> {
        if self.accepted.is_none() {
            let patience = self.born.saturating_add(contract.stall.max(ACCEPTING));
            return (!self.stillborn && !self.own && patience > now).then_some(patience);
        }
        self.check(now, contract, slack);
        let due = self.next_due(contract).filter(|_| self.breach.is_none())?;
        Some(due.at.saturating_add(slack + TIMER_STEP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangup_network::{Event, Side};

    const SECOND: Duration = Duration::from_secs(1);

    fn contract() -> Contract {
        Contract {
            stall: 60 * SECOND,
            residence: 600 * SECOND,
            drain: 5 * SECOND,
            shutdown: None,
            ..Contract::default()
        }
    }

    /// Connections that were opened and accepted one second after each other, the first at 0 s.
    fn ledger(count: u32) -> Ledger {
        let mut ledger = Ledger::with_slack(contract(), Duration::ZERO);
        for id in 1..=count {
            let at = SECOND * (id - 1);
            ledger.network(at, id, &Event::Connecting);
            ledger.network(at, id, &Event::Opened);
            ledger.network(at, id, &Event::Accepted { task: None });
        }
        ledger
    }

    /// What was asked of every connection before there was a queue.
    fn asked_of_all(ledger: &mut Ledger, now: Duration) -> Option<Duration> {
        let (contract, slack) = (ledger.contract, ledger.slack);
        let list = ledger.list.iter_mut();
        list.filter_map(|one| one.look(now, &contract, slack)).min()
    }

    #[test]
    fn the_first_is_first_however_deadlines_move() {
        // Events in a fixed disorder: bytes push a deadline back, a reset pulls it nearer, a close ends it.
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let count = 40;
        let mut ledger = ledger(count);
        let (mut now, mut differed) = (SECOND * count, 0);
        let mut last = None;
        while let Some(due) = ledger.next_due(now) {
            assert_eq!(asked_of_all(&mut ledger, now), Some(due), "at {now:?}");
            differed += u32::from(last.replace(due).is_some_and(|last| last != due));
            for _ in 0..next(6) {
                let id = next(count.into()) as u32 + 1;
                match next(4) {
                    0 => ledger.network(now, id, &Event::ResetArrived { to: Side::Server }),
                    1 => ledger.network(
                        now,
                        id,
                        &Event::Closed {
                            by: Side::Server,
                            reset: false,
                        },
                    ),
                    _ => ledger.network(
                        now,
                        id,
                        &Event::Arrived {
                            to: Side::Server,
                            bytes: b"x",
                        },
                    ),
                }
            }
            now = if next(2) == 0 {
                due
            } else {
                now + SECOND * next(3) as u32
            };
        }
        assert_eq!(asked_of_all(&mut ledger, now), None);
        assert!(differed > 20, "the deadlines did not move: {differed}");
        let judged = |one: &Connection| one.released.is_some() || one.breach.is_some();
        assert!(ledger.connections().iter().all(judged));
        assert!(ledger.connections().iter().any(|one| one.breach.is_some()));
        assert!(
            ledger
                .connections()
                .iter()
                .any(|one| one.released.is_some())
        );
    }

    #[test]
    fn whoever_is_not_accepted_is_waited_for_once() {
        let mut ledger = Ledger::with_slack(contract(), Duration::ZERO);
        ledger.network(SECOND, 1, &Event::Connecting);
        assert_eq!(ledger.next_due(2 * SECOND), Some(SECOND + ACCEPTING));
        assert_eq!(ledger.next_due(SECOND + ACCEPTING), None);
        // It is accepted after all: from then on it is judged.
        ledger.network(90 * SECOND, 1, &Event::Opened);
        ledger.network(90 * SECOND, 1, &Event::Accepted { task: None });
        assert_eq!(
            ledger.next_due(90 * SECOND),
            Some(150 * SECOND + TIMER_STEP)
        );
    }
}
