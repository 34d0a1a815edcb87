//! Servers with one known defect each, and the healthy twin that they are made from.
//!
//! The twin is a small HTTP/1.1 server in the style that people write by hand: a task a connection, `tokio::time::timeout`
//! around every wait, a semaphore against overload. A canary is the same code with one line wrong. An oracle that
//! lets a canary go free, or convicts the twin, is broken.

mod fields;
mod message;
mod twin;

use super::{Server, Serving, Shutdown};
use crate::contract::Contract;
use crate::transport::Listener;
use std::time::Duration;

/// The one thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Nothing.
    None,
    /// The response is written without a deadline.
    NoWriteDeadline,
    /// The idle clock is set to 10 minutes, though the contract says that a silent client is gone after one.
    LongIdle,
    /// Each connection starts a helper task that nobody ends when the connection fails.
    TaskLeak,
    /// A connection that ends in an error does not give its permit back.
    PermitLeak,
    /// `100 Continue` goes to HTTP/1.0 clients too.
    ContinueToOld,
    /// At the end of the stream in the middle of a body it reads again, and again.
    BusyAtEof,
    /// After the last response the client is listened to without a deadline.
    EndlessDrain,
    /// Only the first head of a connection has a deadline.
    FirstHeadClockOnly,
    /// `100 Continue` is sent at once, and again when the body is waited for.
    ContinueTwice,
    /// A body that the application does not want is taken for the next request.
    BodyAsRequest,
    /// `Connection: close` is overlooked where more came in the same segment.
    CloseIgnored,
    /// The accept loop ends at an error.
    AcceptDies,
    /// The accept loop tries again at once behind an error.
    AcceptSpins,
    /// The accept loop waits for ever once it has seen some errors in a row.
    AcceptGivesUp,
    /// Who cannot be served is told so by the accept loop, which waits until he is gone.
    RejectInline,
    /// At the end of the stream it waits to be told of the last response, of which it was told before.
    LostWakeUp,
    /// The socket is dropped behind the last response, also where the client is still sending.
    RstAtClose,
    /// A shutdown waits for connections on which nothing is under way, as long as that takes.
    PatientShutdown,
    /// A head may be of any length.
    EndlessHead,
    /// The fields of a response are kept in a `HashMap`, and sent in its order.
    HashOrder,
    /// Each response has a field whose name is made from `SystemTime`.
    WallClock,
    /// A shutdown waits for nothing.
    HastyShutdown,
    /// Behind a request that is malformed it reads on.
    ReadsOn,
    /// Nobody looks for a Host.
    Hostless,
    /// A byte of a body is lost where a read ends.
    LosesByte,
    /// What comes behind a slow request is answered first.
    Swapped,
    /// A head is to come in one read.
    HeadInOneRead,
    /// Behind a response the next request is to come at once.
    HastyIdle,
    /// Who is idle has to make way for a new connection.
    Evicts,
    /// The socket is dropped though its kernel holds what the client does not take.
    LeavesOrphan,
    /// A response has 20 s in all, however fast its client reads.
    TotalWrite,
    /// An answer that a client did not wait for stays in a pooled connection, where the next request finds it.
    PooledAnswer,
    /// The accept loop itself waits for the first bytes of each connection, to see what it speaks.
    SniffsInline,
}

/// A canary, or the twin.
#[derive(Debug)]
pub struct Canary {
    name: &'static str,
    about: &'static str,
    defect: Defect,
}

