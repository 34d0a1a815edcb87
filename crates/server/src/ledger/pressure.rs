//! What a server cannot take: counted, and told to `tracing` at a bounded rate with what to do
//! about it.

use super::{Ledger, lock};
use crate::Peer;
use crate::admission::Bounds;
use crate::log_limit::LogLimit;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Each kind of event is logged so often at most.
const EVERY: Duration = Duration::from_secs(10);

/// So many of the application's failures are logged one behind the other; they are not all the
/// same.
const FAILURES: u32 = 10;

/// Counts and log limits of one server.
#[derive(Debug)]
pub(super) struct Pressure {
    refused: LogLimit,
    refused_address: LogLimit,
    evicted: LogLimit,
    accept: LogLimit,
    failures: LogLimit,
}

impl Default for Pressure {
    fn default() -> Self {
        let limit = || LogLimit::new(1, EVERY);
        Pressure {
            refused: limit(),
            refused_address: limit(),
            evicted: limit(),
            accept: limit(),
            failures: LogLimit::new(FAILURES, Duration::from_secs(1)),
        }
    }
}

impl Pressure {
    /// A connection was made to make room for one from `peer`.
    pub(super) fn evicted(&self, peer: &Peer, bounds: &Bounds, now: Instant) {
        if let Some(suppressed) = self.evicted.admit(now) {
            let (limit, advice) = (bounds.connections, bounds.advice());
            tracing::warn!(
                %peer, limit, suppressed, advice,
                "full: the connection that was idle longest makes room"
            );
        }
    }

    /// A connection from `peer` was refused, because there is no room in all.
    pub(super) fn refused(&self, peer: &Peer, bounds: &Bounds, now: Instant) {
        if let Some(suppressed) = self.refused.admit(now) {
            let (limit, advice) = (bounds.connections, bounds.advice());
            tracing::warn!(
                %peer, limit, suppressed, advice,
                "full: a connection is refused, because no other can make room now"
            );
        }
    }

    /// A connection from `peer` was refused, because its address has as many as one may.
    pub(super) fn refused_address(&self, peer: &Peer, bounds: &Bounds, now: Instant) {
        if let Some(suppressed) = self.refused_address.admit(now) {
            tracing::warn!(
                %peer, limit = bounds.by_address, suppressed,
                advice = "if it is a proxy, raise Limits::connections_by_address",
                "a connection is refused, because its address has as many as one may"
            );
        }
    }
}

/// Why an accept failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AcceptFailure {
    /// The connection's own fault, or its network's; the next one may be well.
    OneConnection,
    /// The process has as many descriptors as it may (EMFILE).
    Descriptors,
    /// The system has as many open files as it may (ENFILE).
    Files,
    /// The kernel has no memory for it (ENOBUFS, ENOMEM).
    Memory,
    /// Something else.
    Other,
}

impl AcceptFailure {
    pub(crate) fn of(error: &io::Error) -> Self {
        use io::ErrorKind::*;
        #[cfg(unix)]
        if let Some(errno) = rustix::io::Errno::from_io_error(error) {
            use rustix::io::Errno;
            match errno {
                Errno::MFILE => return Self::Descriptors,
                Errno::NFILE => return Self::Files,
                Errno::NOBUFS | Errno::NOMEM => return Self::Memory,
                // Errors of the network that Linux hands on from the new socket (accept(2)).
                Errno::PROTO | Errno::NOPROTOOPT | Errno::HOSTDOWN | Errno::OPNOTSUPP => {
                    return Self::OneConnection;
                }
                _ => {}
            }
        }
        match error.kind() {
            OutOfMemory => Self::Memory,
            ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | TimedOut
            | NetworkDown | NetworkUnreachable | HostUnreachable | PermissionDenied => {
                Self::OneConnection
            }
            _ => Self::Other,
        }
    }

    /// A word for a metric's label.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneConnection => "connection",
            Self::Descriptors => "descriptors",
            Self::Files => "system-files",
            Self::Memory => "memory",
            Self::Other => "other",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::OneConnection => "none: it concerns one connection",
            Self::Descriptors => {
                "raise the limit of open files (ulimit -n, LimitNOFILE= in systemd), or leave more to the application (Descriptors::leave)"
            }
            Self::Files => "raise the system's limit of open files (fs.file-max)",
            Self::Memory => {
                "lower Limits::connections, or raise the kernel's socket memory (net.ipv4.tcp_mem)"
            }
            Self::Other => "see the error",
        }
    }
}

impl Ledger {
    /// Whether a failure of the application is logged now, and how many were not.
    pub(crate) fn failure(&self) -> Option<u64> {
        self.pressure.failures.admit(Instant::now())
    }

    /// Notes that an accept failed.
    pub(crate) fn accept_failed(&self, failure: AcceptFailure, error: &io::Error, now: Instant) {
        let count: u64 = {
            let mut books = lock(&self.books);
            let count = books.accept_errors.entry(failure.name()).or_default();
            *count += 1;
            *count
        };
        if failure == AcceptFailure::OneConnection {
            tracing::debug!(%error, count, "accept failed");
        } else if let Some(suppressed) = self.pressure.accept.admit(now) {
            let advice = failure.advice();
            tracing::warn!(%error, count, suppressed, advice, "accept failed");
        }
    }
}

/// The accept errors so far, by [`AcceptFailure::name`].
pub(super) type AcceptErrors = BTreeMap<&'static str, u64>;
