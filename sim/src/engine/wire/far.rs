//! The same engine against a server that is not of this process: clients are ours, and of the server is known what its
//! connections show.
//!
//! | fact | shown by |
//! |---|---|
//! | a byte came | the receive queue, read or not |
//! | FIN, RST | the client's socket, also behind unread data |
//! | what the server's kernel holds behind its close | the same table, by both addresses: no process has that socket |
//! | accepted, released | the kernel's table of sockets, where the server is on this machine; else a connection counts as accepted when it stands, and as released with the server's FIN, which a lingering close comes long before |
//!
//! | module | what lives there |
//! |---|---|
//! | `census` | the kernel's table of sockets |
//! | `ending` | FIN and RST, as the client's socket shows them |
//! | `plan` | what is cut, what a running server cannot be made to do, and how long a run takes |

mod census;
mod ending;
mod plan;

pub(crate) use census::Census;
pub(super) use ending::{Ending, ending};
pub(crate) use plan::{Plan, impossible};

use super::stream::Dialer;
use super::{Clock, book, released_or, runtime};
use crate::client;
use crate::ledger::Ledger;
use crate::life::Life;
use crate::panics;
use crate::probe;
use crate::remote::{Remote, survey};
use crate::run::{Detail, Run, Search};
use crate::task::Role;
use crate::trace::{self, Recorder, lasts, record};
use crate::transport;
use census::{Sight, Snapshot};
use hangup_scenario::Scenario;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How often, in real time, the connections are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long, in real time, after one look at what is known the next one comes.
const STEP: Duration = Duration::from_millis(20);
/// More of one connection is not read: a server may go on for ever.
pub(super) const BYTES_MAX: u64 = 16 << 20;
/// A row is gone when so many looks at the table in a row have not seen it: one look may miss what moves.
const LOOKS: u8 = 2;

/// What is known of the server's end of a connection.
#[derive(Debug)]
pub(super) struct Far {
    client: SocketAddr,
    since: Instant,
    /// The kernel's table shows it.
    pub(super) seen: bool,
    /// It has been reported as accepted.
    pub(super) accepted: bool,
    /// An RST has come from it.
    pub(super) reset: bool,
    inode: Option<u64>,
    /// The last snapshot that was looked at, and how many in a row did not have it.
    looked: Option<Instant>,
    missing: u8,
    /// What the server's kernel holds behind the server's close.
    kernel: Kernel,
}

/// What the kernel holds of a connection that the server has closed.
#[derive(Debug, Default)]
struct Kernel {
    orphan: bool,
    looked: Option<Instant>,
    missing: u8,
}

/// What has become of that since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It holds so many bytes.
    Orphaned(usize),
    /// It holds nothing any more.
    Gone,
}

/// Where the server's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In the backlog.
    Waiting,
    /// Held by the process.
    Held,
    /// Let go of.
    Released,
}

impl Far {
    pub(super) fn connected(client: SocketAddr, seen: bool) -> Self {
        Self {
            client,
            since: Instant::now(),
            seen,
            accepted: false,
            reset: false,
            inode: None,
            looked: None,
            missing: 0,
            kernel: Kernel::default(),
        }
    }

    /// Looks at what the kernel holds of it, which the server has closed.
    pub(super) fn look_in_kernel(&mut self, snapshot: &Snapshot) -> Option<Change> {
        let begun = snapshot.begun();
        if begun <= self.since || self.kernel.looked == Some(begun) {
            return None;
        }
        self.kernel.looked = Some(begun);
        match snapshot.orphaned(self.client) {
            Some(bytes) => {
                self.kernel.missing = 0;
                let news = !std::mem::replace(&mut self.kernel.orphan, true);
                news.then_some(Change::Orphaned(bytes))
            }
            None if self.kernel.orphan => {
                self.kernel.missing += 1;
                let gone = self.kernel.missing >= LOOKS;
                self.kernel.orphan = !gone;
                gone.then_some(Change::Gone)
            }
            None => None,
        }
    }

    pub(super) fn observe(&mut self, snapshot: &Snapshot) -> State {
        let begun = snapshot.begun();
        if begun <= self.since || self.looked == Some(begun) {
            return self.last();
        }
        self.looked = Some(begun);
        match snapshot.sight(self.client) {
            Sight::Held(inode) => {
                (self.inode, self.missing) = (Some(inode), 0);
                State::Held
            }
            Sight::Waiting if self.inode.is_none() => {
                self.missing = 0;
                State::Waiting
            }
            // A process may hold what the kernel knows no more.
            Sight::Absent if self.inode.is_some_and(|inode| snapshot.has(inode)) => State::Held,
            Sight::Absent => {
                self.missing += 1;
                match self.missing >= LOOKS {
                    true => State::Released,
                    false => self.last(),
                }
            }
            Sight::Waiting | Sight::Free => State::Released,
        }
    }

    fn last(&self) -> State {
        match self.inode {
            Some(_) => State::Held,
            None => State::Waiting,
        }
    }
}

/// Why a run says nothing about the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// This machine refused something that the clients need.
    #[error("this machine gave no more: {0}")]
    Refused(String),
    /// The time for all runs was over.
    #[error("its time was over before its end")]
    Time,
}

