//! One TCP connection of a capture: what its client did and saw, in the client's order.
//!
//! A capture may have been taken at the client, at the server, or anywhere between; then the time at which a segment passed is not when the client
//! saw it. Two things put that right. What a client's packet acknowledges had reached its host. And from the handshake it is known how long it takes
//! from the capture to the client and back (`echo`): so much later than it passed, what the server sent can be answered.
//!
//! | module | what lives there |
//! |---|---|
//! | `client`, `server` | what the packets of each say |
//! | `whether` | whether it is a connection of HTTP that can be repeated |
//! | `arrivals` | what the server has sent and the client has not acknowledged yet |

mod arrivals;
mod client;
mod server;
mod whether;

use super::capture::Segment;
use super::stream::Stream;
use crate::exchange::{Requests, Responses};
use arrivals::Arrivals;
use client::Filled;
use hangup_scenario::Until;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

/// What is sent so soon behind something is sent at once.
pub(super) const AT_ONCE: Duration = Duration::from_millis(2);
/// A window that is not scaled reaches no further.
const UNSCALED_MAX: u64 = 65_535;
/// Who has not acknowledged a packet for so long, while the capture went on, has not got it. It must be some round trips, too.
const UNANSWERED: Duration = Duration::from_secs(1);
const UNANSWERED_ROUNDS: u32 = 4;
/// A host that captures on several queues writes the packets of this long in any order.
const DISORDER: Duration = Duration::from_millis(100);
/// So many holes in what a client sent are told apart; the last one is made longer from there on.
const HOLES_MAX: usize = 4096;
/// A segment of so many bytes may be followed by the rest of the same write, where nothing is known of the largest size.
const FULL_SIZE: usize = 1200;

/// Something that a client did or saw, and when, by the capture's clock as it would show at the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It sent, up to this place of what it sent in all.
    Sent {
        to: usize,
    },
    /// Part of a response, or a whole one, was there.
    Answer(Until),
    /// So many bytes had come in all.
    Got(u64),
    /// It left its window full: from here on it reads only what `Read` says.
    Full,
    /// It had read so many bytes in all.
    Read(u64),
    /// The server's FIN or RST had come.
    ServerGone,
    Fin,
    Reset,
    /// It was gone without a word: nothing was acknowledged any more.
    Vanished,
}

/// Bytes that a server has acknowledged and the capture does not have, or not yet.
#[derive(Clone, Copy, Debug)]
struct Owed {
    /// Up to here.
    place: u64,
    at: Duration,
    /// The client went on behind them, so that it has sent them. Otherwise it may be the acknowledgement of an old connection.
    certain: bool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Talk {
    /// Counted from 1 in the order of the first packets: Wireshark's `tcp.stream` and one.
    pub(super) number: u64,
    client: SocketAddr,
    /// Its first packet.
    pub(super) opened: Duration,
    /// The handshake was over for the client.
    pub(super) connected: Option<Duration>,
    /// From the first packet to `connected`: there and back.
    pub(super) round: Option<Duration>,
    /// The SYN was captured: nothing came before.
    pub(super) whole: bool,
    /// The largest segment in both directions.
    pub(super) segment_size: Option<u16>,
    /// What the client's host takes before it must be read.
    pub(super) receive_buffer: Option<u64>,
    /// What the client sent.
    pub(super) sent: Vec<u8>,
    /// Bytes of `sent` that were not captured.
    pub(super) missing: u64,
    /// Where in `sent` they are.
    holes: Vec<Range<usize>>,
    /// Bytes of the server that were not captured.
    pub(super) missing_out: u64,
    /// Where in the server's stream the client's first request that is kept begins; and in the client's.
    pub(super) base: u64,
    base_up: u64,
    /// Packets behind the handshake were captured.
    established: bool,
    /// It is certain that this is no HTTP: what was sent is counted and not kept.
    opaque: Option<&'static str>,
    owed: Option<Owed>,
    pub(super) events: Vec<Event>,
    /// After its FIN the client went on taking what the server sent.
    pub(super) reads_on: bool,
    /// Every status that it got.
    pub(super) statuses: Vec<u16>,
    /// Bytes that it got, where a recording says only how many.
    pub(super) out: u64,
    syn: Option<u32>,
    syn_ack: Option<Duration>,
    echo: Duration,
    last: Duration,
    up: Stream,
    down: Stream,
    requests: Requests,
    responses: Responses,
    /// Responses whose `Answer` was noted.
    told: usize,
    arrivals: Arrivals,
    /// What the server acknowledged.
    up_acked: u64,
    /// What the client acknowledged.
    down_acked: u64,
    /// The client sent a full segment last.
    full: bool,
    /// The server made room for data that waited: what the client sends now it had written before.
    pace: Option<Duration>,
    scales: [Option<u8>; 2],
    server_edge: u64,
    edge: u64,
    lazy: bool,
    filled: Option<Filled>,
    fin: Option<(u64, Duration)>,
    server_fin: Option<u64>,
    gone: bool,
    last_client: Option<Duration>,
    last_server: Option<Duration>,
}

impl Talk {
    pub(super) fn new(number: u64, client: SocketAddr, at: Duration) -> Self {
        Self {
            number,
            client,
            opened: at,
            connected: None,
            round: None,
            whole: false,
            segment_size: None,
            receive_buffer: None,
            sent: Vec::new(),
            missing: 0,
            holes: Vec::new(),
            missing_out: 0,
            base: 0,
            base_up: 0,
            established: false,
            opaque: None,
            owed: None,
            events: Vec::new(),
            reads_on: false,
            statuses: Vec::new(),
            out: 0,
            syn: None,
            syn_ack: None,
            echo: Duration::ZERO,
            last: at,
            up: Stream::default(),
            down: Stream::default(),
            requests: Requests::without_contents(),
            responses: Responses::without_contents(),
            told: 0,
            arrivals: Arrivals::default(),
            up_acked: 0,
            down_acked: 0,
            full: false,
            pace: None,
            scales: [None; 2],
            server_edge: 0,
            edge: 0,
            lazy: false,
            filled: None,
            fin: None,
            server_fin: None,
            gone: false,
            last_client: None,
            last_server: None,
        }
    }

