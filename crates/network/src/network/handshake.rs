//! How connections begin: listeners, their queues, and the three segments of the handshake.

use super::Network;
use super::hosts::Host;
use crate::agenda::Key;
use crate::config::Link;
use crate::connection::{Holder, Life};
use crate::lane::{Cause, Segment};
use crate::observer::{Caller, Event, Side};
use crate::readiness::{Place, Waiters};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Context;
use std::time::Duration;

/// How long a SYN cookie is good, at most (`MAX_SYNCOOKIE_AGE`): from one minute to two on Linux, by the phase of a clock.
const COOKIE: Duration = Duration::from_secs(120);

/// A listening socket. Its place in the list of listeners stays, the generation counts how often it was used.
pub(crate) struct Listener {
    generation: u32,
    /// `None` if it is closed.
    pub(super) address: Option<SocketAddr>,
    backlog: usize,
    /// How many handshakes its host remembers.
    half_open: usize,
    /// Connections that the application has not accepted.
    pub(crate) queue: VecDeque<Key>,
    pub(crate) waiters: Waiters,
    pub(super) host: Host,
    /// How many had been bound before.
    pub(super) serial: u64,
}

impl Listener {
    /// Linux holds one connection more than the backlog says.
    fn is_full(&self) -> bool {
        self.queue.len() > self.backlog
    }

    pub(crate) fn is_open(&self) -> bool {
        self.address.is_some()
    }

    /// The key of the listener that has this place now.
    pub(crate) fn key(&self, slot: usize) -> Key {
        Key {
            slot: slot as u32,
            generation: self.generation,
        }
    }

    fn hears(&self, to: SocketAddr) -> bool {
        self.address.is_some_and(|own| {
            own.port() == to.port()
                && (own.ip() == to.ip() || own.ip().is_unspecified() || to.ip().is_unspecified())
        })
    }
}

impl Network {
    pub(crate) fn bind(
        &mut self,
        address: SocketAddr,
        backlog: usize,
        host: Host,
    ) -> io::Result<(Key, SocketAddr)> {
        let mut address = address;
        if address.port() == 0 {
            let taken = |port| {
                self.listeners
                    .iter()
                    .any(|l| l.address.is_some_and(|a| a.port() == port))
            };
            let mut port = self.next_port;
            while taken(port) {
                port = port.checked_add(1).ok_or(ErrorKind::AddrInUse)?;
            }
            self.next_port = port;
            self.port();
            address.set_port(port);
        }
        if self
            .listeners
            .iter()
            .any(|listener| listener.hears(address))
        {
            return Err(ErrorKind::AddrInUse.into());
        }
        let slot = self
            .listeners
            .iter()
            .position(|l| l.address.is_none())
            .unwrap_or(self.listeners.len());
        let generation = self.listeners.get(slot).map_or(0, |old| old.generation) + 1;
        let listener = Listener {
            generation,
            address: Some(address),
            backlog,
            half_open: 0,
            queue: VecDeque::new(),
            waiters: Waiters::default(),
            host,
            serial: self.bound,
        };
        self.bound += 1;
        match self.listeners.get_mut(slot) {
            Some(old) => *old = listener,
            None => self.listeners.push(listener),
        }
        self.bound();
        Ok((
            Key {
                slot: slot as u32,
                generation,
            },
            address,
        ))
    }

    /// The listener, if it is still open.
    pub(crate) fn listener(&mut self, key: Key) -> Option<&mut Listener> {
        let listener = self.listeners.get_mut(key.slot as usize)?;
        (listener.generation == key.generation && listener.address.is_some()).then_some(listener)
    }

    /// Registers the task for the next connection, if the listener is still open.
    pub(crate) fn wait_acceptable(&mut self, key: Key, place: Place, cx: &Context<'_>) {
        if self.listener(key).is_some() {
            let waiters = &mut self.listeners[key.slot as usize].waiters;
            waiters.add(place, cx, &mut self.medium.discarded);
        }
    }

