//! The test bed for a server of one's own: one call in a `#[test]`.
//!
//! ```
//! use hangup::Bed;
//! use hangup::net::TcpListener;
//! use hangup_scenario::Verdict;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::time::{Duration, sleep, timeout};
//!
//! /// One request, one answer; ten seconds for both.
//! async fn serve(listener: TcpListener) {
//!     loop {
//!         // Out of descriptors now is not out of descriptors for ever.
//!         let Ok((mut stream, _)) = listener.accept().await else {
//!             sleep(Duration::from_millis(100)).await;
//!             continue;
//!         };
//!         tokio::spawn(timeout(Duration::from_secs(10), async move {
//!             let mut head = Vec::new();
//!             while !head.ends_with(b"\r\n\r\n") {
//!                 head.push(stream.read_u8().await?);
//!             }
//!             stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await?;
//!             stream.shutdown().await?;
//!             // What is left unread would have a reset erase the answer.
//!             tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
//!         }));
//!     }
//! }
//!
//! # fn main() {
//! Bed::new("one-answer", |listener, _shutdown| serve(listener))
//!     // It answers before a body is there.
//!     .tolerate(Verdict::Protocol)
//!     .cases(300)
//!     .keep_nothing()
//!     .check();
//! # }
//! ```
//!
//! | it does | when |
//! |---|---|
//! | asks each named route what it must do: a mistyped target, a server that fails to start or speaks another protocol is one sentence, and nothing else is run | before anything else |
//! | replays every scenario in `hangup-regressions/NAME` beside the test | then |
//! | runs the incidents of the book that apply to this server, each twice | then |
//! | looks for memory that grows, and for bodies that are kept as a whole, if [`memory`](Bed::memory) says in how many rounds | then |
//! | fuzzes: as many generated clients as [`cases`](Bed::cases) says, to the first finding, which is made small and saved in that folder | at last, unless something from that folder is not mended |
//! | panics with the report on the gravest finding: what is held, why it never ends, where it is stuck | if anything was found |
//!
//! The server runs as it is, on tokio's paused clock and the network of [`net`](crate::net). What it needs for that
//! stands in the [guide](crate::guide).

mod dialogue;
mod memory;
mod outcome;
mod own;
mod peak;
mod preflight;
mod regressions;
mod route;
mod target;

pub use outcome::{Outcome, Panicked};
pub use preflight::PreflightFailure;
pub use route::Route;
pub use target::Request;

use crate::campaign::fuzz::{self, Plan, case_seed, fuzz};
use crate::campaign::judge::again_as;
use crate::campaign::shard::Shard;
use crate::cell::Cell;
use crate::contract::Contract;
use crate::engine::{Engine, doze};
use crate::incident;
use crate::net::TcpListener;
use crate::run::Detail;
use crate::server::{Counted, Listens, Peer, Server, Serving, Shutdown};
use crate::trace::record;
use crate::transport::Listener;
use dialogue::Dialogue;
use hangup_scenario::{Scenario, Verdict};
use outcome::{Saved, wants_panic};
use own::Own;
use regressions::Regressions;
use route::Routes;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use target::Target;
use tokio::task::spawn_local;

/// The listener that the leap engine gives to a server which binds none.
fn given(listener: Listener) -> TcpListener {
    match listener {
        Listener::Leap(listener) => TcpListener(listener, None),
        _ => unreachable!("an engine that it does not run on refuses it before a run"),
    }
}

/// How many generated scenarios a test runs unless it says otherwise: a second or two in a debug build.
const CASES: u64 = 2_000;

/// A server of one's own, what it claims, and how hard to try. [`Bed::check`] runs it.
#[derive(Clone, Debug)]
#[must_use = "nothing is run before `check`"]
pub struct Bed {
    server: Own,
    cases: u64,
    seed: u64,
    engine: Engine,
    /// None: nothing is replayed, and nothing kept.
    regressions: Option<PathBuf>,
    again: String,
    /// How many equal rounds are played to find memory that grows; none: it is not looked for.
    rounds: Option<u32>,
}

