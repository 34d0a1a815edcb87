//! The default engine: clients, network and server in one paused current-thread runtime whose clock leaps from
//! timer to timer, so that idle hours cost nothing.
//!
//! A run has four parts: the clients' steps; the wait until every connection is gone or past its deadline; a fresh,
//! well-behaved client that must be served; and the search, a leap of two years in which whatever is still armed comes
//! due. What is alive after that, and was not polled, never ends: that is the hang proof.
//!
//! A server that wakes itself for ever would keep the clock from moving: the run ends where it is found to spin.

mod hosts;
mod process;
mod search;
mod warm;

use self::process::Process;
use crate::client;
use crate::contract::Contract;
use crate::engine::{doze, hooks, stack, watchdog};
use crate::finding::spell;
use crate::honest;
use crate::ledger::Ledger;
use crate::panics;
use crate::probe;
use crate::residue;
use crate::run::{Detail, Run, Search};
use crate::server::{Server, Shutdown};
use crate::task::{Doze, POLLS_MAX, Role};
use crate::trace::{self, Actor, Clock, PausedClock, Recorder, record};
use crate::transport::{Dialer, Listener};
use hangup_network::{
    Caller, Config, ConnectionId, Event, Observer, Packet, ResetPolicy, Side, TcpListener, World,
};
use hangup_scenario::{Rst, Scenario};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::{Builder, EnterGuard, LocalOptions, LocalRuntime, RngSeed, Runtime};
use tokio::time::{Instant, sleep};

/// Where the server listens.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80);
/// A task of the server dozes after so many beats, in a run that lets it.
const BEATS: u32 = 16;
/// In one of so many runs it takes more: what a task does later is seen there.
const SOME: u64 = 64;
const MANY_BEATS: u32 = 1_000;

struct Observe {
    packets: bool,
}

impl Observer for Observe {
    fn event(&mut self, at: Instant, connection: ConnectionId, event: &Event<'_>) {
        record(|recorder| recorder.network(at, connection, event));
    }

    fn took(&mut self, connection: ConnectionId, by: Side, bytes: usize) {
        record(|recorder| recorder.read(connection.0, by, bytes as u64));
    }

    fn put(&mut self, connection: ConnectionId, by: Side, bytes: usize) {
        if by == Side::Server {
            record(|recorder| recorder.wrote(connection.0, bytes as u64));
        }
    }

    fn used(&mut self, connection: ConnectionId, _: Side) {
        record(|recorder| recorder.used(connection.0, false));
    }

    fn is_called_by_dead(&mut self) -> bool {
        let task = tokio::task::try_id();
        task.is_some_and(|task| record(|recorder| recorder.tasks.is_dead(task)).unwrap_or_default())
    }

    fn caller(&mut self) -> Caller {
        record(Recorder::connects).unwrap_or(Caller::Client)
    }

    fn wants_packets(&self) -> bool {
        self.packets
    }

    fn packet(&mut self, connection: ConnectionId, packet: &Packet<'_>) {
        record(|recorder| recorder.packet(connection, packet));
    }
}

