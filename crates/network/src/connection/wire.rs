//! What segments look like on the wire, for an observer that wants to be shown packets. Nothing here changes what happens.

use super::Connection;
use super::link::{RTO, RTO_MOST, SYN_RTO};
use crate::buffers::RECEIVE_MOST;
use crate::lane::{Cause, Segment};
use crate::medium::Medium;
use crate::observer::{ConnectionId, Side};
use crate::packet::{Packet, SynOptions};
use std::borrow::Cow;
use std::time::Duration;
use tokio::time::Instant;

/// An IP packet has room for this much behind its headers.
const PAYLOAD_MOST: usize = 65_000;
/// The greatest shift of a window field (RFC 7323 section 2.3).
const SCALE_MOST: u8 = 14;

/// The number before the first byte of a stream.
fn initial(id: ConnectionId, from: Side) -> u32 {
    // Far apart, and the same in every run.
    (id.0.wrapping_mul(2) + from as u32).wrapping_mul(0x9e37_79b1)
}

/// The shift with which every window fits its field.
fn window_scale(receive_buffer: usize) -> u8 {
    let fits = |shift: &u8| receive_buffer >> shift <= usize::from(u16::MAX);
    (0..SCALE_MOST).find(fits).unwrap_or(SCALE_MOST)
}

impl Connection {
    /// Shows a segment that is put under way now: as often as it is sent (`again` is the time from its first departure
    /// to the one that arrives, with the instant of that arrival), or once, and lost.
    #[inline]
    pub(super) fn show(
        &self,
        from: Side,
        segment: Segment,
        landing: Option<(Duration, Instant)>,
        medium: &mut Medium,
    ) {
        if medium.shows_packets && !(from == Side::Client && self.vanished) {
            self.show_all(from, segment, landing, medium);
        }
    }

    fn show_all(
        &self,
        from: Side,
        segment: Segment,
        landing: Option<(Duration, Instant)>,
        medium: &mut Medium,
    ) {
        let now = medium.now();
        let Some((again, at)) = landing else {
            return self.show_once(from, segment, now, None, medium);
        };
        let mut timeout = match segment {
            Segment::Syn | Segment::SynAck => SYN_RTO,
            _ => RTO,
        };
        let mut passed = Duration::ZERO;
        while passed < again {
            self.show_once(from, segment, now + passed, None, medium);
            passed += timeout;
            timeout = (timeout * 2).min(RTO_MOST);
        }
        self.show_once(from, segment, now + again, Some(at), medium);
    }

    /// Shows a piece of the stream that is lost.
    pub(super) fn show_stream(
        &self,
        from: Side,
        (start, bytes): (u64, usize),
        fin: bool,
        ack: u64,
        medium: &mut Medium,
    ) {
        if bytes > 0 {
            self.show(from, Segment::Data { start, bytes, ack }, None, medium);
        }
        if fin {
            let start = start + bytes as u64;
            self.show(from, Segment::Fin { start, ack }, None, medium);
        }
    }

    fn show_once(
        &self,
        from: Side,
        segment: Segment,
        sent: Instant,
        arrives: Option<Instant>,
        medium: &mut Medium,
    ) {
        let (out, back) = (self.lane_ref(from), self.lane_ref(from.peer()));
        let (source, destination) = match from {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        let own = |offset: u64| {
            initial(self.id, from)
                .wrapping_add(1)
                .wrapping_add(offset as u32)
        };
        let peers = |offset: u64| {
            initial(self.id, from.peer())
                .wrapping_add(1)
                .wrapping_add(offset as u32)
        };
        let receive_buffer = back.buffers.receive;
        let scale = window_scale(medium.config.receive_buffer.unwrap_or(RECEIVE_MOST));
        let field = |window: u64| u16::try_from(window).unwrap_or(u16::MAX);
        let window = |next: u64| field(back.announced.saturating_sub(next) >> scale);
        let mut packet = Packet {
            sent,
            arrives,
            from,
            source,
            destination,
            sequence: own(out.end()),
            acknowledgement: None,
            syn: None,
            fin: false,
            reset: false,
            push: false,
            window: 0,
            payload: Cow::Borrowed(&[]),
        };
        match segment {
            Segment::Syn | Segment::SynAck => {
                let most = self.link.mtu.min(PAYLOAD_MOST);
                packet.sequence = initial(self.id, from);
                packet.acknowledgement = (segment == Segment::SynAck).then(|| peers(0));
                packet.window = field(receive_buffer as u64);
                packet.syn = Some(SynOptions {
                    segment_size: most as u16,
                    window_scale: scale,
                });
            }
            Segment::Ack { next, limit } => {
                packet.acknowledgement = Some(peers(next));
                packet.window = field(limit.saturating_sub(next) >> scale);
            }
            // A probe asks about a byte that the peer has, as a keep-alive does.
            Segment::Data {
                start,
                bytes: 0,
                ack,
            } => {
                packet.sequence = own(start).wrapping_sub(1);
                packet.acknowledgement = Some(peers(ack));
                packet.window = window(ack);
            }
            Segment::Data { start, bytes, ack } => {
                packet.acknowledgement = Some(peers(ack));
                packet.window = window(ack);
                // What its receiver has read is no longer there, and is never sent again.
                let from = start.max(out.read);
                let first = (from - out.read) as usize;
                let last = ((start + bytes as u64).saturating_sub(out.read) as usize)
                    .clamp(first, out.bytes.len().max(first));
                let held = first.min(out.bytes.len())..last.min(out.bytes.len());
                let most = self.link.mtu.min(PAYLOAD_MOST);
                let count = held.len().div_ceil(most);
                for (index, piece) in out.bytes[held].chunks(most).enumerate() {
                    packet.sequence = own(from + (index * most) as u64);
                    packet.push = index + 1 == count;
                    packet.payload = Cow::Borrowed(piece);
                    medium.show(self.id, &packet);
                }
                return;
            }
            Segment::Fin { start, ack } => {
                packet.sequence = own(start);
                packet.acknowledgement = Some(peers(ack));
                packet.fin = true;
                packet.window = window(ack);
            }
            Segment::Reset { sequence, cause } => {
                packet.reset = true;
                packet.sequence = own(sequence);
                match cause {
                    Cause::Close => packet.acknowledgement = Some(peers(back.next())),
                    // There was no number of ours yet (RFC 9293 section 3.10.7.1).
                    Cause::Closed => {
                        packet.sequence = 0;
                        packet.acknowledgement = Some(peers(0));
                    }
                    Cause::Stray => {}
                }
            }
        }
        medium.show(self.id, &packet);
    }
}