impl Bed {
    /// A bed for the server that `serve` runs: it accepts from the listener until it is told to
    /// shut down, or for ever. What its future gives back is told where it ends though nobody asked
    /// it to, such as `Err(..)` of a server that cannot start. `name` is how reports call it.
    ///
    /// Unless it is told otherwise, the server is held to [`Contract::default`], has one route `/`, and knows no
    /// graceful shutdown.
    #[track_caller]
    pub fn new<F, Fut>(name: impl Into<String>, serve: F) -> Self
    where
        F: Fn(TcpListener, Shutdown) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Debug> + Send + 'static,
    {
        let serve = Arc::new(serve);
        let serve = move |listener, shutdown| -> Serving {
            let serve = Arc::clone(&serve);
            Box::pin(async move { ended(&serve(given(listener), shutdown).await) })
        };
        Self::of(name.into(), Arc::new(serve), false, Location::caller())
    }

    /// A bed for a server that binds its listener itself, with
    /// [`hangup::net::TcpListener::bind`](crate::net::TcpListener::bind), at any address of the
    /// simulated network. The scenario's clients come to the first listener that it binds, or to the
    /// first with the port that [`port`](Bed::port) names. It has 60 s of simulated time to bind it.
    ///
    /// ```
    /// use hangup::Bed;
    /// use hangup::net::TcpListener;
    ///
    /// async fn run() -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("0.0.0.0:8080").await?;
    ///     loop {
    ///         let (stream, _) = listener.accept().await?;
    ///         tokio::spawn(async move { drop(stream) });
    ///     }
    /// }
    ///
    /// let bed = Bed::binding("drops", |_shutdown| run());
    /// # drop(bed);
    /// ```
    #[track_caller]
    pub fn binding<F, Fut>(name: impl Into<String>, run: F) -> Self
    where
        F: Fn(Shutdown) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Debug> + Send + 'static,
    {
        let run = Arc::new(run);
        let serve = move |_, shutdown| -> Serving {
            let run = Arc::clone(&run);
            Box::pin(async move { ended(&run(shutdown).await) })
        };
        let mut bed = Self::of(name.into(), Arc::new(serve), false, Location::caller());
        bed.server.listens = Listens::Binds { port: None };
        bed
    }

    /// The scenario's clients come to the first listener with this port that the server binds. It is for a server
    /// that binds several, such as one for metrics before the one for its users.
    ///
    /// # Panics
    /// If the server is given its listener: see [`Bed::binding`].
    pub fn port(mut self, port: u16) -> Self {
        assert!(
            matches!(self.server.listens, Listens::Binds { .. }),
            "Bed::port is for a server that binds its listener itself, made with Bed::binding: \
             this one is given the listener that clients come to"
        );
        self.server.listens = Listens::Binds { port: Some(port) };
        self
    }

    /// Another host of the simulated network, which the server calls: an upstream, a stand-in for a database. `address` is
    /// `host:port`; the server connects to it with
    /// [`hangup::net::TcpStream::connect`](crate::net::TcpStream::connect), by that name. The host is
    /// there before the server starts, and stays when the server's process ends. Neither its tasks nor the
    /// connections to it are judged. May be called again.
    ///
    /// ```
    /// use hangup::Bed;
    /// use hangup::net::{TcpListener, TcpStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// /// Gives each client what the upstream has to say.
    /// async fn serve(listener: TcpListener) -> std::io::Result<()> {
    ///     loop {
    ///         let (mut client, _) = listener.accept().await?;
    ///         tokio::spawn(async move {
    ///             let mut upstream = TcpStream::connect("upstream:7000").await?;
    ///             let mut answer = [0; 2];
    ///             upstream.read_exact(&mut answer).await?;
    ///             client.write_all(&answer).await
    ///         });
    ///     }
    /// }
    ///
    /// async fn upstream(listener: TcpListener) -> std::io::Result<()> {
    ///     loop {
    ///         let (mut stream, _) = listener.accept().await?;
    ///         stream.write_all(b"ok").await?;
    ///     }
    /// }
    ///
    /// let bed = Bed::new("relay", |listener, _shutdown| serve(listener)).peer("upstream:7000", upstream);
    /// # drop(bed);
    /// ```
    ///
    /// # Panics
    /// If `address` is not of that form, or there are more than 255 peers.
    pub fn peer<F, Fut>(mut self, address: &str, serve: F) -> Self
    where
        F: Fn(TcpListener) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
    {
        let serve = move |listener| -> Serving {
            let serving = serve(listener);
            Box::pin(async move { drop(serving.await) })
        };
        let peer = Peer::new(address, self.server.peers.len(), Arc::new(serve));
        let peer = peer.unwrap_or_else(|why| panic!("Bed::peer: {why}"));
        self.server.peers.push(peer);
        self
    }

