//! Settings of a network and of one connection's link.

use std::time::Duration;

/// Settings of a simulated network; durations are one way.
///
/// ```
/// use hangup_network::Config;
/// use std::time::Duration;
///
/// let lan = Config { latency: Duration::from_millis(1), ..Config::default() };
/// assert_eq!(lan.send_buffer, None);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How long a segment travels, one way. tokio's timers have whole milliseconds, so a fraction
    /// is rounded up at delivery; zero is allowed, a day is the most.
    pub latency: Duration,
    /// Up to this much is added to the latency of each segment, in whole milliseconds. Segments of one
    /// direction never overtake each other.
    pub jitter: Duration,
    /// The most payload bytes that one segment carries, down to 1. A read gets all that has arrived, as on
    /// Linux; but segments of at most 536 bytes, which is less than any path carries, are read one by
    /// one, so that a stream can be cut anywhere.
    pub mtu: usize,
    /// The probability, 0 to 1, that a segment is lost. A lost segment arrives one retransmission
    /// timeout later (200 ms, doubling each time it is lost again).
    pub loss: f64,
    /// What a reset does to data that arrived before it and is not yet read.
    pub reset: ResetPolicy,
    /// How many bytes an endpoint holds that the peer has not acknowledged, at least 1. `None`: as many as
    /// Linux's autotuning gives, 87,040 at first for segments of 1500 bytes, and 4 MiB at most.
    pub send_buffer: Option<usize>,
    /// How many bytes an endpoint holds that its application has not read, at least 1. `None`: as many
    /// as Linux's autotuning gives, 64 KiB at first, and 3 MiB at most for an application that reads fast.
    pub receive_buffer: Option<usize>,
    /// How many accepted connections the process that serves can hold at once; while it holds so many, an accept that
    /// would give another fails with EMFILE. `None`: as many as there are.
    pub descriptors: Option<usize>,
    /// Where all random draws come from. Each direction of each connection has a stream of its own.
    pub seed: u64,
}

impl Default for Config {
    /// 20 ms one way, no jitter, no loss, 1500 bytes a segment, buffers that grow by themselves, no limit of
    /// descriptors, seed 0.
    fn default() -> Config {
        Config {
            latency: Duration::from_millis(20),
            jitter: Duration::ZERO,
            mtu: 1500,
            loss: 0.0,
            reset: ResetPolicy::Keep,
            send_buffer: None,
            receive_buffer: None,
            descriptors: None,
            seed: 0,
        }
    }
}

/// What a reset does to data that arrived before it and is not yet read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetPolicy {
    /// It can still be read, and the error comes behind it, as on Linux.
    #[default]
    Keep,
    /// It is thrown away, as other stacks do.
    Erase,
}

/// The path between a connection's two hosts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// How long a segment travels, one way.
    pub latency: Duration,
    /// The most that chance adds to that (see [`Config::jitter`]).
    pub jitter: Duration,
    /// The most payload bytes of a segment (see [`Config::mtu`]). Up to 536, a read sees one segment at a
    /// time, also of what has arrived already.
    pub mtu: usize,
    /// The probability, 0 to 1, that a segment is lost (see [`Config::loss`]).
    pub loss: f64,
    /// The directions in which nothing arrives any more.
    pub black_hole: BlackHole,
}

impl Link {
    /// The path to a host beside, on which nothing is in the way.
    pub const NEARBY: Link = Link {
        latency: Duration::ZERO,
        jitter: Duration::ZERO,
        mtu: 1500,
        loss: 0.0,
        black_hole: BlackHole::None,
    };
}

/// The directions of a link in which everything disappears. Without an end it is noticed only by
/// a host that waits for an acknowledgement, after 924.6 s (Linux's `tcp_retries2`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlackHole {
    /// Both directions work.
    #[default]
    None,
    /// What the client's host sends disappears.
    ToServer,
    /// What the server's host sends disappears.
    ToClient,
    /// Everything disappears.
    Both,
}
