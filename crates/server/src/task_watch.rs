//! Looks at the numbers that nobody looked at in the incident: connections and tasks that only grow, and waits that do not end.
//!
//! The goroutine of fasthttp #1834 had waited for 1757 minutes when somebody took a profile. A [`TaskWatch`] takes one every ten seconds.

use crate::ledger::{Ledger, Open, Snapshot};
use crate::spell::Spelt;
use hangup_lifecycle::{Limits, Phase};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A connection is overdue when its task did nothing for so long after its deadline: something blocks it, or its whole thread.
const OVERDUE: Duration = Duration::from_secs(1);

/// Watches a server's connections, and the tasks of its runtime.
///
/// ```
/// use hangup_server::{Alert, Body, Server, TaskWatch, service_fn};
/// use http::{Request, Response};
/// use std::time::Duration;
///
/// let server = Server::new(service_fn(async |_: Request<Body>| Response::new(String::new())));
/// let watch = TaskWatch::new(&server)
///     .growth(30, 500)
///     .every(Duration::from_secs(60))
///     .on_alert(|alert: &Alert| eprintln!("{alert}"));
/// // tokio::spawn(watch.run());
/// # drop(watch);
/// ```
#[must_use = "it looks only while `run` is polled"]
pub struct TaskWatch {
    ledger: Ledger,
    every: Duration,
    patience: Duration,
    residence: Duration,
    upgrade: Duration,
    connections: Growth,
    tasks: Growth,
    told: [u64; 3],
    on_alert: Vec<Box<dyn Fn(&Alert) + Send + Sync>>,
}

/// Something that should not be.
#[derive(Clone, PartialEq, Debug)]
pub enum Alert {
    /// A number has grown for a whole window of looks and never fallen.
    Growing {
        /// What grows.
        what: Counted,
        /// How many there were.
        from: u64,
        /// How many there are.
        to: u64,
        /// Within this time.
        over: Duration,
    },
    /// Connections are past a bound.
    PastBound {
        /// Which bound.
        bound: Past,
        /// How many are.
        count: u64,
        /// The one that is furthest past it.
        worst: Box<Open>,
        /// How long that one has waited, or lived, when it was looked at.
        time: Duration,
    },
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// The open connections of the server.
    Connections,
    /// The tasks of the runtime, whoever has spawned them.
    Tasks,
}

/// A bound that a connection is past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Past {
    /// It waits without a deadline, and has done so for longer than any wait under the default limits.
    Endless,
    /// It is older than the limits let a connection become; where they have no bound, than the default ones do.
    Residence,
    /// Its deadline is over and its task has not noticed.
    Overdue,
}

impl TaskWatch {
    /// Watches a server: every 10 seconds, growth over 30 looks (five minutes) and by 100 at least, and each connection held against
    /// the server's own bounds. What is unbounded there is held against the bounds of [`Limits::default`].
    pub fn new<S>(server: &crate::Server<S>) -> Self {
        let limits = server.current_limits();
        let (own, usual) = (limits.bound(), Limits::default().bound());
        let finite = |own: hangup_lifecycle::Span, usual: hangup_lifecycle::Span| {
            own.finite().or(usual.finite()).unwrap_or(Duration::MAX)
        };
        TaskWatch {
            ledger: server.ledger().clone(),
            every: Duration::from_secs(10),
            patience: usual.silence.finite().unwrap_or(Duration::MAX),
            residence: finite(own.residence, usual.residence),
            upgrade: finite(limits.upgrade, Limits::default().upgrade),
            connections: Growth::new(Counted::Connections),
            tasks: Growth::new(Counted::Tasks),
            told: [0; 3],
            on_alert: Vec::new(),
        }
    }

    /// How often it looks.
    pub fn every(mut self, time: Duration) -> Self {
        self.every = time.max(Duration::from_millis(1));
        self
    }

    /// Growth is told when, in so many looks, a number never fell, rose in at least half of them, and by at least `least` in all.
    pub fn growth(mut self, looks: usize, least: u64) -> Self {
        for growth in [&mut self.connections, &mut self.tasks] {
            (growth.looks, growth.least) = (looks.max(2), least);
        }
        self
    }

    /// How long a wait without a deadline may last before it is told.
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Calls `on_alert` with each alert, beside the warning to `tracing`.
    pub fn on_alert(mut self, on_alert: impl Fn(&Alert) + Send + Sync + 'static) -> Self {
        self.on_alert.push(Box::new(on_alert));
        self
    }

    /// Looks, for ever. An alert is told when it is new, and again when what it counts has doubled.
    pub async fn run(mut self) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let tasks = Handle::current().metrics().num_alive_tasks() as u64;
            let snapshot = self.ledger.snapshot();
            for alert in self.look(&snapshot, tasks) {
                tracing::warn!(advice = alert.advice(), "{alert}");
                self.on_alert.iter().for_each(|told| told(&alert));
            }
        }
    }

    fn look(&mut self, snapshot: &Snapshot, tasks: u64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        alerts.extend(self.connections.look(snapshot.at, snapshot.counts.open));
        alerts.extend(self.tasks.look(snapshot.at, tasks));
        for (bound, told) in Past::ALL.into_iter().zip(&mut self.told) {
            let limits = (self.patience, self.residence, self.upgrade);
            let past = snapshot
                .open
                .iter()
                .filter_map(|open| Some((bound.time(open, snapshot.at, limits)?, open)));
            let (mut count, mut worst) = (0, None);
            for (time, open) in past {
                count += 1;
                if worst.is_none_or(|(longest, _)| time > longest) {
                    worst = Some((time, open));
                }
            }
            match worst {
                None => *told = 0,
                Some((time, open)) if *told == 0 || count >= told.saturating_mul(2) => {
                    *told = count;
                    let worst = Box::new(open.clone());
                    alerts.push(Alert::PastBound {
                        bound,
                        count,
                        worst,
                        time,
                    });
                }
                Some(_) => {}
            }
        }
        alerts
    }
}

