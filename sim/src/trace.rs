//! What happened in a run: every fact that an oracle or a report may use, in order, and one hash over all of it.
//!
//! Engines, the client driver and the servers' watches report to the [`Recorder`] of the current thread; a run is
//! one thread's business from start to end. The timeline is kept only when it is asked for, the hash always, so that
//! a campaign pays nothing for text that nobody reads.
//!
//! | module | what lives there |
//! |---|---|
//! | `clock` | simulated time, on every engine |
//! | `felt` | which cells of connections' lives a run reaches |
//! | `phases` | what connections wait for |
//! | `date` | what the hash leaves out |

mod clock;
mod date;
mod felt;
mod phases;

pub use self::clock::{Clock, PausedClock};
pub(crate) use self::date::DateField;
pub use self::phases::Phase;
use self::phases::Phases;
use crate::coverage::{Action, Reached};
use crate::ledger::Ledger;
use crate::life::Life;
use crate::packet::Packet;
use crate::run::Detail;
use crate::task::{Moved, Poll, Role, Tasks};
use hangup_network::{Caller, ConnectionId, Event as NetworkEvent, Side};
use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::Location;
use std::time::Duration;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Who a line of the timeline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client of the scenario, counted from 0.
    Client(u32),
    /// The well-behaved client that comes after the scenario.
    Probe,
    /// The server's side of a connection.
    Server,
}

/// One line of the timeline.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Simulated time since the start of the run.
    pub at: Duration,
    /// Who did it, or had it happen to them.
    pub actor: Actor,
    /// The connection that it happened on.
    pub connection: Option<u32>,
    /// Where the task of the server was spawned that did it; none if it was not in a task of the server.
    pub task: Option<&'static Location<'static>>,
    /// The trace hash so far: it also tells bytes apart that are equally many.
    pub hash: u64,
    /// What happened, for people.
    pub text: Cow<'static, str>,
    /// It is a step of a client's script, which ended then.
    pub step: bool,
}

/// Collects one run.
#[derive(Debug)]
pub struct Recorder {
    clock: Clock,
    hash: u64,
    unhashed: bool,
    timeline: Option<Vec<Entry>>,
    phases: Phases,
    /// The packets, and how much of their payloads is kept.
    packets: Option<(usize, Vec<Packet>)>,
    /// The cells of its connections' lives that it has reached.
    pub(crate) reached: Reached,
    /// Who is calling connect.
    connects: Caller,
    /// Connections, as the network saw them.
    pub ledger: Ledger,
    /// Tasks, as the runtime saw them.
    pub tasks: Tasks,
    /// What became of the server itself.
    pub life: Life,
}

thread_local! {
    /// In a box, since it changes hands a few times and is large.
    static CURRENT: RefCell<Option<Box<Recorder>>> = const { RefCell::new(None) };
}

/// Runs `f` on this thread's recorder; nothing happens where no run is under way.
pub fn record<R>(f: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    CURRENT
        .try_with(|current| current.try_borrow_mut().ok()?.as_deref_mut().map(f))
        .ok()?
}

/// How long `time` of the run on this thread takes on the clock that its timers go by: shorter only where real time is
/// hastened.
pub(crate) fn lasts(time: Duration) -> Duration {
    record(|recorder| time / recorder.clock.times()).unwrap_or(time)
}

/// Starts recording on this thread.
pub(crate) fn begin(recorder: Recorder) {
    CURRENT.with(|current| *current.borrow_mut() = Some(Box::new(recorder)));
}

/// Ends recording on this thread; what happens from here on (tasks dropped with their runtime) belongs to no run.
pub(crate) fn end() -> Option<Box<Recorder>> {
    CURRENT.with(|current| current.borrow_mut().take())
}

impl Recorder {
    /// A recorder that reads the time from `clock`.
    pub fn new(clock: Clock, ledger: Ledger, detail: Detail) -> Self {
        Self {
            clock,
            hash: 0,
            unhashed: detail.unhashed,
            timeline: detail.timeline.then(Vec::new),
            phases: Phases::default(),
            packets: detail.packets.map(|most| (most, Vec::new())),
            reached: Reached::default(),
            connects: Caller::Client,
            ledger,
            tasks: Tasks::default(),
            life: Life::default(),
        }
    }

    /// Where it reads the time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Simulated time now.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Mixes a fact into the trace hash.
    pub fn mix(&mut self, fact: [u64; 4]) {
        if self.unhashed {
            return;
        }
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_exact_mut(8).zip(fact) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.hash = xxh3_64_with_seed(&bytes, self.hash);
    }

