//! What tokio's hooks tell of the tasks of a run: births, polls, deaths.

use super::{doze, watchdog};
use crate::task::{Poll, Role};
use crate::trace::{Actor, Recorder, record};
use std::time::Duration;
use tokio::runtime::Builder;

/// The facts of the trace hash.
const BORN: u64 = 3;
const ENDED: u64 = 4;

/// Lets every task of the runtime that `builder` builds be entered in the recorder of its thread.
pub(super) fn enter_tasks(builder: &mut Builder) -> &mut Builder {
    builder
        .on_task_spawn(|task| {
            record(|recorder| {
                let at = recorder.now();
                let parent = tokio::task::try_id();
                let task = recorder
                    .tasks
                    .spawned(at, task.id(), parent, task.spawned_at());
                if task.role == Role::Server {
                    let connection = task.connection;
                    if let Some(connection) = connection {
                        recorder.ledger.task_born(at, connection);
                    }
                    tell(recorder, at, connection, (BORN, "task spawned"));
                }
            });
        })
        .on_before_task_poll(|task| {
            watchdog::beat();
            match record(|recorder| recorder.polled(task.id())) {
                Some(Poll::Dozes) => doze::now(),
                Some(Poll::Naps) => doze::nap(),
                Some(Poll::Takes) | None => {}
            }
        })
        .on_task_terminate(|task| {
            record(|recorder| {
                let at = recorder.now();
                let Some(task) = recorder.tasks.ended(at, task.id()) else {
                    return;
                };
                if task.role == Role::Server {
                    let connection = task.connection;
                    if let Some(connection) = connection {
                        recorder.ledger.task_ended(at, connection);
                    }
                    tell(recorder, at, connection, (ENDED, "task ended"));
                }
            });
        })
}

fn tell(
    recorder: &mut Recorder,
    at: Duration,
    connection: Option<u32>,
    (fact, text): (u64, &'static str),
) {
    recorder.mix([
        fact,
        at.as_nanos() as u64,
        u64::from(connection.unwrap_or(0)),
        0,
    ]);
    recorder.say(at, Actor::Server, connection, || text);
}
