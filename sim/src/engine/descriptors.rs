//! The file descriptors of a server's process, on engines whose listener is not of `hangup-network`: how many accepted
//! connections it holds, and whether it gets another.

use hangup_scenario::AcceptError;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// EMFILE.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// What one instance of the process has. Times are the run's.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    most: Option<u32>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: u32,
    failures: u32,
    failing_until: Option<Duration>,
    failing_until_close: bool,
}

/// An accepted connection that the application has not let go of.
#[derive(Debug)]
pub(super) struct Held(Arc<Descriptors>);

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.held = state.held.saturating_sub(1);
        state.failing_until_close = false;
    }
}

impl Descriptors {
    /// Room for `most` connections; `None` is no limit.
    pub(super) fn new(most: Option<u32>) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts fail from `now` on.
    pub(super) fn fail(&self, now: Duration, how: AcceptError) {
        let mut state = self.state();
        match how {
            AcceptError::Once => state.failures += 1,
            AcceptError::Lasts(lasts) => state.failing_until = Some(now.saturating_add(lasts)),
            AcceptError::UntilClose => state.failing_until_close = true,
        }
    }

    /// A descriptor for a connection that waits.
    ///
    /// # Errors
    /// EMFILE, where there is none. One failure that was ordered is used up.
    pub(super) fn take(self: &Arc<Self>, now: Duration) -> io::Result<Held> {
        let mut state = self.state();
        if state.failing_until.is_some_and(|until| until <= now) {
            state.failing_until = None;
        }
        // A process that holds no connection would wait for a close that cannot come.
        let until_close = state.failing_until_close && state.held > 0;
        let full = self.most.is_some_and(|most| state.held >= most);
        let fails = state.failing_until.is_some() || until_close || full;
        if fails || state.failures > 0 {
            if !fails {
                state.failures -= 1;
            }
            return Err(io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES));
        }
        state.held += 1;
        drop(state);
        Ok(Held(Arc::clone(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn as_many_are_held_as_there_is_room_for() {
        let descriptors = Descriptors::new(Some(1));
        let held = descriptors.take(NOW).unwrap();
        let error = descriptors.take(NOW).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(TOO_MANY_OPEN_FILES));
        drop(held);
        descriptors.take(NOW).unwrap();
    }

    #[test]
    fn an_error_lasts_as_long_as_it_says() {
        let descriptors = Descriptors::new(None);
        descriptors.fail(NOW, AcceptError::Once);
        descriptors.take(NOW).unwrap_err();
        let held = descriptors.take(NOW).unwrap();
        descriptors.fail(NOW, AcceptError::Lasts(Duration::from_secs(1)));
        descriptors.take(Duration::from_millis(999)).unwrap_err();
        descriptors.take(Duration::from_secs(1)).unwrap();
        descriptors.fail(NOW, AcceptError::UntilClose);
        descriptors.take(Duration::from_secs(2)).unwrap_err();
        drop(held);
        descriptors.take(Duration::from_secs(2)).unwrap();
    }
}
