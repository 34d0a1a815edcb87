//! The packets of a run, for captures and pictures.

use hangup_network::{ConnectionId, Packet as Wire};
use std::time::Duration;
use tokio::time::Instant;

/// One packet of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it left its host, since the start of the run.
    pub at: Duration,
    /// When it reached the other host; none if it was lost.
    pub arrives: Option<Duration>,
    /// The connection.
    pub connection: u32,
    /// Bytes of its payload, of which `wire` may have the first only.
    pub length: usize,
    /// What it says.
    pub wire: Wire<'static>,
}

impl Packet {
    /// A packet with so many bytes of its payload at most.
    pub(crate) fn new(
        id: ConnectionId,
        packet: &Wire<'_>,
        most: usize,
        spot: impl Fn(Instant) -> Duration,
    ) -> Self {
        Self {
            at: spot(packet.sent),
            arrives: packet.arrives.map(spot),
            connection: id.0,
            length: packet.payload.len(),
            wire: packet.keep(most),
        }
    }
}
