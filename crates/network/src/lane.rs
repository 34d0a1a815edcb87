//! One direction of a connection: the bytes from one application to the other, and the segments that carry
//! them.
//!
//! All bytes from the write call to the read call are in one queue. Five offsets into the stream tell
//! what they are:
//!
//! ```text
//!      read          received          sent          written
//!  ──────┼───────────────┼───────────────┼───────────────┼──────
//!        │  receive      │   in flight   │  not yet sent │
//!        │  queue        │               │  (window)     │
//!        ◄──────── known to the receiver ┤               │
//!                ▲ acked ≤ received, as the sender knows it
//! ```
//! So a segment is a number of bytes, nothing is copied on the way, and memory is bounded by the
//! two buffers.

use crate::buffers::Buffers;
use crate::random::Random;
use bytes::{Buf, BytesMut};
use std::collections::VecDeque;
use std::mem;
use tokio::time::Instant;

/// The memory of lanes that are gone, for those that come next, in this world of the thread or in a later one: what a lane needs it has
/// grown to before.
mod spare {
    use super::Flight;
    use bytes::BytesMut;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    /// So many are kept, of at most so many bytes each.
    const KEPT: usize = 8;
    const BYTES: usize = 1024 * 1024;
    const FLIGHTS: usize = 1024;

    type Store = (BytesMut, VecDeque<Flight>);

    thread_local! {
        static SPARE: RefCell<Vec<Store>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn take() -> Store {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        spare.ok().flatten().unwrap_or_default()
    }

    pub(super) fn keep((mut bytes, mut flight): Store) {
        bytes.clear();
        flight.clear();
        if bytes.capacity() <= BYTES && flight.capacity() <= FLIGHTS {
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < KEPT {
                    spare.push((bytes, flight));
                }
            });
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        spare::keep((mem::take(&mut self.bytes), mem::take(&mut self.flight)));
    }
}

/// What travels between two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Syn,
    SynAck,
    /// The receiver has everything before `next`, and takes what is before `limit`.
    Ack {
        next: u64,
        limit: u64,
    },
    /// Bytes of the stream from `start`. `ack` is what the sender had received when it sent them.
    Data {
        start: u64,
        bytes: usize,
        ack: u64,
    },
    /// The stream ends at `start`.
    Fin {
        start: u64,
        ack: u64,
    },
    /// Is valid where `sequence` is what comes next.
    Reset {
        sequence: u64,
        cause: Cause,
    },
}

/// Why a host sends a reset, which shows in its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The application let go of its socket.
    Close,
    /// Nobody listens where a SYN came.
    Closed,
    /// Something else came for a socket that the host does not have.
    Stray,
}

/// A segment under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) at: Instant,
    pub(crate) order: u64,
    pub(crate) segment: Segment,
}

/// What the timer of a direction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Send the connection request again.
    Syn,
    /// Answer the connection request again.
    SynAck,
    /// Send what was lost again.
    Retransmit,
    /// Nothing was acknowledged for too long.
    GiveUp,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    pub(crate) at: Instant,
    pub(crate) purpose: Purpose,
}

/// One direction of a connection; see the drawing above.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The bytes from `read` to `written`.
    pub(crate) bytes: BytesMut,
    pub(crate) read: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) written: u64,
    /// What the sender knows to have been received.
    pub(crate) acked: u64,
    /// The window's right edge, as the sender knows it.
    pub(crate) limit: u64,
    /// The window's right edge, as the receiver told it.
    pub(crate) announced: u64,
    pub(crate) buffers: Buffers,
    pub(crate) fin: Fin,
    /// From this byte on, everything that was sent got lost and has to be sent again.
    pub(crate) lost: Option<u64>,
    /// What the receiver has acknowledged, up to which limit, in a segment that was lost, if no later one has made up for
    /// it.
    pub(crate) lost_ack: Option<(u64, u64)>,
    /// A reset that its receiver will accept is under way.
    pub(crate) reset: bool,
    /// Since when nothing was acknowledged, of what is to be.
    pub(crate) since: Option<Instant>,
    pub(crate) flight: VecDeque<Flight>,
    /// When the last segment arrives; none may overtake it.
    pub(crate) last: Option<Instant>,
    pub(crate) timer: Option<Timer>,
    /// Tells the timer that is set from those before.
    pub(crate) timers: u32,
    pub(crate) random: Random,
}

