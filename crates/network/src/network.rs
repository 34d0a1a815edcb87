//! The network: all connections and listeners of one simulated world, and the delivery of what is due.

mod descriptors;
mod handshake;
mod hosts;
mod pauses;
mod process;

use crate::agenda::{Entry, Key, What};
use crate::config::{BlackHole, Config, Link};
use crate::connection::{Connection, Due, Holder, Life};
use crate::lane::Segment;
use crate::medium::Medium;
use crate::observer::{Caller, ConnectionId, Event, Observer, Side};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;
use tokio::time::Instant;

use self::descriptors::Descriptors;
use self::hosts::Hosts;
use self::pauses::Pauses;
pub(crate) use handshake::Listener;
pub(crate) use hosts::Host;

/// The first of the ports that clients get.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

pub(crate) struct Network {
    /// Tells this world from all others of the process.
    pub(crate) world: u64,
    pub(crate) medium: Medium,
    places: Vec<Place>,
    vacant: Vec<u32>,
    /// The place of each connection from the oldest that lives to the newest.
    recent: VecDeque<Option<u32>>,
    /// The number of the first in `recent`.
    oldest: u32,
    pub(crate) listeners: Vec<Listener>,
    /// How many listeners were bound so far.
    bound: u64,
    pub(crate) hosts: Hosts,
    next_port: u16,
    /// How many processes have served here before the one that does now.
    pub(crate) process: u32,
    /// What that process has of descriptors.
    pub(crate) descriptors: Descriptors,
    /// What it does at its runtime's pauses, if it is told of them.
    pauses: Option<Pauses>,
}

struct Place {
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Network {
    pub(crate) fn new(world: u64, config: Config, observer: Box<dyn Observer>) -> Network {
        Network {
            world,
            medium: Medium::new(config, observer),
            places: Vec::new(),
            vacant: Vec::new(),
            recent: VecDeque::new(),
            oldest: 1,
            listeners: Vec::new(),
            bound: 0,
            hosts: Hosts::default(),
            next_port: *EPHEMERAL.start(),
            process: 0,
            descriptors: Descriptors::default(),
            pauses: None,
        }
    }

    pub(crate) fn link(&self) -> Link {
        Link {
            latency: self.medium.config.latency,
            jitter: self.medium.config.jitter,
            mtu: self.medium.config.mtu,
            loss: self.medium.config.loss,
            black_hole: BlackHole::None,
        }
    }

    /// The next of the ephemeral ports. They come round after 28,232; connections are told apart by their place and
    /// not by their addresses, so that this does no harm.
    fn port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = if port == *EPHEMERAL.end() {
            *EPHEMERAL.start()
        } else {
            port + 1
        };
        port
    }

