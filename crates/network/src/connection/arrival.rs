//! What an arriving segment does to the host that it reaches.

use super::{Connection, Holder, Life};
use crate::config::ResetPolicy;
use crate::lane::{Cause, Segment};
use crate::medium::Medium;
use crate::observer::{Event, Side};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::time::Instant;

/// How long Linux keeps a socket that the application has closed when only the peer's FIN is missing
/// (`tcp_fin_timeout`).
const FIN_WAIT_2: Duration = Duration::from_secs(60);

impl Connection {
    /// A segment of an established connection reaches `to`. The handshake's segments are the network's.
    pub(crate) fn arrive(&mut self, to: Side, segment: Segment, medium: &mut Medium) {
        if to == Side::Client && self.vanished {
            return self.expect_progress(Side::Server, medium);
        }
        let now = medium.now();
        self.end(to).watch.hears(now);
        match segment {
            Segment::Data { start, bytes, ack } => {
                self.data_arrives(to, (start, bytes), ack, medium)
            }
            Segment::Fin { start, ack } => self.fin_arrives(to, start, ack, medium),
            Segment::Ack { next, limit } => self.ack_arrives(to, next, limit, medium),
            Segment::Reset { sequence, .. } => self.reset_arrives(to, sequence, medium),
            Segment::Syn | Segment::SynAck => {}
        }
    }

    fn data_arrives(
        &mut self,
        to: Side,
        (start, bytes): (u64, usize),
        ack: u64,
        medium: &mut Medium,
    ) {
        let known = self.has_socket(to, medium);
        let lane = &mut self.lanes[to.peer() as usize];
        let end = start + bytes as u64;
        if start > lane.received || end <= lane.received {
            // A probe of the window, what has come before, or what was lost before it has to come first: the answer tells
            // what is true now.
            match known {
                true => self.acknowledge(to, medium),
                false => self.refuse(to, ack, medium),
            }
            return;
        }
        let bytes = (end - lane.received) as usize;
        lane.received += bytes as u64;
        let unread = lane.unread();
        let arrived = &lane.bytes[unread - bytes..unread];
        if known && self.ends[to as usize].holder != Holder::Host {
            medium.tell(self.id, Event::Arrived { to, bytes: arrived });
            self.acknowledge(to, medium);
            self.end(to).wake_reader(medium);
            return;
        }
        medium.tell(self.id, Event::Discarded { to, bytes: arrived });
        lane.discard_unread();
        // Nobody can ever read it. Linux forgets the socket, and what it had yet to send, and says so.
        if known {
            self.drop_socket(to, medium);
        }
        self.refuse(to, ack, medium);
    }

    fn fin_arrives(&mut self, to: Side, start: u64, ack: u64, medium: &mut Medium) {
        let known = self.has_socket(to, medium);
        let lane = self.lane(to.peer());
        if start != lane.received || lane.fin.arrived {
            match known {
                true => self.acknowledge(to, medium),
                false => self.refuse(to, ack, medium),
            }
            return;
        }
        lane.fin.arrived = true;
        if !known {
            return self.refuse(to, ack, medium);
        }
        medium.tell(self.id, Event::FinArrived { to });
        self.acknowledge(to, medium);
        self.end(to).wake_reader(medium);
    }

    fn ack_arrives(&mut self, to: Side, next: u64, limit: u64, medium: &mut Medium) {
        if !self.end_ref(to).life.has_socket() {
            return self.refuse(to, next, medium);
        }
        let (now, mtu) = (medium.now(), self.link.mtu);
        let lane = self.lane(to);
        lane.lost_ack = lane.lost_ack.filter(|lost| lost.0 > next || lost.1 > limit);
        let acked = next.min(lane.sent);
        let (fresh, flight) = (acked.saturating_sub(lane.acked), lane.sent - lane.acked);
        lane.buffers
            .acknowledged(fresh as usize, flight as usize, mtu);
        let fin_acked = lane.fin.sent && next > lane.sent;
        let news = acked > lane.acked;
        let progress = news || limit > lane.limit || (fin_acked && !lane.fin.acked);
        lane.acked = lane.acked.max(acked);
        lane.limit = lane.limit.max(limit);
        lane.fin.acked |= fin_acked;
        if progress {
            lane.since = Some(now);
        }
        if news && self.unreliable {
            medium.tell(self.id, Event::Acknowledged { to, bytes: acked });
        }
        if progress && self.lane_ref(to).timer.is_some() {
            self.cancel_timer(to, medium);
            self.expect_progress(to, medium);
        }
        self.transmit(to, medium);
        self.make_writable(to, medium);
        self.settle_orphan(to, medium);
    }

    fn reset_arrives(&mut self, to: Side, sequence: u64, medium: &mut Medium) {
        let back = self.lane(to.peer());
        let next = back.next();
        // RFC 5961: exactly what is expected next, or the FIN that was the last.
        let valid = sequence == next || (back.fin.arrived && sequence + 1 == next);
        if !valid || self.is_closed(to) {
            return;
        }
        medium.tell(self.id, Event::ResetArrived { to });
        let broken = self.lane_ref(to.peer()).fin.arrived && !self.lane_ref(to).fin.asked;
        let fault = if broken {
            ErrorKind::BrokenPipe
        } else {
            ErrorKind::ConnectionReset
        };
        self.fail(to, fault, medium);
        if medium.config.reset == ResetPolicy::Erase {
            self.lane(to.peer()).discard_unread();
        }
    }

    /// The host forgets the socket; its application, if it has one, is told why.
    pub(crate) fn fail(&mut self, side: Side, fault: ErrorKind, medium: &mut Medium) {
        self.drop_socket(side, medium);
        let end = self.end(side);
        end.fault = Some(fault);
        end.wake(medium);
    }

    /// Whether the host still knows the connection.
    fn has_socket(&self, side: Side, medium: &mut Medium) -> bool {
        self.end_ref(side).life.has_socket() && !self.is_forgotten(side, medium.now())
    }

    /// Only the peer's FIN was missing to a socket that the application had closed, and it was not to be waited for any
    /// longer. No timer is needed for it: it shows only in the answer to what comes too late.
    pub(crate) fn is_forgotten(&self, side: Side, now: Instant) -> bool {
        let out = self.lane_ref(side);
        self.end_ref(side).holder == Holder::Host
            && out.fin.acked
            && !self.lane_ref(side.peer()).fin.arrived
            && out.since.is_some_and(|since| now > since + FIN_WAIT_2)
    }

    /// Answers a segment for a socket that is gone with a reset. Its sequence number is what the peer had received
    /// when it sent that segment, `ack`. If more was under way to the peer by then, the peer takes the reset for an
    /// old one; but it is going to acknowledge the rest, and the answer to that is valid.
    pub(crate) fn refuse(&mut self, by: Side, ack: u64, medium: &mut Medium) {
        let lane = self.lane_ref(by);
        let end = lane.end();
        let valid = ack == end || (lane.fin.sent && ack + 1 == end);
        if valid && !lane.reset && self.end_ref(by.peer()).life != Life::Gone {
            let (sequence, cause) = (ack, Cause::Stray);
            self.launch(by, Segment::Reset { sequence, cause }, medium);
        }
    }
}
