//! Who waits for one direction of a socket.

use std::task::{Context, Waker};

/// The tasks that wait for one condition.
///
/// As with tokio's sockets, the `poll_*` methods of a stream keep the waker of the last call only, and
/// the `async` methods (`readable`, `peek`) may be waited on by any number of tasks.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    poll: Option<Waker>,
    others: Vec<Waker>,
}

/// Which place a waiting task takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The only one of the `poll_*` methods.
    Poll,
    /// One of many.
    Shared,
}

impl Waiters {
    /// Adds the task. The waker that had the place before, if any, goes to `discarded`: dropping it here, in
    /// the middle of a network operation, might run code of an application.
    pub(crate) fn add(&mut self, place: Place, cx: &Context<'_>, discarded: &mut Vec<Waker>) {
        match place {
            Place::Poll => match &self.poll {
                Some(old) if old.will_wake(cx.waker()) => {}
                _ => discarded.extend(self.poll.replace(cx.waker().clone())),
            },
            Place::Shared => {
                if !self.others.iter().any(|old| old.will_wake(cx.waker())) {
                    self.others.push(cx.waker().clone());
                }
            }
        }
    }

    /// Moves every waiting task to `to`.
    pub(crate) fn drain(&mut self, to: &mut Vec<Waker>) {
        to.extend(self.poll.take());
        if !self.others.is_empty() {
            to.append(&mut self.others);
        }
    }
}
