//! One TCP connection of a capture: what its client did and saw, in the client's order.
//!
//! A capture may have been taken at the client, at the server, or anywhere between; then the time at which a segment passed is not when the client
//! saw it. Two things put that right. What a client's packet acknowledges had reached its host. And from the handshake it is known how long it takes
//! from the capture to the client and back (`echo`): so much later than it passed, what the server sent can be answered.
//!
//! | module | what lives there |
//! |---|---|
//! | `client`, `server` | what the packets of each say |
//! | `arrivals` | what the server has sent and the client has not acknowledged yet |

mod arrivals;
mod client;
mod server;

use super::capture::Segment;
use super::stream::Stream;
use crate::exchange::{Requests, Responses};
use arrivals::Arrivals;
use client::Filled;
use hangup_scenario::Until;
use std::net::SocketAddr;
use std::time::Duration;

/// What is sent so soon behind something is sent at once.
pub(super) const AT_ONCE: Duration = Duration::from_millis(2);
/// Who has not acknowledged a packet for so long, while the capture went on, has not got it. It must be some round trips, too.
const UNANSWERED: Duration = Duration::from_secs(1);
const UNANSWERED_ROUNDS: u32 = 4;
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
            requests: Requests::default(),
            responses: Responses::default(),
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
        if segment.source == self.client {
            self.client(at, segment);
        } else {
            self.server(at, segment);
        }
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
        let acked = usize::try_from(self.up_acked).unwrap_or(usize::MAX);
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
fn append(sent: &mut Vec<u8>, piece: &super::stream::Piece<'_>) {
    let room = |sent: &Vec<u8>| (super::SENT_MAX + 1).saturating_sub(sent.len() as u64);
    let known = piece.bytes.len().min(room(sent) as usize);
    sent.extend_from_slice(&piece.bytes[..known]);
    let missing = piece.missing.min(room(sent)) as usize;
    sent.resize(sent.len() + missing, b'x');
}
