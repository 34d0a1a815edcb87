//! A timer of tokio's that goes from one deadline to the next.

use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// Goes off at one time, or at none. It is kept from one time to the next, since setting a timer anew is cheaper than making one.
#[derive(Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    at: Option<Instant>,
}

impl Alarm {
    /// When it goes off; none also once it was [seen to](Self::has_gone_off).
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Goes off at this time and no other.
    pub(crate) fn set(&mut self, at: Option<Instant>) {
        match (at, &mut self.sleep) {
            _ if self.at == at => {}
            (Some(at), sleep) => {
                let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
                sleep.as_mut().reset(at);
            }
            // One that has gone off is harmless; one that has not would wake an idle network.
            (None, Some(sleep)) if !sleep.is_elapsed() => sleep.set(sleep_until(sleep.deadline())),
            (None, _) => {}
        }
        self.at = at;
    }

    /// Whether it has, since this was last asked.
    pub(crate) fn has_gone_off(&mut self) -> bool {
        let gone = self.at.is_some() && self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed());
        if gone {
            self.at = None;
        }
        gone
    }

    /// Ready when it goes off; the task is woken then.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) if self.at.is_some() => sleep.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    }
}
