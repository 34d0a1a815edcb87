//! What an engine hands to the oracles: one finished run.

use crate::contract::Contract;
use crate::coverage::Reached;
use crate::honest::{HONEST_MAX, Moments};
use crate::ledger::Connection;
use crate::life::Life;
use crate::packet::Packet;
use crate::task::{Role, Task, Tasks};
use crate::trace::{Entry, Phase};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::Id;

/// The await stack of a task: one line a frame, innermost first.
pub type Stack = Vec<String>;

/// How much a run keeps for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Keep the timeline.
    pub timeline: bool,
    /// Capture the await stacks of what is stuck.
    pub stacks: bool,
    /// Keep the packets, with so many bytes of each one's payload at most.
    pub packets: Option<usize>,
    /// Leave the trace hash out (it is 0): nobody is going to compare the run with another.
    pub unhashed: bool,
    /// End the run at this time, to capture the await stacks as they are then. On the leap engine only.
    pub stop_at: Option<Duration>,
    /// When honest clients come beside those of the scenario. On the leap engine only.
    pub honest: Moments,
    /// Tasks of the server that repeat themselves doze: they are not polled again. What is then found says nothing, see
    /// [`Cell`](crate::cell::Cell). On the leap engine only.
    pub dozes: bool,
}

impl Detail {
    /// What a verdict needs, and no more.
    pub const JUDGED: Self = Self {
        timeline: false,
        stacks: false,
        packets: None,
        unhashed: true,
        stop_at: None,
        honest: [None; HONEST_MAX],
        dozes: false,
    };

    /// What a report on a run tells.
    pub const TOLD: Self = Self {
        timeline: true,
        stacks: true,
        packets: None,
        unhashed: false,
        stop_at: None,
        honest: [None; HONEST_MAX],
        dozes: false,
    };

    /// What a picture of a run needs: of the payloads, their first lines.
    pub const PICTURED: Self = Self {
        packets: Some(64),
        ..Self::TOLD
    };

    /// All there is, every byte included.
    pub const WHOLE: Self = Self {
        packets: Some(usize::MAX),
        ..Self::TOLD
    };
}

/// The search for anything that could still end what is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// When it began: every step and every contract time were over.
    pub from: Duration,
    /// Simulated time at its end.
    pub until: Duration,
    /// How often tasks of the server woke up in it.
    pub wakes: u64,
}

impl Search {
    /// How far it went, in whole years.
    pub fn years(&self) -> u64 {
        self.until.saturating_sub(self.from).as_secs() / YEAR
    }
}

/// In seconds.
const YEAR: u64 = 365 * 24 * 60 * 60;

/// One finished run of a scenario against a server.
#[derive(Debug)]
pub struct Run {
    /// `leap`, `turmoil`.
    pub engine: &'static str,
    /// std's clocks and hash seeds were the scenario's.
    pub sealed: bool,
    /// What it is judged by.
    pub contract: Contract,
    /// Every connection, the probe's last.
    pub connections: Vec<Connection>,
    /// Every task.
    pub tasks: Tasks,
    /// It is held to what HTTP says, too.
    pub speaks_http: bool,
    /// The fresh client at the end got its answer, or there was no reason to expect one.
    pub probe_served: bool,
    /// What became of the server itself.
    pub life: Life,
    /// The search at the end.
    pub search: Search,
    /// The cells of its connections' lives that it has reached.
    pub reached: Reached,
    /// A hash over everything that happened.
    pub hash: u64,
    /// What happened, if it was kept.
    pub timeline: Vec<Entry>,
    /// What connections waited for, if the timeline was kept: in order of time.
    pub phases: Vec<Phase>,
    /// The packets, if they were kept, in the order in which they left their hosts.
    pub packets: Vec<Packet>,
    /// Await stacks of the server's tasks that are still alive, if they were captured.
    pub stacks: BTreeMap<Id, Stack>,
    /// Why there are no await stacks, where there could have been some.
    pub no_stacks: Option<&'static str>,
    /// What this engine could not express of the scenario.
    pub caveats: Vec<String>,
}

