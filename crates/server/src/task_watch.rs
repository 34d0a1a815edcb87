//! Looks at the numbers that nobody looked at in the incident: connections and tasks that only grow, and waits that do not end.
//!
//! The goroutine of fasthttp #1834 had waited for 1757 minutes when somebody took a profile. A [`TaskWatch`] takes one every ten seconds.

mod alert;

use crate::ledger::{Ledger, Open, Snapshot};
pub use alert::{Alert, Counted, Past};
use hangup_lifecycle::{Limits, Phase, Rate, Span};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A connection is overdue when its task did nothing for so long after its deadline: something blocks it, or its whole thread.
const OVERDUE: Duration = Duration::from_secs(1);

/// What is called with an alert.
type OnAlert = dyn Fn(&Alert) + Send + Sync;

/// Watches a server's connections, and the tasks of its runtime.
///
/// ```
/// use hangup_server::{Alert, Body, Limits, Server, TaskWatch, service_fn};
/// use http::{Request, Response};
/// use std::time::Duration;
///
/// let server = Server::new(service_fn(async |_: Request<Body>| Response::new(String::new())));
/// let watch = TaskWatch::new(server.ledger().clone(), &Limits::default())
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
    bounds: Bounds,
    connections: Growth,
    tasks: Growth,
    told: [u64; 3],
    on_alert: Vec<Box<OnAlert>>,
}

impl TaskWatch {
    /// Watches the server of this ledger, which has these limits: every 10 seconds, growth over 30 looks (five minutes) and by 100 at least, and each connection held against
    /// the server's own bounds. What is unbounded there is held against the bounds of [`Limits::default`].
    pub fn new(ledger: Ledger, limits: &Limits) -> Self {
        let (own, usual) = (limits.bound(), Limits::default().bound());
        let finite =
            |own: Span, usual: Span| own.finite().or(usual.finite()).unwrap_or(Duration::MAX);
        TaskWatch {
            ledger,
            every: Duration::from_secs(10),
            // The longest ordinary wait: an alert need not wait for what only a slow reader may take.
            patience: Limits::default().idle.finite().unwrap_or(Duration::MAX),
            bounds: Bounds {
                residence: finite(own.residence, usual.residence),
                rate: own.rate,
                upgrade: finite(limits.upgrade, Limits::default().upgrade),
            },
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
            let past = snapshot.open.iter().filter_map(|open| {
                let time = bound.time(open, snapshot.at, self.patience, self.bounds)?;
                Some((time, open))
            });
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
        patience: Duration,
        bounds: Bounds,
    ) -> Option<Duration> {
        let (age, waited) = (
            now.saturating_duration_since(open.opened),
            now.saturating_duration_since(open.since),
        );
        match self {
            Past::Endless => (open.deadline.is_none() && waited > patience).then_some(waited),
            // What it was upgraded to has an age of its own.
            Past::Residence if open.phase == Phase::Upgrade => {
                (waited > bounds.upgrade.saturating_add(OVERDUE)).then_some(age)
            }
            Past::Residence => {
                let taking = bounds.rate.time_for(open.bytes_out);
                let longest = bounds.residence.saturating_add(taking);
                (age > longest.saturating_add(OVERDUE)).then_some(age)
            }
            Past::Overdue => {
                let over = now.saturating_duration_since(open.deadline?);
                (over > OVERDUE).then_some(over)
            }
        }
    }
}

/// The server's own bounds.
#[derive(Clone, Copy)]
struct Bounds {
    residence: Duration,
    /// What a client takes at this rate makes its connection live longer.
    rate: Rate,
    upgrade: Duration,
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

impl fmt::Debug for TaskWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskWatch")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}
