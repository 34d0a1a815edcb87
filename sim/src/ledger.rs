//! The connections of a run: when each was opened, what moved on it, who let go of it and when.

mod connection;
mod due;
mod pace;
mod path;
mod seen;

pub use self::connection::{Connection, Kernel};
use self::due::Queue;
pub use self::pace::Pace;
pub use self::path::Path;
pub use self::seen::Seen;
use crate::contract::{Contract, Promise};
use crate::exchange::{Requests, Targets};
use hangup_network::{Event, Side};
use hangup_scenario::Rst;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// tokio's timers fire on whole milliseconds, rounded up.
const TIMER_STEP: Duration = Duration::from_millis(1);
/// However little a server's contract allows, a connection that is under way to it is waited for so long.
const ACCEPTING: Duration = Duration::from_secs(75);
/// Where segments are lost, acknowledgements may be late by some retransmission timeouts.
const LOSSY: Duration = Duration::from_secs(30);

/// Who opens the next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// A client of the scenario.
    Client(u32),
    /// The well-behaved client that comes after the scenario.
    Probe,
    /// One of those that come beside it, to see what tasks of the server are for.
    Visitor,
    /// A well-behaved client that comes during the scenario.
    Honest,
}

/// All connections of a run.
#[derive(Debug)]
pub struct Ledger {
    contract: Contract,
    /// How far the server's knowledge trails behind what an observer sees at both hosts.
    slack: Duration,
    list: Vec<Connection>,
    opener: Option<Opener>,
    /// What is said on connections is not HTTP.
    opaque: bool,
    /// What is known of the server's targets.
    targets: Option<Arc<Targets>>,
    /// A reset erases what is unread.
    erases: bool,
    /// The network loses segments.
    lossy: bool,
    /// Who waits for a release.
    waiting: Option<Waker>,
    /// Whose deadline comes first.
    queue: Queue,
    /// When tasks of the server panicked that are no connection's.
    panics: Vec<Duration>,
}

impl Ledger {
    /// An empty ledger that judges by `contract` over this network. A byte counts as delivered when it reaches the
    /// client's host; the server learns of it with the acknowledgement, so a deadline counts as passed a round trip
    /// and a timer's step after it.
    pub fn new(contract: Contract, network: &hangup_scenario::Network) -> Self {
        let slack = Self::slack(network);
        Self {
            erases: network.rst == Rst::Erase,
            lossy: network.loss > 0.0,
            ..Self::with_slack(contract, slack)
        }
    }

    /// How long after a deadline it counts as passed on this network.
    pub(crate) fn slack(network: &hangup_scenario::Network) -> Duration {
        let lossy = if network.loss > 0.0 {
            LOSSY
        } else {
            Duration::ZERO
        };
        2 * (network.latency + network.jitter) + lossy + TIMER_STEP
    }

    /// An empty ledger that counts a deadline as passed `slack` after it.
    pub fn with_slack(contract: Contract, slack: Duration) -> Self {
        Self {
            contract,
            slack,
            list: Vec::new(),
            opener: None,
            opaque: false,
            targets: None,
            erases: false,
            lossy: false,
            waiting: None,
            queue: Queue::default(),
            panics: Vec::new(),
        }
    }

    /// The same for a server that does not speak HTTP: what passes is counted and not read.
    #[must_use]
    pub fn opaque(self, opaque: bool) -> Self {
        Self { opaque, ..self }
    }

    /// The same for a server with these targets.
    #[must_use]
    pub fn targets(self, targets: Targets) -> Self {
        Self {
            targets: Some(Arc::new(targets)),
            ..self
        }
    }

    /// The contract it judges by.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Connections whose connect call is made from now on belong to `opener`.
    pub fn opener(&mut self, opener: Option<Opener>) {
        self.opener = opener;
    }

    /// The connection with this id.
    pub fn get(&self, id: u32) -> Option<&Connection> {
        self.list.get((id as usize).checked_sub(1)?)
    }

