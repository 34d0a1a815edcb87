//! Where a connection is: one enum, and no place outside it.

use std::fmt;

/// What a connection waits for. See the drawing in the [crate's documentation](crate).
///
/// A new phase does not compile until it has a deadline (`deadline.rs`), a name, a sentence ([`Phase::name`],
/// [`Phase::explain`]) and the server's answer when its time is over ([`CloseReason::answer`](crate::CloseReason::answer)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// Accepted; the TLS handshake is not done.
    Handshake,
    /// Ready for the first request, of which no byte has come.
    Opening,
    /// A request's first byte has come, the end of its head has not.
    Head,
    /// `100 Continue` is sent, no byte of the body has come.
    Expect,
    /// The application reads the body, and the client has it.
    Body,
    /// The application has the request and no response yet; it does not wait for the client.
    Handler,
    /// The response has begun, and its last byte is not yet taken by the peer: acknowledged where the stream can tell, else
    /// accepted by the stream.
    Response,
    /// The response is sent; what the application did not read of the body is read and dropped.
    Drain,
    /// Everything is written and our side is closed; the kernel still holds bytes, or the FIN, that the peer has not
    /// acknowledged.
    Kernel,
    /// Our side is closed and acknowledged; the peer's FIN says that it has everything.
    Linger,
    /// Between two requests.
    Idle,
    /// Switched to another protocol; the stream is the application's, the count and the clock are ours.
    Upgrade,
}

impl Phase {
    /// Every phase, in the order of a connection's life.
    pub const ALL: [Phase; 12] = [
        Phase::Handshake,
        Phase::Opening,
        Phase::Head,
        Phase::Expect,
        Phase::Body,
        Phase::Handler,
        Phase::Response,
        Phase::Drain,
        Phase::Kernel,
        Phase::Linger,
        Phase::Idle,
        Phase::Upgrade,
    ];

    /// One lowercase word, as in a dump, a metric's label or a JSON report.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Handshake => "handshake",
            Phase::Opening => "opening",
            Phase::Head => "head",
            Phase::Expect => "expect",
            Phase::Body => "body",
            Phase::Handler => "handler",
            Phase::Response => "response",
            Phase::Drain => "drain",
            Phase::Kernel => "kernel",
            Phase::Linger => "linger",
            Phase::Idle => "idle",
            Phase::Upgrade => "upgrade",
        }
    }

    /// What is waited for, as the end of a sentence that begins with "waiting for".
    pub const fn explain(self) -> &'static str {
        match self {
            Phase::Handshake => "the client to finish the TLS handshake",
            Phase::Opening => "the first byte of the first request",
            Phase::Head => "the end of the request's head",
            Phase::Expect => "the first byte of the body, for which 100 Continue was sent",
            Phase::Body => "the rest of the request's body",
            Phase::Handler => "the application's response",
            Phase::Response => {
                "the client to take the response, or the application to go on with it"
            }
            Phase::Drain => "the rest of a body that the application did not read",
            Phase::Kernel => "the client to acknowledge our last bytes and our close",
            Phase::Linger => "the client to close after our last response",
            Phase::Idle => "the next request",
            Phase::Upgrade => "the end of the upgraded connection",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_each_phase_at_its_index() {
        for (index, phase) in Phase::ALL.iter().enumerate() {
            assert_eq!(phase.index(), index, "{phase}");
        }
    }
}
