//! For whoever wants to see each connection's phases as they happen.

use crate::Peer;
use hangup_lifecycle::{Clock, CloseReason, Entry, Phase};
use http::request;
use std::sync::Arc;
use tokio::time::Instant;

/// Is told what every connection waits for, and what comes and goes on it. Called on the connection's own task, so it must be quick;
/// absent, it costs nothing. Several are one `Vec<Arc<dyn Watch>>`.
///
/// Only waits are told: a request that is answered as it arrives goes from `opening` or `idle` to `idle`.
pub trait Watch: Send + Sync {
    /// Connection number `connection` (from 1, in the order of their accepts) begins.
    fn opened(&self, connection: u64, at: Instant, peer: &Peer) {
        let _ = (connection, at, peer);
    }

    /// So many bytes came from the client. `bytes` are these, or empty where the server drops them unread (behind its last response).
    fn received(&self, connection: u64, at: Instant, length: usize, bytes: &[u8]) {
        let _ = (connection, at, length, bytes);
    }

    /// The client's FIN came.
    fn ended(&self, connection: u64, at: Instant) {
        let _ = (connection, at);
    }

    /// A request's head is whole and acceptable in itself; of its body nothing was looked at.
    fn request(&self, connection: u64, at: Instant, head: &request::Parts) {
        let _ = (connection, at, head);
    }

    /// A response begins; `100 Continue` is one too.
    fn response(&self, connection: u64, at: Instant, status: u16) {
        let _ = (connection, at, status);
    }

    /// The client's side took so many bytes.
    fn sent(&self, connection: u64, at: Instant, length: u64) {
        let _ = (connection, at, length);
    }

    /// It waits in `phase`, until `deadline` unless something happens. A deadline that moves within the phase, as bytes come, is not told
    /// again. `None` is a phase that was made unbounded.
    fn phase(&self, connection: u64, at: Instant, phase: Phase, deadline: Option<Instant>);

    /// From now on its wait in `phase` ends by this clock unless something happens; `None` where nothing ends it. It is told when either is
    /// another than before, so also when the clock that comes first changes within a phase.
    fn armed(&self, connection: u64, at: Instant, phase: Phase, clock: Option<Clock>) {
        let _ = (connection, at, phase, clock);
    }

    /// Its wait in `phase` was ended by this clock.
    fn expired(&self, connection: u64, at: Instant, phase: Phase, clock: Clock) {
        let _ = (connection, at, phase, clock);
    }

    /// It is gone; `entry` is what the ledger has on it, in times since its accept.
    fn closed(&self, connection: u64, at: Instant, reason: CloseReason, entry: &Entry);
}

impl Watch for Vec<Arc<dyn Watch>> {
    fn opened(&self, connection: u64, at: Instant, peer: &Peer) {
        self.iter()
            .for_each(|watch| watch.opened(connection, at, peer));
    }

    fn received(&self, connection: u64, at: Instant, length: usize, bytes: &[u8]) {
        self.iter()
            .for_each(|watch| watch.received(connection, at, length, bytes));
    }

    fn ended(&self, connection: u64, at: Instant) {
        self.iter().for_each(|watch| watch.ended(connection, at));
    }

    fn request(&self, connection: u64, at: Instant, head: &request::Parts) {
        self.iter()
            .for_each(|watch| watch.request(connection, at, head));
    }

    fn response(&self, connection: u64, at: Instant, status: u16) {
        self.iter()
            .for_each(|watch| watch.response(connection, at, status));
    }

    fn sent(&self, connection: u64, at: Instant, length: u64) {
        self.iter()
            .for_each(|watch| watch.sent(connection, at, length));
    }

    fn phase(&self, connection: u64, at: Instant, phase: Phase, deadline: Option<Instant>) {
        self.iter()
            .for_each(|watch| watch.phase(connection, at, phase, deadline));
    }

    fn armed(&self, connection: u64, at: Instant, phase: Phase, clock: Option<Clock>) {
        self.iter()
            .for_each(|watch| watch.armed(connection, at, phase, clock));
    }

    fn expired(&self, connection: u64, at: Instant, phase: Phase, clock: Clock) {
        self.iter()
            .for_each(|watch| watch.expired(connection, at, phase, clock));
    }

    fn closed(&self, connection: u64, at: Instant, reason: CloseReason, entry: &Entry) {
        self.iter()
            .for_each(|watch| watch.closed(connection, at, reason, entry));
    }
}
