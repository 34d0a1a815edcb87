//! The path under an end, and a peer that does not answer on it.

use super::{Endpoint, Outgoing};
use crate::engine::turmoil::journal::{note, tell};
use crate::engine::turmoil::path::{self, GIVE_UP};
use hangup_network::{Event, Side};
use hangup_scenario::LinkChange;
use std::io::ErrorKind;
use std::time::Duration;

impl Outgoing {
    pub(super) fn waits_for_ack(&self) -> bool {
        self.sent > self.acked || (self.fin_sent && !self.fin_acked)
    }

    /// There is something to send, and the peer has no room for it.
    fn waits_for_window(&self) -> bool {
        self.written > self.sent && self.sent >= self.limit
    }
}

impl Endpoint {
    /// The client changes the path.
    pub(in crate::engine::turmoil) fn set_link(&mut self, change: &LinkChange) {
        let (id, received, acked) = (self.id, self.incoming.received, self.outgoing.acked);
        tell(move |recorder, _| recorder.disturbed(id.0));
        path::change(id, change, self.link);
        // What has come here is acknowledged, and no longer on the path.
        for (to, bytes) in [(Side::Client, acked), (Side::Server, received)] {
            note(id, Event::Acknowledged { to, bytes }, &[]);
        }
    }

    /// When the peer is given up, if nothing that is sent is answered now.
    pub(in crate::engine::turmoil) fn gives_up_at(&self) -> Option<Duration> {
        let outgoing = &self.outgoing;
        if !self.open || self.closed || self.vanished {
            return None;
        }
        let dark = path::dark_since(self.id)?;
        let since = match outgoing.since.filter(|_| outgoing.waits_for_ack()) {
            Some(since) => since,
            // It asks for room over and over.
            None if outgoing.waits_for_window() => dark,
            None => return None,
        };
        Some(since + GIVE_UP)
    }

    /// The peer has answered nothing for too long.
    pub(in crate::engine::turmoil) fn time_out(&mut self) {
        note(self.id, Event::TimedOut { side: self.side }, &[]);
        self.fail(ErrorKind::TimedOut);
    }

    /// The application has taken so many bytes.
    pub(in crate::engine::turmoil) fn took(&self, bytes: usize) {
        let (id, side) = (self.id, self.side);
        if bytes > 0 {
            tell(move |recorder, at| recorder.ledger.read(|| at, id.0, side, bytes as u64));
        }
    }

    /// The application has given so many bytes.
    pub(in crate::engine::turmoil) fn put(&self, bytes: usize) {
        let id = self.id;
        if bytes > 0 && self.side == Side::Server {
            tell(move |recorder, at| recorder.ledger.wrote(|| at, id.0, bytes as u64));
        }
    }
}