impl Past {
    const ALL: [Past; 3] = [Past::Endless, Past::Residence, Past::Overdue];

    /// How long the connection has been at what it is past the bound of; `None` if it is not.
    fn time(
        self,
        open: &Open,
        now: Instant,
        (patience, residence, upgrade): (Duration, Duration, Duration),
    ) -> Option<Duration> {
        let (age, waited) = (
            now.saturating_duration_since(open.opened),
            now.saturating_duration_since(open.since),
        );
        match self {
            Past::Endless => (open.deadline.is_none() && waited > patience).then_some(waited),
            // What it was upgraded to has an age of its own.
            Past::Residence if open.phase == Phase::Upgrade => {
                (waited > upgrade.saturating_add(OVERDUE)).then_some(age)
            }
            Past::Residence => (age > residence.saturating_add(OVERDUE)).then_some(age),
            Past::Overdue => {
                let over = now.saturating_duration_since(open.deadline?);
                (over > OVERDUE).then_some(over)
            }
        }
    }
}

/// The last looks at a number.
struct Growth {
    what: Counted,
    looks: usize,
    least: u64,
    seen: VecDeque<(Instant, u64)>,
}

impl Growth {
    fn new(what: Counted) -> Self {
        Growth {
            what,
            looks: 30,
            least: 100,
            seen: VecDeque::new(),
        }
    }

    fn look(&mut self, at: Instant, count: u64) -> Option<Alert> {
        if self.seen.back().is_some_and(|(_, last)| count < *last) {
            self.seen.clear();
        }
        self.seen.push_back((at, count));
        while self.seen.len() > self.looks {
            self.seen.pop_front();
        }
        let (began, from) = *self.seen.front()?;
        let steps = self.seen.iter().zip(self.seen.iter().skip(1));
        let rose = steps.filter(|((_, one), (_, next))| next > one).count();
        let grew = self.seen.len() == self.looks
            && 2 * rose >= self.looks - 1
            && count.saturating_sub(from) >= self.least;
        if !grew {
            return None;
        }
        // The next alert takes a whole window of growth again.
        self.seen.clear();
        Some(Alert::Growing {
            what: self.what,
            from,
            to: count,
            over: at.saturating_duration_since(began),
        })
    }
}

impl Alert {
    /// What to do about it.
    pub const fn advice(&self) -> &'static str {
        match self {
            Alert::Growing { .. } => {
                "Look at what they wait for: /debug/connections groups connections by it, a task dump or tokio-console shows the stacks. \
                 Where a group only grows, its limit is missing: set read, write and idle timeouts (Limits::default has one for every phase)."
            }
            Alert::PastBound {
                bound: Past::Endless,
                worst,
                ..
            } => match worst.phase {
                Phase::Expect | Phase::Body => {
                    "A client announced a body and does not send it (with Expect: 100-continue this is fasthttp #1834). Set read timeouts: expect, body \
                     and read in Limits; Limits::default has them. hangup run fasthttp-1834 shows it on any server."
                }
                Phase::Handshake | Phase::Opening | Phase::Head | Phase::Drain => {
                    "A client is silent before the end of its request. Set read timeouts: opening, head, read and drain in Limits; \
                     Limits::default has them."
                }
                Phase::Idle => {
                    "A client keeps a connection and asks for nothing. Set an idle timeout: idle in Limits; 75 s by default."
                }
                Phase::Response | Phase::Linger => {
                    "A client does not take its response, or the application does not go on with it. Set write timeouts: response and linger in \
                     Limits; Limits::default has them."
                }
                Phase::Handler => {
                    "The application has not answered. Set handler in Limits, and look at its stack with a task dump or tokio-console."
                }
                Phase::Upgrade => {
                    "The application holds an upgraded stream. Set upgrade in Limits, and a timeout of the protocol's own."
                }
            },
            Alert::PastBound {
                bound: Past::Residence,
                ..
            } => {
                "The client is heard of but never done: no total bounds it. Set age and read in Limits; a minimum rate ends a trickle."
            }
            Alert::PastBound {
                bound: Past::Overdue,
                ..
            } => {
                "Its task was not polled in time: the application blocks a thread of the runtime. Look at the stacks of the threads; use \
                 spawn_blocking for what blocks."
            }
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alert::Growing {
                what,
                from,
                to,
                over,
            } => {
                let what = match what {
                    Counted::Connections => "connections",
                    Counted::Tasks => "tasks",
                };
                let over = Spelt(*over);
                write!(f, "{what} only grow: from {from} to {to} within {over}")
            }
            Alert::PastBound {
                bound,
                count,
                worst,
                time,
            } => {
                let (noun, time) = (
                    if *count == 1 {
                        "connection"
                    } else {
                        "connections"
                    },
                    Spelt(*time),
                );
                let (id, peer, phase) = (worst.id, worst.peer, worst.phase);
                match bound {
                    Past::Endless => write!(
                        f,
                        "{count} {noun} without a deadline: #{id} from {peer} in {phase} for {time}, waiting for {}",
                        phase.explain()
                    ),
                    Past::Residence => write!(
                        f,
                        "{count} {noun} older than any may be: #{id} from {peer} is {time} old, in {phase}"
                    ),
                    Past::Overdue => write!(
                        f,
                        "{count} {noun} past the deadline: #{id} from {peer} in {phase}, {time} over"
                    ),
                }
            }
        }
    }
}

impl fmt::Debug for TaskWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskWatch")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}