    /// The hash over everything recorded so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether anybody wants to be told more than facts.
    pub(crate) fn tells(&self) -> bool {
        self.timeline.is_some()
    }

    /// Adds a line to the timeline, if one is kept; `text` is only called then.
    pub fn say<T: Into<Cow<'static, str>>>(
        &mut self,
        at: Duration,
        actor: Actor,
        connection: Option<u32>,
        text: impl FnOnce() -> T,
    ) {
        if let Some(timeline) = &mut self.timeline {
            let task = tokio::task::try_id().and_then(|id| self.tasks.get(id));
            let task = task.filter(|task| task.role == Role::Server);
            timeline.push(Entry {
                at,
                actor,
                connection,
                task: task.map(|task| task.spawned_at),
                hash: self.hash,
                text: text().into(),
                step: false,
            });
        }
    }

    /// Takes the timeline out.
    pub(crate) fn take_timeline(&mut self) -> Vec<Entry> {
        self.timeline.take().unwrap_or_default()
    }

    /// Takes the phases out.
    pub(crate) fn take_phases(&mut self) -> Vec<Phase> {
        std::mem::take(&mut self.phases.list)
    }

    /// Takes the packets out, in the order in which they left their hosts.
    pub(crate) fn take_packets(&mut self) -> Vec<Packet> {
        let mut packets = self.packets.take().map_or_else(Vec::new, |(_, list)| list);
        packets.sort_by_key(|packet| packet.at);
        packets
    }

    /// A packet, from the network. It is no part of the trace: the hash is the same whether packets are kept or not.
    pub(crate) fn packet(&mut self, id: ConnectionId, packet: &hangup_network::Packet<'_>) {
        let clock = &self.clock;
        if let Some((most, list)) = &mut self.packets {
            let spot = |instant| clock.spot(instant);
            list.push(Packet::new(id, packet, *most, spot));
        }
    }

    /// The server says what a connection of it waits for, and until when.
    pub(crate) fn waits(
        &mut self,
        connection: u32,
        name: &'static str,
        deadline: impl FnOnce(Duration) -> Option<Duration>,
    ) {
        if self.timeline.is_some() {
            let at = self.now();
            self.phases.add(Phase {
                at,
                connection,
                name,
                deadline: deadline(at),
                told: true,
            });
        }
    }

    /// A step of a client, and how it came out.
    pub fn step<T: Into<Cow<'static, str>>>(
        &mut self,
        client: u32,
        connection: Option<u32>,
        outcome: u64,
        text: impl FnOnce() -> T,
    ) {
        let at = self.now();
        self.mix([1, at.as_nanos() as u64, u64::from(client), outcome]);
        self.say(at, Actor::Client(client), connection, text);
        if let Some(entry) = self.timeline.as_mut().and_then(|lines| lines.last_mut()) {
            entry.step = true;
        }
    }

    /// The task that is running calls accept.
    pub(crate) fn accepting(&mut self) {
        let task = tokio::task::try_id();
        if let Some(connection) = task.and_then(|task| self.tasks.accepting(task)) {
            let at = self.now();
            self.ledger.task_left(at, connection);
        }
    }

    /// The task that is running polls an end of `connection`; `took` if it has got bytes.
    pub(crate) fn used(&mut self, connection: u32, took: bool) {
        let Some(task) = tokio::task::try_id() else {
            return;
        };
        let known = self.ledger.get(connection);
        let moved = match known.is_some_and(|one| one.own) {
            true => self.tasks.used_own(task, connection, took),
            false => {
                let opened = known.and_then(|one| one.opened);
                self.tasks.used(task, connection, opened)
            }
        };
        if let Some(moved) = moved {
            let at = self.now();
            self.moved(at, moved);
        }
    }

    /// The task that is running connects: for whom?
    pub(crate) fn connects(&mut self) -> Caller {
        let task = tokio::task::try_id().and_then(|task| self.tasks.get(task));
        let caller = match task.map(|task| task.role) {
            Some(Role::Server) => Caller::Tested,
            Some(Role::Peer) => Caller::Beside,
            Some(Role::Harness) | None => Caller::Client,
        };
        self.connects = caller;
        caller
    }

    fn moved(&mut self, at: Duration, moved: Moved) {
        for _ in 0..moved.tasks {
            if let Some(to) = moved.to {
                self.ledger.task_born(at, to);
            }
            if let Some(from) = moved.from {
                self.ledger.task_left(at, from);
            }
        }
    }

    /// A task panics; false if it is not the server's.
    pub(crate) fn panicked(&mut self, task: tokio::task::Id, text: String) -> bool {
        // What is left of a dead process is nobody's, and what it says is heard by nobody.
        if self.tasks.is_dead(task) {
            return true;
        }
        let task = self
            .tasks
            .get(task)
            .filter(|task| task.role == Role::Server);
        if task.is_none() && !self.is_server() {
            return false;
        }
        let connection = task.and_then(|task| task.connection);
        let at = self.now();
        self.ledger.panicked(at, connection);
        self.life.panic.get_or_insert_with(|| text.clone());
        self.mix([
            7,
            at.as_nanos() as u64,
            u64::from(connection.unwrap_or(0)),
            0,
        ]);
        self.say(at, Actor::Server, connection, || text);
        true
    }

    /// An application took bytes from its socket.
    pub(crate) fn read(&mut self, connection: u32, by: Side, bytes: u64) {
        let Self {
            clock,
            ledger,
            tasks,
            ..
        } = self;
        if by == Side::Server {
            tasks.moves_bytes();
        }
        ledger.read(|| clock.now(), connection, by, bytes);
        if by == Side::Client && bytes > 0 && ledger.get(connection).is_some_and(|one| one.own) {
            self.used(connection, true);
        } else if by == Side::Client && bytes > 0 {
            self.acts(connection, Action::Takes);
        }
    }

    /// The server's application gave bytes to its socket.
    pub(crate) fn wrote(&mut self, connection: u32, bytes: u64) {
        let Self {
            clock,
            ledger,
            tasks,
            ..
        } = self;
        tasks.moves_bytes();
        ledger.wrote(|| clock.now(), connection, bytes);
    }

    /// The path of a connection was changed.
    pub(crate) fn disturbed(&mut self, connection: u32) {
        let at = self.now();
        self.ledger.entry(at, connection).disturbed = true;
    }

    /// The probe app was given a request; `smuggled` if it is one that is hidden in bodies.
    pub(crate) fn asked(&mut self, smuggled: bool) {
        let task = tokio::task::try_id().and_then(|task| self.tasks.get(task));
        if let Some(connection) = task.and_then(|task| task.connection) {
            let at = self.now();
            let connection = self.ledger.entry(at, connection);
            connection.probe_app += 1;
            connection.smuggled += u32::from(smuggled);
        }
    }

    /// A handler begins; true if it is to panic. The tasks of a process that has died may go on, and are nobody's any more.
    pub(crate) fn takes_panic(&mut self) -> bool {
        let due = self.life.panics_due > 0 && self.is_server();
        self.life.panics_due -= u32::from(due);
        due
    }

    /// Is it the server whose code runs?
    fn is_server(&self) -> bool {
        if matches!(self.clock, Clock::Turmoil) {
            return crate::engine::turmoil::is_server();
        }
        let task = tokio::task::try_id().and_then(|task| self.tasks.get(task));
        task.is_some_and(|task| task.role == Role::Server && task.ended.is_none())
    }

    /// The server's tasks that are alive now were there before the first client.
    pub(crate) fn settle(&mut self) {
        let at = self.now();
        for connection in self.tasks.settle() {
            self.ledger.task_left(at, connection);
        }
        self.tasks.take_root();
    }

    /// The server's tasks that well-behaved clients have made it start, and that are alive, were there before the first
    /// client that is judged.
    pub(crate) fn settle_visits(&mut self) {
        let at = self.now();
        let Self { tasks, ledger, .. } = self;
        let visits = |id| ledger.get(id).is_some_and(|one| one.visit);
        for connection in tasks.settle_those(visits) {
            self.ledger.task_left(at, connection);
        }
    }

    /// A fact from the network, which read tokio's clock for it.
    pub fn network(&mut self, at: Instant, id: ConnectionId, event: &NetworkEvent<'_>) {
        let at = match &self.clock {
            Clock::Tokio(clock) => clock.at(at),
            Clock::Turmoil | Clock::Wire(_) => self.now(),
        };
        self.tasks.network_moved(at);
        self.network_at(at, id, event);
    }

    /// A task is about to be polled, if this says so.
    pub(crate) fn polled(&mut self, task: tokio::task::Id) -> Poll {
        let Self { clock, tasks, .. } = self;
        tasks.polled(task, || clock.now())
    }

    /// A fact from the network, from an engine that tells of it later.
    pub fn network_at(&mut self, at: Duration, id: ConnectionId, event: &NetworkEvent<'_>) {
        if !self.unhashed {
            self.mix_network(at, id, event);
        }
        match event {
            NetworkEvent::Connecting => {
                let caller = std::mem::replace(&mut self.connects, Caller::Client);
                if caller != Caller::Client {
                    self.ledger.own(at, id.0);
                }
                if let (Caller::Tested, Some(task)) = (caller, tokio::task::try_id()) {
                    self.tasks.connected(task, id.0);
                }
            }
            NetworkEvent::Closed {
                by: Side::Client, ..
            } if self.ledger.get(id.0).is_some_and(|one| one.own) => {
                for moved in self.tasks.closed_own(id.0) {
                    self.moved(at, moved);
                }
            }
            NetworkEvent::Accepted { task: Some(task) } => self.tasks.accepted(*task, id.0),
            NetworkEvent::Closed {
                by: Side::Server, ..
            } => {
                for moved in self.tasks.closed(id.0) {
                    self.moved(at, moved);
                }
            }
            _ => {}
        }
        if let Some(action) = self.action(id.0, event) {
            self.acts(id.0, action);
        }
        self.ledger.network(at, id.0, event);
        if self.timeline.is_some()
            && let Some(connection) = self.ledger.get(id.0)
            && connection.held()
        {
            self.phases.add(Phase {
                at,
                connection: id.0,
                name: connection.phase(),
                deadline: Some(connection.due(self.ledger.contract()).at),
                told: false,
            });
        }
        if self.timeline.is_some()
            && let Some((actor, text)) = crate::report::wording::network(event)
        {
            let known = self.ledger.get(id.0);
            let client = known.and_then(|connection| connection.client);
            let own = known.is_some_and(|connection| connection.own);
            let actor = match (actor, client) {
                _ if own => Actor::Server,
                (Side::Client, Some(client)) => Actor::Client(client),
                (Side::Client, None) => Actor::Probe,
                (Side::Server, _) => Actor::Server,
            };
            self.say(at, actor, Some(id.0), || text);
        }
    }

    /// Mixes a fact from the network into the trace hash, and the bytes that arrived.
    fn mix_network(&mut self, at: Duration, id: ConnectionId, event: &NetworkEvent<'_>) {
        let (kind, detail) = fingerprint(event);
        self.mix([2 | kind << 8, at.as_nanos() as u64, u64::from(id.0), detail]);
        if let NetworkEvent::Arrived { to, bytes } = event {
            // A `Date` is the machine's time, not the simulation's.
            let mut hash = self.hash;
            match to {
                Side::Server => hash = xxh3_64_with_seed(bytes, hash),
                Side::Client => {
                    let date = &mut self.ledger.entry(at, id.0).date;
                    date.leave_out(bytes, |rest| hash = xxh3_64_with_seed(rest, hash));
                }
            }
            self.hash = hash;
        }
    }
}