    /// The listener closes: connections that nobody accepted are reset.
    pub(crate) fn unlisten(&mut self, key: Key) {
        let Some(listener) = self.listener(key) else {
            return;
        };
        listener.address = None;
        let queue = std::mem::take(&mut listener.queue);
        let slot = key.slot as usize;
        self.listeners[slot]
            .waiters
            .drain(&mut self.medium.discarded);
        for key in queue {
            if let Some((connection, medium)) = self.get(key) {
                connection.abort(Side::Server, medium);
                self.release(key);
            }
        }
    }

    /// The client's application calls connect.
    pub(crate) fn connect(
        &mut self,
        to: SocketAddr,
        from: Option<IpAddr>,
        link: Option<Link>,
    ) -> Key {
        let to = self.behind_front(to);
        let ip = from.unwrap_or(match to.ip() {
            IpAddr::V4(ip) if ip.is_loopback() || ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_loopback() || ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            // Addresses for documentation, RFC 5737 and RFC 3849.
            IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        });
        let from = SocketAddr::new(ip, self.port());
        let to = match to.ip().is_unspecified() {
            true => SocketAddr::new(ip, to.port()),
            false => to,
        };
        let caller = self.medium.caller();
        let link = link.unwrap_or_else(|| match caller {
            Caller::Client => self.link(),
            // What befalls the clients' network befalls no database.
            Caller::Tested | Caller::Beside => Link::NEARBY,
        });
        let key = self.insert((from, to), link);
        if let Some((connection, medium)) = self.get(key) {
            connection.caller = caller;
            medium.tell(connection.id, Event::Connecting);
            connection.launch(Side::Client, Segment::Syn, medium);
        }
        key
    }

    /// The client's application gives up before connect has returned. Nothing is sent: what arrives for it is
    /// answered with a reset.
    pub(crate) fn abandon(&mut self, key: Key) {
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        match connection.end_ref(Side::Client).life {
            Life::SynSent => {
                medium.tell(connection.id, Event::Abandoned);
                connection.end(Side::Client).let_go(medium);
                connection.drop_socket(Side::Client, medium);
            }
            Life::Gone => connection.end(Side::Client).let_go(medium),
            _ => connection.close(Side::Client, medium),
        }
        self.release(key);
    }

    /// Who listens there.
    fn listening(&self, to: SocketAddr) -> Option<Key> {
        let slot = self
            .listeners
            .iter()
            .position(|listener| listener.hears(to))?;
        Some(Key {
            slot: slot as u32,
            generation: self.listeners[slot].generation,
        })
    }

    pub(super) fn syn_arrives(&mut self, key: Key) {
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        match connection.end_ref(Side::Server).life {
            Life::Unborn | Life::Cookie => {}
            // The client has not seen the answer.
            Life::SynReceived => return connection.launch(Side::Server, Segment::SynAck, medium),
            Life::SynSent | Life::Open | Life::Gone => return,
        }
        let to = connection.server;
        let Some(place) = self.listening(to) else {
            let (sequence, cause) = (0, Cause::Closed);
            return self.launch(key, Side::Server, Segment::Reset { sequence, cause });
        };
        let listener = &mut self.listeners[place.slot as usize];
        let (ignored, crowded) = (listener.is_full(), listener.half_open > listener.backlog);
        if !ignored && !crowded {
            listener.half_open += 1;
        }
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        if ignored {
            // As if it had never come: the client sends it again.
            if connection.end_ref(Side::Client).life == Life::SynSent {
                connection.retry_syn(medium);
            }
            return;
        }
        connection.listener = Some(place);
        connection.lane(Side::Server).since = Some(medium.now());
        connection.end(Side::Server).life = if crowded {
            Life::Cookie
        } else {
            Life::SynReceived
        };
        connection.launch(Side::Server, Segment::SynAck, medium);
    }

