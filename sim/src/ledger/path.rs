//! Whether the path to the client sets the pace of what the server sends.

use std::time::Duration;

/// What a path has carried since the server last had nothing under way, or since the response began.
///
/// A server whose socket takes no more cannot tell a slow path from a slow client. At one instant
/// the bytes under way say little: between the last acknowledgement and the next write there are
/// none, even where each write has to wait for a round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    since: Duration,
    /// How many bytes had reached the client's host by then.
    before: u64,
    /// The server's host knows by this time that the last byte has arrived.
    known: Duration,
}

impl Path {
    /// A response begins to arrive at `now`, behind `before` bytes.
    pub(super) fn begins(&mut self, now: Duration, before: u64) {
        (self.since, self.before) = (now, before);
    }

    /// Bytes reach the client's host at `now`, and the server's host knows of it a round trip later
    /// at most.
    pub(super) fn arrives(&mut self, now: Duration, round_trip: Duration) {
        self.known = now.saturating_add(round_trip);
    }

    /// The server writes at `now`, with `arrived` of the `wrote` bytes that it wrote before at the
    /// client's host.
    pub(super) fn carries(&mut self, now: Duration, (arrived, wrote): (u64, u64)) {
        if arrived == wrote && now > self.known {
            (self.since, self.before) = (now, arrived);
        }
    }

    /// Did the server wait for the path at `until`, by when `arrived` of the `wrote` bytes had
    /// reached the client's host, and had the path carried fewer than `rate` bytes a second?
    pub fn is_slower(&self, rate: u64, (arrived, wrote): (u64, u64), until: Duration) -> bool {
        let waits = wrote > arrived || until <= self.known;
        let carried = arrived.saturating_sub(self.before);
        let due = until.saturating_sub(self.since).as_millis() * u128::from(rate) / 1000;
        waits && u128::from(carried) < due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 64 * 1024;
    const ROUND_TRIP: Duration = Duration::from_millis(200);

    /// A kilobyte each time, which arrives half a round trip after its write, and so many writes.
    fn sent(every: Duration, writes: u32) -> (Path, u64) {
        let (mut path, mut bytes) = (Path::default(), 0);
        for write in 0..writes {
            let now = every * write;
            path.carries(now, (bytes, bytes));
            bytes += 1024;
            path.arrives(now + ROUND_TRIP / 2, ROUND_TRIP);
        }
        (path, bytes)
    }

    #[test]
    fn a_server_that_waits_for_each_acknowledgement_waits_for_the_path() {
        let (path, bytes) = sent(ROUND_TRIP, 100);
        // The last acknowledgement has just come, and nothing is under way.
        assert!(path.is_slower(RATE, (bytes, bytes), ROUND_TRIP * 100));
        assert!(!path.is_slower(1024, (bytes, bytes), ROUND_TRIP * 100));
    }

    #[test]
    fn a_server_that_does_not_write_while_it_could_does_not_wait_for_the_path() {
        let every = Duration::from_secs(1);
        let (path, bytes) = sent(every, 100);
        assert!(!path.is_slower(RATE, (bytes, bytes), every * 100));
        // The stretch begins with the last write.
        assert!(!path.is_slower(1000, (bytes, bytes), every * 99 + ROUND_TRIP));
    }

    #[test]
    fn what_an_earlier_response_took_does_not_count() {
        let (mut path, bytes) = sent(ROUND_TRIP, 100);
        let now = ROUND_TRIP * 100;
        path.begins(now, bytes);
        let bytes = bytes + 2 * RATE;
        path.arrives(now + ROUND_TRIP, ROUND_TRIP);
        assert!(!path.is_slower(RATE, (bytes, bytes + 1), now + Duration::from_secs(2)));
        assert!(path.is_slower(RATE, (bytes, bytes + 1), now + Duration::from_secs(3)));
    }
}
