//! The tasks of a run, as tokio's hooks report them: birth, spawn place, polls, death, and whose they are.
//!
//! A task belongs to the connection whose stream it polls. Until it polls one, it belongs to the connection of the
//! task that spawned it, or to the one that this task has accepted last, which is a guess: an accept loop may also
//! spawn tasks for connections that are handed back to it, and tasks of no connection. A task that polls the streams
//! of several connections belongs to none of them. So a server that calls `tokio::spawn` itself needs no change to
//! be accounted for.

use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::OnceCell;
use std::panic::Location;
use std::task::Waker;
use std::time::Duration;
use tokio::task::Id;

/// Who a task works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Clients, network, the engine itself: never judged.
    Harness,
    /// The server under test.
    Server,
    /// Another host, which the server under test calls: not judged either.
    Peer,
}

/// One task of the run.
#[derive(Clone, Debug)]
pub struct Task {
    /// tokio's id, which is unique in the process but not the same from run to run.
    pub id: Id,
    /// Who it works for.
    pub role: Role,
    /// Where `tokio::spawn` was called.
    pub spawned_at: &'static Location<'static>,
    /// The connection it belongs to; none for the accept loop and its like.
    pub connection: Option<u32>,
    /// When it was spawned.
    pub born: Duration,
    /// When it ended.
    pub ended: Option<Duration>,
    /// How often it was polled.
    pub polls: u64,
    /// When it was polled last.
    pub last_poll: Duration,
    /// It was there before the first client of its instance of the server: the accept loop and its like.
    pub root: bool,
    /// How often it had been polled when the search for anything armed began.
    polls_before_search: u64,
    /// What it had accepted last, for the tasks that it spawns then.
    accepted: Option<u32>,
    /// It has called accept: it works for no single connection.
    accepts: bool,
    /// The server declares that it is meant to outlive the connection that has made it start, as long as it polls no stream
    /// of a client.
    pub background: bool,
    /// It has polled streams of several connections: it works for none of them alone.
    shared: bool,
    /// How its connection is known.
    known_by: KnownBy,
    /// The task that spawned it.
    parent: Option<Id>,
    /// The first connection that it was taken for.
    first: Option<u32>,
}

/// How the connection of a task is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KnownBy {
    /// The task that spawned it had accepted this connection last: a guess, until a stream is polled.
    Accept,
    /// The task that spawned it belongs to this connection.
    Parent,
    /// It has polled the stream of this connection.
    Stream,
}

/// Tasks that turn out to belong to another connection than the one that they were taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// How many.
    pub(crate) tasks: u32,
    /// The connection that they were taken for, if any.
    pub(crate) from: Option<u32>,
    /// The connection that they belong to, if any.
    pub(crate) to: Option<u32>,
}

/// The server is polled more often than this in one simulated second in which nothing happens on the network: it spins.
/// An honest server waits for the network, or for a timer, between any two polls of a task.
pub const SPIN_POLLS: u32 = 100_000;
/// After so many polls of the server a run ends: a task that wakes every millisecond of a day would keep it busy for a minute. That takes
/// some seconds.
pub const POLLS_MAX: u64 = 5_000_000;
const SPIN_WINDOW: Duration = Duration::from_secs(1);

/// A server that spins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spin {
    /// The task whose poll was the last that was allowed, where tasks are seen.
    pub task: Option<Id>,
    /// The connection that it asked in vain, where that is what was seen.
    pub connection: Option<u32>,
    /// When that was.
    pub at: Duration,
}

