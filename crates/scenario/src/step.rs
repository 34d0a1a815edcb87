//! One thing that a client does.
//!
//! Every step is legal in every state. A step that needs an open connection does nothing where there is none, `connect`
//! does nothing where one is open, and what cannot be written any more is not written. None of this ends the client.

use std::time::Duration;

use crate::send::{Send, Trickle};

/// One thing that a client does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Opens a connection and goes on when it stands or has failed.
    Connect,
    /// Writes bytes.
    Send(Send),
    /// Reads until something has come, but not longer than a time.
    Await(Await),
    /// Does nothing for a time. Nothing is read either.
    Stall {
        /// How long.
        duration: Duration,
    },
    /// Reads.
    Read(Read),
    /// Sends FIN: no more will be written, reading goes on.
    HalfClose,
    /// Closes the connection as a program does that drops its socket: FIN, or RST if there is unread data.
    Close,
    /// Sends RST and forgets the connection, as with `SO_LINGER` 0.
    Reset,
    /// The host is gone: no FIN, no RST, nothing is acknowledged any more.
    Vanish,
    /// Changes this client's link from now on.
    Network(LinkChange),
    /// Closes the connection if there is one, waits, and opens a new one.
    Reconnect {
        /// How long to wait between the two.
        after: Duration,
    },
}

impl Step {
    /// The names of all steps as they stand in a file after `do =`, in the order of the manual.
    pub const NAMES: [&str; 11] = [
        "connect",
        "send",
        "await",
        "stall",
        "read",
        "half_close",
        "close",
        "reset",
        "vanish",
        "reconnect",
        "network",
    ];

    /// The name of this step as it stands in a file after `do =`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Send(_) => "send",
            Self::Await(_) => "await",
            Self::Stall { .. } => "stall",
            Self::Read(_) => "read",
            Self::HalfClose => "half_close",
            Self::Close => "close",
            Self::Reset => "reset",
            Self::Vanish => "vanish",
            Self::Network(_) => "network",
            Self::Reconnect { .. } => "reconnect",
        }
    }

    /// The time that this step takes at most by what it says itself: pauses and limits, not the network.
    pub fn duration(&self) -> Duration {
        match self {
            Self::Send(send) => send.duration(),
            Self::Await(step) => step.within,
            Self::Stall { duration } => *duration,
            Self::Reconnect { after } => *after,
            Self::Read(read @ Read::Paced { pace, .. }) => pace
                .every
                .saturating_mul(u32::try_from(read.piece_count()).unwrap_or(u32::MAX)),
            _ => Duration::ZERO,
        }
    }
}

/// Reads until something has come. If it does not come in time, that is an event, not an error: the next step follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Await {
    /// What is waited for, counted from the start of this step.
    pub until: Until,
    /// The longest to wait.
    pub within: Duration,
}

/// What an [`Await`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Until {
    /// The head of a response with this status, 100 to 999.
    Status(u16),
    /// A whole response with a final status, which is any but 1xx.
    Final,
    /// The end of the stream, by FIN or by RST.
    Eof,
    /// This many bytes.
    Bytes(u64),
}

/// What a `read` step reads. There is no time limit of the scenario's own: a client that waits
/// here waits as long as the server lets it, and an engine gives up after an hour, so that every run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// This many bytes, or less if the stream ends before.
    Bytes(u64),
    /// Everything until the stream ends.
    All,
    /// This many bytes, or less if the stream ends before, a piece at a time with a pause behind each piece: a reader that is
    /// slow and honest.
    Paced {
        /// How many bytes in all.
        bytes: u64,
        /// How many at a time, and the pause.
        pace: Trickle,
    },
}

impl Read {
    /// How many reads of a piece it is, for what a scenario may do in all.
    pub fn piece_count(&self) -> u64 {
        match self {
            Self::Bytes(_) | Self::All => 1,
            Self::Paced { bytes, pace } => bytes.div_ceil(pace.size.max(1)),
        }
    }
}

/// A change of one client's link, from now on. What is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkChange {
    /// First undoes every earlier change of this link.
    pub heal: bool,
    /// How long a segment travels, one way.
    pub latency: Option<Duration>,
    /// The most that chance adds to the latency of a segment.
    pub jitter: Option<Duration>,
    /// Largest segment in bytes, at least 1: what one read can see.
    pub mtu: Option<usize>,
    /// Probability, 0 to 1, that a segment is lost at first.
    pub loss: Option<f64>,
    /// Where nothing arrives any more.
    pub blackhole: Option<Blackhole>,
}

/// In which direction a link swallows everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blackhole {
    /// In both.
    Both,
    /// What the client sends.
    ToServer,
    /// What the server sends.
    ToClient,
}
