//! The file descriptors of the process that serves: how many accepted sockets it holds, and whether it gets another.

use super::Network;
use std::time::Duration;
use tokio::time::Instant;

/// What the process that serves has of descriptors. A new process begins with all of them free.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Descriptors {
    /// Sockets that the application has accepted and not closed.
    held: usize,
    /// So many accepts fail.
    failures: u32,
    /// Accepts fail until then.
    failing_until: Option<Instant>,
    /// Accepts fail until the application closes a socket.
    failing_until_close: bool,
}

impl Descriptors {
    pub(crate) fn accepted(&mut self) {
        self.held += 1;
    }

    pub(crate) fn closed(&mut self) {
        self.held = self.held.saturating_sub(1);
        self.failing_until_close = false;
    }
}

impl Network {
    /// The next accept that would give a connection fails instead.
    pub(crate) fn fail_accept(&mut self) {
        if self.is_listening() {
            self.descriptors.failures += 1;
        }
    }

    pub(crate) fn fail_accepts_for(&mut self, lasts: Duration) {
        if self.is_listening() {
            self.descriptors.failing_until = Some(self.medium.now() + lasts);
        }
    }

    pub(crate) fn fail_accepts_until_close(&mut self) {
        if self.is_listening() {
            self.descriptors.failing_until_close = true;
        }
    }

    fn is_listening(&self) -> bool {
        self.listeners.iter().any(|listener| listener.is_open())
    }

    /// Whether the process has no descriptor for a connection that waits. One failure that was ordered is used up.
    pub(crate) fn is_out_of_descriptors(&mut self) -> bool {
        let now = self.medium.now();
        let most = self.medium.config.descriptors;
        let descriptors = &mut self.descriptors;
        if descriptors.failing_until.is_some_and(|until| until <= now) {
            descriptors.failing_until = None;
        }
        // A process that holds no connection would wait for a close that cannot come.
        let until_close = descriptors.failing_until_close && descriptors.held > 0;
        if descriptors.failing_until.is_some()
            || until_close
            || most.is_some_and(|most| descriptors.held >= most)
        {
            return true;
        }
        let fails = descriptors.failures > 0;
        descriptors.failures = descriptors.failures.saturating_sub(1);
        fails
    }
}