/// All tasks of a run, in the order of their births.
#[derive(Debug, Default)]
pub struct Tasks {
    list: Vec<Task>,
    index: FxHashMap<Id, u32>,
    /// Who tasks work for that are spawned outside any task.
    spawning: Option<Role>,
    server_polls: u64,
    /// Tasks of processes that died, and what they spawn: tokio gives no way to drop them. They are nobody's.
    dead: FxHashSet<Id>,
    dead_polls: u64,
    /// The guard is woken when the dead have been polled so often.
    alarm_dead: Option<u64>,
    /// Polls of the server since the network did anything, or since a simulated second began.
    idle_polls: u32,
    /// When that second began.
    idle_since: Duration,
    spin: Option<Spin>,
    /// When the server had had all its polls.
    exhausted: Option<Duration>,
    /// Who is to be woken when the server spins, or when its polls have come to `alarm`.
    guard: Option<Waker>,
    alarm: Option<u64>,
    /// Where tasks are spawned that the server declares as its own background, as parts of paths.
    declared: Vec<String>,
    /// The places of tasks that have called accept.
    acceptors: Vec<u32>,
    /// The places of tasks that belong to their connection no longer than the server holds its stream: those whose
    /// connection is a guess, and those that had none before they polled a stream, such as workers.
    loose: Vec<u32>,
    /// Who has called connect for each connection that the server has made.
    connected: FxHashMap<u32, Id>,
    /// The places of tasks that belong to connections which the server has made.
    drivers: Vec<u32>,
    /// The task that has polled each connection's stream last.
    users: FxHashMap<u32, Id>,
    /// The places of the server's tasks by the connections that they belong to, once somebody has asked.
    by_connection: OnceCell<FxHashMap<u32, Vec<u32>>>,
}

impl Tasks {
    /// From now on, tasks spawned outside any task work for `role`.
    pub(crate) fn spawning(&mut self, role: Role) {
        self.spawning = Some(role);
    }

    /// A task was spawned by `parent`; gives its ordinal among the server's tasks and its connection.
    pub(crate) fn spawned(
        &mut self,
        at: Duration,
        id: Id,
        parent: Option<Id>,
        spawned_at: &'static Location<'static>,
    ) -> &Task {
        let of_dead = parent.is_some_and(|parent| self.dead.contains(&parent));
        if of_dead {
            self.dead.insert(id);
        }
        let parent = parent.and_then(|parent| self.get(parent));
        let role = parent.map(|parent| parent.role);
        let role = role.unwrap_or(match of_dead {
            true => Role::Harness,
            false => self.spawning.unwrap_or(Role::Harness),
        });
        let background = role == Role::Server
            && (parent.is_some_and(|parent| parent.background) || self.is_declared(spawned_at));
        let connection = parent.and_then(|parent| parent.connection.or(parent.accepted));
        let connection = connection.filter(|_| !background);
        let guess = parent.is_some_and(|parent| parent.connection.is_none());
        let parent = parent.map(|parent| parent.id);
        let task = Task {
            id,
            role,
            spawned_at,
            connection,
            born: at,
            ended: None,
            polls: 0,
            last_poll: at,
            root: false,
            polls_before_search: 0,
            accepted: None,
            accepts: false,
            background,
            shared: false,
            known_by: match guess {
                true => KnownBy::Accept,
                false => KnownBy::Parent,
            },
            parent,
            first: connection,
        };
        let place = self.list.len();
        if guess && connection.is_some() {
            self.loose.push(place as u32);
        }
        self.index.insert(id, place as u32);
        self.by_connection.take();
        self.list.push(task);
        &self.list[place]
    }

    /// Tasks that are spawned at these places are meant to outlive connections.
    pub(crate) fn declare(&mut self, places: &[String]) {
        self.declared = places.to_vec();
    }

    fn is_declared(&self, place: &Location<'_>) -> bool {
        let at = |declared: &String| {
            place.file().contains(declared.as_str())
                || format!("{}:{}", place.file(), place.line()).ends_with(declared.as_str())
        };
        self.declared.iter().any(at)
    }