thread_local! {
    /// The network of the run on this thread, for the steps that change it.
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// Works on the network of the run on this thread.
pub(crate) fn with_world(work: impl FnOnce(&World)) {
    let world = WORLD.with(|world| world.borrow().clone());
    if let Some(world) = world {
        work(&world);
    }
}

/// What the run's own future found out.
struct Outcome {
    recorder: Box<Recorder>,
    probe_served: bool,
    search: Search,
    stacks: stack::Captured,
}

/// Runs `scenario` against `server`.
///
/// # Panics
/// When called inside another run on the same thread.
pub fn run(scenario: &Arc<Scenario>, server: &dyn Server, detail: Detail) -> Run {
    start(scenario, server, detail, None)
}

/// Runs `scenario` against a server that has served a crowd of well-behaved clients before, on every route of the scenario,
/// and has been left alone for `idle` since. What it started for them, and keeps, was there before the first client of the
/// scenario, and is no connection's: a pool, a clock, a cache's janitor. An instance that is started again is visited, too.
///
/// # Panics
/// When called inside another run on the same thread.
pub fn run_warm(
    scenario: &Arc<Scenario>,
    server: &dyn Server,
    detail: Detail,
    idle: Duration,
) -> Run {
    start(scenario, server, detail, Some(idle))
}

fn start(
    scenario: &Arc<Scenario>,
    server: &dyn Server,
    detail: Detail,
    warm: Option<Duration>,
) -> Run {
    panics::quieten();
    let _alone = residue::alone(server.residues());
    let _watched = watchdog::watch(scenario, server.name());
    let contract = server.contract().overridden(&scenario.contract);
    let runtime = runtime(scenario.seed, server.is_local());
    let start = {
        let _paused = runtime.enter();
        Instant::now()
    };
    trace::begin(Recorder::new(
        Clock::Tokio(PausedClock::from(start)),
        Ledger::new(contract, &scenario.network)
            .opaque(!server.speaks_http())
            .targets(server.targets()),
        detail,
    ));
    record(|recorder| {
        recorder.tasks.declare(server.background());
        recorder.tasks.may_doze(dozing(scenario, detail));
    });
    let observe = Observe {
        packets: detail.packets.is_some(),
    };
    let world = Rc::new(World::enter(network(scenario), Box::new(observe)));
    world.follow_pauses(start);
    world.expect_dumps(false);
    world.bury_dead(true);
    WORLD.with(|current| *current.borrow_mut() = Some(Rc::clone(&world)));
    // It is some kilobytes, which would be moved from hand to hand.
    let course = Box::pin(drive(scenario, (server, contract), &world, detail, warm));
    let outcome = {
        let course = pin!(guarded(course, detail));
        doze::through(course, |course| runtime.block_on(course))
    };
    residue::end();
    WORLD.with(|current| *current.borrow_mut() = None);
    let mut recorder = outcome.recorder;
    world.stop_clock();
    drop(runtime);
    drop(world);
    let recorder_caveats = exhausted(&recorder);
    Run {
        engine: "leap",
        sealed: hangup_seal::is_sealed(),
        contract,
        hash: recorder.hash(),
        reached: std::mem::take(&mut recorder.reached),
        timeline: recorder.take_timeline(),
        phases: recorder.take_phases(),
        packets: recorder.take_packets(),
        connections: recorder.ledger.into_connections(),
        tasks: recorder.tasks,
        speaks_http: server.speaks_http(),
        probe_served: outcome.probe_served,
        life: recorder.life,
        search: outcome.search,
        stacks: outcome.stacks.stacks,
        no_stacks: outcome.stacks.unavailable,
        caveats: recorder_caveats,
    }
}

/// Only the steps of a scenario, over the same network with the same server: no trace, no task hooks, no fresh client,
/// no search, no verdict. It is what the benchmark holds [`run`] against.
pub fn bare(scenario: &Arc<Scenario>, server: &dyn Server) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&scenario.seed.to_le_bytes()))
        .build()
        .expect("a runtime without I/O driver and threads needs nothing from the system");
    let world = World::enter(network(scenario), Box::new(()));
    runtime.block_on(async {
        tokio::spawn(world.run());
        let listener = TcpListener::bind(ADDRESS)
            .await
            .expect("nothing else is bound in a new world");
        tokio::spawn(server.serve(Listener::Leap(listener), Shutdown::never()));
        client::run_all(scenario, Dialer::Leap(ADDRESS)).await
    });
}

/// Plays the scenario so often, one after the other, to one instance of the server: only its steps, as [`bare`] does. `look` is called
/// behind each round, when so much time has passed.
pub(crate) fn rounds(
    scenario: &Arc<Scenario>,
    server: &dyn Server,
    (rounds, pause): (u32, Duration),
    mut look: impl FnMut(),
) {
    panics::quieten();
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&scenario.seed.to_le_bytes()))
        .build()
        .expect("a runtime without I/O driver and threads needs nothing from the system");
    let world = World::enter(network(scenario), Box::new(()));
    runtime.block_on(async {
        tokio::spawn(world.run());
        hosts::start_peers(server, &world).await;
        let listener = hosts::listener(server, &world).await;
        tokio::spawn(server.serve(listener, Shutdown::never()));
        hosts::bound(server, &world).await;
        for _ in 0..rounds {
            drop(client::run_all(scenario, Dialer::Leap(ADDRESS)).await);
            sleep(pause).await;
            look();
        }
    });
}

/// Which tasks of the server doze in a run.
fn dozing(scenario: &Scenario, detail: Detail) -> Doze {
    let after = match detail.dozes {
        false => u32::MAX,
        true if scenario.seed.is_multiple_of(SOME) => MANY_BEATS,
        true => BEATS,
    };
    Doze {
        after,
        only_roots: false,
        acceptors: false,
    }
}

