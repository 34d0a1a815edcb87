//! Who was woken: each pending operation has a waker of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

/// Wakes the script, and notes for whom: an operation is polled only when it was woken itself. So each has a task of its
/// own as far as a socket can tell, the two halves of a stream among them.
#[derive(Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    script: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        let script = self.script.lock().unwrap().take();
        script.into_iter().for_each(Waker::wake);
    }
}

impl Bell {
    /// Something changed that no socket wakes for.
    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::Relaxed);
    }

    /// Polls if it was rung since the last time.
    pub(super) fn poll<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Option<T>,
    ) -> Option<T> {
        *self.script.lock().unwrap() = Some(cx.waker().clone());
        if !self.rung.swap(false, Ordering::Relaxed) {
            return None;
        }
        poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }
}
