//! The second opinion: the same clients and servers over the classic `turmoil` crate, each on a host, and so on a tokio
//! runtime, of its own.
//!
//! | module | what lives there |
//! |---|---|
//! | `plan` | what of a scenario is walked, in which ticks, and what turmoil cannot express |
//! | `link`, `path` | latency and sizes; what a scenario changes of them, and black holes |
//! | `dialer`, `listener` | the handshake |
//! | `frame` | what travels |
//! | `endpoint` | the rules of one end of a connection |
//! | `stream` | what an application holds, and what arrives |
//! | `process` | the server's process, which may be shut down, die and be started again |
//! | `spinning` | a server that never waits |
//! | `journal` | the facts of all hosts in one order |
//!
//! turmoil 0.7 brings hosts, clocks, and streams of messages with a latency. Its TCP alone would convict the innocent and
//! acquit the guilty: it counts unread writes and not bytes, so that no writer ever waits for a slow reader; a reset wakes no
//! writer; nothing like `SO_LINGER` exists; and a connection stands only once it is accepted. So every connection of
//! a scenario has a turmoil stream, on which its two ends exchange the segments of TCP as frames: payload, FIN, RST and
//! acknowledgements with a window. What arrives is taken off the stream at once and reported, read or not.
//!
//! Hosts run one after the other for a tick each. A frame carries its time of departure and is handled one latency
//! after it, to the millisecond; turmoil delivers it before that, as ticks are not longer than the latency. So
//! the length of the tick does not show, and times agree with those of the leap engine; only what happens within one
//! millisecond may come in another order.
//!
//! turmoil builds its runtimes itself, without hooks: there is no account of tasks here and no proof that a hang never
//! ends. A hang is a connection that is still held ten minutes after its deadline.

mod dialer;
mod endpoint;
mod frame;
mod journal;
mod link;
mod listener;
mod path;
mod plan;
mod process;
mod spinning;
mod stream;
#[cfg(test)]
mod tests;

pub use dialer::Dialer;
pub use listener::Listener;
pub use stream::TcpStream;

pub(crate) use process::is_server;

use super::process::over_at;
use crate::client;
use crate::ledger::Ledger;
use crate::panics;
use crate::probe;
use crate::run::{Detail, Run, Search};
use crate::server::Server;
use crate::trace::{self, Clock, Recorder, record};
use crate::transport;
use hangup_scenario::{Network, Scenario};
use plan::{Plan, TICKS_MAX};
use process::Fate;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use turmoil::Sim;

/// More unread messages than this never wait in one of turmoil's streams or accept queues.
const CAPACITY: usize = 1 << 20;

/// Simulated time at the host that is running.
pub(crate) fn now() -> Duration {
    journal::now().unwrap_or_default()
}

/// What the hosts tell the walk.
#[derive(Debug, Default)]
struct Word {
    clients_done: Cell<bool>,
    probe_served: Cell<Option<bool>>,
}

/// Runs `scenario` against `server`.
///
/// # Panics
/// When called inside another run on the same thread.
pub fn run(scenario: &Arc<Scenario>, server: &dyn Server, detail: Detail) -> Run {
    let contract = server.contract().overridden(&scenario.contract);
    let plan = Plan::of(scenario, &contract);
    // The plan leaves loss out.
    let network = Network {
        loss: 0.0,
        ..scenario.network.clone()
    };
    trace::begin(Recorder::new(
        Clock::Turmoil,
        Ledger::new(contract, &network)
            .opaque(!server.speaks_http())
            .targets(server.targets()),
        detail,
    ));
    journal::clear();
    path::clear();
    panics::quieten();
    let word = Rc::new(Word::default());
    let mut walk = Walk {
        sim: simulation(&plan),
        ticks: 0,
        stopped: None,
        fate: Rc::new(Fate::of(&plan.scenario, contract.shutdown)),
    };
    walk.host(server, &plan);
    walk.clients(&plan, &word);
    walk.finish(&plan, &word, (server.speaks_http(), server.fresh_request()));
    let Walk { sim, stopped, .. } = walk;
    let until = sim.elapsed();
    let mut recorder =
        trace::end().expect("the recorder was set up above and only this function takes it");
    drop(sim);
    let mut timeline = recorder.take_timeline();
    timeline.sort_by_key(|entry| entry.at);
    Run {
        engine: "turmoil",
        sealed: false,
        contract,
        hash: recorder.hash(),
        reached: std::mem::take(&mut recorder.reached),
        timeline,
        phases: recorder.take_phases(),
        packets: Vec::new(),
        connections: recorder.ledger.into_connections(),
        tasks: recorder.tasks,
        speaks_http: server.speaks_http(),
        // Where the walk could not go on, nobody asked.
        probe_served: word.probe_served.get().unwrap_or(true),
        life: recorder.life,
        search: Search {
            from: until,
            until,
            wakes: 0,
        },
        stacks: BTreeMap::new(),
        no_stacks: Some("await stacks are taken on the leap engine only"),
        caveats: plan
            .caveats
            .into_iter()
            .chain(stopped.map(str::to_owned))
            .collect(),
    }
}

fn simulation<'a>(plan: &Plan) -> Sim<'a> {
    turmoil::Builder::new()
        .tick_duration(plan.tick)
        .simulation_duration(Duration::MAX)
        .epoch(SystemTime::UNIX_EPOCH)
        .rng_seed(plan.scenario.seed)
        .min_message_latency(plan.carried)
        .max_message_latency(plan.carried)
        .tcp_capacity(CAPACITY)
        .ephemeral_ports(dialer::PORTS)
        .build()
}