    /// A task is about to be polled; only for the server's own is the time asked.
    pub(crate) fn polled(&mut self, id: Id, now: impl FnOnce() -> Duration) {
        if !self.dead.is_empty() && self.dead.contains(&id) {
            return self.dead_polled(now);
        }
        let Some(&place) = self.index.get(&id) else {
            return;
        };
        let task = &mut self.list[place as usize];
        if task.role != Role::Server {
            return;
        }
        let now = now();
        task.polls += 1;
        task.last_poll = now;
        self.server_polls += 1;
        if now >= self.idle_since + SPIN_WINDOW {
            self.idle_since = now;
            self.idle_polls = 0;
        }
        self.idle_polls += 1;
        if self.idle_polls == SPIN_POLLS {
            self.spin.get_or_insert(Spin {
                task: Some(id),
                connection: None,
                at: now,
            });
            self.wake_guard();
        }
        if self.server_polls == POLLS_MAX {
            self.exhausted = Some(now);
            self.wake_guard();
        }
        if self.alarm == Some(self.server_polls) {
            self.wake_guard();
        }
    }

    /// A task of a dead process is polled: a ticker, say. It is counted, so that it cannot keep a run from ending.
    fn dead_polled(&mut self, now: impl FnOnce() -> Duration) {
        self.dead_polls += 1;
        if self.dead_polls == POLLS_MAX {
            self.exhausted = Some(now());
            self.wake_guard();
        }
        if self.alarm_dead == Some(self.dead_polls) {
            self.wake_guard();
        }
    }

    /// Does this task belong to a process that died?
    pub(crate) fn is_dead(&self, id: Id) -> bool {
        self.dead.contains(&id)
    }

    /// How often tasks of processes that died were polled.
    pub(crate) fn dead_polls(&self) -> u64 {
        self.dead_polls
    }

    /// Wakes the guard, too, when the tasks of dead processes have been polled so many times more.
    pub(crate) fn alarm_after_dead(&mut self, polls: u64) {
        self.alarm_dead = Some(self.dead_polls + polls);
    }

    /// Something happened on the network: whoever was polled may have had a reason.
    pub(crate) fn network_moved(&mut self) {
        self.idle_polls = 0;
    }

    /// From now on, `guard` is woken when the server spins.
    pub(crate) fn guarded_by(&mut self, guard: &Waker) {
        match &mut self.guard {
            Some(known) => known.clone_from(guard),
            unknown => *unknown = Some(guard.clone()),
        }
    }

    /// Wakes the guard, too, when the server has been polled so many times more.
    pub(crate) fn alarm_after(&mut self, polls: u64) {
        self.alarm = Some(self.server_polls + polls);
    }

    fn wake_guard(&self) {
        if let Some(guard) = &self.guard {
            guard.wake_by_ref();
        }
    }

    /// The server asks `connection` over and over for what is not there.
    pub(crate) fn spins(&mut self, at: Duration, connection: u32) {
        self.spin.get_or_insert(Spin {
            task: None,
            connection: Some(connection),
            at,
        });
    }

    /// The server spins: a task of it wakes itself for ever, and simulated time stands still.
    pub fn spin(&self) -> Option<Spin> {
        self.spin
    }

    /// When the server had had all the polls that a run has; the run ended there.
    pub fn exhausted_at(&self) -> Option<Duration> {
        self.exhausted
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted.is_some()
    }

    /// A task has ended.
    pub(crate) fn ended(&mut self, at: Duration, id: Id) -> Option<&Task> {
        self.dead.remove(&id);
        let place = self.index.remove(&id)?;
        self.loose.retain(|&loose| loose != place);
        self.list[place as usize].ended = Some(at);
        Some(&self.list[place as usize])
    }

    /// `task` has accepted `connection`.
    pub(crate) fn accepted(&mut self, task: Id, connection: u32) {
        if let Some(&place) = self.index.get(&task) {
            self.list[place as usize].accepted = Some(connection);
            self.accepts(place);
        }
    }

    fn accepts(&mut self, place: u32) {
        let task = &mut self.list[place as usize];
        if !std::mem::replace(&mut task.accepts, true) {
            self.acceptors.push(place);
        }
    }