/// Runs `scenario`, which must be possible, against the server at `remote`. With `ask`, a fresh client comes in the end.
///
/// # Errors
/// When it says nothing about the server.
///
/// # Panics
/// When called inside another run on the same thread.
pub(crate) fn run(
    scenario: &Arc<Scenario>,
    remote: &Remote,
    detail: Detail,
    ask: bool,
    until: Option<Instant>,
) -> Result<Run, NotRun> {
    panics::quieten();
    let plan = Plan::of(scenario, remote);
    let contract = plan.contract;
    let runtime = runtime(scenario.seed);
    let outcome = runtime.block_on(async {
        let ledger = Ledger::with_slack(contract, plan.tolerance);
        let clock = Clock::starting(Instant::now(), plan.times);
        trace::begin(Recorder::new(trace::Clock::Wire(clock), ledger, detail));
        book::begin_far(remote.census.clone());
        let outcome = drive(&plan, remote, ask, until).await;
        book::clear();
        outcome
    });
    // What still runs in it records nothing more, and its sockets are closed with it.
    drop(runtime);
    let (mut recorder, probe_served, ended) = outcome?;
    Ok(Run {
        engine: "wire",
        sealed: false,
        contract,
        hash: recorder.hash(),
        reached: std::mem::take(&mut recorder.reached),
        timeline: recorder.take_timeline(),
        phases: recorder.take_phases(),
        packets: Vec::new(),
        connections: recorder.ledger.into_connections(),
        tasks: recorder.tasks,
        speaks_http: true,
        probe_served,
        life: Life::default(),
        search: Search {
            from: ended,
            until: ended,
            wakes: 0,
        },
        stacks: std::collections::BTreeMap::new(),
        no_stacks: Some("the server is another process: its stacks are its own to show"),
        caveats: plan.caveats,
    })
}

type Outcome = Result<(Box<Recorder>, bool, Duration), NotRun>;

async fn drive(plan: &Plan, remote: &Remote, ask: bool, until: Option<Instant>) -> Outcome {
    record(|recorder| recorder.tasks.spawning(Role::Harness));
    let network = &plan.scenario.network;
    let dialer = transport::Dialer::Wire(Dialer::far(remote.address, network));
    tokio::spawn(async {
        loop {
            sleep(LOOK).await;
            book::look_far();
        }
    });
    let watching = watch(plan, dialer);
    let open = match until {
        Some(until) => timeout_at(until, watching).await.map_err(|_| NotRun::Time),
        None => Ok(watching.await),
    };
    let ended = super::now();
    let refused = book::take_refused();
    let served = match (&open, &refused) {
        (Ok(_), None) if ask => {
            let plain = survey::plain(remote);
            probe::is_well(dialer, network, (true, Some(&plain))).await
        }
        _ => true,
    };
    book::look_far();
    let recorder = trace::end().expect("the run began with a recorder, and only its end takes it");
    let left = open?;
    drop(left);
    match refused {
        Some(what) => Err(NotRun::Refused(what)),
        None => Ok((recorder, served, ended)),
    }
}

/// Lets the clients do their steps, and watches what they leave until it is judged; gives what is still open.
async fn watch(plan: &Plan, dialer: transport::Dialer) -> Vec<transport::Stream> {
    let running = client::run_patient(&plan.scenario, dialer, plan.patience);
    // Whoever is still busy when the time of every connection is over goes on, unseen.
    let open = timeout(lasts(plan.busy), running).await.unwrap_or_default();
    // A connection is accepted when it is seen to be, not by an event that could be waited for.
    while undecided(plan) {
        released_or(super::now() + STEP * plan.times.get()).await;
    }
    while let Some(end) = watched_until(plan).filter(|end| *end > super::now()) {
        released_or(end).await;
    }
    open
}

/// Is there a connection that is not judged yet, or that may still be accepted?
fn undecided(plan: &Plan) -> bool {
    record(|recorder| {
        let now = recorder.now();
        recorder.ledger.next_due(now);
        let patience = plan.contract.stall + plan.tolerance;
        recorder.ledger.connections().iter().any(|connection| {
            let waits = connection.opened.is_some() && connection.accepted.is_none();
            (connection.held() && connection.breach.is_none())
                || (waits && now < connection.born + patience)
        })
    })
    .unwrap_or(false)
}

/// Until when connections are watched that are held past a deadline: as long again as the tolerance, to tell late from held; and
/// where the client left only behind the deadline, until the server has had its time for that, too.
fn watched_until(plan: &Plan) -> Option<Duration> {
    record(|recorder| {
        let ledger = &recorder.ledger;
        let contract = ledger.contract();
        let held = ledger
            .connections()
            .iter()
            .filter(|connection| connection.held() && connection.breach.is_some());
        held.map(|connection| {
            let due = connection.due(contract).at + 2 * plan.tolerance;
            let gone = connection.client_gone;
            due.max(gone.map_or(Duration::ZERO, |gone| {
                gone + contract.drain + plan.tolerance
            }))
        })
        .max()
    })
    .flatten()
}

/// What a process holds of the connections to its port, beside those that the kernel knows.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    /// Every inode that was seen.
    inodes: BTreeSet<u64>,
}

impl Holdings {
    /// How many connections to its port the server holds now.
    pub(crate) fn count(&mut self, census: &Census) -> usize {
        census.look();
        let snapshot = census.latest();
        self.inodes.extend(snapshot.inodes());
        match snapshot.knows_process() {
            true => snapshot.count(&self.inodes),
            false => snapshot.count(&BTreeSet::new()),
        }
    }
}
