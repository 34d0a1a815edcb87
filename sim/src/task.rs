//! The tasks of a run, as tokio's hooks report them: birth, spawn place, polls, death, and whose they are.
//!
//! A task belongs to the connection whose stream it polls. Until it polls one, it belongs to the connection of the
//! task that spawned it, or to the one that this task has accepted last, which is a guess: an accept loop may also
//! spawn tasks for connections that are handed back to it, and tasks of no connection. A task that polls the streams
//! of several connections belongs to none of them. So a server that calls `tokio::spawn` itself needs no change to
//! be accounted for.
//!
//! | module | what lives there |
//! |---|---|
//! | `rhythm` | what tasks repeat |
//! | `whose` | whose they turn out to be |

mod rhythm;
mod whose;

pub use self::rhythm::{Doze, Poll};
use self::rhythm::{Instants, Rhythm};
use rustc_hash::FxHashMap;
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
    rhythm: Rhythm,
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
/// A task of a process that died is polled so often, and then dozes.
const DEAD_POLLS_MAX: u32 = 4;
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
    /// With how often each has been polled since.
    dead: FxHashMap<Id, u32>,
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
    instants: Instants,
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
        let of_dead = parent.is_some_and(|parent| self.dead.contains_key(&parent));
        if of_dead {
            self.dead.insert(id, 0);
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
            rhythm: Rhythm::new(at),
        };
        if role == Role::Server {
            self.stir(None);
        }
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

    /// A task is about to be polled, if this says so. Only for the server's own is the time asked.
    pub(crate) fn polled(&mut self, id: Id, now: impl FnOnce() -> Duration) -> Poll {
        if !self.dead.is_empty()
            && let Some(polls) = self.dead.get_mut(&id)
        {
            // What calls anything of the network ends by that, and drops what it has.
            *polls += 1;
            return match *polls > DEAD_POLLS_MAX && self.can_doze() {
                true => Poll::Dozes,
                false => Poll::Takes,
            };
        }
        let Some(&place) = self.index.get(&id) else {
            return Poll::Takes;
        };
        let task = &mut self.list[place as usize];
        match task.role {
            Role::Server => {}
            Role::Peer => return self.beat(place, now()),
            Role::Harness => return Poll::Takes,
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
        self.beat(place, now)
    }

    /// Does this task belong to a process that died?
    pub(crate) fn is_dead(&self, id: Id) -> bool {
        self.dead.contains_key(&id)
    }

    /// Something happened on the network: whoever was polled may have had a reason.
    pub(crate) fn network_moved(&mut self, at: Duration) {
        self.idle_polls = 0;
        self.stir(Some(at));
    }

    /// The server gives bytes to a socket, or takes some.
    pub(crate) fn moves_bytes(&mut self) {
        self.stir(None);
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
        if self.list[place as usize].role == Role::Server {
            self.stir(None);
        }
        Some(&self.list[place as usize])
    }

    /// The server's process died at `at`: every task of it has ended, and what they still do is nobody's. Gives the
    /// connections that they belonged to, one for each task.
    pub(crate) fn killed(&mut self, at: Duration) -> Vec<u32> {
        let mut connections = Vec::new();
        for task in &mut self.list {
            if task.role == Role::Server && task.ended.is_none() {
                task.ended = Some(at);
                self.index.remove(&task.id);
                self.dead.insert(task.id, 0);
                connections.extend(task.connection);
            }
        }
        connections
    }

    /// The search for anything that is armed begins. What was there before the first client dozes in it after `beats`, if
    /// tasks can.
    pub(crate) fn search_begins(&mut self, beats: u32) {
        for task in &mut self.list {
            task.polls_before_search = task.polls;
        }
        self.doze_in_search(beats);
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