/// How far the end of the stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fin {
    /// The application has no more to write.
    pub(crate) asked: bool,
    pub(crate) sent: bool,
    pub(crate) arrived: bool,
    /// The sender knows that it arrived.
    pub(crate) acked: bool,
}

impl Lane {
    pub(crate) fn new(random: Random, buffers: Buffers) -> Lane {
        let limit = buffers.receive as u64;
        let (bytes, flight) = spare::take();
        Lane {
            bytes,
            read: 0,
            received: 0,
            sent: 0,
            written: 0,
            acked: 0,
            limit,
            announced: limit,
            buffers,
            fin: Fin::default(),
            lost: None,
            lost_ack: None,
            reset: false,
            since: None,
            flight,
            last: None,
            timer: None,
            timers: 0,
            random,
        }
    }

    /// Bytes in the receive queue.
    pub(crate) fn unread(&self) -> usize {
        (self.received - self.read) as usize
    }

    /// Bytes written and not sent, because the window is full.
    pub(crate) fn unsent(&self) -> usize {
        (self.written - self.sent) as usize
    }

    /// Bytes sent and, as far as the sender knows, not received.
    pub(crate) fn unacknowledged(&self) -> usize {
        (self.sent - self.acked) as usize
    }

    /// What the send buffer holds.
    pub(crate) fn buffered(&self) -> usize {
        (self.written - self.acked) as usize
    }

    /// What the receiver expects next, in sequence numbers: the end of the stream counts as one.
    pub(crate) fn next(&self) -> u64 {
        self.received + u64::from(self.fin.arrived)
    }

    /// The sequence number behind everything that was sent.
    pub(crate) fn end(&self) -> u64 {
        self.sent + u64::from(self.fin.sent)
    }

    /// The sender waits for an acknowledgement of something that it sent.
    pub(crate) fn waits_for_ack(&self) -> bool {
        self.sent > self.acked || (self.fin.sent && !self.fin.acked)
    }

    /// The sender has something to send, and the window is closed.
    pub(crate) fn waits_for_window(&self) -> bool {
        self.written > self.sent && self.sent >= self.limit
    }

    /// The sender forgets what it has not sent.
    pub(crate) fn discard_unsent(&mut self) {
        self.bytes.truncate((self.sent - self.read) as usize);
        self.written = self.sent;
    }

    /// The sender forgets what has to be sent again, too.
    pub(crate) fn discard_lost(&mut self) {
        if let Some(lost) = self.lost.take() {
            self.sent = self.sent.min(lost);
            self.fin.sent = false;
        }
        self.discard_unsent();
    }

    /// The receiver forgets what was not read.
    pub(crate) fn discard_unread(&mut self) {
        self.bytes.advance(self.unread());
        self.read = self.received;
    }

    /// Up to `most` unread bytes.
    pub(crate) fn peek(&self, most: usize) -> &[u8] {
        &self.bytes[..most.min(self.unread())]
    }

    /// Takes `count` unread bytes out of the receive queue.
    pub(crate) fn consume(&mut self, count: usize) {
        self.bytes.advance(count);
        self.read += count as u64;
    }

    /// The receiver's window has grown enough to be worth a segment. Linux waits for two segments or half of the
    /// buffer, whichever is less, so that a reader with small reads does not cause a flood; nothing
    /// is lost by it, since a queue that was read to its end always has half of its window known.
    pub(crate) fn window_is_news(&self, mtu: usize) -> bool {
        let receive_buffer = self.buffers.receive;
        let edge = self.read + receive_buffer as u64;
        let worth = (receive_buffer / 2).min(mtu.saturating_mul(2)).max(1) as u64;
        edge >= self.announced + worth
    }
}