/// A simulation, tick by tick.
struct Walk<'a> {
    sim: Sim<'a>,
    ticks: u64,
    /// Why it cannot go on.
    stopped: Option<&'static str>,
    fate: Rc<Fate>,
}

impl<'a> Walk<'a> {
    fn host(&mut self, server: &'a dyn Server, plan: &Plan) {
        let (link, fate) = (plan.link, Rc::clone(&self.fate));
        let descriptors = plan.scenario.server.descriptors;
        self.sim.host(dialer::SERVER, move || {
            let (listener, backlog) = Listener::new(descriptors);
            let listener = transport::Listener::Turmoil(listener);
            let signal = fate.begin(&backlog);
            let serving = signal.map(|signal| server.serve(listener, signal));
            let fate = Rc::clone(&fate);
            async move {
                let Some(serving) = serving else {
                    return pending().await;
                };
                tokio::spawn(backlog.answer(link));
                let served = async {
                    serving.await;
                    fate.returned();
                    // Connections that it has spawned go on.
                    pending().await
                };
                tokio::select! {
                    biased;
                    () = fate.live() => pending().await,
                    never = served => never,
                }
            }
        });
    }

    fn clients(&mut self, plan: &Plan, word: &Rc<Word>) {
        let (scenario, link, word) = (Arc::clone(&plan.scenario), plan.link, Rc::clone(word));
        self.sim.client("clients", async move {
            let open =
                client::run_all(&scenario, transport::Dialer::Turmoil(Dialer::new(link))).await;
            word.clients_done.set(true);
            // What is still open stays open, and its host stays up.
            let _open = open;
            pending().await
        });
    }

    /// One tick; true if anything happened in it.
    fn step(&mut self) -> bool {
        self.ticks += 1;
        // The futures of the hosts themselves do not fail.
        let stepped = catch_unwind(AssertUnwindSafe(|| self.sim.step()));
        if !matches!(stepped, Ok(Ok(_))) {
            self.stopped =
                Some("a task of the server panicked, which ends its host: nothing later was seen");
        } else if record(|recorder| recorder.tasks.spin().is_some()) == Some(true) {
            self.stopped = Some("the server spins: nothing later was seen");
        } else if self.ticks >= TICKS_MAX {
            self.stopped = Some("the walk was ended after 4,000,000 ticks: nothing later was seen");
        }
        let news = record(journal::hand_over).unwrap_or_default();
        if self.stopped.is_none() {
            self.fate.follow(&mut self.sim);
        }
        news
    }

    /// Steps until `done`, or until it cannot go on.
    fn until(&mut self, done: impl Fn() -> bool) {
        while self.stopped.is_none() && !done() {
            self.step();
        }
    }

    /// Steps until the time that `until` gives; it is asked again whenever something has happened.
    fn watch(&mut self, mut until: impl FnMut(Duration) -> Option<Duration>) {
        let mut end = until(self.sim.elapsed());
        while self.stopped.is_none()
            && let Some(time) = end
        {
            let news = self.step();
            let now = self.sim.elapsed();
            if news || now >= time {
                end = until(now);
            }
        }
    }

    /// The clients' steps; then until every connection is gone or long past its deadline; then a fresh client.
    fn finish(&mut self, plan: &Plan, word: &Rc<Word>, (http, request): (bool, Option<Vec<u8>>)) {
        let fate = Rc::clone(&self.fate);
        self.until(|| word.clients_done.get() && fate.is_over());
        // What a scenario says of the server is over before a fresh client looks for damage.
        let over_at = over_at(&plan.scenario.server_events);
        self.watch(|now| Some(over_at).filter(|end| *end > now));
        let last_step = self.sim.elapsed();
        self.watch(next_due);
        self.watch(|now| watched_until(last_step, plan.grace).filter(|end| *end > now));
        let down = record(|recorder| {
            // A panic that no request of the clients has met is not meant for the fresh client.
            recorder.life.panics_due = 0;
            recorder.life.down.is_some()
        })
        .unwrap_or_default();
        if self.stopped.is_some() || down {
            return;
        }
        let (link, told) = (plan.link, Rc::clone(word));
        let network = plan.scenario.network.clone();
        self.sim.client("probe", async move {
            let dialer = transport::Dialer::Turmoil(Dialer::new(link));
            let served = probe::is_well(dialer, &network, (http, request.as_deref())).await;
            told.probe_served.set(Some(served));
            pending().await
        });
        self.until(|| word.probe_served.get().is_some());
    }
}

fn next_due(now: Duration) -> Option<Duration> {
    record(|recorder| {
        let connection = recorder.ledger.next_due(now);
        let shutdown = recorder.life.next_due(now);
        connection.into_iter().chain(shutdown).min()
    })
    .flatten()
}

/// Until when connections are watched that are held past a deadline: so long past that, or past the deadline that
/// their last byte has set anew, and past the last step of the clients, whose bytes may still be under way.
fn watched_until(last_step: Duration, grace: Duration) -> Option<Duration> {
    record(|recorder| {
        let ledger = &recorder.ledger;
        let breached = ledger
            .connections()
            .iter()
            .filter(|connection| connection.held() && connection.breach.is_some());
        breached
            .map(|connection| connection.due(ledger.contract()).at.max(last_step) + grace)
            .max()
    })
    .flatten()
}
