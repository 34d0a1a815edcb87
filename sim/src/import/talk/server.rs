//! What a server's packets say: what it sent, and how much of what the client sent had reached it.

use super::{Owed, Talk, What};
use crate::import::capture::Segment;
use hangup_scenario::Until;
use std::time::Duration;

impl Talk {
    /// Takes a segment of the server's.
    pub(super) fn server(&mut self, at: Duration, segment: &Segment<'_>) {
        self.last_server = Some(at);
        if segment.syn {
            self.down.begin(segment.sequence);
            if segment.acknowledgement.is_some() {
                self.syn_ack.get_or_insert(at);
            }
            self.options(1, segment);
        }
        if let Some(acknowledgement) = segment.acknowledgement
            && !segment.reset
        {
            self.server_acknowledges(at, acknowledgement, segment);
        }
        let begin = segment.sequence.wrapping_add(segment.syn.into());
        let Some(place) = self.down.place(begin) else {
            return;
        };
        let arrives = at + self.echo;
        self.server_sends(arrives, place, segment.payload, segment.length);
        let end = place.saturating_add(segment.length as u64);
        if segment.length > 0 || segment.fin {
            self.arrivals
                .sent(at, end.saturating_add(segment.fin.into()));
        }
        if segment.fin && self.server_fin.is_none() && !segment.syn {
            self.server_fin = Some(end);
            self.server_ends(arrives);
        }
        if segment.reset {
            self.server_ends(arrives);
            // Nobody acknowledges a RST.
            let (_, answers) = self.arrivals.until(u64::MAX, arrives);
            for (at, what) in answers {
                self.note(at, what);
            }
        }
    }

    fn server_acknowledges(&mut self, at: Duration, acknowledgement: u32, segment: &Segment<'_>) {
        let Some(acked) = self.up.place(acknowledgement) else {
            return;
        };
        let ahead = acked.saturating_sub(self.up.next());
        let whole = self.up.last_early().is_none();
        if ahead == 1 && whole && self.fin.is_none() && (self.connected.is_some() || !self.whole) {
            // A FIN that was not captured.
            self.fin = Some((acked - 1, at));
        } else if ahead > 0 {
            // It has what was not captured, or comes later in the capture.
            let until = self.fin.map_or(acked, |(fin, _)| acked.min(fin));
            let known = self.owed.map_or(0, |owed| owed.place);
            if until > self.up.next() && until > known {
                let certain = self.fin.is_some() || self.up.last_early() >= Some(until);
                self.owed = Some(Owed {
                    place: until,
                    at,
                    certain,
                });
            }
        }
        self.note_fin(false);
        let edge = self.edge(1, acked, segment);
        let waited = self.sent.len() as u64 > self.up_acked;
        if waited && (acked > self.up_acked || edge > self.server_edge) {
            self.pace = Some(at + self.echo);
        }
        self.up_acked = self.up_acked.max(acked);
        self.server_edge = self.server_edge.max(edge);
    }

    fn server_sends(&mut self, arrives: Duration, place: u64, bytes: &[u8], length: usize) {
        let Self {
            down,
            responses,
            requests,
            missing_out,
            ..
        } = self;
        down.take(place, bytes, length, |piece| {
            responses.feed(arrives, piece.bytes, &*requests);
            *missing_out += piece.missing;
            if piece.missing > 0 {
                // What comes behind a hole cannot be told apart.
                responses.broken = true;
            }
        });
        self.note_answers(arrives);
    }

    pub(super) fn server_ends(&mut self, arrives: Duration) {
        self.responses.end(arrives);
        self.note_answers(arrives);
        let end = self.down.next().saturating_add(1);
        self.arrivals.comes(end, arrives, What::ServerGone);
    }

    fn note_answers(&mut self, arrives: Duration) {
        while let Some(response) = self.responses.list.get(self.told) {
            let until = match response.is_final() {
                false => Until::Status(response.status),
                true if response.answers < self.responses.complete => Until::Final,
                true => return,
            };
            self.statuses.push(response.status);
            self.told += 1;
            self.arrivals
                .comes(self.down.next(), arrives, What::Answer(until));
        }
    }
}
