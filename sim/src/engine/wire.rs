//! The same scenarios over kernel TCP on 127.0.0.1, in real time: what the simulation says must hold there, too.
//!
//! | module | what lives there |
//! |---|---|
//! | `clock` | run time, which goes faster than real time |
//! | `plan` | how much faster, what is cut, and what this engine cannot express |
//! | `stream` | sockets for clients and for the server |
//! | `descriptor`, `process` | what the server's process has open, and what becomes of that process |
//! | `book` | what is known of each connection, and the facts that follow |
//! | `far` | the same against a server that is not of this process |
//!
//! Server and clients share one real runtime in this process, and every duration (of the scenario, the contract and the
//! server: see [`Server::hastened`]) is divided by one factor, so that minutes take seconds. Times in the trace are
//! multiplied by it again. Both ends of every connection are ours, so that the facts are the same as on the other
//! engines: what was accepted, what arrived, who closed and how. Payload counts as arrived at the client when it lies in
//! the receive queue of its socket, read or not, and at the server when the client has written it.
//!
//! Real time has three consequences. A run is never quite the same twice, so that there is no finding `nondeterministic`.
//! A machine under load is late, so that a deadline counts as passed only a tolerance after it. And nobody can wait for
//! ever: what is still open ten minutes (of the run's time) past its deadline counts as hung, without the proof that it
//! never ends.

mod book;
mod clock;
mod descriptor;
pub(crate) mod far;
mod plan;
mod process;
mod stream;
mod table;

pub use clock::Clock;
pub use stream::{Dialer, Listener, TcpStream};

use crate::client;
use crate::contract::Contract;
use crate::engine::{hooks, stack};
use crate::ledger::Ledger;
use crate::panics;
use crate::probe;
use crate::run::{Detail, Run, Search};
use crate::server::Server;
use crate::task::Role;
use crate::trace::{self, Recorder, lasts, record};
use crate::transport;
use hangup_scenario::Scenario;
use plan::{GRACE, Plan};
use process::Process;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::{Builder, RngSeed, Runtime};
use tokio::time::{Instant, sleep};

/// How often, in real time, the receive queues of the clients are looked at for what their own calls did not show.
const LOOK: Duration = Duration::from_millis(10);

/// Runs `scenario` against `server`.
///
/// # Panics
/// When called inside another run on the same thread, or when this machine gives no socket on 127.0.0.1.
pub fn run(scenario: &Arc<Scenario>, server: &dyn Server, detail: Detail) -> Run {
    panics::quieten();
    let contract = server.contract().overridden(&scenario.contract);
    let plan = Plan::of(scenario, &contract, server);
    let runtime = runtime(scenario.seed);
    let outcome = runtime
        .block_on(async {
            let ledger = Ledger::with_slack(contract, plan.tolerance())
                .opaque(!server.speaks_http())
                .targets(server.targets());
            let clock = Clock::starting(Instant::now(), plan.times);
            trace::begin(Recorder::new(trace::Clock::Wire(clock), ledger, detail));
            let hastened = plan.server.as_deref().unwrap_or(server);
            let outcome = drive(&plan, (hastened, contract), detail).await;
            book::clear();
            outcome
        })
        .unwrap_or_else(|error| panic!("no socket on 127.0.0.1: {error}"));
    let mut recorder = outcome.recorder;
    drop(runtime);
    Run {
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
        speaks_http: server.speaks_http(),
        probe_served: outcome.probe_served,
        life: recorder.life,
        search: Search {
            from: outcome.ended,
            until: outcome.ended,
            wakes: 0,
        },
        stacks: outcome.stacks.stacks,
        no_stacks: outcome.stacks.unavailable,
        caveats: plan.caveats,
    }
}

/// What the run's own future found out.
struct Outcome {
    recorder: Box<Recorder>,
    probe_served: bool,
    ended: Duration,
    stacks: stack::Captured,
}

async fn drive(
    plan: &Plan,
    (server, contract): (&dyn Server, Contract),
    detail: Detail,
) -> io::Result<Outcome> {
    record(|recorder| recorder.tasks.spawning(Role::Harness));
    tokio::spawn(async {
        loop {
            sleep(LOOK).await;
            book::look_at_all();
        }
    });
    let network = &plan.scenario.network;
    let process = Process::of(server, contract, &plan.scenario, plan.tolerance())?;
    process.start().await?;
    let dialer = transport::Dialer::Wire(Dialer::to(process.address(), network));
    let clients = client::run_all(&plan.scenario, dialer);
    let (open, lived) = tokio::join!(clients, process.live(&plan.scenario.server_events));
    lived?;
    let last_step = now();
    while let Some(due) = record(|recorder| {
        let now = recorder.now();
        let connection = recorder.ledger.next_due(now);
        let shutdown = recorder.life.next_due(now);
        connection.into_iter().chain(shutdown).min()
    })
    .flatten()
    {
        released_or(due).await;
    }
    while let Some(end) = watched_until(last_step).filter(|end| *end > now()) {
        released_or(end).await;
    }
    let ended = now();
    let down = record(|recorder| {
        // A panic that no request of the clients has met is not meant for the fresh client.
        recorder.life.panics_due = 0;
        recorder.life.down
    })
    .flatten();
    let request = server.fresh_request();
    let asked = (server.speaks_http(), request.as_deref());
    let probe_served = down.is_some() || probe::is_well(dialer, network, asked).await;
    book::look_at_all();
    let recorder = trace::end().expect("the run began with a recorder, and only its end takes it");
    let stacks = if detail.stacks {
        stack::capture(&recorder.tasks).await
    } else {
        stack::Captured::default()
    };
    drop(open);
    Ok(Outcome {
        recorder,
        probe_served,
        ended,
        stacks,
    })
}

fn now() -> Duration {
    record(|recorder| recorder.now()).unwrap_or_default()
}

/// Waits for the next release of a connection, but not past `time`.
async fn released_or(time: Duration) {
    let mut due = pin!(sleep(lasts(time.saturating_sub(now()))));
    let mut asked = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        record(|recorder| recorder.ledger.wake_at_release(cx.waker()));
        due.as_mut().poll(cx)
    })
    .await;
}

/// Until when connections are watched that are held past a deadline: ten minutes past that, or past the deadline that
/// their last byte has set anew, and past the last step of the clients.
fn watched_until(last_step: Duration) -> Option<Duration> {
    record(|recorder| {
        let ledger = &recorder.ledger;
        let held = ledger
            .connections()
            .iter()
            .filter(|connection| connection.held() && connection.breach.is_some());
        held.map(|connection| connection.due(ledger.contract()).at.max(last_step) + GRACE)
            .max()
    })
    .flatten()
}

/// A runtime with the system's clock and sockets, whose tasks are entered in the recorder.
fn runtime(seed: u64) -> Runtime {
    hooks::enter_tasks(&mut Builder::new_current_thread())
        .enable_all()
        .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
        .build()
        .expect("the system gives one epoll instance")
}