    /// The same to change it.
    pub(crate) fn known(&mut self, id: u32) -> Option<&mut Connection> {
        self.list.get_mut((id as usize).checked_sub(1)?)
    }

    /// Every connection, by id.
    pub fn connections(&self) -> &[Connection] {
        &self.list
    }

    /// Takes the connections out.
    pub(crate) fn into_connections(self) -> Vec<Connection> {
        self.list
    }

    /// The connection with this id, to change it; one that was never seen before is entered.
    pub fn entry(&mut self, at: Duration, id: u32) -> &mut Connection {
        let index = (id as usize).saturating_sub(1);
        while self.list.len() <= index {
            let (client, probe) = match self.opener {
                Some(Opener::Client(client)) => (Some(client), false),
                Some(Opener::Probe) => (None, true),
                Some(Opener::Visitor | Opener::Honest) | None => (None, false),
            };
            let id = self.list.len() as u32 + 1;
            self.list.push(Connection {
                id,
                client,
                probe,
                visit: self.opener == Some(Opener::Visitor),
                honest: self.opener == Some(Opener::Honest),
                born: at,
                opaque: self.opaque,
                lossy: self.lossy,
                acknowledged: self.lossy.then_some(0),
                requests: Requests::with_targets(self.targets.clone()),
                ..Connection::default()
            });
        }
        &mut self.list[index]
    }

    /// The connection with this id, which is about to be entered, is made by the server itself.
    pub(crate) fn own(&mut self, at: Duration, id: u32) {
        let connection = self.entry(at, id);
        connection.own = true;
        // What is said on it is not a client's, whatever it is.
        connection.opaque = true;
    }

    /// Did the server close a connection within `times` of which it still has tasks?
    pub(crate) fn has_closed_and_not_let_go(&self, times: Range<Duration>) -> bool {
        let mut judged = self.list.iter().filter(|one| !one.own && !one.visit);
        judged.any(|one| {
            let closed = one.server_closed.is_some_and(|(at, _)| times.contains(&at));
            closed && one.held()
        })
    }

    /// A task that belongs to a connection was born.
    pub(crate) fn task_born(&mut self, at: Duration, id: u32) {
        self.entry(at, id).live_tasks += 1;
    }

    /// A task turns out not to belong to this connection after all. If nothing else of the server was left of it when
    /// the server closed it, it was let go of then, and kept no deadline waiting since.
    pub(crate) fn task_left(&mut self, at: Duration, id: u32) {
        let connection = self.entry(at, id);
        if connection.live_tasks == 1
            && let Some((closed, _)) = connection.server_closed
            && connection.released.is_none()
        {
            connection.live_tasks = 0;
            connection.breach = connection
                .breach
                .filter(|breach| breach.at < closed || breach.promise == Promise::Kernel);
            if connection.let_go(closed) {
                self.wake();
            }
            return;
        }
        self.task_ended(at, id);
    }

    /// A task that belongs to a connection has ended.
    pub(crate) fn task_ended(&mut self, at: Duration, id: u32) {
        let (contract, slack) = (self.contract, self.slack);
        let connection = self.entry(at, id);
        connection.check(at, &contract, slack);
        connection.live_tasks = connection.live_tasks.saturating_sub(1);
        if connection.let_go(at) {
            self.wake();
        }
    }

    /// An application took bytes from its socket.
    pub(crate) fn read(&mut self, at: impl FnOnce() -> Duration, id: u32, by: Side, bytes: u64) {
        let limit = self.contract.buffer;
        let Some(connection) = self.list.get_mut((id as usize).wrapping_sub(1)) else {
            return;
        };
        match by {
            Side::Client => {
                connection.client_read += bytes;
                if let Some(rate) = self.contract.rate {
                    connection.paces(at(), rate);
                }
            }
            Side::Server => {
                connection.server_read += bytes;
                if let Some(limit) = limit
                    && connection.hoarded.is_none()
                    && connection.server_read > limit
                {
                    let kept = connection.kept();
                    connection.hoarded = (kept > limit).then(|| (at(), kept));
                }
            }
        }
    }

