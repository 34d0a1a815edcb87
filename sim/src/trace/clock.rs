//! Where simulated time is read: the same moment for all that is recorded.

use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

/// Where simulated time is read.
#[derive(Clone, Debug)]
pub enum Clock {
    /// tokio's paused clock.
    Tokio(PausedClock),
    /// The clock of the turmoil host that is running.
    Turmoil,
    /// The system's clock, so many times faster.
    Wire(crate::engine::wire::Clock),
}

/// tokio's paused clock, counted from the start of a run. It moves only while the runtime has nothing to do, so it is read
/// once between two such moments: a reading costs more than most of what is recorded.
#[derive(Clone, Debug)]
pub struct PausedClock {
    start: Instant,
    read: Cell<Option<Duration>>,
}

impl PausedClock {
    /// The clock of a run that starts at `start`.
    pub fn from(start: Instant) -> Self {
        Self {
            start,
            read: Cell::new(None),
        }
    }

    fn now(&self) -> Duration {
        self.read.get().unwrap_or_else(|| self.at(Instant::now()))
    }

    /// What this clock showed when it was read at `now` by somebody else.
    pub(super) fn at(&self, now: Instant) -> Duration {
        let now = now.saturating_duration_since(self.start);
        self.read.set(Some(now));
        now
    }
}

impl Clock {
    /// The simulated time that `instant` is on this clock.
    pub(super) fn spot(&self, instant: Instant) -> Duration {
        match self {
            Self::Tokio(clock) => instant.saturating_duration_since(clock.start),
            Self::Turmoil => self.now(),
            Self::Wire(clock) => clock.at(instant),
        }
    }

    /// Simulated time since the start of the run.
    pub fn now(&self) -> Duration {
        match self {
            Self::Tokio(clock) => clock.now(),
            Self::Turmoil => crate::engine::turmoil::now(),
            Self::Wire(clock) => clock.now(),
        }
    }

    /// How many times faster than its timers a run's time goes.
    pub(crate) fn times(&self) -> u32 {
        match self {
            Self::Tokio(_) | Self::Turmoil => 1,
            Self::Wire(clock) => clock.times(),
        }
    }

    /// The runtime had nothing to do, so that the clock may have moved.
    pub(crate) fn may_have_moved(&self) {
        if let Self::Tokio(clock) = self {
            clock.read.set(None);
        }
    }
}
