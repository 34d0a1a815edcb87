//! What has happened so far, as far as a deadline depends on it.

use crate::Transfer;
use crate::deadline::Stopwatch;
use crate::queue::Queue;
use std::time::Duration;

/// The facts from which, with phase and limits, a deadline follows. All times count from the caller's epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    /// When the connection was accepted.
    pub(crate) opened: Duration,
    /// When the phase was entered.
    pub(crate) since: Duration,
    /// When the request's first byte came; for the first request, when the connection was accepted.
    pub(crate) request_since: Duration,
    /// When the last byte came from the peer or was taken by it.
    pub(crate) heard: Duration,
    /// When the peer's FIN came.
    pub(crate) ended: Option<Duration>,
    /// When the application last gave something, or the peer was last seen to have taken all of it.
    pub(crate) quiet: Duration,
    /// Another protocol was spoken, which had an age of its own.
    pub(crate) upgraded: bool,
    /// When the server was asked to shut down.
    pub(crate) shutdown: Option<Duration>,
    /// The application's own time on this request.
    pub(crate) handler: Stopwatch,
    /// The request's body.
    pub(crate) body: Moved,
    /// The response, and what of earlier ones still waits for the peer.
    pub(crate) response: Moved,
    /// What the stream has accepted and the peer has not taken.
    pub(crate) queue: Queue,
}

/// One direction's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Moved {
    /// Runs while the peer is what is waited for.
    pub(crate) clock: Stopwatch,
    pub(crate) began: Duration,
    pub(crate) bytes: u64,
    /// The clock's reading at the last byte.
    pub(crate) last: Duration,
    /// What was announced.
    pub(crate) length: Option<u64>,
    /// Time that its bytes pay for at the least rate and that is not saved up, because it is longer than the gap.
    pub(crate) forfeited: Duration,
}

impl Moved {
    pub(crate) fn new(now: Duration, length: Option<u64>) -> Self {
        Moved {
            began: now,
            length,
            ..Moved::default()
        }
    }

    pub(crate) fn add(&mut self, bytes: u64, now: Duration) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.last = self.clock.reading(now);
    }

    /// Bytes of a response were taken by the peer. They pay for the time that follows, but never for more than the gap:
    /// otherwise a fast download would pay for days at a slower rate.
    pub(crate) fn taken(&mut self, bytes: u64, limits: &Transfer, now: Duration) {
        self.add(bytes, now);
        if let (Some(paid), Some(gap)) = (self.paid(limits), limits.gap.finite()) {
            let most = self.last.saturating_add(limits.rate.grace() + gap);
            self.forfeited += paid.saturating_sub(most);
        }
    }

    /// How long the clock may run for what was moved; `None` if there is no rate.
    pub(crate) fn paid(&self, limits: &Transfer) -> Option<Duration> {
        let paid = limits.rate.pays_for(self.bytes)?;
        Some(paid.saturating_sub(self.forfeited))
    }

    /// The time since the clock read this does not count.
    pub(crate) fn forgive(&mut self, reading: Duration, now: Duration) {
        self.clock.rewind(reading, now);
        self.last = self.last.min(reading);
    }
}

impl Progress {
    pub(crate) fn new(now: Duration) -> Self {
        Progress {
            opened: now,
            since: now,
            request_since: now,
            heard: now,
            ended: None,
            quiet: now,
            upgraded: false,
            shutdown: None,
            handler: Stopwatch::default(),
            body: Moved::default(),
            response: Moved::default(),
            queue: Queue::default(),
        }
    }
}