/// What of an event goes into the hash: its kind, and one number.
fn fingerprint(event: &NetworkEvent<'_>) -> (u64, u64) {
    let side = |side: &Side| match side {
        Side::Client => 0,
        Side::Server => 1,
    };
    match event {
        NetworkEvent::Connecting => (1, 0),
        NetworkEvent::Refused => (2, 0),
        NetworkEvent::Opened => (3, 0),
        NetworkEvent::Connected => (4, 0),
        NetworkEvent::Accepted { .. } => (5, 0),
        NetworkEvent::Arrived { to, bytes } => (6, side(to) << 32 | bytes.len() as u64),
        NetworkEvent::FinArrived { to } => (7, side(to)),
        NetworkEvent::ResetArrived { to } => (8, side(to)),
        NetworkEvent::Shutdown { by } => (9, side(by)),
        NetworkEvent::Closed { by, reset } => (10, side(by) << 1 | u64::from(*reset)),
        NetworkEvent::TimedOut { side: at } => (11, side(at)),
        NetworkEvent::Discarded { to, bytes } => (12, side(to) << 32 | bytes.len() as u64),
        NetworkEvent::Abandoned => (13, 0),
        NetworkEvent::Vanished => (14, 0),
        NetworkEvent::Acknowledged { to, bytes } => (15, side(to) << 48 | bytes),
        NetworkEvent::Orphaned { side: at, bytes } => (17, side(at) << 48 | *bytes as u64),
        NetworkEvent::OrphanGone { side: at } => (18, side(at)),
        _ => (16, 0),
    }
}