    fn insert(&mut self, addresses: (SocketAddr, SocketAddr), link: Link) -> Key {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                connection: None,
            });
            (self.places.len() - 1) as u32
        });
        let id = ConnectionId(self.oldest + self.recent.len() as u32);
        self.recent.push_back(Some(slot));
        let place = &mut self.places[slot as usize];
        place.generation += 1;
        let key = Key {
            slot,
            generation: place.generation,
        };
        place.connection = Some(Box::new(Connection::new(
            id,
            key,
            addresses,
            link,
            &mut self.medium,
        )));
        key
    }

    /// The connection, if it still is, and the medium.
    pub(crate) fn get(&mut self, key: Key) -> Option<(&mut Connection, &mut Medium)> {
        let place = self.places.get_mut(key.slot as usize)?;
        if place.generation != key.generation {
            return None;
        }
        place
            .connection
            .as_deref_mut()
            .map(|connection| (connection, &mut self.medium))
    }

    /// The connection with this number, if it still is.
    pub(crate) fn find(&self, id: ConnectionId) -> Option<Key> {
        let slot = (*self.recent.get(id.0.checked_sub(self.oldest)? as usize)?)?;
        Some(Key {
            slot,
            generation: self.places[slot as usize].generation,
        })
    }

    /// All connections that still are, in the order of their numbers.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &Connection> {
        let slots = self.recent.iter().flatten();
        slots.filter_map(|&slot| self.places[slot as usize].connection.as_deref())
    }

    /// Everybody who waits for anything.
    pub(crate) fn waiting(&mut self) -> Vec<Waker> {
        for place in &mut self.places {
            if let Some(connection) = &mut place.connection {
                connection.end(Side::Client).wake(&mut self.medium);
                connection.end(Side::Server).wake(&mut self.medium);
            }
        }
        for listener in &mut self.listeners {
            listener.waiters.drain(&mut self.medium.woken);
        }
        std::mem::take(&mut self.medium.woken)
    }

    /// Frees the connection if nobody has a use for it any more.
    pub(crate) fn release(&mut self, key: Key) {
        let Some((connection, _)) = self.get(key) else {
            return;
        };
        if !connection.is_over() {
            return;
        }
        let id = connection.id;
        let granted = connection.granted();
        self.medium.memory.take_back(granted);
        for side in [Side::Client, Side::Server] {
            if let Some((connection, medium)) = self.get(key) {
                connection.cancel_timer(side, medium);
                connection.stop_watch(side, medium);
            }
        }
        self.places[key.slot as usize].connection = None;
        self.vacant.push(key.slot);
        self.recent[(id.0 - self.oldest) as usize] = None;
        while let Some(None) = self.recent.front() {
            self.recent.pop_front();
            self.oldest += 1;
        }
    }

    /// An application lets go of a socket.
    pub(crate) fn close(&mut self, key: Key, side: Side) {
        if let Some((connection, medium)) = self.get(key)
            // What was taken from a process that died is closed already.
            && connection.end_ref(side).holder == Holder::Application
        {
            connection.close(side, medium);
            let of_client = connection.caller == Caller::Client;
            if of_client && side == Side::Server {
                self.descriptors.closed();
            }
            self.release(key);
        }
    }

    /// Does all that is due; then the network task sleeps until the time that is returned, if any.
    pub(crate) fn run(&mut self, task: &Waker) -> Option<Instant> {
        let next = self.run_due();
        let next = next.filter(|_| self.pauses.is_none());
        self.medium.sleep(next, task);
        next
    }

    /// Does all that is due, and says when there is something to do again.
    fn run_due(&mut self) -> Option<Instant> {
        let now = self.medium.now();
        self.medium.delivers = true;
        let next = loop {
            match self.next() {
                Some(entry) if entry.at <= now => {
                    self.medium.pop();
                    self.happen(entry.key, entry.from, entry.what);
                }
                next => break next.map(|entry| entry.at),
            }
        };
        self.medium.delivers = false;
        next
    }

    /// What happens next. What was called off is taken from the agenda: an idle network must not wake up for it, which the proof that
    /// nothing is armed relies on.
    fn next(&mut self) -> Option<Entry> {
        while let Some(&entry) = self.medium.first() {
            let current = match entry.what {
                What::Arrival => true,
                What::Timer(serial) => self.get(entry.key).is_some_and(|(connection, _)| {
                    let lane = connection.lane_ref(entry.from);
                    lane.timer.is_some() && lane.timers == serial
                }),
                What::Keepalive(serial) => self.get(entry.key).is_some_and(|(connection, _)| {
                    let watch = &connection.end_ref(entry.from).watch;
                    watch.due.is_some() && watch.timers == serial
                }),
            };
            if current {
                return Some(entry);
            }
            self.medium.pop();
        }
        None
    }

    fn happen(&mut self, key: Key, from: Side, what: What) {
        let Some((connection, medium)) = self.get(key) else {
            return;
        };
        match what {
            What::Arrival => {
                if let Some(segment) = connection.land(from, medium) {
                    self.deliver(key, from.peer(), segment);
                }
            }
            What::Timer(_) => {
                if connection.timer(from, medium) == Due::ForgetHandshake {
                    self.forget_handshake(key);
                }
            }
            What::Keepalive(_) => connection.probe_peer(from, medium),
        }
        self.release(key);
    }

    fn deliver(&mut self, key: Key, to: Side, segment: Segment) {
        let Some((connection, _)) = self.get(key) else {
            return;
        };
        let (client, server) = (
            connection.end_ref(Side::Client).life,
            connection.end_ref(Side::Server).life,
        );
        match (segment, to) {
            (Segment::Syn, _) => self.syn_arrives(key),
            (Segment::SynAck, _) => self.syn_ack_arrives(key),
            (Segment::Reset { .. }, Side::Client) if client == Life::SynSent => self.refused(key),
            (_, Side::Server) if matches!(server, Life::SynReceived | Life::Cookie) => {
                self.half_open(key, segment);
            }
            _ => self.arrive(key, to, segment),
        }
    }

    fn arrive(&mut self, key: Key, to: Side, segment: Segment) {
        if let Some((connection, medium)) = self.get(key) {
            connection.arrive(to, segment, medium);
        }
    }

    /// The application takes the connection that waits longest.
    pub(crate) fn accept(&mut self, listener: Key) -> Option<Socket> {
        let key = self.listener(listener)?.queue.pop_front()?;
        let (connection, medium) = self.get(key)?;
        connection.end(Side::Server).holder = Holder::Application;
        medium.tell(
            connection.id,
            Event::Accepted {
                task: tokio::task::try_id(),
            },
        );
        let of_client = connection.caller == Caller::Client;
        if of_client {
            self.descriptors.accepted();
        }
        self.socket(key, Side::Server)
    }

    /// What an application has in its hand.
    pub(crate) fn socket(&mut self, key: Key, side: Side) -> Option<Socket> {
        let (world, process) = (self.world, self.process);
        let (connection, _) = self.get(key)?;
        let (local, peer) = match side {
            Side::Client => (connection.client, connection.server),
            Side::Server => (connection.server, connection.client),
        };
        Some(Socket {
            world,
            process: connection.is_of_tested(side).then_some(process),
            key,
            side,
            id: connection.id,
            local,
            peer,
        })
    }
}

/// One end of a connection, as an application holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    pub(crate) world: u64,
    /// The process that accepted it, or made it.
    pub(crate) process: Option<u32>,
    pub(crate) key: Key,
    pub(crate) side: Side,
    pub(crate) id: ConnectionId,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}
