//! The search at the end of a run: a leap of two years, in which whatever is still armed comes due.

use super::now;
use crate::run::Search;
use crate::task::Task;
use crate::trace::{Recorder, record};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// How far the search leaps at least. tokio's timers reach a little over two years.
const HORIZON: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);
/// The search ends on a multiple of this: a slot of the coarsest wheel of tokio's timers, which it leaves in one leap. To a time
/// within a slot it takes one more for each finer wheel.
const SLOT: Duration = Duration::from_millis(1 << 30);
/// Where nothing is left of clients, the search ends when the server has woken so often.
const WAKES_MIN: u64 = 64;
/// What was woken more often than this in the search and has not ended is taken to go on like that.
const WAKES_MAX: u64 = 10_000;
/// A server that wakes more often than this in the search is not searched further, whatever else it has.
const WAKES_IN_ALL_MAX: u64 = 20 * WAKES_MAX;

fn wakes() -> u64 {
    record(|recorder| recorder.tasks.server_polls()).unwrap_or_default()
}

/// Is there anything past its deadline of which it is not known yet whether it ends, since others woke and it did not?
fn waits_on() -> bool {
    let waits = |recorder: &mut Recorder| {
        let tasks = &recorder.tasks;
        let rarely = |task: &Task| task.ended.is_none() && task.polls_in_search() < WAKES_MAX;
        let held = recorder.ledger.connections().iter();
        let mut held = held.filter(|one| one.held() && one.breach.is_some());
        held.any(|one| {
            let mut own = tasks.of_connection(one.id).peekable();
            match own.peek() {
                Some(_) => own.any(rarely),
                None => tasks.of_server().any(rarely),
            }
        })
    };
    record(waits).unwrap_or_default()
}

/// Is there anything left that the search could say something about?
fn is_anything_left() -> bool {
    let left = |recorder: &mut Recorder| {
        let mut tasks = recorder.tasks.of_server();
        let stays = |task: &Task| task.ended.is_none() && !task.root && !task.background;
        recorder.ledger.connections().iter().any(|one| one.held()) || tasks.any(stays)
    };
    record(left).unwrap_or_default()
}

/// Leaps on until two years have passed, or the server has woken so often that it will go on doing so.
pub(super) async fn search() -> Search {
    let (from, wakes_before) = (now(), wakes());
    record(|recorder| {
        recorder.tasks.search_begins(WAKES_MAX as u32);
        recorder.tasks.alarm_after(WAKES_MIN);
    });
    let mut due = WAKES_MIN;
    let slots = (from + HORIZON).as_millis().div_ceil(SLOT.as_millis()) as u32;
    let mut horizon = pin!(sleep(SLOT * slots - from));
    poll_fn(|cx| {
        let woken = wakes() - wakes_before;
        if woken >= due {
            let goes_on = match due {
                WAKES_MIN => is_anything_left(),
                _ => woken < WAKES_IN_ALL_MAX && waits_on(),
            };
            if !goes_on {
                return Poll::Ready(());
            }
            due = match due {
                WAKES_MIN => WAKES_MAX,
                _ => due + WAKES_MAX,
            };
            record(|recorder| recorder.tasks.alarm_after(due.saturating_sub(woken).max(1)));
        }
        horizon.as_mut().poll(cx)
    })
    .await;
    Search {
        from,
        until: now(),
        wakes: wakes() - wakes_before,
    }
}
