//! A server that asks its socket over and over for what is not there: after the end of a stream, or after its error.
//!
//! Such a task never waits, so that the clock of its host, and with it the walk, stands still. turmoil tells of no task that is
//! polled, but the socket knows. Who asks too often is not answered any more, and the walk ends there.

use super::journal;
use crate::task::SPIN_POLLS;
use crate::trace::record;
use hangup_network::ConnectionId;
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    /// So many calls in a row gave nothing, all at one time.
    static IN_VAIN: Cell<(Duration, u32)> = const { Cell::new((Duration::ZERO, 0)) };
}

/// A call on a socket of the server gave nothing; true if it is one too many.
pub(super) fn asked_in_vain(id: ConnectionId) -> bool {
    let Some(now) = journal::now() else {
        return false;
    };
    let (at, before) = IN_VAIN.get();
    let count = if at == now { before + 1 } else { 1 };
    IN_VAIN.set((now, count));
    let spins = count >= SPIN_POLLS;
    if spins {
        record(|recorder| recorder.tasks.spins(now, id.0));
    }
    spins
}

/// A call gave something, so that it was not in vain.
pub(super) fn asked_well() {
    IN_VAIN.set((Duration::ZERO, 0));
}