    /// A bed for a server whose future is not `Send`, such as one that keeps its state in an `Rc`. It runs on a
    /// [`LocalRuntime`](tokio::runtime::LocalRuntime), where `tokio::task::spawn_local` works without a `LocalSet`, from
    /// any task of the server; everything else is as with [`Bed::new`].
    ///
    /// Tasks that a server spawns on a `LocalSet` of its own are polled, but tokio tells nobody of them: its connections
    /// are then judged by their sockets alone.
    ///
    /// ```
    /// use hangup::Bed;
    /// use hangup::net::TcpListener;
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// async fn serve(listener: TcpListener) {
    ///     let served = Rc::new(Cell::new(0_u64));
    ///     while let Ok((stream, _)) = listener.accept().await {
    ///         let served = Rc::clone(&served);
    ///         tokio::task::spawn_local(async move {
    ///             served.set(served.get() + 1);
    ///             drop(stream);
    ///         });
    ///     }
    /// }
    ///
    /// let bed = Bed::local("counts", |listener, _shutdown| serve(listener));
    /// # drop(bed);
    /// ```
    #[track_caller]
    pub fn local<F, Fut>(name: impl Into<String>, serve: F) -> Self
    where
        F: Fn(TcpListener, Shutdown) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Debug> + 'static,
    {
        let serve = Arc::new(serve);
        let serve = move |listener, shutdown| -> Serving {
            let serve = Arc::clone(&serve);
            Box::pin(async move {
                let listener = given(listener);
                let serving = spawn_local(doze::may_nap(async move {
                    ended(&serve(listener, shutdown).await);
                }));
                // A panic of the server ends its task, as one of a server that is `Send` does.
                if let Err(error) = serving.await
                    && error.is_panic()
                {
                    resume_unwind(error.into_panic());
                }
            })
        };
        Self::of(name.into(), Arc::new(serve), true, Location::caller())
    }

    fn of(name: String, serve: Arc<own::Serve>, local: bool, caller: &Location<'_>) -> Self {
        let server = Own {
            name,
            contract: Contract::default(),
            routes: Routes::default(),
            tolerated: BTreeSet::new(),
            background: Vec::new(),
            local,
            listens: Listens::Given,
            peers: Vec::new(),
            residues: Vec::new(),
            serve,
        };
        Self {
            server,
            cases: CASES,
            seed: 1,
            engine: Engine::Leap,
            regressions: Some(regressions::beside(caller)),
            again: again(),
            rounds: None,
        }
    }

    /// Runs everything on sealed threads, as `--seal` does on the command line: `std`'s `Instant` and `SystemTime` follow
    /// simulated time, and random bytes, with them the order of a `HashMap`, follow from the scenario's seed. A server
    /// that depends on these is deterministic then. What a seal does not reach is listed in `hangup_seal`.
    ///
    /// # Panics
    /// Where threads cannot be sealed: it takes 64-bit Linux with glibc.
    pub fn seal(mut self) -> Self {
        if let Err(why) = Engine::Sealed.available() {
            panic!("Bed::seal: {why}");
        }
        self.engine = Engine::Sealed;
        self
    }

    /// What the server claims: how long any client may hold a connection of it.
    ///
    /// A few incidents have times of their own, such as 10 min for an upload. Where a time of the
    /// contract is not the default one, the larger of both is what counts; where it is, the
    /// incident's is, and a report says so.
    pub fn contract(mut self, contract: Contract) -> Self {
        self.server.contract = contract;
        self
    }

