//! A bound on how often one kind of event is logged.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Lets a first few events through, then one for each interval, and counts the others.
#[derive(Debug)]
pub(crate) struct LogLimit {
    burst: u32,
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the allowance is whole again.
    whole: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    pub(crate) const fn new(burst: u32, every: Duration) -> Self {
        LogLimit {
            burst,
            every,
            state: Mutex::new(State {
                whole: None,
                suppressed: 0,
            }),
        }
    }

    /// Whether an event of `now` is logged, and if so, how many were not since the last that was.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        // Nothing panics while it is held.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = state.whole.map_or(now, |whole| whole.max(now));
        let owed = whole.saturating_duration_since(now);
        if owed > self.every.saturating_mul(self.burst.saturating_sub(1)) {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        state.whole = whole.checked_add(self.every);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_then_one_for_each_interval() {
        let limit = LogLimit::new(3, Duration::from_secs(1));
        let start = Instant::now();
        let admitted = |ms: u64| limit.admit(start + Duration::from_millis(ms));
        assert_eq!([0, 0, 0].map(admitted), [Some(0), Some(0), Some(0)]);
        assert_eq!([1, 2, 999].map(admitted), [None; 3]);
        assert_eq!(admitted(1_000), Some(3));
        assert_eq!(admitted(1_001), None);
        // The allowance is whole again, and no more than whole.
        assert_eq!([9_000; 4].map(admitted), [Some(1), Some(0), Some(0), None]);
    }
}
