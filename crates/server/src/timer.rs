//! One timer for a connection's whole life.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes the connection's task at its deadline.
///
/// Deadlines move with every byte, tokio's timer wheel does not want to: a timer that is armed for an earlier time stays armed, and the connection,
/// awoken, waits on for what is left. So a busy connection touches the wheel some times a minute.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Arms for `deadline`; `None` disarms. Returns whether the deadline has come already.
    pub(crate) fn arm(
        &mut self,
        deadline: Option<Instant>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(deadline) = deadline else {
            self.sleep = None;
            return false;
        };
        if deadline <= now {
            return true;
        }
        let sleep = match &mut self.sleep {
            Some(sleep) if sleep.deadline() <= deadline && sleep.deadline() > now => sleep,
            Some(sleep) => {
                sleep.as_mut().reset(deadline);
                sleep
            }
            None => self.sleep.insert(Box::pin(sleep_until(deadline))),
        };
        // Polled every time, also when it was armed before: a poll that found tokio's budget for this turn used up, or
        // that was made for a task dump, is pending without having armed anything.
        sleep.as_mut().poll(cx).is_ready()
    }
}
