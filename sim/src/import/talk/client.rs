//! What a client's packets say: what it sent, and how much of what came it had, and had read.

use super::{AT_ONCE, DISORDER, Event, FULL_SIZE, Owed, Talk, What, append};
use crate::import::capture::Segment;
use std::time::Duration;

/// A client whose window is smaller for so long does not read what it has.
const WINDOW_FULL: u64 = 512;
const FULL_FOR: Duration = Duration::from_millis(100);

/// A client's window that was full: since when, before which event, and how much it had read by then.
#[derive(Debug)]
pub(super) struct Filled {
    at: Duration,
    index: usize,
    read: u64,
}

/// How much must have been read where the window reaches to `edge`.
fn edge_read(edge: u64, buffer: u64) -> u64 {
    edge.saturating_sub(buffer)
}

impl Talk {
    /// Takes a segment of the client's.
    pub(super) fn client(&mut self, at: Duration, segment: &Segment<'_>) {
        self.last_client = Some(at);
        if segment.syn {
            if self.syn.is_none() {
                (self.syn, self.whole, self.opened) = (Some(segment.sequence), true, at);
            }
            self.up.begin(segment.sequence);
            self.options(0, segment);
        }
        let begin = segment.sequence.wrapping_add(segment.syn.into());
        // What the server was seen to acknowledge comes before what it answered.
        let is_late = self.owed.is_some() && segment.length > 0;
        if is_late && let Some(place) = self.up.place(begin) {
            self.client_sends(at, place, segment.payload, segment.length);
        }
        self.client_went_on(at, begin);
        if let Some(acknowledgement) = segment.acknowledgement
            && !segment.reset
        {
            self.client_acknowledges(at, acknowledgement, segment);
        }
        let Some(place) = self.up.place(begin) else {
            return;
        };
        if !is_late {
            self.client_sends(at, place, segment.payload, segment.length);
        }
        if segment.fin {
            self.fin
                .get_or_insert((place.saturating_add(segment.length as u64), at));
        }
        self.note_fin(false);
        if segment.reset && !self.gone {
            self.gone = true;
            self.note(at, What::Reset);
        }
    }

    /// The client sends at this number: what stands before it and was acknowledged has been sent.
    fn client_went_on(&mut self, at: Duration, begin: u32) {
        let (Some(owed), Some(place)) = (self.owed, self.up.place(begin)) else {
            return;
        };
        if owed.place <= self.up.next() {
            self.owed = None;
            return;
        }
        let owed = Owed {
            certain: owed.certain || place >= owed.place,
            ..owed
        };
        self.owed = Some(owed);
        if owed.certain && at >= owed.at + DISORDER {
            self.settle(owed);
        }
    }

    fn client_acknowledges(&mut self, at: Duration, acknowledgement: u32, segment: &Segment<'_>) {
        if let (Some(syn_ack), None) = (self.syn_ack, self.connected) {
            self.connected = Some(at);
            if self.whole {
                self.echo = at.saturating_sub(syn_ack);
                self.round = Some(at.saturating_sub(self.opened));
            }
        }
        let Some(acked) = self.down.place(acknowledgement) else {
            return;
        };
        if acked > self.down_acked
            && let Some(owed) = self.owed.filter(|owed| owed.certain)
        {
            self.settle(owed);
        }
        // One more than there is: a FIN.
        let acked = match self.server_fin {
            Some(fin) => {
                self.skip_answers_to(acked.min(fin));
                acked.min(fin.saturating_add(1))
            }
            None if acked == self.down.next() + 1 && self.down.last_early().is_none() => {
                self.server_fin = Some(acked - 1);
                self.server_ends(at);
                acked
            }
            None => {
                self.skip_answers_to(acked);
                acked
            }
        };
        if acked > self.down_acked {
            let bytes = acked.min(self.down.next());
            // A FIN is acknowledged also by a host whose application has closed.
            self.reads_on |= self.fin.is_some() && bytes > self.down_acked;
            self.down_acked = acked;
            let (got_at, answers) = self.arrivals.until(acked, at);
            if let Some(got_at) = got_at {
                self.note(got_at, What::Got(bytes));
            }
            for (at, what) in answers {
                self.note(at, what);
            }
        }
        self.client_window(at, acked, segment);
    }

