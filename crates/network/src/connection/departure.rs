//! How segments depart and land.

use super::Connection;
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
        // Without chance, all segments arrive at the same instant: one flight.
        let alike = self.link.loss <= 0.0 && self.link.jitter.is_zero();
        let most = if alike { bytes } else { self.link.mtu };
        let end = start + bytes as u64;
        let mut next = start;
        while next < end && self.lane_ref(from).lost.is_none() {
            let bytes = most.min((end - next) as usize);
            self.launch(
                from,
                Segment::Data {
                    start: next,
                    bytes,
                    ack,
                },
                medium,
            );
            next += bytes as u64;
        }
        if fin && self.lane_ref(from).lost.is_none() {
            self.launch(from, Segment::Fin { start: end, ack }, medium);
        }
    }

    /// Tells the peer what has arrived here, and how much more may come.
    pub(crate) fn acknowledge(&mut self, by: Side, medium: &mut Medium) {
        let receive_buffer = medium.config.receive_buffer as u64;
        let lane = self.lane(by.peer());
        lane.announced = lane.announced.max(lane.read + receive_buffer);
        let (next, limit) = (lane.next(), lane.announced);
        self.launch(by, Segment::Ack { next, limit }, medium);
    }

    /// Puts a segment under way, behind all others in its direction.
    pub(crate) fn launch(&mut self, from: Side, segment: Segment, medium: &mut Medium) {
        let delay = match self.swallows(from) {
            true => None,
            false => self.delay(from, segment),
        };
        let Some(delay) = delay else {
            self.show(from, segment, None, medium);
            return self.swallowed(from, segment, medium);
        };
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
