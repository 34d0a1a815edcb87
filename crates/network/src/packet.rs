//! What a host puts on the wire: TCP as a capture shows it.

use crate::observer::Side;
use std::borrow::Cow;
use std::net::SocketAddr;
use tokio::time::Instant;

/// One packet, when and as it leaves its sender's host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// When it leaves. A segment that is lost and sent again leaves as often as it is sent; what is yet to come of
    /// that is told ahead.
    pub sent: Instant,
    /// When it reaches the other host; none for one that is lost.
    pub arrives: Option<Instant>,
    /// The host that sends it.
    pub from: Side,
    /// That host's address and port.
    pub source: SocketAddr,
    /// The other host's address and port.
    pub destination: SocketAddr,
    /// The sequence number, counted from an initial one that follows from the connection's number.
    pub sequence: u32,
    /// What the sender expects next, where ACK is set.
    pub acknowledgement: Option<u32>,
    /// SYN is set, with these options.
    pub syn: Option<SynOptions>,
    /// FIN is set.
    pub fin: bool,
    /// RST is set.
    pub reset: bool,
    /// PSH is set: the last packet of what was sent at once.
    pub push: bool,
    /// The window field: scaled, but for a SYN.
    pub window: u16,
    /// The payload.
    pub payload: Cow<'a, [u8]>,
}

impl Packet<'_> {
    /// A packet that can be kept, with so many bytes of the payload at most.
    pub fn keep(&self, most: usize) -> Packet<'static> {
        let kept = &self.payload[..self.payload.len().min(most)];
        Packet {
            sent: self.sent,
            arrives: self.arrives,
            from: self.from,
            source: self.source,
            destination: self.destination,
            sequence: self.sequence,
            acknowledgement: self.acknowledgement,
            syn: self.syn,
            fin: self.fin,
            reset: self.reset,
            push: self.push,
            window: self.window,
            payload: Cow::Owned(kept.to_vec()),
        }
    }
}

/// The options of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynOptions {
    /// Most payload bytes in one packet.
    pub segment_size: u16,
    /// By how many bits the window fields of all later packets from this host are to be shifted to the left.
    pub window_scale: u8,
}
