//! Tasks that doze: they are not polled again, and what they wait for costs nothing any more.
//!
//! tokio has no way to keep a task from being polled, but for ending it. This rests on what its current-thread scheduler
//! (1.54) happens to do: the hook in front of a poll runs when the task is off the queue and not polled yet. If the hook
//! unwinds, the scheduler is put back as it was, and the task counts as notified for ever: nothing that wakes it
//! puts it on the queue again, and it is dropped with its runtime. A tokio that does something else is found by the
//! test below; then `Tasks::may_doze` is not to be called.
//!
//! A task that runs in [`may_nap`] is not lost by that: a single poll of it is left out, and whatever wakes it next has it polled.

use crate::trace::record;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

/// What the hook unwinds with.
struct Dozes;

/// The task that is about to be polled dozes. Called in the hook for that, below [`through`], and nowhere else.
pub(super) fn now() {
    resume_unwind(Box::new(Dozes));
}

thread_local! {
    /// The poll that begins now is to be left out.
    static NAPS: Cell<bool> = const { Cell::new(false) };
}

/// The poll that is about to take place is left out. Called in the hook for that, for tasks that run in [`may_nap`].
pub(super) fn nap() {
    NAPS.set(true);
}

/// What a task of the server consists of, so that it can nap.
pub(crate) async fn may_nap<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    if let Some(task) = tokio::task::try_id() {
        record(|recorder| recorder.tasks.can_nap(task));
    }
    poll_fn(|cx| match NAPS.take() {
        true => Poll::Pending,
        false => future.as_mut().poll(cx),
    })
    .await
}

/// Follows `course` to its end by `block_on`, which is left and entered again where a task dozes. That polls the course, so it
/// puts itself behind the tasks that were to run then.
pub(super) fn through<T>(
    mut course: Pin<&mut dyn Future<Output = T>>,
    block_on: impl Fn(Pin<&mut dyn Future<Output = T>>) -> T,
) -> T {
    let mut again = false;
    loop {
        let course = poll_fn(|cx| {
            if std::mem::take(&mut again) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            course.as_mut().poll(cx)
        });
        let mut course = pin!(course);
        match catch_unwind(AssertUnwindSafe(|| block_on(course.as_mut()))) {
            Ok(output) => return output,
            Err(payload) if payload.is::<Dozes>() => {}
            Err(payload) => resume_unwind(payload),
        }
        again = true;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use tokio::runtime::Builder;
    use tokio::time::{interval, sleep};

    thread_local! {
        /// The task that is to doze.
        static DOZES: Cell<Option<tokio::task::Id>> = const { Cell::new(None) };
    }

    /// Tells when it is dropped.
    struct Alive(Arc<AtomicU32>);

    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_that_dozes_is_polled_no_more_and_dropped_in_the_end() {
        let mut builder = Builder::new_current_thread();
        let builder = builder.on_before_task_poll(|task| {
            if DOZES.get() == Some(task.id()) {
                super::now();
            }
        });
        let runtime = builder.enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let alive = Arc::new(AtomicU32::new(1));
        let ticks = Rc::new(Cell::new((0, 0)));
        let course = async {
            let (one, other) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let held = Alive(Arc::clone(&alive));
            let counts = |count: &Arc<AtomicU32>| {
                let count = Arc::clone(count);
                async move {
                    let mut ticks = interval(Duration::from_secs(1));
                    loop {
                        ticks.tick().await;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            };
            let counted = counts(&one);
            let dozer = tokio::spawn(async move {
                let _held = held;
                counted.await;
            });
            tokio::spawn(counts(&other));
            sleep(Duration::from_millis(3500)).await;
            DOZES.set(Some(dozer.id()));
            sleep(Duration::from_secs(6)).await;
            // What wakes it does not have it polled.
            dozer.abort();
            sleep(Duration::from_secs(1)).await;
            let count = |count: &AtomicU32| count.load(Ordering::Relaxed);
            ticks.set((count(&one), count(&other)));
        };
        super::through(pin!(course), |course| runtime.block_on(course));
        assert_eq!(ticks.get(), (4, 11));
        assert_eq!(alive.load(Ordering::Relaxed), 1);
        drop(runtime);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
}