    /// `task` polls the stream of `connection`, which it did not do before, or not as the last one.
    pub(crate) fn used(&mut self, task: Id, connection: u32) -> Option<Moved> {
        let place = *self.index.get(&task)?;
        let of_server = self.list[place as usize].role == Role::Server;
        if of_server {
            self.users.insert(connection, task);
        }
        let known = &mut self.list[place as usize];
        if !of_server || known.root || known.accepts || known.shared {
            return None;
        }
        known.background = false;
        let from = known.connection;
        let known_by = std::mem::replace(&mut known.known_by, KnownBy::Stream);
        if known_by == KnownBy::Accept {
            self.loose.retain(|&loose| loose != place);
        }
        let to = match (from, known_by) {
            (Some(from), _) if from == connection => return None,
            (None, _) => {
                self.list[place as usize].first.get_or_insert(connection);
                self.loose.push(place);
                Some(connection)
            }
            // It polls the streams of more than one.
            (Some(_), KnownBy::Stream) => {
                self.list[place as usize].shared = true;
                None
            }
            _ => Some(connection),
        };
        Some(self.moves(place, to, known_by == KnownBy::Accept))
    }

    /// `task` has called connect for `connection`, which is the server's own.
    pub(crate) fn connected(&mut self, task: Id, connection: u32) {
        self.connected.insert(connection, task);
    }

    /// `task` polls a stream of `connection`, which the server has made itself; `took` if it has got bytes. A task that
    /// drives such a connection works for nobody's request alone. One that has made the connection itself and still
    /// waits for the first answer may do that for the request whose task has spawned it.
    pub(crate) fn used_own(&mut self, task: Id, connection: u32, took: bool) -> Option<Moved> {
        let place = *self.index.get(&task)?;
        let known = &self.list[place as usize];
        let exempt = known.role != Role::Server || known.root || known.accepts || known.shared;
        let waits = self.connected.get(&connection) == Some(&task) && !took;
        let of_client = known.known_by == KnownBy::Stream;
        if exempt || waits || of_client || known.connection == Some(connection) {
            return None;
        }
        self.loose.retain(|&loose| loose != place);
        self.drivers.push(place);
        Some(self.moves(place, Some(connection), false))
    }

    /// The server lets go of a connection that it has made: tasks that went on with it are no connection's.
    pub(crate) fn closed_own(&mut self, connection: u32) -> Vec<Moved> {
        let list = &self.list;
        let of_it = |&place: &u32| list[place as usize].connection == Some(connection);
        let leaving: Vec<u32> = self.drivers.iter().copied().filter(of_it).collect();
        self.drivers.retain(|place| !of_it(place));
        let alive = |&place: &u32| self.list[place as usize].ended.is_none();
        let leaving: Vec<u32> = leaving.into_iter().filter(alive).collect();
        let leaving = leaving.into_iter();
        leaving
            .map(|place| self.moves(place, None, false))
            .collect()
    }

    /// The server lets go of the stream of `connection`: tasks that were only taken for its own leave it, if others have
    /// polled the stream.
    pub(crate) fn closed(&mut self, connection: u32) -> Vec<Moved> {
        for &place in &self.acceptors {
            let acceptor = &mut self.list[place as usize];
            if acceptor.accepted == Some(connection) && acceptor.ended.is_none() {
                acceptor.accepted = None;
            }
        }
        if self.loose.is_empty() || !self.users.contains_key(&connection) {
            return Vec::new();
        }
        let list = &self.list;
        let of_it = |&place: &u32| list[place as usize].connection == Some(connection);
        let leaving: Vec<u32> = self.loose.iter().copied().filter(of_it).collect();
        self.loose.retain(|place| !of_it(place));
        let leaving = leaving.into_iter();
        leaving.map(|place| self.moves(place, None, true)).collect()
    }

    /// The task at `place` belongs to the connection `to`, and `with_heirs` so do those that it, or they, have spawned.
    fn moves(&mut self, place: u32, to: Option<u32>, with_heirs: bool) -> Moved {
        self.by_connection.take();
        let first = &mut self.list[place as usize];
        let from = std::mem::replace(&mut first.connection, to);
        let mut family = vec![first.id];
        let mut tasks = u32::from(first.ended.is_none());
        let later = self.list.iter_mut().skip(place as usize + 1);
        for task in later.filter(|_| with_heirs) {
            let heir = task.parent.is_some_and(|parent| family.contains(&parent))
                && task.connection == from
                && task.known_by == KnownBy::Parent;
            if heir {
                family.push(task.id);
                task.connection = to;
                tasks += u32::from(task.ended.is_none());
            }
        }
        Moved { tasks, from, to }
    }

