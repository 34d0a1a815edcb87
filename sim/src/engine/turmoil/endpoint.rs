//! One end of a connection: the rules of TCP, without I/O, and with one clock: how long the peer has answered nothing.
//!
//! An application's call or an arriving frame changes the state; what is to be sent collects in `outbox`, who is to be
//! woken in `woken`, and the owner takes both. The rules are those that Linux shows, written down a second time:
//!
//! - A write blocks when `send_buffer` bytes are unacknowledged, and goes on when a third of them is free.
//! - What the application has not read is acknowledged, but the window closes: a slow reader stops its peer.
//! - A close with unread data, or with zero linger, is a reset; else a FIN behind the data. Data for a closed
//!   socket is answered with a reset.
//! - A reset wakes readers and writers. What had arrived can be read, then comes the error, once: `BrokenPipe` if the
//!   peer's FIN was there and ours was not, else `ConnectionReset`. After that reads give the end, writes `BrokenPipe`.
//! - A reset with another sequence number than the expected one, or after both FINs, is ignored.
//! - A peer that answers nothing for 924.6 s is given up; the application is told that it timed out.
//!
//! Left out are the timers with which Linux gives up a socket that its application has closed: whose peer sends no FIN
//! (60 s), takes no more data, or answers nothing (102 s). Nobody is left whom they would tell.

mod arrival;
mod giving_up;

use super::frame::Frame;
use super::journal::{note, now};
use super::link::Link;
use hangup_network::{ConnectionId, Event, Side};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::ReadBuf;

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) id: ConnectionId,
    pub(super) side: Side,
    link: Link,
    /// The application has let go of it.
    closed: bool,
    /// The host has such a socket; if not, what arrives is answered with a reset.
    open: bool,
    /// An error that the application has not been told.
    fault: Option<ErrorKind>,
    /// The send buffer was full, and not a third of it is free again.
    blocked: bool,
    zero_linger: bool,
    /// This host is gone: nothing leaves it.
    vanished: bool,
    /// A reset was sent or has arrived: nothing more is to be said.
    settled: bool,
    outgoing: Outgoing,
    incoming: Incoming,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// What is to be sent, in this order.
    pub(super) outbox: Vec<Frame>,
    /// Who is to be woken, outside of any lock.
    pub(super) woken: Vec<Waker>,
}

/// The direction in which this end writes. Offsets count from the start of the stream.
#[derive(Debug, Default)]
struct Outgoing {
    unsent: VecDeque<u8>,
    written: u64,
    sent: u64,
    acked: u64,
    /// The peer's window ends here.
    limit: u64,
    fin_asked: bool,
    fin_sent: bool,
    fin_acked: bool,
    /// When the first of what is not acknowledged was sent.
    since: Option<Duration>,
}

/// The direction in which this end reads.
#[derive(Debug, Default)]
struct Incoming {
    unread: VecDeque<u8>,
    received: u64,
    /// The window that the peer was told of ends here.
    announced: u64,
    fin: bool,
}

impl Outgoing {
    /// Bytes that the send buffer holds.
    fn buffered(&self) -> usize {
        (self.written - self.acked) as usize
    }

    /// The sequence number behind everything sent: the end of the stream counts as one.
    fn end(&self) -> u64 {
        self.sent + u64::from(self.fin_sent)
    }
}

impl Incoming {
    /// The sequence number that is expected.
    fn next(&self) -> u64 {
        self.received + u64::from(self.fin)
    }

    /// Where the window may end now.
    fn edge(&self, receive_buffer: usize) -> u64 {
        self.received - self.unread.len() as u64 + receive_buffer as u64
    }
}

impl Endpoint {
    /// An end of a connection whose handshake is over at this host.
    pub(super) fn new(id: ConnectionId, side: Side, link: Link) -> Self {
        let window = link.receive_buffer as u64;
        Self {
            id,
            side,
            link,
            closed: false,
            open: true,
            fault: None,
            blocked: false,
            zero_linger: false,
            vanished: false,
            settled: false,
            outgoing: Outgoing {
                limit: window,
                ..Outgoing::default()
            },
            incoming: Incoming {
                announced: window,
                ..Incoming::default()
            },
            reader: None,
            writer: None,
            outbox: Vec::new(),
            woken: Vec::new(),
        }
    }

    /// Nobody will ask for anything here any more.
    pub(super) fn is_over(&self) -> bool {
        self.closed && (self.settled || self.is_finished())
    }

    /// Both FINs have come and are acknowledged.
    fn is_finished(&self) -> bool {
        self.outgoing.fin_acked && self.incoming.fin
    }

