//! What a connection waits for, as an observer at both hosts sees it.

use std::fmt;

/// What the server seems to be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What is said on it is not HTTP.
    Open,
    /// The first byte of the first request.
    Opening,
    /// The end of a head.
    Head,
    /// What it will do about a request that makes no sense.
    Malformed,
    /// The rest of a body, before the response.
    Body,
    /// The response.
    Handler,
    /// The rest of the response.
    Response,
    /// The rest of a body, behind the response.
    Drain,
    /// The next request.
    Idle,
    /// Whatever the application waits for that has the connection behind its 101.
    Upgrade,
    /// The end: it has closed its side.
    Closing,
}

impl Seen {
    /// Every one, in the order of a connection's life.
    pub const ALL: [Seen; 11] = [
        Seen::Open,
        Seen::Opening,
        Seen::Head,
        Seen::Malformed,
        Seen::Body,
        Seen::Handler,
        Seen::Response,
        Seen::Drain,
        Seen::Idle,
        Seen::Upgrade,
        Seen::Closing,
    ];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Seen::Open => "open",
            Seen::Opening => "opening",
            Seen::Head => "head",
            Seen::Malformed => "after a malformed request",
            Seen::Body => "body",
            Seen::Handler => "handler",
            Seen::Response => "response",
            Seen::Drain => "drain",
            Seen::Idle => "idle",
            Seen::Upgrade => "upgrade",
            Seen::Closing => "closing",
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