    /// The server's application gave bytes to its socket.
    pub(crate) fn wrote(&mut self, at: impl FnOnce() -> Duration, id: u32, bytes: u64) {
        let (contract, slack) = (self.contract, self.slack);
        if let Some(connection) = self.list.get_mut((id as usize).wrapping_sub(1)) {
            let at = at();
            // From here on it may have to wait; what was due before stays due.
            connection.check(at, &contract, slack);
            // It begins to wait for the client now, unless it did before: what it adds to bytes that nobody has taken is no
            // progress of the client's. But it does not wait while it answers what the client has asked.
            if connection.bytes_out == connection.server_wrote || connection.may_answer() {
                connection.last_progress = connection.last_progress.max(at);
            }
            let carried = (connection.bytes_out, connection.server_wrote);
            connection.path.carries(at, carried);
            connection.server_wrote += bytes;
            connection.read_before_last_write = connection.server_read;
            connection.said_at = at;
        }
    }

    /// A task panics: of a connection, or of none, such as one that serves whom others have accepted. Whose answer has died with
    /// that one is not known; perhaps that of any connection which ends without having got one.
    pub(crate) fn panicked(&mut self, at: Duration, connection: Option<u32>) {
        match connection {
            Some(connection) => self.entry(at, connection).panicked = Some(at),
            None => self.panics.push(at),
        }
    }

    /// The server is told to shut down.
    pub(crate) fn told_to_shut_down(&mut self) {
        for connection in self.list.iter_mut().filter(|one| one.held()) {
            connection
                .read_at_signal
                .get_or_insert(connection.server_read);
        }
    }

    /// The server's process dies at `at`, and all that it holds with it.
    pub(crate) fn killed(&mut self, at: Duration) {
        for connection in &mut self.list {
            if connection.released.is_none() {
                connection.killed.get_or_insert(at);
                connection.told = None;
            }
        }
    }

