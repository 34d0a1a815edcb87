//! For whoever wants to see each connection's phases as they happen.

use crate::Peer;
use hangup_lifecycle::{CloseReason, Entry, Phase};
use tokio::time::Instant;

/// Is told what every connection waits for. Called on the connection's own task, so it must be quick; absent, it costs nothing.
///
/// Only waits are told: a request that is answered as it arrives goes from `opening` or `idle` to `idle`.
pub trait Watch: Send + Sync {
    /// Connection number `connection` (from 1, in the order of their accepts) begins.
    fn opened(&self, connection: u64, at: Instant, peer: &Peer) {
        let _ = (connection, at, peer);
    }

    /// It waits in `phase`, until `deadline` unless something happens. A deadline that moves within the phase, as bytes come, is not told
    /// again. `None` is a phase that was made unbounded.
    fn phase(&self, connection: u64, at: Instant, phase: Phase, deadline: Option<Instant>);

    /// It is gone; `entry` is what the ledger has on it, in times since its accept.
    fn closed(&self, connection: u64, at: Instant, reason: CloseReason, entry: &Entry);
}
