//! One connection: two ends, and a lane in each direction. The rules of Linux's TCP are here: what an
//! application's call does ([`Connection::read`], [`Connection::shutdown`] ...), and in the submodules what a write does
//! (`sending`), what an arriving segment does (`arrival`), how one departs (`departure`), what links and timers do (`link`),
//! how a silent peer is probed (`keepalive`), what a close leaves behind (`orphan`), and what all this looks like on the wire (`wire`).

mod arrival;
mod departure;
mod end;
mod keepalive;
mod link;
mod orphan;
mod sending;
mod wire;

use crate::agenda::Key;
use crate::buffers::{Buffers, SEGMENT_LEAST};
use crate::config::Link;
use crate::lane::{Cause, Lane, Segment};
use crate::medium::Medium;
use crate::observer::{Caller, ConnectionId, Event, Side};
use crate::random::Random;
use crate::readiness::Place;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) use end::{End, Holder, Life};
pub(crate) use keepalive::Keepalive;
pub(crate) use link::Due;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) key: Key,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    /// The listener that has, or had, the connection in its queue.
    pub(crate) listener: Option<Key>,
    pub(crate) link: Link,
    /// Acknowledgements may come late, or not at all: the link loses segments, or was changed.
    pub(crate) unreliable: bool,
    /// Who has made it.
    pub(crate) caller: Caller,
    /// It came to a listener of the process that is tested.
    pub(crate) tested: bool,
    /// The client's host is gone.
    pub(crate) vanished: bool,
    /// When the handshake began.
    pub(crate) began: Instant,
    ends: [End; 2],
    lanes: [Lane; 2],
}

impl Connection {
    /// A connection whose client is about to send its SYN.
    pub(crate) fn new(
        id: ConnectionId,
        key: Key,
        (client, server): (SocketAddr, SocketAddr),
        mut link: Link,
        medium: &mut Medium,
    ) -> Connection {
        link.mtu = link.mtu.max(1);
        let config = &medium.config;
        let lane = |side: Side| {
            let purpose = u64::from(id.0) * 2 + side as u64;
            let buffers = Buffers::new(config.send_buffer, config.receive_buffer, link.mtu);
            Lane::new(Random::new(config.seed, purpose), buffers)
        };
        Connection {
            id,
            key,
            client,
            server,
            listener: None,
            unreliable: link.loss > 0.0,
            link,
            caller: Caller::Client,
            tested: true,
            vanished: false,
            lanes: [lane(Side::Client), lane(Side::Server)],
            began: medium.now(),
            ends: [
                End::new(Holder::Application, Life::SynSent),
                End::new(Holder::Host, Life::Unborn),
            ],
        }
    }

