//! The time of a run on the wire: real time, so many times faster.

use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// Counts a run's time from its start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    times: NonZeroU32,
}

impl Clock {
    /// A clock that shows zero at `start` and goes so many times faster than real time.
    pub(super) fn starting(start: Instant, times: NonZeroU32) -> Self {
        Self { start, times }
    }

    /// The run's time.
    pub(crate) fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// The run's time at `instant`.
    pub(crate) fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start) * self.times()
    }

    /// How many times faster it goes.
    pub(crate) fn times(&self) -> u32 {
        self.times.get()
    }
}
