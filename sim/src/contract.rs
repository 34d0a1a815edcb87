//! What a server claims: the deadlines that a run is judged by.

use crate::server::{SHUTDOWN, UNCLAIMED};
use hangup_lifecycle::{Limits, Span};
use std::time::Duration;

/// What our server's shutdown takes behind its bound where tasks were cut there.
const CUT_GRACE: Duration = Duration::from_millis(100);

/// The deadlines and limits that a server claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// How long a connection may be held after its last byte in either direction.
    pub stall: Duration,
    /// How long any client may hold a connection, whatever it does.
    pub residence: Duration,
    /// A response makes its connection live longer than `residence` by the time that its bytes take at so
    /// many bytes a second. `None` if nothing does.
    pub residence_rate: Option<u64>,
    /// How long after its client is gone a connection's sockets and tasks may remain.
    pub drain: Duration,
    /// How long a graceful shutdown may take, from the signal until the server has returned. None: it has no graceful shutdown,
    /// and dies at once when it is told to, as a process does at a SIGTERM that it does not handle.
    pub shutdown: Option<Duration>,
    /// How many bytes of one connection's it may keep for itself. None: it claims no limit.
    pub buffer: Option<u64>,
    /// No response is cut off while its client takes so many bytes a second, or all that has arrived. None: it may be cut at any rate.
    pub rate: Option<u64>,
    /// How long the server's kernel may hold bytes of a connection that the server has closed, while the client takes none of them.
    /// None: as long as kernels do, which on Linux is some 5 min.
    pub kernel: Option<Duration>,
    /// How long a connection may outlive its client's host, where the server waits for its own application and so sends nothing
    /// that would find out: what TCP keepalive takes.
    pub vanished: Duration,
    /// How long a connection may be held from its `101 Switching Protocols`, whatever its client does. None: as long as any other, by
    /// `stall` and `residence`.
    pub upgrade: Option<Duration>,
}

impl Contract {
    /// This contract, with the times that a scenario names in place of the server's own.
    pub fn overridden(self, by: &hangup_scenario::Contract) -> Self {
        Self {
            stall: by.stall.unwrap_or(self.stall),
            residence: by.residence.unwrap_or(self.residence),
            residence_rate: self.residence_rate,
            drain: by.drain.unwrap_or(self.drain),
            shutdown: by.shutdown.or(self.shutdown),
            buffer: by.buffer.or(self.buffer),
            rate: by.rate.or(self.rate),
            kernel: self.kernel,
            vanished: by.vanished.unwrap_or(self.vanished),
            upgrade: self.upgrade,
        }
    }
}

impl Contract {
    /// How long a connection may be held in all, on which so many bytes of responses have arrived.
    pub(crate) fn longest(&self, bytes: u64) -> Duration {
        let taking = self.residence_rate.map_or(Duration::ZERO, |rate| {
            Duration::from_millis(bytes.saturating_mul(1000) / rate.max(1))
        });
        self.residence.saturating_add(taking)
    }
}

/// What a server is held to that claims nothing.
impl Default for Contract {
    fn default() -> Self {
        UNCLAIMED
    }
}

/// What our server claims under these limits. What no clock of them bounds is held to what a server without a claim is held
/// to.
impl From<&Limits> for Contract {
    fn from(limits: &Limits) -> Self {
        let bound = limits.bound();
        let or = |span: Span, unclaimed| span.finite().unwrap_or(unclaimed);
        // The bound speaks of the client's part; a handler that is at work when the client falls silent, or goes, has its
        // own time on top.
        let handler = limits.handler.finite().unwrap_or_default();
        Self {
            stall: or(bound.silence, UNCLAIMED.stall) + handler,
            residence: or(bound.residence, UNCLAIMED.residence),
            residence_rate: bound.rate.per_second(),
            drain: or(bound.gone, UNCLAIMED.drain) + handler,
            shutdown: Some(or(limits.shutdown, SHUTDOWN) + CUT_GRACE),
            // What the application keeps of a body is its own affair.
            buffer: None,
            // A step of the client's window may be late by so much.
            rate: bound.rate.per_second().map(|rate| rate + rate / 4),
            // Who waits for ever for a client leaves it to the kernel, too.
            kernel: bound.gone.finite().map(|_| UNCLAIMED.drain),
            vanished: or(bound.vanished, UNCLAIMED.vanished),
            upgrade: limits.upgrade.then(limits.linger.total).finite(),
        }
    }
}

/// Which promise of the contract was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Its bytes were held by the server's kernel for too long after it was closed.
    Kernel,
    /// Held too long after its last byte.
    Stall,
    /// Held too long in all.
    Residence,
    /// Held too long after its client was gone.
    Drain,
    /// Held too long after its client's host had vanished, with nothing to send.
    Vanished,
    /// Held too long after its 101.
    Upgrade,
}

impl Promise {
    /// The name of its field in a contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::Residence => "residence",
            Self::Drain => "drain",
            Self::Vanished => "vanished",
            Self::Kernel => "kernel",
            Self::Upgrade => "upgrade",
        }
    }
}

/// A deadline of a connection by the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The deadline.
    pub at: Duration,
    /// What its time is counted from: the last byte, the opening, or when the client was gone.
    pub since: Duration,
    /// The promise behind it.
    pub promise: Promise,
}

/// The moment from which a connection was held against the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The deadline that passed.
    pub at: Duration,
    /// What its time was counted from.
    pub since: Duration,
    /// The promise behind it.
    pub promise: Promise,
    /// What the server was waiting for then, as seen from outside.
    pub phase: &'static str,
}
