//! What the server has sent and the client has not acknowledged yet.

use super::What;
use std::collections::VecDeque;
use std::time::Duration;

/// So many segments are told apart; later ones count with the last.
const SEGMENTS_MAX: usize = 1024;

/// What is under way to the client.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Events that happen when the client has everything up to a place: the place, the time at which that should be, and what.
    due: VecDeque<(u64, Duration, What)>,
    /// Where segments end, and when they passed.
    segments: VecDeque<(u64, Duration)>,
}

impl Arrivals {
    /// Something is there once the client has everything up to this place.
    pub(super) fn comes(&mut self, place: u64, at: Duration, what: What) {
        self.due.push_back((place, at, what));
    }

    /// A segment passed that ends at this place.
    pub(super) fn sent(&mut self, at: Duration, end: u64) {
        let is_full = self.segments.len() >= SEGMENTS_MAX;
        match self.segments.back_mut() {
            // It was sent before: the first time counts.
            Some((last, _)) if *last >= end => {}
            Some((last, _)) if is_full => *last = end,
            _ => self.segments.push_back((end, at)),
        }
    }

    /// The client had everything up to `place` at `at` at the latest: when the last of it came, and what that was.
    pub(super) fn until(
        &mut self,
        place: u64,
        at: Duration,
    ) -> (Option<Duration>, Vec<(Duration, What)>) {
        let mut got = None;
        while self.segments.front().is_some_and(|(end, _)| *end <= place) {
            got = self.segments.pop_front().map(|(_, sent)| sent.min(at));
        }
        let mut events = Vec::new();
        while self.due.front().is_some_and(|(end, _, _)| *end <= place) {
            if let Some((_, arrives, what)) = self.due.pop_front() {
                events.push((arrives.min(at), what));
            }
        }
        let got = events.first().map(|(first, _)| *first).or(got);
        (got, events)
    }

    /// When the first segment passed that was never acknowledged.
    pub(super) fn unanswered(&self) -> Option<Duration> {
        self.segments.front().map(|(_, sent)| *sent)
    }
}