    pub(crate) fn end(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    pub(crate) fn end_ref(&self, side: Side) -> &End {
        &self.ends[side as usize]
    }

    /// The direction in which this side writes.
    pub(crate) fn lane(&mut self, from: Side) -> &mut Lane {
        &mut self.lanes[from as usize]
    }

    pub(crate) fn lane_ref(&self, from: Side) -> &Lane {
        &self.lanes[from as usize]
    }

    /// Is this end one of the process that is tested?
    pub(crate) fn is_of_tested(&self, side: Side) -> bool {
        match side {
            Side::Client => self.caller == Caller::Tested,
            Side::Server => self.tested,
        }
    }

    /// Both ends of the stream have passed: the host is in TIME_WAIT or CLOSE, where nothing can go wrong any more.
    pub(crate) fn is_finished(&self, side: Side) -> bool {
        self.lane_ref(side).fin.acked && self.lane_ref(side.peer()).fin.arrived
    }

    /// Nothing can go from here or come here any more.
    pub(crate) fn is_closed(&self, side: Side) -> bool {
        self.end_ref(side).life == Life::Gone || self.is_finished(side)
    }

    /// The peer's FIN had come when ours was asked for.
    pub(crate) fn is_passive(&self, side: Side) -> bool {
        self.end_ref(side).passive
    }

    /// By how much its buffers have grown.
    pub(crate) fn granted(&self) -> usize {
        self.lanes.iter().map(|lane| lane.buffers.granted).sum()
    }

    /// Nobody has a use for the connection any more.
    pub(crate) fn is_over(&self) -> bool {
        [Side::Client, Side::Server].into_iter().all(|side| {
            let (end, out) = (self.end_ref(side), self.lane_ref(side));
            // Whoever waits for the FIN of a host that is gone waits for nothing.
            let in_vain = out.fin.acked && !self.end_ref(side.peer()).life.has_socket();
            end.holder == Holder::Host
                && (!end.life.has_socket() || self.is_finished(side) || in_vain)
                && out.flight.is_empty()
        })
    }

    /// The task that is running polls this end.
    pub(crate) fn used(&mut self, side: Side, medium: &mut Medium) {
        if side == Side::Client && self.caller == Caller::Client {
            return;
        }
        let task = tokio::task::try_id();
        let end = self.end(side);
        if task.is_some() && end.user != task {
            end.user = task;
            medium.used(self.id, side);
        }
    }

    /// Hands `put` up to `most` unread bytes. `Pending` registers the task at `place`, if there is one.
    pub(crate) fn peek(
        &mut self,
        side: Side,
        most: usize,
        wait: Option<(Place, &Context<'_>)>,
        medium: &mut Medium,
        put: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        let lane = &self.lanes[side.peer() as usize];
        if lane.unread() > 0 {
            // Linux gives a read all that has arrived. Smaller segments than any path carries are there to be seen one by one.
            let most = match self.link.mtu > SEGMENT_LEAST {
                true => most,
                false => most.min(self.link.mtu),
            };
            let bytes = lane.peek(most);
            put(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        let arrived = lane.fin.arrived;
        let end = &mut self.ends[side as usize];
        // The end of the stream hides an error that came behind it (SOCK_DONE).
        if arrived {
            return Poll::Ready(Ok(0));
        }
        if let Some(fault) = end.fault.take() {
            return Poll::Ready(Err(fault.into()));
        }
        if end.life == Life::Gone {
            return Poll::Ready(Ok(0));
        }
        if let Some((place, cx)) = wait {
            end.readers.add(place, cx, &mut medium.discarded);
        }
        Poll::Pending
    }

    /// As [`Connection::peek`], and takes the bytes.
    pub(crate) fn read(
        &mut self,
        side: Side,
        most: usize,
        wait: Option<(Place, &Context<'_>)>,
        medium: &mut Medium,
        put: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        let read = self.peek(side, most, wait, medium, put);
        if let Poll::Ready(Ok(count @ 1..)) = read {
            let mtu = self.link.mtu;
            medium.took(self.id, side, count);
            let clock = (medium.now(), self.latency().travel * 2);
            let lane = self.lane(side.peer());
            lane.consume(count);
            let read = lane.read;
            lane.buffers.read(read, clock, mtu, &mut medium.memory);
            if !lane.fin.arrived && lane.window_is_news(mtu) {
                self.acknowledge(side, medium);
            }
        }
        read
    }

    /// The application has no more to write.
    pub(crate) fn shutdown(&mut self, side: Side, medium: &mut Medium) {
        if self.end_ref(side).life == Life::Gone || self.lane_ref(side).fin.asked {
            return;
        }
        medium.tell(self.id, Event::Shutdown { by: side });
        self.ask_fin(side, medium);
        self.end(side).wake_writer(medium);
    }

    fn ask_fin(&mut self, side: Side, medium: &mut Medium) {
        if !self.lane_ref(side).fin.asked {
            self.end(side).passive = self.lane_ref(side.peer()).fin.arrived;
            self.lane(side).fin.asked = true;
            self.transmit(side, medium);
        }
    }

    /// The application lets go of its socket.
    pub(crate) fn close(&mut self, side: Side, medium: &mut Medium) {
        let zero_linger = self.end_ref(side).linger == Some(Duration::ZERO);
        let needs_reset = !self.is_finished(side)
            && self.end_ref(side).life == Life::Open
            && (self.lane_ref(side.peer()).unread() > 0
                || (zero_linger && self.linger_resets(side)));
        self.let_go(side, needs_reset, medium);
        if zero_linger && !needs_reset && self.end_ref(side).life == Life::Open {
            // Linux sends no reset where both FINs have passed each other, and forgets the socket all the same.
            self.drop_socket(side, medium);
        }
    }

    /// Linux's tcp_need_reset, and LAST_ACK or CLOSING with something unsent.
    fn linger_resets(&self, side: Side) -> bool {
        let (out, back) = (self.lane_ref(side), self.lane_ref(side.peer()));
        !(out.fin.asked && back.fin.arrived) || out.end() != out.written + 1
    }

    /// Ends a connection that waits in the accept queue of a listener that closes.
    pub(crate) fn abort(&mut self, side: Side, medium: &mut Medium) {
        let needs_reset = self.end_ref(side).life == Life::Open && !self.is_finished(side);
        self.let_go(side, needs_reset, medium);
    }

    fn let_go(&mut self, side: Side, reset: bool, medium: &mut Medium) {
        if side == Side::Client && self.vanished {
            // Nobody is there who could close anything.
            self.end(side).let_go(medium);
            return self.drop_socket(side, medium);
        }
        medium.tell(self.id, Event::Closed { by: side, reset });
        let end = self.end(side);
        end.let_go(medium);
        if end.life == Life::Gone {
            return;
        }
        self.lane(side.peer()).discard_unread();
        if reset {
            self.drop_socket(side, medium);
            let sequence = self.lane_ref(side).end();
            let cause = Cause::Close;
            self.launch(side, Segment::Reset { sequence, cause }, medium);
        } else {
            self.ask_fin(side, medium);
            self.expect_progress(side, medium);
            self.stop_watch(side, medium);
            self.becomes_orphan(side, medium);
            self.watch_peer(side.peer(), medium);
            if self.lane_ref(side).fin.acked {
                self.lane(side).since = Some(medium.now());
            }
        }
    }

    /// The host forgets the socket, with what it had not sent. What is in flight stays there.
    pub(crate) fn drop_socket(&mut self, side: Side, medium: &mut Medium) {
        self.end(side).life = Life::Gone;
        self.lane(side).discard_lost();
        self.cancel_timer(side, medium);
        self.stop_watch(side, medium);
        self.settle_orphan(side, medium);
        self.watch_peer(side.peer(), medium);
    }
}
