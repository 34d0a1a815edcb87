//! What every connection of a run has in common.

use hangup_scenario::{Network, Rst};
use std::time::Duration;

/// turmoil looks at every message under way whenever one is sent, so that segments smaller than this would cost
/// more than they show: below it only reads are cut at the mtu.
const SEGMENT_MIN: usize = 1460;

/// A buffer whose size the scenario leaves to the host. It does not grow here.
const BUFFER: usize = 64 << 10;
/// Up to this mtu a read sees one segment at a time.
const SEGMENT_LEAST: usize = 536;

/// Latency, sizes and rules of the path between the two hosts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// One way; whole milliseconds would be enough, since tokio's timers have no finer ones.
    pub(super) latency: Duration,
    /// No message of turmoil's arrives in the tick in which it was sent; when one is over, all is known of its time.
    pub(super) tick: Duration,
    /// The largest segment.
    pub(super) mtu: usize,
    /// Bytes that an endpoint holds for its peer to acknowledge.
    pub(super) send_buffer: usize,
    /// Bytes that an endpoint holds for its application to read.
    pub(super) receive_buffer: usize,
    /// A reset throws away what has arrived and is not read.
    pub(super) erase: bool,
}

impl Link {
    /// The most that one read sees.
    pub(super) fn seen_at_once(self) -> usize {
        match self.mtu > SEGMENT_LEAST {
            true => usize::MAX,
            false => self.mtu,
        }
    }

    /// The link that a scenario asks for.
    pub(super) fn of(network: &Network, tick: Duration) -> Self {
        Self {
            latency: Self::carried(network.latency),
            tick,
            mtu: network.mtu.max(1),
            send_buffer: network.send_buffer.unwrap_or(BUFFER).max(1),
            receive_buffer: network.receive_buffer.unwrap_or(BUFFER).max(1),
            erase: network.rst == Rst::Erase,
        }
    }

    /// turmoil cannot carry a message in less than a tick.
    pub(super) fn carried(latency: Duration) -> Duration {
        latency.max(super::plan::TICK_MIN)
    }

    /// The most payload that one message carries.
    pub(super) fn segment(&self) -> usize {
        self.mtu.max(SEGMENT_MIN)
    }
}