    fn launch(&mut self, key: Key, from: Side, segment: Segment) {
        if let Some((connection, medium)) = self.get(key) {
            connection.launch(from, segment, medium);
        }
    }

    pub(super) fn syn_ack_arrives(&mut self, key: Key) {
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        if connection.vanished {
            return connection.retry_syn_ack(medium);
        }
        match connection.end_ref(Side::Client).life {
            Life::SynSent => {
                connection.cancel_timer(Side::Client, medium);
                medium.tell(connection.id, Event::Connected);
                connection.end(Side::Client).life = Life::Open;
                connection.end(Side::Client).wake(medium);
                connection.acknowledge(Side::Client, medium);
            }
            Life::Open => connection.acknowledge(Side::Client, medium),
            _ => {
                let (sequence, cause) = (0, Cause::Stray);
                connection.launch(Side::Client, Segment::Reset { sequence, cause }, medium);
            }
        }
    }

    /// A segment reached a server's host that waits for the end of the handshake: it is the end, if there is room for
    /// the connection.
    pub(super) fn half_open(&mut self, key: Key, segment: Segment) {
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        let life = connection.end_ref(Side::Server).life;
        let since = connection.lane_ref(Side::Server).since;
        let stale = since.is_none_or(|since| medium.now() > since + COOKIE);
        let place = connection.listener;
        if matches!(segment, Segment::Reset { .. }) {
            return self.forget_handshake(key);
        }
        let listener = place.and_then(|place| self.listener(place));
        let Some(listener) = listener.filter(|_| life == Life::SynReceived || !stale) else {
            // The listener is closed, and its half-open connections with it; or the cookie has gone off.
            self.forget_handshake(key);
            return self.refuse(key);
        };
        let full = listener.is_full();
        if full {
            return self.no_room(key, segment);
        }
        listener.queue.push_back(key);
        if life == Life::SynReceived {
            listener.half_open -= 1;
        }
        let slot = place.map_or(0, |place| place.slot as usize);
        self.listeners[slot].waiters.drain(&mut self.medium.woken);
        let tested = place.is_none_or(|place| self.is_tested(place));
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        connection.tested = tested;
        connection.cancel_timer(Side::Server, medium);
        connection.lane(Side::Server).since = None;
        let end = connection.end(Side::Server);
        end.life = Life::Open;
        end.holder = Holder::Queue;
        medium.tell(connection.id, Event::Opened);
        connection.arrive(Side::Server, segment, medium);
    }

    /// The client believes that it is connected. It has to say again whatever it said; if that was nothing but an
    /// acknowledgement, the server's host asks for it, unless it keeps nothing of the handshake.
    fn no_room(&mut self, key: Key, segment: Segment) {
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        if connection.end_ref(Side::Server).life == Life::SynReceived {
            connection.retry_syn_ack(medium);
        }
        if matches!(segment, Segment::Data { .. } | Segment::Fin { .. }) {
            connection.dropped_on_arrival(Side::Client, medium);
        }
    }

    /// The server's host forgets a handshake that was not completed. A SYN that comes later is a new one.
    pub(super) fn forget_handshake(&mut self, key: Key) {
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        connection.cancel_timer(Side::Server, medium);
        connection.lane(Side::Server).since = None;
        let life = std::mem::replace(&mut connection.end(Side::Server).life, Life::Unborn);
        let place = connection.listener.take();
        if let Some(listener) = place.and_then(|place| self.listener(place))
            && life == Life::SynReceived
        {
            listener.half_open -= 1;
        }
    }

    fn refuse(&mut self, key: Key) {
        if let Some((connection, medium)) = self.get(key) {
            connection.refuse(Side::Server, 0, medium);
        }
    }

    /// Nobody listens there.
    pub(super) fn refused(&mut self, key: Key) {
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        medium.tell(connection.id, Event::Refused);
        connection.fail(Side::Client, ErrorKind::ConnectionRefused, medium);
    }
}