    /// The client has what was not captured.
    fn skip_answers_to(&mut self, place: u64) {
        let mut missing = 0;
        self.down.skip_to(place, |piece| missing += piece.missing);
        self.missing_out += missing;
        self.responses.broken |= missing > 0;
    }

    fn client_window(&mut self, at: Duration, acked: u64, segment: &Segment<'_>) {
        let edge = self.edge(0, acked, segment);
        // What came late says nothing of how it is now.
        if segment.syn || acked < self.down_acked {
            return;
        }
        let Some(buffer) = self.receive_buffer else {
            self.receive_buffer = Some(edge.saturating_sub(acked).max(1));
            self.edge = edge;
            return;
        };
        let before = edge_read(self.edge, buffer);
        let grown = edge > self.edge;
        self.edge = self.edge.max(edge);
        // A burst fills the window of a client that reads, too, for a moment.
        if let Some(full) = self.filled.take_if(|_| grown) {
            self.note_lazy(full, at);
        }
        if self.lazy && grown {
            self.note(at, What::Read(edge_read(edge, buffer)));
        } else if !self.lazy && self.edge.saturating_sub(acked) < WINDOW_FULL && acked > 0 {
            self.filled.get_or_insert(Filled {
                at,
                index: self.events.len(),
                read: before,
            });
        }
    }

    /// The client's window was full, and is not any more at `until`.
    pub(super) fn note_lazy(&mut self, full: Filled, until: Duration) {
        if self.lazy || until.saturating_sub(full.at) < FULL_FOR {
            return;
        }
        self.lazy = true;
        let mut at = full.at;
        if let Some(before) = full.index.checked_sub(1).and_then(|it| self.events.get(it)) {
            at = at.max(before.at);
        }
        let marks = [What::Full, What::Read(full.read)].map(|what| Event { at, what });
        let index = full.index.min(self.events.len());
        self.events.splice(index..index, marks);
    }

    fn client_sends(&mut self, at: Duration, place: u64, bytes: &[u8], length: usize) {
        if self.begins_again(place, bytes) {
            self.begin_again(at);
        }
        let before = self.sent.len();
        let Self {
            up,
            sent,
            missing,
            holes,
            opaque,
            ..
        } = self;
        up.take(place, bytes, length, |piece| {
            *missing += piece.missing;
            if opaque.is_none() {
                append(sent, holes, &piece);
            }
        });
        if self.sent.len() > before {
            self.note_sent(at, before, length);
        }
    }

    /// Goes on at `place`, as the client did: what it sent before that and was not captured counts as missing.
    pub(super) fn skip_sent_to(&mut self, at: Duration, place: u64, length: usize) {
        let before = self.sent.len();
        let Self {
            up,
            sent,
            missing,
            holes,
            opaque,
            ..
        } = self;
        up.skip_to(place, |piece| {
            *missing += piece.missing;
            if opaque.is_none() {
                append(sent, holes, &piece);
            }
        });
        if self.sent.len() > before {
            self.note_sent(at, before, length);
        }
    }

    /// Notes what was added to `sent` since it was `before` bytes long.
    fn note_sent(&mut self, at: Duration, before: usize, length: usize) {
        let to = self.sent.len();
        self.requests.feed(at, &self.sent[before..]);
        self.forget_what_is_no_http();
        if self.opaque.is_some() {
            return;
        }
        let paced = self
            .pace
            .take()
            .is_some_and(|pace| at.abs_diff(pace) <= AT_ONCE);
        let full = self.full;
        self.full = self.is_full(length);
        if let Some(Event {
            what: What::Sent { to: last },
            at: began,
        }) = self.events.last_mut()
            && full
            && (paced || at.saturating_sub(*began) < AT_ONCE)
        {
            *last = to;
            return;
        }
        self.note(at, What::Sent { to });
    }

    fn is_full(&self, length: usize) -> bool {
        match self.segment_size.map(usize::from) {
            // A dozen bytes of it may be taken by options.
            Some(size) if size > 100 => [0, 12, 20, 24]
                .iter()
                .any(|options| length > 0 && length.is_multiple_of(size - options)),
            Some(size) => length >= size,
            None => length >= FULL_SIZE,
        }
    }
}