    /// Is this segment the first of another connection between the same two ports?
    pub(super) fn is_over_before(&self, segment: &Segment<'_>) -> bool {
        let opens = segment.syn && segment.acknowledgement.is_none();
        opens
            && self.syn != Some(segment.sequence)
            && (self.syn.is_some() || self.last_client.is_some())
    }

    /// So many bytes the client sent, as far as they were captured and kept.
    pub(super) fn bytes_in(&self) -> u64 {
        match self.opaque {
            Some(_) => self.up.next(),
            None => self.sent.len() as u64,
        }
    }

    /// So many bytes the server sent.
    pub(super) fn got(&self) -> u64 {
        self.down.next().max(self.out)
    }

    /// Its client left its window full.
    pub(super) fn is_lazy(&self) -> bool {
        self.lazy
    }

    /// How it ended, in words.
    pub(super) fn end(&self) -> &'static str {
        let is = |wanted: &What| self.events.iter().any(|event| event.what == *wanted);
        if is(&What::Vanished) {
            "the client was gone without a word"
        } else if is(&What::Reset) {
            "the client reset it"
        } else if is(&What::Fin) {
            "the client closed it"
        } else if is(&What::ServerGone) {
            "the server closed it"
        } else {
            "it is open"
        }
    }

    /// Takes the next segment of the capture.
    pub(super) fn take(&mut self, at: Duration, segment: &Segment<'_>) {
        // Clocks are set, and captures are merged: time does not go back.
        let at = at.max(self.last);
        self.last = at;
        if self.is_of_another(segment) {
            return;
        }
        self.established |= !segment.syn && !segment.reset;
        if segment.source == self.client {
            self.client(at, segment);
        } else {
            self.server(at, segment);
        }
    }

    /// Is this a segment of an earlier connection between the same ports? Before the server's SYN it cannot acknowledge more than the client
    /// has sent: what does so is a challenge to the new SYN, and what answers the challenge is a RST with a number of that connection.
    fn is_of_another(&self, segment: &Segment<'_>) -> bool {
        let Some(syn) = self.syn.filter(|_| self.whole) else {
            return false;
        };
        let sent = self.up.last_early().unwrap_or(0).max(self.up.next()) + UNSCALED_MAX;
        let number = match segment.source == self.client {
            true => Some(segment.sequence).filter(|_| segment.reset),
            false => segment
                .acknowledgement
                .filter(|_| self.syn_ack.is_none() && !self.established),
        };
        number.is_some_and(|number| u64::from(number.wrapping_sub(syn)) > sent)
    }

    /// What the server acknowledged so long ago was not captured: it counts as missing.
    fn settle(&mut self, owed: Owed) {
        self.owed = None;
        self.skip_sent_to(owed.at, owed.place, FULL_SIZE);
        self.note_fin(false);
    }

    /// Begins again at a request, in the middle of a connection: what came before was not HTTP as far as it was captured.
    fn begin_again(&mut self, at: Duration) {
        self.sent.clear();
        self.holes.clear();
        self.events.clear();
        self.statuses.clear();
        (self.missing, self.told, self.lazy, self.filled) = (0, 0, false, None);
        (self.requests, self.responses) =
            (Requests::without_contents(), Responses::without_contents());
        self.arrivals = Arrivals::default();
        (self.base, self.base_up) = (self.down.next(), self.up.next());
        (self.connected, self.opaque) = (Some(at), None);
    }

    fn options(&mut self, side: usize, segment: &Segment<'_>) {
        self.scales[side] = segment.scale;
        let sizes = [self.segment_size, segment.segment_size];
        self.segment_size = sizes.into_iter().flatten().min();
    }