/// Is there an end in sight for something that is past its deadline?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It is gone.
    Ended(Duration),
    /// Nothing woke it, or anything that it waits for, in all the time that was searched: it never ends.
    Never,
    /// It is alive, and something repeats itself for ever with this period, beside which nothing is armed: what holds it
    /// does, or something else of the server, which may end it or not.
    Repeats {
        /// The period.
        period: Duration,
        /// It is what holds it.
        own: bool,
    },
    /// It is alive, and was woken so often in the search.
    Woken(u64),
    /// It is alive and was not woken, but the search was cut short, or this engine cannot prove more.
    Unproven,
}

/// A hang counts as proved when nothing of it was polled for this long at the end of the search: a year.
const PROOF: Duration = Duration::from_secs(YEAR);

impl Run {
    /// The time that the run counts as its end: the last deadline, or the last connection's end where that was later.
    pub fn end(&self) -> Duration {
        self.connections
            .iter()
            .filter_map(|connection| connection.released)
            .fold(self.search.from, Duration::max)
    }

    /// What became of a connection that was held against the contract.
    pub fn outlook(&self, connection: &Connection) -> Outlook {
        if let Some(released) = connection.released {
            return Outlook::Ended(released);
        }
        // A server that handles connections in its accept loop has no task for this connection alone.
        let alive = |task: &&Task| task.ended.is_none();
        let own = || self.tasks.of_connection(connection.id);
        let outlook = |tasks: &mut dyn Iterator<Item = &Task>| {
            let (mut last_poll, mut period) = (None, None);
            for task in tasks {
                last_poll = last_poll.max(Some(task.last_poll));
                period = period.or(task.repeats(self.search.until));
            }
            match period {
                Some(period) => Outlook::Repeats { period, own: true },
                None => self.since(last_poll),
            }
        };
        match own().next() {
            Some(_) => outlook(&mut own().filter(alive)),
            None => outlook(&mut self.tasks.of_server().filter(alive)),
        }
    }

    /// What becomes of something that was polled last at `last_poll`, or that has no task left to end it.
    pub fn since(&self, last_poll: Option<Duration>) -> Outlook {
        let last_poll = last_poll.unwrap_or_default();
        let unseen = last_poll.max(self.search.from);
        let proved = self.search.until.saturating_sub(unseen) >= PROOF;
        match self.tasks.shortest_period(self.search.until) {
            _ if last_poll > self.search.from && !proved => Outlook::Woken(self.search.wakes),
            Some(period) => Outlook::Repeats { period, own: false },
            None if proved => Outlook::Never,
            None => Outlook::Unproven,
        }
    }

    /// The connection with this id.
    pub fn connection(&self, id: u32) -> Option<&Connection> {
        self.connections.get((id as usize).checked_sub(1)?)
    }

    /// Tasks that the scenario's connections made the server spawn: how many, and how many of them have ended.
    pub fn connection_task_counts(&self) -> (usize, usize) {
        let probe = self
            .connections
            .iter()
            .rfind(|connection| connection.probe)
            .map(|connection| connection.id);
        let of_clients = || {
            self.tasks
                .of_server()
                .filter(move |task| !task.root && !task.background)
                .filter(move |task| probe.is_none() || task.connection != probe)
        };
        (
            of_clients().count(),
            of_clients().filter(|task| task.ended.is_some()).count(),
        )
    }

    /// The stuck task of a connection: its own, or else the one that has polled its stream last, or the server's root.
    pub fn stuck_task(&self, connection: u32) -> Option<&Task> {
        let alive = || {
            self.tasks
                .of_server()
                .filter(|task| task.ended.is_none() && task.role == Role::Server)
        };
        self.tasks
            .of_connection(connection)
            .find(|task| task.ended.is_none())
            .or_else(|| self.tasks.user_of(connection))
            .or_else(|| alive().find(|task| task.last_accepted() == Some(connection)))
            .or_else(|| {
                alive().find(|task| task.connection.is_none() && task.last_accepted().is_some())
            })
    }
}