    /// Which target of the server plays a part in scenarios. One target can play several parts. An
    /// incident that needs a part which no route plays is left out, and the report says so; the
    /// fuzzer makes such requests to the plain route.
    ///
    /// Where a scenario chooses a size or a time, a target can take it: `{bytes}` stands for the
    /// bytes of [`Route::Big`], and `{ms}` or `{s}` (rounded up) for the time of [`Route::Slow`]
    /// and [`Route::Ticks`]: `/file?size={bytes}`.
    ///
    /// Each part is tried before anything else: a route that does not play it is a
    /// [`PreflightFailure`].
    pub fn route(mut self, part: Route, target: impl Into<String>) -> Self {
        let target = Target::Text(target.into());
        self.server.routes.targets.insert(part, target);
        self
    }

    /// A route whose requests differ in more than their target: `change` is given each request for
    /// this part, and makes of it one that the server takes. It must make the same of the same
    /// request each time.
    ///
    /// ```
    /// # use hangup::Bed;
    /// # use hangup::bed::Route;
    /// # async fn serve(listener: hangup::net::TcpListener) {}
    /// # let bed = Bed::new("orders", |listener, _shutdown| serve(listener));
    /// let bed = bed
    ///     .route_with(Route::ReadsBody, |request| {
    ///         request.method = "PUT".into();
    ///         request.target = "/orders/7".into();
    ///         request.headers.push(("Content-Type".into(), "text/plain".into()));
    ///     })
    ///     .route_with(Route::Big, |request| {
    ///         let mib = request.number.unwrap_or_default().div_ceil(1 << 20);
    ///         request.target = format!("/export?mib={mib}");
    ///     });
    /// # drop(bed);
    /// ```
    pub fn route_with<F>(mut self, part: Route, change: F) -> Self
    where
        F: Fn(&mut Request) + Send + Sync + 'static,
    {
        let target = Target::Made(Arc::new(change));
        self.server.routes.targets.insert(part, target);
        self
    }

