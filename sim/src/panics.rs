//! Panics of the server under test: an event of its run, instead of a message and a backtrace on stderr.
//!
//! The hook is the process's, so it is set once and passes on every panic that is not a simulated server's: a test's own
//! assertion, a defect of the test bed.

use crate::engine::stack::short_path;
use crate::trace::record;
use std::any::Any;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

/// What tokio says when it shuts down the runtime of a turmoil host on which a task has panicked: that was told before.
const SHUT_DOWN: &str =
    "a spawned task panicked and the runtime is configured to shut down on unhandled panic";

/// Longer messages are cut.
const MESSAGE_MAX: usize = 200;

/// Makes panics of servers under test quiet, for the whole process.
pub(crate) fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !noted(panic) {
                others(panic);
            }
        }));
    });
}

/// Enters the panic in the run of this thread; false if it is no server task's of a run.
fn noted(panic: &PanicHookInfo<'_>) -> bool {
    let Some(task) = tokio::task::try_id() else {
        return message(panic.payload()) == SHUT_DOWN && record(|_| ()).is_some();
    };
    let place = panic.location().map_or_else(String::new, |place| {
        format!(" at {}:{}", short_path(place.file()), place.line())
    });
    let text = format!("a task panicked{place}: {}", message(panic.payload()));
    record(|recorder| recorder.panicked(task, text)).unwrap_or(false)
}

/// Where a panic was, of the text that a run keeps of it: the same for all messages of one place.
pub(crate) fn place(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(place, _)| place)
}

fn message(payload: &dyn Any) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(MESSAGE_MAX).collect()
}