    /// Reads what one segment can bring.
    pub(super) fn read(
        &mut self,
        cx: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.incoming.unread.is_empty() {
            let count = buffer
                .remaining()
                .min(self.link.seen_at_once())
                .min(self.incoming.unread.len());
            let (front, back) = self.incoming.unread.as_slices();
            let cut = count.min(front.len());
            buffer.put_slice(&front[..cut]);
            buffer.put_slice(&back[..count - cut]);
            self.incoming.unread.drain(..count);
            if count > 0 && self.open && !self.incoming.fin && self.window_is_news() {
                self.acknowledge();
            }
            return Poll::Ready(Ok(()));
        }
        // The end of the stream hides an error that came behind it.
        if self.incoming.fin {
            return Poll::Ready(Ok(()));
        }
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Err(fault.into()));
        }
        if !self.open {
            return Poll::Ready(Ok(()));
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The window has grown by two segments, or half of the buffer: less is not worth a message.
    fn window_is_news(&self) -> bool {
        let worth = (self.link.receive_buffer / 2)
            .min(self.link.mtu.saturating_mul(2))
            .max(1) as u64;
        self.incoming.edge(self.link.receive_buffer) >= self.incoming.announced + worth
    }

    /// Writes what fits into the send buffer; how much.
    pub(super) fn write(
        &mut self,
        cx: &Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.fault.is_some() || !self.open || self.outgoing.fin_asked {
            let fault = self.fault.take().unwrap_or(ErrorKind::BrokenPipe);
            return Poll::Ready(Err(fault.into()));
        }
        let mut free = self
            .link
            .send_buffer
            .saturating_sub(self.outgoing.buffered());
        if self.blocked || free == 0 {
            self.blocked = true;
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut count = 0;
        for part in parts {
            let taken = part.len().min(free);
            self.outgoing.unsent.extend(&part[..taken]);
            count += taken;
            free -= taken;
            if taken < part.len() {
                // As with epoll's edge: after a short write the next one waits for room.
                self.blocked = true;
                break;
            }
        }
        self.outgoing.written += count as u64;
        self.transmit();
        Poll::Ready(Ok(count))
    }

    /// The application has no more to write.
    pub(super) fn shutdown(&mut self) {
        if self.open && !self.outgoing.fin_asked {
            note(self.id, Event::Shutdown { by: self.side }, &[]);
            self.outgoing.fin_asked = true;
            self.transmit();
            self.woken.extend(self.writer.take());
        }
    }

    /// A close is a reset from now on.
    pub(super) fn set_zero_linger(&mut self) {
        self.zero_linger = true;
    }

    /// Takes the error that the application has not been told.
    pub(super) fn take_fault(&mut self) -> Option<io::ErrorKind> {
        self.fault.take()
    }

    /// Whether it has a peer: it was not reset.
    pub(super) fn is_connected(&self) -> bool {
        self.open
    }

    /// Bytes that were written and that the peer's host has not acknowledged; the end of the stream counts as one.
    pub(super) fn send_queue(&self) -> usize {
        let out = &self.outgoing;
        out.buffered() + usize::from(out.fin_asked && !out.fin_acked)
    }

    /// This host is gone.
    pub(super) fn vanish(&mut self) {
        self.vanished = true;
        note(self.id, Event::Vanished, &[]);
    }

    /// The application lets go.
    pub(super) fn close(&mut self) {
        let Outgoing {
            fin_asked,
            fin_sent,
            ..
        } = self.outgoing;
        let linger_resets = self.zero_linger && !(fin_asked && fin_sent && self.incoming.fin);
        let unread = !self.incoming.unread.is_empty();
        self.let_go(self.open && !self.is_finished() && (unread || linger_resets));
    }

    /// The listener closes, and nobody has accepted this connection.
    pub(super) fn abort(&mut self) {
        self.let_go(self.open && !self.is_finished());
    }

    fn let_go(&mut self, reset: bool) {
        if self.closed {
            return;
        }
        note(
            self.id,
            Event::Closed {
                by: self.side,
                reset,
            },
            &[],
        );
        self.closed = true;
        (self.reader, self.writer) = (None, None);
        self.incoming.unread.clear();
        if !self.open {
            return;
        }
        if reset {
            self.forget();
            self.send_reset(self.outgoing.end());
        } else {
            self.outgoing.fin_asked = true;
            self.transmit();
        }
    }

    /// The host forgets the socket, with what it had not sent.
    fn forget(&mut self) {
        self.open = false;
        self.outgoing.unsent.clear();
        self.outgoing.written = self.outgoing.sent;
    }

    /// Sends as much as the window allows, and the FIN behind the last byte.
    fn transmit(&mut self) {
        let (ack, segment) = (self.incoming.next(), self.link.segment());
        let outgoing = &mut self.outgoing;
        let mut allowed = outgoing
            .written
            .min(outgoing.limit)
            .saturating_sub(outgoing.sent) as usize;
        while allowed > 0 {
            let bytes: Vec<u8> = outgoing.unsent.drain(..allowed.min(segment)).collect();
            allowed -= bytes.len();
            outgoing.sent += bytes.len() as u64;
            self.outbox.push(Frame::Data { ack, bytes });
        }
        if outgoing.fin_asked && !outgoing.fin_sent && outgoing.unsent.is_empty() {
            outgoing.fin_sent = true;
            self.outbox.push(Frame::Fin { ack });
        }
        if outgoing.waits_for_ack() && outgoing.since.is_none() {
            outgoing.since = now();
        }
        self.hush();
    }

    fn acknowledge(&mut self) {
        let edge = self.incoming.edge(self.link.receive_buffer);
        self.incoming.announced = self.incoming.announced.max(edge);
        self.outbox.push(Frame::Ack {
            next: self.incoming.next(),
            limit: self.incoming.announced,
        });
        self.hush();
    }

    fn send_reset(&mut self, sequence: u64) {
        // Who has vanished settles nothing: the peer must not be told, not even by the end of turmoil's own stream.
        if !self.settled && !self.vanished {
            self.settled = true;
            self.outbox.push(Frame::Reset { sequence });
        }
    }

    /// From a host that is gone nothing leaves.
    fn hush(&mut self) {
        if self.vanished {
            self.outbox.clear();
        }
    }
}
