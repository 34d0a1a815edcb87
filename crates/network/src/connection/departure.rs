//! How segments depart and land.

use super::Connection;
use super::link::{Delay, RTO, SYN_RTO};
use crate::agenda::What;
use crate::lane::{Flight, Segment};
use crate::medium::Medium;
use crate::observer::Side;

impl Connection {
    /// Sends as much as the window allows, and the FIN behind the last byte.
    pub(crate) fn transmit(&mut self, from: Side, medium: &mut Medium) {
        let lane = &mut self.lanes[from as usize];
        let bytes = lane.written.min(lane.limit).saturating_sub(lane.sent) as usize;
        let fin = lane.fin.asked && !lane.fin.sent && bytes == lane.unsent();
        if bytes == 0 && !fin {
            if lane.waits_for_window() {
                self.expect_progress(from, medium);
            }
            return;
        }
        if !lane.waits_for_ack() {
            lane.since = Some(medium.now());
        }
        let start = lane.sent;
        lane.sent += bytes as u64;
        lane.fin.sent |= fin;
        self.send_stream(from, start, bytes, fin, medium);
    }

    /// Puts a piece of the stream under way, or notes that it was lost.
    pub(super) fn send_stream(
        &mut self,
        from: Side,
        start: u64,
        bytes: usize,
        fin: bool,
        medium: &mut Medium,
    ) {
        let ack = self.lane_ref(from.peer()).next();
        if self.swallows(from) || self.lane_ref(from).lost.is_some() {
            self.show_stream(from, (start, bytes), fin, ack, medium);
            self.lane(from).lost.get_or_insert(start);
            self.expect_progress(from, medium);
            return;
        }
        self.send_segments(from, start, bytes, ack, medium);
        if fin && self.lane_ref(from).lost.is_none() {
            let start = start + bytes as u64;
            self.launch(from, Segment::Fin { start, ack }, medium);
        }
    }

    /// Puts bytes under way as segments, each of which may meet its own fate. What arrives at one instant departs in one piece, unless
    /// somebody looks.
    fn send_segments(
        &mut self,
        from: Side,
        start: u64,
        bytes: usize,
        ack: u64,
        medium: &mut Medium,
    ) {
        let data = |start: u64, end: u64| Segment::Data {
            start,
            bytes: (end - start) as usize,
            ack,
        };
        let end = start + bytes as u64;
        // Without chance, all segments arrive at the same instant.
        let alike = self.link.loss <= 0.0 && self.link.jitter.is_zero();
        let most = if alike { bytes } else { self.link.mtu } as u64;
        let mut piece: Option<(u64, Delay)> = None;
        let mut next = start;
        while next < end {
            let behind = next + most.min(end - next);
            let delay = self.delay(from, RTO);
            if let (Some((_, first)), Some(delay)) = (&piece, &delay)
                && delay.travel <= first.travel
                && !medium.shows_packets
            {
                // None overtakes another.
                next = behind;
                continue;
            }
            if let Some((start, delay)) = piece.take() {
                self.depart(from, data(start, next), delay, medium);
            }
            let Some(delay) = delay else {
                return self.never_arrives(from, data(next, behind), medium);
            };
            piece = Some((next, delay));
            next = behind;
        }
        if let Some((start, delay)) = piece {
            self.depart(from, data(start, end), delay, medium);
        }
    }

    /// Tells the peer what has arrived here, and how much more may come.
    pub(crate) fn acknowledge(&mut self, by: Side, medium: &mut Medium) {
        let lane = self.lane(by.peer());
        lane.announced = lane.announced.max(lane.read + lane.buffers.receive as u64);
        let (next, limit) = (lane.next(), lane.announced);
        self.launch(by, Segment::Ack { next, limit }, medium);
    }

    /// Puts a segment under way.
    pub(crate) fn launch(&mut self, from: Side, segment: Segment, medium: &mut Medium) {
        // An acknowledgement is cumulative: a lost one hardly matters, and it draws nothing.
        let delay = match segment {
            _ if self.swallows(from) => None,
            Segment::Ack { .. } | Segment::Reset { .. } => Some(self.latency()),
            Segment::Syn | Segment::SynAck => self.delay(from, SYN_RTO),
            Segment::Data { .. } | Segment::Fin { .. } => self.delay(from, RTO),
        };
        match delay {
            Some(delay) => self.depart(from, segment, delay, medium),
            None => self.never_arrives(from, segment, medium),
        }
    }

    fn never_arrives(&mut self, from: Side, segment: Segment, medium: &mut Medium) {
        self.show(from, segment, None, medium);
        self.swallowed(from, segment, medium);
    }

    /// Puts a segment under way, behind all others in its direction.
    fn depart(&mut self, from: Side, segment: Segment, delay: Delay, medium: &mut Medium) {
        let mut at = medium.now() + delay.travel;
        let lane = self.lane(from);
        at = lane.last.map_or(at, |last| last.max(at));
        lane.last = Some(at);
        self.show(from, segment, Some((delay.again, at)), medium);
        let key = self.key;
        let lane = self.lane(from);
        lane.reset |= matches!(segment, Segment::Reset { .. });
        if let Some(Flight {
            at: same,
            segment: last,
            ..
        }) = lane.flight.back_mut()
            && *same == at
        {
            match (last, segment) {
                (Segment::Ack { next, limit }, Segment::Ack { next: n, limit: l }) => {
                    (*next, *limit) = ((*next).max(n), (*limit).max(l));
                    return;
                }
                (
                    Segment::Data { start, bytes, ack },
                    Segment::Data {
                        start: next,
                        bytes: more,
                        ack: same,
                    },
                ) if *ack == same && *start + *bytes as u64 == next => {
                    *bytes += more;
                    return;
                }
                _ => {}
            }
        }
        let order = medium.order();
        lane.flight.push_back(Flight { at, order, segment });
        if lane.flight.len() == 1 {
            medium.schedule(at, order, key, from, What::Arrival);
        }
    }

    /// Takes the first segment in flight, which arrives.
    pub(crate) fn land(&mut self, from: Side, medium: &mut Medium) -> Option<Segment> {
        let key = self.key;
        let flight = self.lane(from).flight.pop_front()?;
        if let Some(next) = self.lane_ref(from).flight.front() {
            medium.schedule(next.at, next.order, key, from, What::Arrival);
        }
        Some(flight.segment)
    }
}
