//! Why a connection ended: one reason each, which explains itself.

use crate::{Clock, Phase, Refusal};
use std::fmt;

/// Why a connection was closed. The first cause stands: a 408 that the client then does not read is a time-out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseReason {
    /// The client closed its side when nothing of a request was under way.
    ClientClosed,
    /// The client asked for it: `Connection: close`, or HTTP/1.0 without `keep-alive`.
    ClientAsked,
    /// The application asked for it: `Connection: close` in its response, or a body that only a close can end.
    ApplicationAsked,
    /// It served as many requests as one connection may.
    RequestLimit,
    /// Its age would have ended the next wait for a request.
    Age,
    /// A response was given while part of the request's body was owed, and that part may not be read as a request.
    UnreadBody,
    /// The client's host answered with a reset, or the socket failed.
    ClientGone(Phase),
    /// A clock ran out.
    TimedOut {
        /// What was waited for.
        phase: Phase,
        /// Which of the phase's clocks.
        clock: Clock,
    },
    /// The request was not acceptable.
    Refused(Refusal),
    /// The application's service returned an error instead of a response.
    ApplicationFailed,
    /// The application panicked.
    ApplicationPanicked,
    /// The response's body failed, panicked, or was not of the length that its head announced.
    ResponseFailed,
    /// There were as many connections as may be ([`Limits::connections`](crate::Limits::connections)).
    TooManyConnections,
    /// There were as many from its address as may be ([`Limits::connections_by_address`](crate::Limits::connections_by_address)).
    TooManyFromAddress,
    /// The server was full, and this one had been idle longest: it made room for another while it
    /// waited in this phase.
    Evicted(Phase),
    /// The server shuts down and nothing was under way.
    Shutdown,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// It was switched to another protocol, and that has ended.
    Upgraded,
    /// Its task was dropped from outside, as when the runtime goes down.
    Dropped,
}

impl CloseReason {
    /// The status with which the server answers by itself, if nothing of a response was begun; `None` is a silent close.
    ///
    /// It follows from the phase, never from the kind of error: 408 if any byte of the request has come, 503 if the application
    /// was too slow, nothing if there was no request.
    pub const fn answer(self) -> Option<u16> {
        match self {
            CloseReason::Refused(refusal) => Some(refusal.status()),
            CloseReason::ApplicationFailed | CloseReason::ApplicationPanicked => Some(500),
            CloseReason::TooManyConnections => Some(503),
            CloseReason::TooManyFromAddress => Some(429),
            CloseReason::Evicted(Phase::Head) => Some(503),
            CloseReason::TimedOut {
                clock: Clock::Shutdown,
                ..
            } => None,
            CloseReason::TimedOut { phase, .. } => match phase {
                Phase::Head | Phase::Expect | Phase::Body => Some(408),
                Phase::Handler => Some(503),
                Phase::Handshake | Phase::Opening | Phase::Idle => None,
                Phase::Response | Phase::Drain | Phase::Kernel => None,
                Phase::Linger | Phase::Upgrade => None,
            },
            _ => None,
        }
    }

    /// A word for a metric's label or a JSON report.
    pub const fn name(self) -> &'static str {
        match self {
            CloseReason::ClientClosed => "client-closed",
            CloseReason::ClientAsked => "client-asked",
            CloseReason::ApplicationAsked => "application-asked",
            CloseReason::RequestLimit => "request-limit",
            CloseReason::Age => "age",
            CloseReason::UnreadBody => "unread-body",
            CloseReason::ClientGone(_) => "client-gone",
            CloseReason::TimedOut {
                clock: Clock::Shutdown,
                ..
            } => "timeout-shutdown",
            CloseReason::TimedOut {
                clock: Clock::Age, ..
            } => "timeout-age",
            CloseReason::TimedOut { phase, .. } => match phase {
                Phase::Handshake => "timeout-handshake",
                Phase::Opening => "timeout-opening",
                Phase::Head => "timeout-head",
                Phase::Expect => "timeout-expect",
                Phase::Body => "timeout-body",
                Phase::Handler => "timeout-handler",
                Phase::Response => "timeout-response",
                Phase::Drain => "timeout-drain",
                Phase::Kernel => "timeout-kernel",
                Phase::Linger => "timeout-linger",
                Phase::Idle => "timeout-idle",
                Phase::Upgrade => "timeout-upgrade",
            },
            CloseReason::Refused(_) => "refused",
            CloseReason::ApplicationFailed => "application-failed",
            CloseReason::ApplicationPanicked => "application-panicked",
            CloseReason::ResponseFailed => "response-failed",
            CloseReason::TooManyConnections => "too-many-connections",
            CloseReason::TooManyFromAddress => "too-many-from-address",
            CloseReason::Evicted(_) => "evicted",
            CloseReason::Shutdown => "shutdown",
            CloseReason::HandshakeFailed => "handshake-failed",
            CloseReason::Upgraded => "upgraded",
            CloseReason::Dropped => "dropped",
        }
    }

    /// Whether a clock of ours ended the connection.
    pub const fn is_timeout(self) -> bool {
        matches!(self, CloseReason::TimedOut { .. })
    }

    /// What happened, as a sentence for people.
    pub fn explain(self) -> String {
        match self {
            CloseReason::ClientClosed => "the client closed the connection between requests".into(),
            CloseReason::ClientAsked => "the client asked for a close after this response".into(),
            CloseReason::ApplicationAsked => "the application asked for a close after this response".into(),
            CloseReason::RequestLimit => "the connection has served as many requests as one may".into(),
            CloseReason::Age => "the connection is as old as one may be".into(),
            CloseReason::UnreadBody => "the response was given before the whole body was read, and the rest may not be read as a request".into(),
            CloseReason::ClientGone(phase) => format!("the client was gone while the server waited for {}", phase.explain()),
            CloseReason::TimedOut { phase, clock: Clock::Shutdown } => {
                format!("cut at the end of the shutdown, while waiting for {}", phase.explain())
            }
            CloseReason::TimedOut { phase, clock } => {
                format!("the {clock} clock of phase {phase} ran out while waiting for {}", phase.explain())
            }
            CloseReason::Refused(refusal) => format!("refused with {}: {}", refusal.status(), refusal.explain()),
            CloseReason::ApplicationFailed => "the application returned an error instead of a response".into(),
            CloseReason::ApplicationPanicked => "the application panicked".into(),
            CloseReason::ResponseFailed => "the response could not be completed as its head announced".into(),
            CloseReason::TooManyConnections => "the server has as many connections as it may".into(),
            CloseReason::TooManyFromAddress => "the client's address has as many connections as one may".into(),
            CloseReason::Evicted(phase) => {
                format!("the server was full and it made room while waiting for {}", phase.explain())
            }
            CloseReason::Shutdown => "the server shut down and nothing was under way".into(),
            CloseReason::HandshakeFailed => "the TLS handshake failed".into(),
            CloseReason::Upgraded => "the upgraded connection came to its end".into(),
            CloseReason::Dropped => "the connection's task was dropped".into(),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.explain())
    }
}
