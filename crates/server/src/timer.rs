//! One timer for a connection's whole life.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes the connection's task at its deadline.
///
/// Deadlines move with every byte, tokio's timer wheel does not want to: a timer that is armed for an earlier time stays armed, and the connection,
/// awoken, waits on for what is left. So a busy connection touches the wheel some times a minute.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
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
        let known = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        let sleep = match &mut self.sleep {
            Some(sleep) if sleep.deadline() <= deadline && sleep.deadline() > now => {
                if known {
                    return false;
                }
                sleep
            }
            Some(sleep) => {
                sleep.as_mut().reset(deadline);
                sleep
            }
            None => self.sleep.insert(Box::pin(sleep_until(deadline))),
        };
        if !known {
            self.waker = Some(cx.waker().clone());
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}