fn network(scenario: &Scenario) -> Config {
    let network = &scenario.network;
    Config {
        latency: network.latency,
        jitter: network.jitter,
        mtu: network.mtu,
        loss: network.loss,
        reset: match network.rst {
            Rst::Keep => ResetPolicy::Keep,
            Rst::Erase => ResetPolicy::Erase,
        },
        send_buffer: network.send_buffer,
        receive_buffer: network.receive_buffer,
        descriptors: scenario.server.descriptors.map(|most| most as usize),
        seed: scenario.seed,
    }
}

thread_local! {
    /// All runtimes of a thread are alike but for their seeds.
    static BUILDER: RefCell<Builder> = RefCell::new(builder());
}

/// The runtime of a run.
enum OneThread {
    /// For tasks that are `Send`.
    Plain(Runtime),
    /// For others, too.
    Local(LocalRuntime),
}

impl OneThread {
    fn enter(&self) -> EnterGuard<'_> {
        match self {
            Self::Plain(runtime) => runtime.enter(),
            Self::Local(runtime) => runtime.enter(),
        }
    }

    fn block_on<F: Future>(&self, course: F) -> F::Output {
        match self {
            Self::Plain(runtime) => runtime.block_on(course),
            Self::Local(runtime) => runtime.block_on(course),
        }
    }
}

/// A runtime whose `select!` draws from the seed and whose tasks are entered in the recorder.
fn runtime(seed: u64, local: bool) -> OneThread {
    let seed = RngSeed::from_bytes(&seed.to_le_bytes());
    BUILDER
        .with_borrow_mut(|builder| {
            let builder = builder.rng_seed(seed);
            match local {
                false => builder.build().map(OneThread::Plain),
                true => builder
                    .build_local(LocalOptions::default())
                    .map(OneThread::Local),
            }
        })
        .expect("a runtime without I/O driver and threads needs nothing from the system")
}

fn builder() -> Builder {
    // A thread is sealed for its whole life.
    let sealed = hangup_seal::is_sealed();
    let mut builder = Builder::new_current_thread();
    hooks::enter_tasks(&mut builder)
        .enable_time()
        .start_paused(true)
        .on_thread_park(hangup_network::about_to_park)
        .on_thread_unpark(move || {
            record(|recorder| {
                recorder.clock().may_have_moved();
                if sealed {
                    hangup_seal::set_time(recorder.now());
                }
            });
            hangup_network::time_may_have_passed();
        });
    builder
}

fn now() -> Duration {
    record(|recorder| recorder.now()).unwrap_or_default()
}

/// Follows `course` to its end, or until the run is to stop, or until the server is found to spin or has had all the polls there are: then that
/// is all there is to tell of the run.
async fn guarded(mut course: Pin<Box<impl Future<Output = Outcome>>>, detail: Detail) -> Outcome {
    let mut stop = detail.stop_at.map(|at| Box::pin(sleep(at)));
    let ended = poll_fn(|cx| {
        if let Some(stop) = &mut stop
            && stop.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        let ends = record(|recorder| {
            recorder.tasks.guarded_by(cx.waker());
            recorder.tasks.spin().is_some() || recorder.tasks.is_exhausted()
        });
        if ends == Some(true) {
            Poll::Ready(None)
        } else {
            course.as_mut().poll(cx).map(Some)
        }
    })
    .await;
    match ended {
        Some(outcome) => outcome,
        None => cut(detail).await,
    }
}

/// What is to be said of a run that was ended since the server was polled too often.
fn exhausted(recorder: &Recorder) -> Vec<String> {
    let at = recorder.tasks.exhausted_at();
    at.map(|at| {
        format!(
            "the server was polled {POLLS_MAX} times, and the run was ended at {}: nothing later was seen",
            spell(at)
        )
    })
    .into_iter()
    .collect()
}

/// What there is to tell of a run that ends now.
async fn cut(detail: Detail) -> Outcome {
    record(|recorder| {
        let now = recorder.now();
        recorder.ledger.look(now);
    });
    let mut recorder = trace::end().expect("the recorder is taken only at the end of a run");
    let at = recorder.now();
    let spins = recorder.tasks.spin().is_some();
    recorder.mix([5, at.as_nanos() as u64, 0, 0]);
    recorder.say(at, Actor::Server, None, || match spins {
        true => "spins: simulated time stands still, and the run ends here",
        false => "has been polled so often that the run ends here",
    });
    Outcome {
        // Nobody waited for the answer.
        probe_served: true,
        search: Search {
            from: at,
            until: at,
            wakes: 0,
        },
        stacks: captured(&recorder, detail).await,
        recorder,
    }
}