    /// A field that every request has, such as what lets it in. May be called again.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value): (String, String) = (name.into(), value.into());
        self.server.routes.headers.push((name.into(), value.into()));
        self
    }

    /// The server does not speak HTTP. `request` is one whole request of its protocol, which it answers with at least a
    /// byte. Clients send it in place of requests, whole, in parts, byte by byte and many at once; of the incidents, those
    /// that are about connections apply; of the rules, those that hold for any connection.
    pub fn not_http(mut self, request: impl Into<Vec<u8>>) -> Self {
        self.server.routes.dialogue = Some(Dialogue {
            request: request.into(),
        });
        self
    }

    /// Findings of this kind are known and not told. May be called again.
    ///
    /// A panic of the server's own code is no finding by itself, whatever is tolerated: what its
    /// connection lacks behind it is the panic's doing, and is not judged. The outcome tells where
    /// it was, see [`Outcome::panics`].
    pub fn tolerate(mut self, kind: Verdict) -> Self {
        self.server.tolerated.insert(kind);
        self
    }

    /// Tasks that are spawned at this place are meant to outlive the connection that makes the server start them: a worker
    /// that idles for two minutes, a job that was accepted with 202. May be called again.
    ///
    /// `place` is where `tokio::spawn` is called: a part of the file's path as the compiler names it (`src/jobs.rs`), or the
    /// end of path and line (`jobs.rs:42`). What such tasks spawn is declared with them. A declared task that polls the
    /// stream of a client is that client's connection's all the same.
    ///
    /// What a server starts once and keeps (metrics at its first connection, a janitor at its first upload, a pool of
    /// workers) need not be declared: whatever is found about tasks alone is looked for again in a server that has served
    /// a crowd of well-behaved clients before, on every route of the scenario, and dropped if it does not come back.
    pub fn background(mut self, place: impl Into<String>) -> Self {
        self.server.background.push(place.into());
        self
    }

    /// How many generated scenarios are run; 2,000 unless said otherwise.
    pub fn cases(mut self, cases: u64) -> Self {
        self.cases = cases;
        self
    }

    /// The seed that the generated scenarios follow from; 1 unless said otherwise. A fixed seed keeps a test the same from run
    /// to run; whoever looks for more, changes it.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Looks for memory that grows: clients of several kinds (one that is served, one that is cut off in a head, in an upload, before
    /// its answer, one whose handler panics if [`Route::Panics`] is named) come so many times each, one after the other, and what the
    /// program has allocated is counted when each is gone. What still grows over the last half of the rounds, and of four
    /// times as many, is a finding of [`Verdict::Hoard`]. A pool or a cache that fills up needs fewer rounds than half of these.
    ///
    /// The peak counts, too: where the contract names a [`buffer`](Contract::buffer) and a route
    /// [reads bodies](Route::ReadsBody), a client sends a body that is 16 times as long (4 MiB at
    /// least), in chunks and with a length. A server that has half of it in memory at once is a
    /// finding of [`Verdict::Hoard`], also where it is the application that collects the body. No
    /// body of more than 256 MiB is sent, so a buffer of more than 16 MiB is not looked at.
    ///
    /// The test's program must count what it allocates:
    ///
    /// ```
    /// #[global_allocator]
    /// static ALLOCATOR: hangup::CountingAllocator = hangup::CountingAllocator;
    /// # fn main() {}
    /// ```
    pub fn memory(mut self, rounds: u32) -> Self {
        self.rounds = Some(rounds);
        self
    }

    /// Counts something in the server that must be back at its first value when the drain time of the contract has passed
    /// behind the last client: sessions in a map, permits of a pool, entries of a registry. If it is not, that is a
    /// finding of [`Verdict::Leftover`] that says so. May be called again.
    ///
    /// Runs of such a server come one after the other, also in different threads, since `count` may look at what
    /// they share. Where each instance of the server has a state of its own, call
    /// [`hangup::residue`](crate::residue()) in the closure that makes it.
    pub fn residue(
        mut self,
        name: impl Into<String>,
        count: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        self.server.residues.push(Counted {
            name: name.into(),
            count: Arc::new(count),
        });
        self
    }

    /// The folder in which what is found is kept, below the server's name, and from which it is replayed first. Unless said
    /// otherwise it is `hangup-regressions` beside the file that calls [`Bed::new`].
    pub fn regressions(mut self, folder: impl Into<PathBuf>) -> Self {
        self.regressions = Some(folder.into());
        self
    }

    /// Nothing is replayed from a folder, and nothing kept in one: for a server that is known to be at fault.
    pub fn keep_nothing(mut self) -> Self {
        self.regressions = None;
        self
    }

    /// Runs it all, and panics with the report if anything is found.
    ///
    /// # Panics
    /// If a route does not play its part or the server cannot be put on the bed (with one sentence
    /// that says why), if anything is found, a file in the folder of regressions cannot be read, or
    /// [`memory`](Bed::memory) is to be counted by an allocator that does not count.
    #[track_caller]
    pub fn check(&self) {
        let outcome = self.run();
        if !outcome.is_clean() {
            panic!("{outcome}");
        }
        println!("{outcome}");
    }

    /// Runs it all, and gives what came of it.
    ///
    /// # Panics
    /// If a file in the folder of regressions cannot be read.
    #[track_caller]
    pub fn run(&self) -> Outcome {
        let server = &self.server;
        let kept = self.regressions.as_deref();
        let kept = kept.map(|folder| Regressions::of(folder, &server.name));
        let mut outcome = Outcome {
            server: server.name.clone(),
            ..Outcome::default()
        };
        outcome.preflight = preflight::failure(self.engine, server);
        if outcome.preflight.is_some() {
            return outcome;
        }
        let replayed = kept.as_ref().map(Regressions::all).transpose();
        let replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
        for (file, scenario) in replayed.into_iter().flatten() {
            outcome.regressions += 1;
            let mut cell = self.judge(&scenario);
            outcome.note_panic(&cell);
            cell.scenario = named(&scenario, file.display().to_string());
            outcome.convicted.extend(guilty(cell));
        }
        // What is known and not mended would only be found again.
        let open = outcome.convicted.len();
        for scenario in incident::all() {
            match server.inapplicable(scenario) {
                Some(why) => outcome.left_out.push((scenario.name.clone(), why)),
                None => outcome.incident(self.judge(scenario)),
            }
        }
        if let Some(rounds) = self.rounds {
            for (scenario, finding) in memory::grown(server, rounds) {
                let mut cell = Cell::of(Engine::Leap, &scenario, server, Detail::default());
                if !server.tolerates(finding.kind) {
                    cell.findings.push(finding);
                }
                outcome.convicted.extend(guilty(cell));
            }
        }
        if open == 0 {
            self.fuzz(kept.as_ref(), &mut outcome);
        }
        self.explain(&mut outcome);
        outcome
    }

    fn fuzz(&self, kept: Option<&Regressions>, outcome: &mut Outcome) {
        let plan = Plan {
            seed: self.seed,
            cases: self.cases,
            jobs: std::thread::available_parallelism().map_or(1, Into::into),
            keep_going: false,
            shard: Shard::default(),
        };
        let (totals, convictions) = fuzz(self.engine, &self.server, plan, |_| {});
        outcome.cases = totals.cases;
        for panicked in totals.panics.into_values() {
            let seed = case_seed(self.seed, panicked.first);
            if !wants_panic(&fuzz::scenario(seed, &self.server)) {
                outcome.panicked(Panicked {
                    says: panicked.says,
                    first: format!("case {seed}"),
                    scenarios: panicked.cases,
                });
            }
        }
        for conviction in convictions {
            let cell = conviction.minimal;
            outcome.saved.extend(kept.map(|kept| Saved {
                scenario: cell.scenario.name.clone(),
                file: kept.keep(&cell.scenario),
            }));
            outcome.convicted.push(cell);
        }
    }

    fn judge(&self, scenario: &Arc<Scenario>) -> Cell {
        Cell::twice(self.engine, scenario, &self.server, Detail::default())
    }

    /// Runs the most telling conviction again, with its timeline and its stacks.
    fn explain(&self, outcome: &mut Outcome) {
        let Some(told) = crate::cell::most_telling(&outcome.convicted) else {
            return;
        };
        // What only many rounds show is not found again in one.
        let (memory, found): (Vec<_>, Vec<_>) = told
            .findings
            .iter()
            .partition(|one| matches!(one.part, Some("memory" | "peak")));
        let mut cell = match found.iter().max_by_key(|finding| finding.kind) {
            Some(gravest) => again_as(
                self.engine,
                &told.scenario,
                &self.server,
                Detail::TOLD,
                gravest,
            ),
            None => Cell::twice(self.engine, &told.scenario, &self.server, Detail::TOLD),
        };
        cell.findings.extend(memory.into_iter().cloned());
        cell.again = Some(self.again.clone());
        outcome.told = Some(cell);
    }
}

impl From<Bed> for Arc<dyn Server> {
    fn from(bed: Bed) -> Self {
        Arc::new(bed.server)
    }
}

/// What the future of a server ended with is longer than anybody reads: so many characters are
/// kept.
const ENDED_MAX: usize = 300;

/// Enters in the record of the run what the server's future ended with.
fn ended(with: &impl Debug) {
    let text = format!("{with:?}");
    if text != "()" {
        let words: Vec<&str> = text.split_whitespace().collect();
        let text: String = words.join(" ").chars().take(ENDED_MAX).collect();
        record(|recorder| recorder.life.ended_with = Some(text));
    }
}

fn guilty(cell: Cell) -> Option<Cell> {
    (!cell.findings.is_empty()).then_some(cell)
}

/// The same scenario, by the file that it is kept in.
fn named(scenario: &Scenario, name: String) -> Arc<Scenario> {
    let mut scenario = scenario.clone();
    scenario.name = name;
    Arc::new(scenario)
}

/// The command that runs this test again; libtest names its threads after their tests.
fn again() -> String {
    match std::thread::current().name() {
        Some(test) if test != "main" => format!("cargo test {test}"),
        _ => "cargo test".to_owned(),
    }
}
