//! What a network does at the pauses of its runtime, if it is told of them.

use super::Network;
use crate::alarm::Alarm;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;
#[cfg(tokio_unstable)]
use tokio::runtime::Handle;
use tokio::time::Instant;

/// tokio's timers go off at multiples of this.
const TICK: Duration = Duration::from_millis(1);

pub(super) struct Pauses {
    /// When the runtime's clock began.
    start: Instant,
    /// Goes off when there is something to do. No task waits for it.
    alarm: Alarm,
    /// The clock has been moved to where there is.
    stepped: bool,
}

impl Pauses {
    /// The runtime parks at `now`, and there is something to do at `next`.
    fn wait(&mut self, next: Instant, now: Instant) {
        let into_tick = now.saturating_duration_since(self.start).subsec_nanos() % 1_000_000;
        let tick = TICK - Duration::from_nanos(into_tick.into());
        if next <= now + tick && !is_offloaded() {
            self.stepped = true;
            advance(tick);
        } else {
            self.alarm.set(Some(next));
        }
    }
}

impl Network {
    pub(crate) fn follow_pauses(&mut self, start: Instant) {
        self.pauses = Some(Pauses {
            start,
            alarm: Alarm::default(),
            stepped: false,
        });
        self.medium.time_may_have_passed();
    }

    pub(crate) fn about_to_park(&mut self) {
        if self.pauses.is_none() {
            return;
        }
        let next = self.next().map(|entry| entry.at);
        let Some(pauses) = &mut self.pauses else {
            return;
        };
        match next {
            _ if next == pauses.alarm.at() => {}
            Some(next) => pauses.wait(next, self.medium.now()),
            None => pauses.alarm.set(None),
        }
    }

    pub(crate) fn time_may_have_passed(&mut self) {
        let Some(pauses) = &mut self.pauses else {
            return;
        };
        self.medium.time_may_have_passed();
        if std::mem::take(&mut pauses.stepped) | pauses.alarm.has_gone_off() {
            self.run_due();
        }
    }

    pub(crate) fn stop_clock(&mut self) {
        self.medium.stop_clock();
        self.pauses = None;
    }
}

/// Whether a blocking task of the runtime (`spawn_blocking`, `tokio::fs`, a name that is looked up) is queued or runs, or has just
/// ended and the task that waits for it has not run since. tokio lets no simulated time pass until then, and the network neither.
#[cfg(tokio_unstable)]
fn is_offloaded() -> bool {
    Handle::try_current().is_ok_and(|runtime| {
        let metrics = runtime.metrics();
        let threads = metrics.num_blocking_threads();
        // In this order: a thread wakes who waits for it, and is idle then.
        threads > 0
            && (metrics.blocking_queue_depth() > 0
                || threads > metrics.num_idle_blocking_threads()
                || metrics.global_queue_depth() > 0)
    })
}

/// tokio tells only with `--cfg tokio_unstable` whether there is blocking work.
#[cfg(not(tokio_unstable))]
fn is_offloaded() -> bool {
    false
}

/// Moves the paused clock. What is to yield there is a task, and this is none: it is over when the clock has been moved.
fn advance(by: Duration) {
    let advance = pin!(tokio::time::advance(by));
    let _ = advance.poll(&mut Context::from_waker(Waker::noop()));
}
