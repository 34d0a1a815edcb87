//! Whether a client takes what has arrived for it fast enough that no server may cut it off.

use std::time::Duration;

/// How long bytes may wait for a client in all before its rate counts. Shorter than any server's own
/// grace, so that who is cut at the end of that was slow.
const GRACE: Duration = Duration::from_secs(2);

/// How fast a client reads while there is something to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// How long bytes have waited for it in all, until it was looked at last.
    waited: Duration,
    looked: Duration,
    /// When it was first found to read slower than the contract allows, or to have stopped.
    slow: Option<Duration>,
    /// How many bytes it had read when it was looked at last.
    read: u64,
    /// Bytes wait for it.
    waits: bool,
    /// By how much it is behind the rate, in thousandths of a byte. What it has read beyond the rate does not count for what
    /// comes later.
    owes: u64,
}

/// A reader that is so far behind the rate has stopped, whatever it has read before: a server with a clock for each write
/// takes it for gone. It is shorter than any such clock that is usual, and longer than the pauses of readers who are only slow.
const BEHIND_MAX: Duration = Duration::from_secs(4);

impl Pace {
    /// Looks at the client at `now`, which has read `read` of `arrived` bytes and is to read `rate` bytes a second. It is called
    /// whenever bytes arrive or are read.
    pub(super) fn look(&mut self, now: Duration, (read, arrived): (u64, u64), rate: u64) {
        if !self.is_reading(now, rate) {
            self.slow.get_or_insert(now);
        }
        let taken = read.saturating_sub(self.read).saturating_mul(1000);
        self.owes = self.owed(now, rate).saturating_sub(taken);
        if self.waits {
            self.waited += now.saturating_sub(self.looked);
        }
        self.looked = now;
        self.waits = read < arrived;
        self.read = read;
        let counts = self.waited.saturating_sub(GRACE).as_millis();
        if u128::from(read) < counts * u128::from(rate) / 1000 {
            self.slow.get_or_insert(now);
        }
    }

    /// By how much it is behind the rate at `now`.
    fn owed(&self, now: Duration, rate: u64) -> u64 {
        let waits = match self.waits {
            true => now.saturating_sub(self.looked).as_millis() as u64,
            false => 0,
        };
        self.owes.saturating_add(waits.saturating_mul(rate))
    }

    fn is_reading(&self, now: Duration, rate: u64) -> bool {
        self.owed(now, rate) <= rate.saturating_mul(BEHIND_MAX.as_millis() as u64)
    }

    /// Whether the client has kept the rate until `now`, without a long pause.
    pub fn is_kept(&self, now: Duration, rate: u64) -> bool {
        self.slow.is_none() && self.is_reading(now, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 300;

    /// Looks once a second, with what has been read by then of so many bytes.
    fn kept(arrived: u64, read: impl Fn(u64) -> u64, seconds: u64) -> bool {
        let mut pace = Pace::default();
        for second in 0..=seconds {
            let read = read(second).min(arrived);
            pace.look(Duration::from_secs(second), (read, arrived), RATE);
        }
        pace.is_kept(Duration::from_secs(seconds), RATE)
    }

    #[test]
    fn whoever_stops_does_not_keep_it_by_what_was_read_before() {
        assert!(kept(1_000_000, |second| 300_000 * second.min(1), 5));
        assert!(!kept(1_000_000, |second| 300_000 * second.min(1), 6));
    }

    #[test]
    fn whoever_slows_down_does_not_keep_it_by_what_was_read_before() {
        // 200 B/s behind 300 kB in a second: 100 B/s are missing, and 1200 may be.
        let read = |second: u64| match second {
            0 => 0,
            _ => 300_000 + 200 * (second - 1),
        };
        assert!(kept(1_000_000, read, 11));
        assert!(!kept(1_000_000, read, 20));
        // Who reads by fits and starts at the rate is only slow.
        assert!(kept(1_000_000, |second| 300_000 + 900 * (second / 3), 3000));
    }

    #[test]
    fn whoever_reads_at_the_rate_keeps_it_and_whoever_reads_slower_does_not() {
        assert!(kept(1_000_000, |second| 300 * second, 3000));
        assert!(!kept(1_000_000, |second| 200 * second, 3000));
        assert!(!kept(1_000_000, |_| 0, 3));
        assert!(kept(1_000_000, |_| 0, 2));
        // All that there is for the moment, once in 5 s: bytes wait most of the time.
        let mut pace = Pace::default();
        for round in 0..100 {
            let (now, taken) = (Duration::from_secs(5 * round), 1000 * round);
            pace.look(now, (taken, taken), RATE);
            pace.look(now, (taken, taken + 1000), RATE);
        }
        assert!(!pace.is_kept(Duration::from_secs(495), RATE));
    }

    #[test]
    fn nothing_is_asked_of_a_client_that_has_read_all_there_is() {
        assert!(kept(1000, |_| 1000, 100_000));
        // The time begins when there is something again.
        let mut pace = Pace::default();
        pace.look(Duration::from_secs(1000), (0, 0), RATE);
        pace.look(Duration::from_secs(1001), (0, 50_000), RATE);
        pace.look(Duration::from_secs(1003), (0, 50_000), RATE);
        assert!(pace.is_kept(Duration::from_secs(1003), RATE));
        pace.look(Duration::from_secs(1011), (1000, 50_000), RATE);
        assert!(!pace.is_kept(Duration::from_secs(1011), RATE));
    }
}