/// The twin without a defect, and every canary.
pub const CANARIES: [Canary; 34] = [
    Canary {
        name: "twin",
        about: "the canaries' healthy twin",
        defect: Defect::None,
    },
    Canary {
        name: "canary-no-write-deadline",
        about: "defect: a response is written without a deadline (hung)",
        defect: Defect::NoWriteDeadline,
    },
    Canary {
        name: "canary-task-leak",
        about: "defect: a helper task outlives a connection that fails (leftover)",
        defect: Defect::TaskLeak,
    },
    Canary {
        name: "canary-long-idle",
        about: "defect: the idle clock is longer than the contract (late)",
        defect: Defect::LongIdle,
    },
    Canary {
        name: "canary-permit-leak",
        about: "defect: a connection that fails keeps its semaphore permit (deaf)",
        defect: Defect::PermitLeak,
    },
    Canary {
        name: "canary-old-continue",
        about: "defect: HTTP/1.0 clients get 100 Continue (protocol)",
        defect: Defect::ContinueToOld,
    },
    Canary {
        name: "canary-busy-at-eof",
        about: "defect: the end of the stream inside a body is read over and over (spin)",
        defect: Defect::BusyAtEof,
    },
    Canary {
        name: "canary-patient-shutdown",
        about: "defect: a shutdown waits for connections with nothing under way (stuck-shutdown)",
        defect: Defect::PatientShutdown,
    },
    Canary {
        name: "canary-hash-order",
        about: "defect: response fields are sent in the order of a HashMap (nondeterministic, unless sealed)",
        defect: Defect::HashOrder,
    },
    Canary {
        name: "canary-wall-clock",
        about: "defect: responses have a field that is named after SystemTime (nondeterministic, unless sealed)",
        defect: Defect::WallClock,
    },
    Canary {
        name: "canary-drain-no-clock",
        about: "defect: behind the last response the client is listened to without a deadline (hung)",
        defect: Defect::EndlessDrain,
    },
    Canary {
        name: "canary-first-head-clock",
        about: "defect: only the first head of a connection has a deadline (hung)",
        defect: Defect::FirstHeadClockOnly,
    },
    Canary {
        name: "canary-twice-continue",
        about: "defect: 100 Continue is sent at once, and once more for the body (protocol)",
        defect: Defect::ContinueTwice,
    },
    Canary {
        name: "canary-body-as-request",
        about: "defect: a body that the application does not want is taken for the next request (protocol)",
        defect: Defect::BodyAsRequest,
    },
    Canary {
        name: "canary-close-ignored",
        about: "defect: close is overlooked where more came in the same segment (protocol)",
        defect: Defect::CloseIgnored,
    },
    Canary {
        name: "canary-accept-dies",
        about: "defect: the accept loop ends at an error (deaf)",
        defect: Defect::AcceptDies,
    },
    Canary {
        name: "canary-accept-spins",
        about: "defect: the accept loop tries again at once behind an error (spin, where the error lasts)",
        defect: Defect::AcceptSpins,
    },
    Canary {
        name: "canary-accept-gives-up",
        about: "defect: the accept loop waits for ever once it has seen some errors in a row (deaf)",
        defect: Defect::AcceptGivesUp,
    },
    Canary {
        name: "canary-reject-inline",
        about: "defect: the accept loop itself waits until a client that it refuses is gone (hung, and deaf)",
        defect: Defect::RejectInline,
    },
    Canary {
        name: "canary-lost-wake-up",
        about: "defect: after a half-close it waits to be told what it was told before (hung)",
        defect: Defect::LostWakeUp,
    },
    Canary {
        name: "canary-rst-at-close",
        about: "defect: the socket is dropped behind the last response, which the reset overtakes (lost)",
        defect: Defect::RstAtClose,
    },
    Canary {
        name: "canary-endless-head",
        about: "defect: a head may be of any length (hoard)",
        defect: Defect::EndlessHead,
    },
    Canary {
        name: "canary-hasty-shutdown",
        about: "defect: a shutdown does not wait for requests that are under way (lost)",
        defect: Defect::HastyShutdown,
    },
    Canary {
        name: "canary-reads-on",
        about: "defect: what comes behind a framing error is read as a request (protocol)",
        defect: Defect::ReadsOn,
    },
    Canary {
        name: "canary-hostless",
        about: "defect: requests without a Host, or with two, are served (protocol)",
        defect: Defect::Hostless,
    },
    Canary {
        name: "canary-loses-byte",
        about: "defect: a byte of a body is lost at a buffer's end (lost)",
        defect: Defect::LosesByte,
    },
    Canary {
        name: "canary-swapped",
        about: "defect: what comes behind a slow request is answered before it (protocol)",
        defect: Defect::Swapped,
    },
    Canary {
        name: "canary-head-in-one-read",
        about: "defect: a head must come in one read (protocol, by metamorphic rule)",
        defect: Defect::HeadInOneRead,
    },
    Canary {
        name: "canary-hasty-idle",
        about: "defect: the next request has 30 ms, less than a round trip (protocol, by metamorphic rule)",
        defect: Defect::HastyIdle,
    },
    Canary {
        name: "canary-evicts",
        about: "defect: a new connection ends those that are idle (protocol, by metamorphic rule)",
        defect: Defect::Evicts,
    },
    Canary {
        name: "canary-orphan",
        about: "defect: the socket is dropped behind what the client does not take (leftover, in the kernel)",
        defect: Defect::LeavesOrphan,
    },
    Canary {
        name: "canary-total-write",
        about: "defect: a response has 20 s in all, however fast its client reads (lost)",
        defect: Defect::TotalWrite,
    },
    Canary {
        name: "canary-pooled-answer",
        about: "defect: an answer that its client did not wait for goes to the next one (protocol)",
        defect: Defect::PooledAnswer,
    },
    Canary {
        name: "canary-sniffs-inline",
        about: "defect: the accept loop waits for the first bytes of each connection (deaf, meanwhile)",
        defect: Defect::SniffsInline,
    },
];

impl Server for Canary {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        self.about
    }

    fn contract(&self) -> Contract {
        Contract {
            stall: Duration::from_secs(60),
            residence: Duration::from_secs(24 * 60 * 60),
            drain: Duration::from_secs(30),
            shutdown: Some(twin::SHUTDOWN),
            buffer: Some((twin::HEAD_MAX + twin::READ_MAX) as u64),
            rate: Some(match self.defect {
                // Within its write deadline a slower client may open its window by no step: of two jumbo segments, say.
                Defect::None => 16 << 10,
                _ => 300,
            }),
            kernel: Some(Duration::from_secs(10)),
            ..Contract::default()
        }
    }

    fn serve(&self, listener: Listener, shutdown: Shutdown) -> Serving {
        Box::pin(twin::serve(listener, shutdown, self.defect))
    }
}
