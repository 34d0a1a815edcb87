//! One connection: two ends, and a lane in each direction. The rules of Linux's TCP are here: what an
//! application's call does ([`Connection::read`], [`Connection::write`] ...), and in the submodules what an arriving segment
//! does (`arrival`), how one departs (`departure`), and what links and timers do (`link`).

mod arrival;
mod departure;
mod link;

use crate::agenda::Key;
use crate::config::Link;
use crate::lane::{Lane, Segment};
use crate::medium::Medium;
use crate::observer::{ConnectionId, Event, Side};
use crate::random::Random;
use crate::readiness::{Place, Waiters};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

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
    /// The client's host is gone.
    pub(crate) vanished: bool,
    /// When the handshake began.
    pub(crate) began: Instant,
    ends: [End; 2],
    lanes: [Lane; 2],
}

/// One host's socket.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) holder: Holder,
    pub(crate) life: Life,
    /// An error that the application has not been told. Linux tells it once, to whichever call comes first.
    pub(crate) fault: Option<ErrorKind>,
    /// The write buffer was full, and not enough of it is free again.
    blocked: bool,
    /// The peer's FIN had come when ours was asked for (LAST_ACK, not CLOSING).
    passive: bool,
    /// SO_LINGER; with zero time a close is a reset.
    pub(crate) linger: Option<Duration>,
    /// TCP_NODELAY, which changes nothing here.
    pub(crate) nodelay: bool,
    readers: Waiters,
    writers: Waiters,
}

/// Who has the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Application,
    /// The accept queue of a listener.
    Queue,
    /// Only the host: the application never had it, or has closed it.
    Host,
}

/// What a host knows of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Nothing yet.
    Unborn,
    SynSent,
    SynReceived,
    /// The server's host keeps nothing: what it has to know is in the sequence number of its answer (a SYN cookie).
    Cookie,
    /// The handshake is over. The closing states follow from the lanes' FINs.
    Open,
    /// It has no such socket any more: reset, timed out, or refused. What arrives is answered with a reset.
    Gone,
}

impl Life {
    /// Whether the host has a socket of the connection. If not, it answers what comes with a reset.
    pub(crate) fn has_socket(self) -> bool {
        !matches!(self, Life::Unborn | Life::Cookie | Life::Gone)
    }
}

impl End {
    fn new(holder: Holder, life: Life) -> End {
        End {
            holder,
            life,
            fault: None,
            blocked: false,
            passive: false,
            linger: None,
            nodelay: false,
            readers: Waiters::default(),
            writers: Waiters::default(),
        }
    }

    pub(crate) fn wake_reader(&mut self, medium: &mut Medium) {
        self.readers.drain(&mut medium.woken);
    }

    pub(crate) fn wake_writer(&mut self, medium: &mut Medium) {
        self.writers.drain(&mut medium.woken);
    }

    pub(crate) fn wake(&mut self, medium: &mut Medium) {
        self.wake_reader(medium);
        self.wake_writer(medium);
    }
}

/// What is ready at one end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) read_closed: bool,
    pub(crate) writable: bool,
    pub(crate) write_closed: bool,
    pub(crate) error: bool,
}