    /// Wakes `waker` at the next release of a connection.
    pub(crate) fn wake_at_release(&mut self, waker: &Waker) {
        self.waiting = Some(waker.clone());
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// A fact from the network.
    pub fn network(&mut self, at: Duration, id: u32, event: &Event<'_>) {
        let (contract, slack, erases) = (self.contract, self.slack, self.erases);
        let panic = self.panics.last().copied();
        let connection = self.entry(at, id);
        connection.check(at, &contract, slack);
        if matches!(event, Event::FinArrived { to: Side::Server }) && connection.last_progress < at
        {
            connection.late_fin.get_or_insert(at);
        }
        match event {
            Event::Opened => {
                connection.opened = Some(at);
                connection.last_progress = at;
            }
            Event::Accepted { .. } => connection.accepted = Some(at),
            Event::Arrived {
                to: Side::Server,
                bytes,
            } => {
                connection.bytes_in += bytes.len() as u64;
                connection.last_progress = at;
                if !connection.opaque {
                    connection.requests.feed(at, bytes);
                }
            }
            Event::Arrived {
                to: Side::Client,
                bytes,
            } => {
                let before = connection.bytes_out;
                connection.bytes_out += bytes.len() as u64;
                connection.last_progress = at;
                if let Some(rate) = contract.rate {
                    connection.paces(at, rate);
                }
                if !connection.opaque {
                    let responses = connection.responses.list.len();
                    connection.responses.feed(at, bytes, &connection.requests);
                    if connection.responses.list.len() > responses {
                        connection.path.begins(at, before);
                    }
                }
                if connection.server_shutdown.is_none() && connection.server_closed.is_none() {
                    connection.path.arrives(at, slack);
                }
            }
            Event::Discarded {
                to: Side::Server, ..
            } => {
                connection.sent_behind_close.get_or_insert(at);
            }
            Event::FinArrived { to: Side::Client } => {
                connection.server_fin_arrived = true;
                connection.responses.end(at);
            }
            Event::Orphaned {
                side: Side::Server,
                bytes,
            } => {
                connection.kernel = Some(Kernel {
                    from: at,
                    bytes: *bytes as u64,
                    until: None,
                });
            }
            Event::OrphanGone { side: Side::Server } => {
                if let Some(kernel) = &mut connection.kernel {
                    kernel.until = Some(at);
                }
                // Who waits for the release waits for this, too.
                self.wake();
            }
            Event::Refused | Event::Abandoned => connection.stillborn = true,
            Event::TimedOut { .. } if connection.opened.is_none() => connection.stillborn = true,
            Event::FinArrived { to: Side::Server } if connection.client_closed.is_some() => {
                connection.only_fin = connection.client_gone.is_none();
                connection.client_gone.get_or_insert(at);
            }
            // Now it knows: nobody takes what was under way.
            Event::ResetArrived { to: Side::Server } if connection.unheard() => {
                connection.only_fin = false;
                connection.client_gone = Some(at);
                connection.acknowledged = None;
            }
            Event::TimedOut { side: Side::Server } if connection.client_gone.is_some() => {
                connection.only_fin = false;
                connection.client_gone = Some(at);
                connection.acknowledged = None;
            }
            Event::ResetArrived { to: Side::Server } => {
                connection.only_fin = false;
                connection.client_gone.get_or_insert(at);
            }
            Event::Acknowledged {
                to: Side::Server,
                bytes,
            } => connection.hears(at, *bytes),
            Event::ResetArrived { to: Side::Client } => {
                let unread = connection.bytes_out.saturating_sub(connection.client_read);
                let erased = if erases { unread } else { 0 };
                connection.client_reset.get_or_insert((at, erased));
            }
            Event::Vanished => {
                connection.disturbed = true;
                connection.vanished.get_or_insert(at);
            }
            Event::Shutdown { by: Side::Server } => {
                connection.client_waited = connection.client_closed.is_none();
                connection.server_shutdown = Some(at);
                connection
                    .read_before_close
                    .get_or_insert(connection.server_read);
            }
            Event::Shutdown { by: Side::Client } => connection.client_shutdown = Some(at),
            Event::Closed {
                by: Side::Client, ..
            } => connection.client_closed = Some(at),
            Event::Closed {
                by: Side::Server,
                reset,
            } => {
                if connection.server_shutdown.is_none() {
                    connection.client_waited = connection.client_closed.is_none();
                }
                // The task that has it unwinds, whoever's task it was taken for.
                if std::thread::panicking() {
                    connection.panicked.get_or_insert(at);
                }
                connection
                    .read_before_close
                    .get_or_insert(connection.server_read);
                connection.server_closed = Some((at, *reset));
                if let Some(rate) = contract.rate {
                    connection.paces(at, rate);
                }
                let unanswered = connection.requests.list.get(connection.responses.finals);
                if connection.panicked.is_none()
                    && let Some(whole) = unanswered.and_then(|request| request.complete_at)
                    && let Some(panic) = panic.filter(|panic| *panic >= whole)
                {
                    connection.panicked = Some(panic);
                }
                if connection.let_go(at) {
                    self.wake();
                }
            }
            _ => {}
        }
        if matches!(
            event,
            Event::Accepted { .. }
                | Event::Orphaned { .. }
                | Event::FinArrived { to: Side::Server }
                | Event::ResetArrived { to: Side::Server }
                | Event::TimedOut { side: Side::Server }
                | Event::Vanished
                | Event::Acknowledged {
                    to: Side::Server,
                    ..
                }
        ) {
            self.queue.comes_nearer(id);
        }
    }

    /// Brings every breach up to date.
    pub(crate) fn look(&mut self, now: Duration) {
        let (contract, slack) = (self.contract, self.slack);
        for connection in &mut self.list {
            connection.check(now, &contract, slack);
        }
    }
}
