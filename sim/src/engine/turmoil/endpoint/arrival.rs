//! What an arriving frame does to the end that it reaches.

use super::Endpoint;
use crate::engine::turmoil::frame::Frame;
use crate::engine::turmoil::journal::{note, now};
use crate::engine::turmoil::path;
use hangup_network::Event;
use std::io::ErrorKind;

impl Endpoint {
    /// A frame arrives.
    pub(in crate::engine::turmoil) fn arrive(&mut self, frame: Frame) {
        if self.vanished {
            return;
        }
        match frame {
            Frame::Data { ack, bytes } => self.data_arrives(ack, &bytes),
            Frame::Fin { ack } => self.fin_arrives(ack),
            Frame::Ack { next, limit } => self.ack_arrives(next, limit),
            Frame::Reset { sequence } => {
                let next = self.incoming.next();
                if sequence == next || (self.incoming.fin && sequence == next - 1) {
                    self.cut();
                }
            }
            // The handshake is over.
            Frame::Hello { .. } => {}
        }
    }

    fn data_arrives(&mut self, ack: u64, bytes: &[u8]) {
        self.incoming.received += bytes.len() as u64;
        if self.open && !self.closed {
            self.incoming.unread.extend(bytes);
            let to = self.side;
            note(self.id, Event::Arrived { to, bytes: &[] }, bytes);
            self.acknowledge();
            self.woken.extend(self.reader.take());
        } else {
            let to = self.side;
            note(self.id, Event::Discarded { to, bytes: &[] }, bytes);
            if self.open {
                self.forget();
            }
            self.refuse(ack);
        }
    }

    fn fin_arrives(&mut self, ack: u64) {
        self.incoming.fin = true;
        if !self.open {
            return self.refuse(ack);
        }
        note(self.id, Event::FinArrived { to: self.side }, &[]);
        self.acknowledge();
        self.woken.extend(self.reader.take());
    }

    fn ack_arrives(&mut self, next: u64, limit: u64) {
        if !self.open {
            return self.refuse(next);
        }
        let outgoing = &mut self.outgoing;
        let before = (outgoing.acked, outgoing.fin_acked);
        outgoing.acked = outgoing.acked.max(next.min(outgoing.sent));
        outgoing.limit = outgoing.limit.max(limit);
        outgoing.fin_acked |= outgoing.fin_sent && next > outgoing.sent;
        if before != (outgoing.acked, outgoing.fin_acked) {
            outgoing.since = now().filter(|_| outgoing.waits_for_ack());
            let (to, bytes) = (self.side, outgoing.acked);
            if path::is_changed(self.id) {
                note(self.id, Event::Acknowledged { to, bytes }, &[]);
            }
        }
        self.transmit();
        let free = self
            .link
            .send_buffer
            .saturating_sub(self.outgoing.buffered());
        if self.blocked && free.saturating_mul(3) >= self.link.send_buffer {
            self.blocked = false;
            self.woken.extend(self.writer.take());
        }
    }

    /// Nothing will come any more. Whose peer had ended the stream before knows all that there was.
    pub(in crate::engine::turmoil) fn left_alone(&mut self) {
        if !self.incoming.fin {
            self.cut();
        }
    }

    /// The peer has reset the connection, or its host has died.
    fn cut(&mut self) {
        if !self.open || self.is_finished() || self.vanished {
            return;
        }
        note(self.id, Event::ResetArrived { to: self.side }, &[]);
        let broken = self.incoming.fin && !self.outgoing.fin_asked;
        self.fail(if broken {
            ErrorKind::BrokenPipe
        } else {
            ErrorKind::ConnectionReset
        });
        if self.link.erase {
            self.incoming.unread.clear();
        }
    }

    /// The connection is over, and the application is to be told why.
    pub(super) fn fail(&mut self, why: ErrorKind) {
        self.fault = Some(why);
        self.forget();
        self.settled = true;
        self.woken.extend(self.reader.take());
        self.woken.extend(self.writer.take());
    }

    /// Answers what came for a socket that is gone. The peer takes the reset only if it had received all that was sent
    /// here, `ack`; if not, its acknowledgement of the rest is still to come, and is answered in its turn.
    fn refuse(&mut self, ack: u64) {
        let end = self.outgoing.end();
        if ack == end || (self.outgoing.fin_sent && ack == end - 1) {
            self.send_reset(ack);
        }
    }
}