impl Connection {
    /// A connection whose client is about to send its SYN.
    pub(crate) fn new(
        id: ConnectionId,
        key: Key,
        (client, server): (SocketAddr, SocketAddr),
        link: Link,
        medium: &mut Medium,
    ) -> Connection {
        let config = &medium.config;
        let lane = |side: Side| {
            let purpose = u64::from(id.0) * 2 + side as u64;
            Lane::new(Random::new(config.seed, purpose), config.receive_buffer)
        };
        Connection {
            id,
            key,
            client,
            server,
            listener: None,
            link,
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

    /// Hands `put` up to `most` unread bytes. `Pending` registers the task at `place`, if there is one.
    pub(crate) fn peek(
        &mut self,
        side: Side,
        most: usize,
        wait: Option<(Place, &Context<'_>)>,
        medium: &mut Medium,
        put: impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        let lane = &self.lanes[side.peer() as usize];
        if lane.unread() > 0 {
            let most = most.min(medium.config.mtu.max(1));
            return Poll::Ready(Ok(lane.peek(most, put)));
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
        put: impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        let read = self.peek(side, most, wait, medium, put);
        if let Poll::Ready(Ok(count @ 1..)) = read {
            let (receive_buffer, mtu) = (medium.config.receive_buffer, medium.config.mtu);
            let lane = self.lane(side.peer());
            lane.consume(count);
            if !lane.fin.arrived && lane.window_is_news(receive_buffer, mtu) {
                self.acknowledge(side, medium);
            }
        }
        read
    }

    /// Writes what fits into the send buffer; how much. `Pending` registers the task, if there is one.
    pub(crate) fn write(
        &mut self,
        side: Side,
        parts: &[io::IoSlice<'_>],
        wait: Option<(Place, &Context<'_>)>,
        medium: &mut Medium,
    ) -> Poll<io::Result<usize>> {
        let send_buffer = medium.config.send_buffer.max(1);
        let end = &mut self.ends[side as usize];
        let lane = &mut self.lanes[side as usize];
        if end.fault.is_some() || end.life == Life::Gone || lane.fin.asked {
            let fault = end.fault.take().unwrap_or(ErrorKind::BrokenPipe);
            return Poll::Ready(Err(fault.into()));
        }
        let mut free = send_buffer.saturating_sub(lane.buffered());
        if end.blocked || free == 0 {
            end.blocked = true;
            if let Some((place, cx)) = wait {
                end.writers.add(place, cx, &mut medium.discarded);
            }
            return Poll::Pending;
        }
        let mut count = 0;
        for part in parts {
            let taken = part.len().min(free);
            lane.bytes.extend(&part[..taken]);
            count += taken;
            free -= taken;
            if taken < part.len() {
                // As epoll's edge: after a short write the next one waits until a third of the buffer is free.
                end.blocked = true;
                break;
            }
        }
        end.blocked |= free == 0;
        lane.written += count as u64;
        self.transmit(side, medium);
        Poll::Ready(Ok(count))
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
            self.end(side).holder = Holder::Host;
            return self.drop_socket(side, medium);
        }
        medium.tell(self.id, Event::Closed { by: side, reset });
        let end = self.end(side);
        end.holder = Holder::Host;
        end.readers.drain(&mut medium.discarded);
        end.writers.drain(&mut medium.discarded);
        if end.life == Life::Gone {
            return;
        }
        self.lane(side.peer()).discard_unread();
        if reset {
            self.drop_socket(side, medium);
            let sequence = self.lane_ref(side).end();
            self.launch(side, Segment::Reset { sequence }, medium);
        } else {
            self.ask_fin(side, medium);
            self.expect_progress(side, medium);
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
    }

    /// What can be said about readiness without trying.
    pub(crate) fn readiness(&self, side: Side) -> Readiness {
        let (end, back) = (self.end_ref(side), self.lane_ref(side.peer()));
        let gone = end.life == Life::Gone;
        let shut = gone || self.lane_ref(side).fin.asked;
        Readiness {
            readable: back.unread() > 0 || back.fin.arrived || gone,
            read_closed: back.fin.arrived || gone,
            writable: shut || !end.blocked,
            write_closed: gone || (shut && back.fin.arrived),
            error: end.fault.is_some(),
        }
    }

    pub(crate) fn wait_readable(
        &mut self,
        side: Side,
        place: Place,
        cx: &Context<'_>,
        medium: &mut Medium,
    ) {
        self.end(side).readers.add(place, cx, &mut medium.discarded);
    }

    pub(crate) fn wait_writable(
        &mut self,
        side: Side,
        place: Place,
        cx: &Context<'_>,
        medium: &mut Medium,
    ) {
        self.end(side).writers.add(place, cx, &mut medium.discarded);
    }
}