    /// The task of the server that has polled the stream of `connection` last, if it is alive.
    pub fn user_of(&self, connection: u32) -> Option<&Task> {
        self.users.get(&connection).and_then(|&user| self.get(user))
    }

    /// `task` calls accept: it is no connection's. Gives the connection that it was taken for.
    pub(crate) fn accepting(&mut self, task: Id) -> Option<u32> {
        let place = *self.index.get(&task)?;
        self.by_connection.take();
        self.accepts(place);
        self.list[place as usize].connection.take()
    }

    /// The server's tasks that are alive now are its roots.
    pub(crate) fn take_root(&mut self) {
        let alive = self
            .list
            .iter_mut()
            .filter(|task| task.role == Role::Server && task.ended.is_none());
        alive.for_each(|task| task.root = true);
    }

    /// The server's process died at `at`: every task of it has ended, and what they still do is nobody's. Gives the
    /// connections that they belonged to, one for each task.
    pub(crate) fn killed(&mut self, at: Duration) -> Vec<u32> {
        let mut connections = Vec::new();
        for task in &mut self.list {
            if task.role == Role::Server && task.ended.is_none() {
                task.ended = Some(at);
                self.index.remove(&task.id);
                self.dead.insert(task.id);
                connections.extend(task.connection);
            }
        }
        connections
    }

    /// What is alive now belongs to no connection; gives those that it was taken for.
    pub(crate) fn settle(&mut self) -> Vec<u32> {
        self.by_connection.take();
        let alive = self
            .list
            .iter_mut()
            .filter(|task| task.role == Role::Server && task.ended.is_none());
        alive.filter_map(|task| task.connection.take()).collect()
    }

    /// What is alive now of the connections that `whose` names was there before the first client; gives its connections.
    pub(crate) fn settle_those(&mut self, whose: impl Fn(u32) -> bool) -> Vec<u32> {
        self.by_connection.take();
        let alive = self.list.iter_mut().filter(|task| {
            let whose = task.connection.or(task.first).is_some_and(&whose);
            task.role == Role::Server && task.ended.is_none() && whose
        });
        let settled = alive.filter_map(|task| {
            task.root = true;
            task.connection.take()
        });
        settled.collect()
    }

    /// The search for anything that is armed begins.
    pub(crate) fn search_begins(&mut self) {
        for task in &mut self.list {
            task.polls_before_search = task.polls;
        }
    }

    /// A task that is alive.
    pub fn get(&self, id: Id) -> Option<&Task> {
        self.index.get(&id).map(|&place| &self.list[place as usize])
    }

    /// The server's tasks, in the order of their births.
    pub fn of_server(&self) -> impl Iterator<Item = &Task> {
        self.list.iter().filter(|task| task.role == Role::Server)
    }

    /// Those of a connection, in the order of their births.
    pub fn of_connection(&self, connection: u32) -> impl Iterator<Item = &Task> {
        let places = self.by_connection.get_or_init(|| {
            let mut by_connection = FxHashMap::<u32, Vec<u32>>::default();
            for (place, task) in (0..).zip(&self.list) {
                if let Some(connection) = task.connection.filter(|_| task.role == Role::Server) {
                    by_connection.entry(connection).or_default().push(place);
                }
            }
            by_connection
        });
        let places = places.get(&connection).into_iter().flatten();
        places.map(|&place| &self.list[place as usize])
    }

    /// How often any task of the server was polled.
    pub fn server_polls(&self) -> u64 {
        self.server_polls
    }
}

impl Task {
    /// How often it was polled since the search for anything armed began.
    pub fn polls_in_search(&self) -> u64 {
        self.polls - self.polls_before_search
    }

    /// The connection that it accepted last.
    pub fn last_accepted(&self) -> Option<u32> {
        self.accepted
    }
}