    /// The right edge of the window that a segment announces, `acked` being what it acknowledges.
    fn edge(&self, side: usize, acked: u64, segment: &Segment<'_>) -> u64 {
        let scaled = !segment.syn && self.scales.iter().all(Option::is_some);
        let shift = self.scales[side].filter(|_| scaled).unwrap_or(0);
        acked.saturating_add(u64::from(segment.window) << shift)
    }

    /// Notes the client's FIN, once all that stands before it has come.
    fn note_fin(&mut self, whatever: bool) {
        if let Some((place, at)) = self.fin
            && !self.gone
            && (place <= self.up.next() || whatever)
        {
            self.gone = true;
            self.note(at.max(self.last_event()), What::Fin);
        }
    }

    fn last_event(&self) -> Duration {
        self.events.last().map_or(Duration::ZERO, |last| last.at)
    }

    fn note(&mut self, at: Duration, what: What) {
        if self.opaque.is_some() {
            return;
        }
        let at = at.max(self.last_event());
        if let Some(last) = self.events.last_mut() {
            match (&mut last.what, &what) {
                (What::Got(last), What::Got(bytes)) => {
                    *last = *bytes;
                    return;
                }
                (What::Read(read), What::Read(bytes)) if at.saturating_sub(last.at) < AT_ONCE => {
                    *read = *bytes;
                    return;
                }
                _ => {}
            }
        }
        self.events.push(Event { at, what });
    }

    /// The capture ended at `end`: what is still open stays so.
    pub(super) fn finish(&mut self, end: Duration) {
        let window = self
            .server_edge
            .max(self.up.next().saturating_add(UNSCALED_MAX));
        if let Some(owed) = self
            .owed
            .filter(|owed| owed.certain || owed.place <= window)
        {
            self.settle(owed);
        }
        if let Some((place, at)) = self.fin {
            // The number of the FIN says how much came before it.
            self.skip_sent_to(at, place, 0);
        }
        if self.last_server.is_none() {
            // Only one side was captured, so that holes are the capture's.
            if let Some(last) = self.up.last_early() {
                self.skip_sent_to(end, last, 0);
            }
        }
        self.note_fin(true);
        if let Some(full) = self.filled.take() {
            self.note_lazy(full, end);
        }
        let patience = UNANSWERED.max(self.round.unwrap_or_default() * UNANSWERED_ROUNDS);
        let silent_since = self.last_client.unwrap_or(end);
        let unanswered = self.arrivals.unanswered().filter(|sent| {
            end.saturating_sub(*sent) >= patience && silent_since < *sent + self.echo
        });
        if unanswered.is_some() && self.last_client.is_some() && !self.gone {
            self.note(silent_since, What::Vanished);
            return;
        }
        let (_, answers) = self.arrivals.until(u64::MAX, end);
        for (at, what) in answers {
            self.note(at, what);
        }
        self.cut_unanswered(end, patience);
    }

    /// What the server never acknowledged, while the capture went on, never reached it: the link was dead by then.
    fn cut_unanswered(&mut self, end: Duration, patience: Duration) {
        let Some(last_server) = self.last_server else {
            return;
        };
        let acked = self.up_acked.saturating_sub(self.base_up);
        let acked = usize::try_from(acked).unwrap_or(usize::MAX);
        if acked >= self.sent.len() || self.lazy {
            return;
        }
        let lost = |event: &Event| matches!(event.what, What::Sent { to } if to > acked);
        let Some(index) = self.events.iter().position(lost) else {
            return;
        };
        let at = self.events[index].at;
        // An answer shows that something went through.
        if end.saturating_sub(at) < patience || last_server >= at {
            return;
        }
        let before = self.events[..index]
            .iter()
            .rev()
            .find_map(|event| match event.what {
                What::Sent { to } => Some(to),
                _ => None,
            });
        self.events.truncate(index);
        if before.unwrap_or(0) < acked {
            self.note(at, What::Sent { to: acked });
        }
        self.sent.truncate(acked);
        self.note(at, What::Vanished);
    }
}

/// Adds a piece, with what is missing of it filled up; but no more than shows that it is more than a scenario can send.
fn append(sent: &mut Vec<u8>, holes: &mut Vec<Range<usize>>, piece: &super::stream::Piece<'_>) {
    let full = holes.len() >= HOLES_MAX;
    let room = |sent: &Vec<u8>| (super::SENT_MAX + 1).saturating_sub(sent.len() as u64);
    let known = piece.bytes.len().min(room(sent) as usize);
    sent.extend_from_slice(&piece.bytes[..known]);
    let missing = piece.missing.min(room(sent)) as usize;
    let hole = sent.len()..sent.len() + missing;
    match holes.last_mut() {
        _ if missing == 0 => {}
        Some(last) if last.end == hole.start || full => last.end = hole.end,
        _ => holes.push(hole),
    }
    sent.resize(sent.len() + missing, b'x');
}