async fn captured(recorder: &Recorder, detail: Detail) -> stack::Captured {
    if detail.stacks {
        with_world(|world| world.expect_dumps(true));
        stack::capture(&recorder.tasks).await
    } else {
        stack::Captured::default()
    }
}

async fn drive(
    scenario: &Arc<Scenario>,
    (server, contract): (&dyn Server, Contract),
    world: &World,
    detail: Detail,
    warm: Option<Duration>,
) -> Outcome {
    record(|recorder| recorder.tasks.spawning(Role::Harness));
    tokio::spawn(world.run());
    record(|recorder| recorder.tasks.spawning(Role::Peer));
    hosts::start_peers(server, world).await;
    record(|recorder| recorder.tasks.spawning(Role::Harness));
    let mut process = Process::of(server, contract, world);
    let requests = warm.map(|_| warm::Requests::of(scenario, server));
    if let Some(requests) = &requests {
        process = process.visited_by(requests.clone(), scenario);
    }
    process.start().await;
    if let (Some(idle), Some(requests)) = (warm, &requests) {
        warm::up(requests, scenario, idle).await;
        residue::take_baseline();
    }
    let visiting =
        requests.map(|requests| tokio::spawn(warm::keep_visiting(requests, Arc::clone(scenario))));
    for (number, at) in detail.honest.into_iter().enumerate() {
        let Some(at) = at else { continue };
        let (dialer, from) = (Dialer::Leap(ADDRESS), honest::address(number));
        tokio::spawn(probe::honest_client(
            dialer,
            at,
            from,
            server.fresh_request(),
        ));
    }
    let clients = client::run_all(scenario, Dialer::Leap(ADDRESS));
    let open = if scenario.server_events.is_empty() {
        clients.await
    } else {
        tokio::join!(clients, process.live(&scenario.server_events)).0
    };
    while let Some(due) = next_due() {
        let mut due = pin!(sleep(due.saturating_sub(now())));
        let mut released = false;
        poll_fn(|cx| {
            // A release may be the last that was waited for; the loop looks.
            if std::mem::replace(&mut released, true) {
                return Poll::Ready(());
            }
            record(|recorder| recorder.ledger.wake_at_release(cx.waker()));
            due.as_mut().poll(cx)
        })
        .await;
    }
    let down = record(|recorder| {
        // A panic that no request of the clients has met is not meant for the fresh client.
        recorder.life.panics_due = 0;
        recorder.life.down
    })
    .flatten();
    if down.is_none() {
        look_for_residue(contract).await;
    }
    let probe_served = down.is_some() || is_served(server, scenario).await;
    if let Some(visiting) = visiting {
        sleep(warm::LAST_VISIT).await;
        visiting.abort();
    }
    let search = search::search().await;
    // What was accepted only when the fresh client came is judged, too.
    record(|recorder| recorder.ledger.look(search.until));
    let recorder = trace::end().expect("the run began with a recorder, and only its end takes it");
    let stacks = captured(&recorder, detail).await;
    drop(open);
    Outcome {
        recorder,
        probe_served,
        search,
        stacks,
    }
}

/// Counts what the server has of what is counted in it, when no client has a connection any more.
async fn look_for_residue(contract: Contract) {
    let held = record(|recorder| {
        let mut all = recorder.ledger.connections().iter();
        all.any(|connection| connection.held())
    });
    if held == Some(true) || residue::differing().is_empty() {
        return;
    }
    sleep(contract.drain).await;
    let residues = residue::differing();
    record(|recorder| recorder.life.residues = residues);
}

/// A fresh client asks. It is a task, as all clients are: to wake the run's own future costs the runtime a pause.
async fn is_served(server: &dyn Server, scenario: &Arc<Scenario>) -> bool {
    let (http, request) = (server.speaks_http(), server.fresh_request());
    let scenario = Arc::clone(scenario);
    let client = async move {
        let asked = (http, request.as_deref());
        probe::is_well(Dialer::Leap(ADDRESS), &scenario.network, asked).await
    };
    tokio::spawn(Box::pin(client))
        .await
        .expect("the fresh client does not panic and is not cancelled")
}

fn next_due() -> Option<Duration> {
    record(|recorder| {
        let now = recorder.now();
        let connection = recorder.ledger.next_due(now);
        let shutdown = recorder.life.next_due(now);
        connection.into_iter().chain(shutdown).min()
    })
    .flatten()
}
