//! Whose a task is. A server may hand connections from task to task, keep workers and tickers, open connections of its
//! own and outlive a process of its own; none of that holds a client's connection. Each innocent server here has a
//! guilty sibling, which is still convicted.

#[path = "tasks/channels.rs"]
mod channels;
#[path = "tasks/jobs.rs"]
mod jobs;
#[path = "tasks/tickers.rs"]
mod tickers;

use hangup::Bed;
use hangup::bed::{Outcome, Route};
use hangup::net::{TcpListener, TcpStream};
use hangup_scenario::Verdict;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{sleep, timeout};

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(20);
/// Longer than anything that the contract allows.
const LONG: Duration = Duration::from_secs(10 * 60);
const CASES: u64 = 800;

/// Runs the incidents and as many generated scenarios as find what there is to find.
fn outcome(bed: Bed) -> Outcome {
    // These servers answer before a body is there.
    let bed = bed.tolerate(Verdict::Protocol).tolerate(Verdict::Lost);
    bed.cases(CASES).keep_nothing().run()
}

/// The verdicts of everything that convicted a server.
fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all: Vec<_> = outcome
        .convicted
        .iter()
        .map(|cell| cell.verdict())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

async fn accepted(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of descriptors now is not out of descriptors for ever.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// One request, one answer, and the end of the connection.
async fn only_exchange(mut stream: TcpStream) -> std::io::Result<()> {
    head(&mut stream).await?;
    close(stream).await
}

async fn close(mut stream: TcpStream) -> std::io::Result<()> {
    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    // What is left unread would have a reset erase the answer.
    copy(&mut stream, &mut sink()).await?;
    Ok(())
}

/// One request and its answer; gives the stream back if another request may follow.
async fn exchange(mut stream: TcpStream) -> std::io::Result<Option<TcpStream>> {
    let head = head(&mut stream).await?;
    let plain = head.starts_with(b"GET / HTTP/1.1\r\n");
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !plain
        || ["close", "content-length", "chunked"]
            .iter()
            .any(|word| text.contains(word))
    {
        close(stream).await?;
        return Ok(None);
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await?;
    Ok(Some(stream))
}

/// Every exchange is a task of its own: behind it the connection goes back to the accept loop, which spawns the next.
async fn hands_back(listener: TcpListener, deadline: Duration) {
    let (back, mut returned) = mpsc::unbounded_channel();
    loop {
        let stream = tokio::select! {
            stream = accepted(&listener) => stream,
            Some(stream) = returned.recv() => stream,
        };
        let back = back.clone();
        tokio::spawn(async move {
            if let Ok(Ok(Some(stream))) = timeout(deadline, exchange(stream)).await {
                let _ = back.send(stream);
            }
        });
    }
}

#[test]
fn connections_that_go_back_through_the_accept_loop_are_their_own() {
    let innocent = Bed::new("hands-back", |listener, _| hands_back(listener, DEADLINE));
    let outcome = self::outcome(innocent);
    assert!(outcome.is_clean(), "{outcome}");

    let guilty = Bed::new("hands-back-unbounded", |listener, _| {
        hands_back(listener, Duration::MAX)
    });
    let outcome = self::outcome(guilty);
    assert!(verdicts(&outcome).contains(&Verdict::Hung), "{outcome}");
}

/// The accept loop spawns a task for each connection, and another one beside it.
async fn spawns_beside(listener: TcpListener, beside: Option<Duration>) {
    loop {
        let stream = accepted(&listener).await;
        tokio::spawn(timeout(DEADLINE, only_exchange(stream)));
        tokio::spawn(sleep(beside.unwrap_or(Duration::MAX)));
    }
}

#[test]
fn maintenance_that_the_accept_loop_spawns_is_no_connections() {
    let innocent = Bed::new("maintains", |listener, _| {
        spawns_beside(listener, Some(LONG))
    });
    let outcome = self::outcome(innocent);
    assert!(outcome.is_clean(), "{outcome}");

    let guilty = Bed::new("leaks-beside", |listener, _| spawns_beside(listener, None));
    let outcome = self::outcome(guilty);
    assert_eq!(verdicts(&outcome), [Verdict::Leftover], "{outcome}");
}

/// Takes connections from a queue, one after the other, until none has come for `patience`.
async fn worker(streams: Arc<Mutex<mpsc::UnboundedReceiver<TcpStream>>>, patience: Duration) {
    loop {
        let mut streams = streams.lock().await;
        let Ok(Some(stream)) = timeout(patience, streams.recv()).await else {
            return;
        };
        drop(streams);
        let _ = timeout(DEADLINE, only_exchange(stream)).await;
    }
}

/// The first four connections each start a worker.
async fn lazy_workers(listener: TcpListener) {
    let (queue, streams) = mpsc::unbounded_channel();
    let streams = Arc::new(Mutex::new(streams));
    let mut workers = 0;
    loop {
        let stream = accepted(&listener).await;
        if workers < 4 {
            workers += 1;
            tokio::spawn(worker(Arc::clone(&streams), Duration::MAX));
        }
        let _ = queue.send(stream);
    }
}

#[test]
fn a_pool_that_fills_with_the_first_connections_is_no_leak() {
    let bed = Bed::new("lazy-workers", |listener, _| lazy_workers(listener));
    // Who waits for one of four workers may wait for long.
    let outcome = outcome(
        bed.tolerate(Verdict::Hung)
            .tolerate(Verdict::Late)
            .tolerate(Verdict::Deaf),
    );
    assert!(outcome.is_clean(), "{outcome}");
}

/// Metrics start with the first connection, and a janitor with the first upload.
async fn starts_late(listener: TcpListener, once: bool) {
    let started = [false; 2].map(AtomicBool::new);
    let started = Arc::new(started);
    loop {
        let mut stream = accepted(&listener).await;
        let started = Arc::clone(&started);
        tokio::spawn(timeout(DEADLINE, async move {
            let starts = |which: usize| {
                if !started[which].swap(once, Ordering::Relaxed) {
                    tokio::spawn(std::future::pending::<()>());
                }
            };
            starts(0);
            let head = head(&mut stream).await?;
            if head.starts_with(b"POST") {
                starts(1);
            }
            close(stream).await
        }));
    }
}

#[test]
fn what_starts_once_is_no_leak_after_a_restart_either() {
    let innocent = || Bed::new("starts-late", |listener, _| starts_late(listener, true));
    let fuzzed = outcome(innocent().route(Route::ReadsBody, "/echo"));
    assert!(fuzzed.is_clean(), "{fuzzed}");
    let steps = r#"{ do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "stall", for = "2s" },
        { do = "reconnect" }, { do = "send", all = [ { head = { method = "POST", target = "/echo", length = 5 } }, { body = 5 } ] },
        { do = "await", status = "final", within = "5s" }, { do = "close" }"#;
    let restarted = with_events(steps, &[("1s", "restart")]);
    let cell = judged(innocent(), &restarted);
    assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);

    let guilty = || {
        Bed::new("starts-each-time", |listener, _| {
            starts_late(listener, false)
        })
    };
    let fuzzed = outcome(guilty());
    assert!(verdicts(&fuzzed).contains(&Verdict::Leftover), "{fuzzed}");
    let cell = judged(guilty(), &restarted);
    assert_eq!(cell.verdict(), Verdict::Leftover, "{:?}", cell.findings);
}

/// Each request orders a job that takes ten minutes, and is answered at once.
async fn orders_jobs(listener: TcpListener, deadline: Duration) {
    loop {
        let mut stream = accepted(&listener).await;
        tokio::spawn(timeout(deadline, async move {
            head(&mut stream).await?;
            jobs::later(sleep(LONG));
            close(stream).await
        }));
    }
}

#[test]
fn jobs_that_are_declared_may_outlive_their_connections() {
    let bed = |name: &str, deadline| {
        Bed::new(name, move |listener, _| orders_jobs(listener, deadline)).tolerate(Verdict::Spin)
    };
    let declared = outcome(bed("declares-jobs", DEADLINE).background("tasks/jobs.rs"));
    assert!(declared.is_clean(), "{declared}");

    let undeclared = outcome(bed("orders-jobs", DEADLINE));
    assert_eq!(verdicts(&undeclared), [Verdict::Late], "{undeclared}");
    // Whoever declares too much is still held to what the streams of its clients show.
    let all = outcome(bed("declares-all", Duration::MAX).background("tests/tasks"));
    assert!(verdicts(&all).contains(&Verdict::Hung), "{all}");
}

/// Idle workers wait two minutes for another connection, if they are `reused`; who finds none idle starts another.
async fn workers_on_demand(listener: TcpListener, reused: bool) {
    let idle: Arc<Mutex<Vec<mpsc::Sender<TcpStream>>>> = Arc::default();
    loop {
        let mut next = Some(accepted(&listener).await);
        while let Some(stream) = next.take() {
            let Some(worker) = idle.lock().await.pop() else {
                let idle = Arc::clone(&idle);
                tokio::spawn(on_demand(stream, idle, reused));
                break;
            };
            if let Err(refused) = worker.try_send(stream) {
                next = Some(refused.into_inner());
            }
        }
    }
}

async fn on_demand(
    mut stream: TcpStream,
    idle: Arc<Mutex<Vec<mpsc::Sender<TcpStream>>>>,
    reused: bool,
) {
    loop {
        let _ = timeout(DEADLINE, only_exchange(stream)).await;
        let (sender, mut queue) = mpsc::channel(1);
        if reused {
            idle.lock().await.push(sender.clone());
        }
        match timeout(Duration::from_secs(120), queue.recv()).await {
            Ok(Some(next)) => stream = next,
            _ => return,
        }
    }
}

#[test]
fn workers_that_idle_between_connections_hold_none() {
    let innocent = Bed::new("on-demand", |listener, _| workers_on_demand(listener, true));
    let outcome = self::outcome(innocent);
    assert!(outcome.is_clean(), "{outcome}");

    let guilty = Bed::new("never-reused", |listener, _| {
        workers_on_demand(listener, false)
    });
    let outcome = self::outcome(guilty);
    assert_eq!(verdicts(&outcome), [Verdict::Late], "{outcome}");
}

/// Where the upstream of a proxy listens, in the same process.
const UPSTREAM: &str = "10.0.0.9:5432";

/// Answers every four bytes with two, for as long as its clients like.
async fn upstream(listener: TcpListener) {
    loop {
        let mut stream = accepted(&listener).await;
        tokio::spawn(async move {
            while stream.read_exact(&mut [0; 4]).await.is_ok() {
                if stream.write_all(b"42").await.is_err() {
                    break;
                }
            }
        });
    }
}

type Query = oneshot::Sender<()>;

/// One connection to the upstream, kept in a task of its own, which the first request has started.
async fn drive(mut stream: TcpStream, mut queries: mpsc::Receiver<Query>) {
    while let Some(query) = queries.recv().await {
        let asked = async {
            stream.write_all(b"get?").await?;
            stream.read_exact(&mut [0; 2]).await
        };
        if asked.await.is_err() {
            return;
        }
        let _ = query.send(());
    }
}

type Pool = Arc<Mutex<Option<mpsc::Sender<Query>>>>;

async fn asks_pool(mut stream: TcpStream, pool: Pool) -> std::io::Result<()> {
    head(&mut stream).await?;
    let mut sender = pool.lock().await;
    if sender.as_ref().is_none_or(mpsc::Sender::is_closed) {
        let (queries, queue) = mpsc::channel(8);
        tokio::spawn(drive(TcpStream::connect(UPSTREAM).await?, queue));
        *sender = Some(queries);
    }
    let queries = sender.clone();
    drop(sender);
    let (answer, answered) = oneshot::channel();
    if let Some(queries) = queries {
        let _ = queries.send(answer).await;
    }
    let _ = answered.await;
    close(stream).await
}

/// `reuses` its connection to the upstream, or opens one for each request and keeps it.
async fn proxy(listener: TcpListener, reuses: bool) {
    let Ok(own) = TcpListener::bind(UPSTREAM).await else {
        return;
    };
    tokio::spawn(upstream(own));
    let pool = Pool::default();
    loop {
        let stream = accepted(&listener).await;
        let pool = match reuses {
            true => Pool::clone(&pool),
            false => Pool::default(),
        };
        tokio::spawn(timeout(DEADLINE, asks_pool(stream, pool)));
    }
}

#[test]
fn connections_that_the_server_opens_are_not_its_clients() {
    let outcome = self::outcome(Bed::new("pools", |listener, _| proxy(listener, true)));
    assert!(outcome.is_clean(), "{outcome}");
    // Without a pool the task ends with its request.
    let outcome = self::outcome(Bed::new("asks-each-time", |listener, _| {
        proxy(listener, false)
    }));
    assert!(outcome.is_clean(), "{outcome}");
}

/// Each request asks an upstream that never answers, in a task that nobody ends.
async fn asks_in_vain(mut stream: TcpStream) -> std::io::Result<()> {
    head(&mut stream).await?;
    let (answer, answered) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let mut upstream = TcpStream::connect(UPSTREAM).await?;
        upstream.write_all(b"gone").await?;
        upstream.read_u8().await?;
        let _ = answer.send(());
        std::io::Result::Ok(())
    });
    let _ = timeout(Duration::from_secs(3), answered).await;
    close(stream).await
}

#[test]
fn a_request_that_waits_for_an_upstream_for_ever_is_still_its_clients() {
    let bed = Bed::new("asks-in-vain", |listener: TcpListener, _| async move {
        let mute = TcpListener::bind(UPSTREAM).await;
        loop {
            let stream = accepted(&listener).await;
            tokio::spawn(timeout(DEADLINE, asks_in_vain(stream)));
            std::hint::black_box(&mute);
        }
    });
    let outcome = outcome(bed);
    let held = [Verdict::Leftover, Verdict::Hung];
    let convicted = verdicts(&outcome);
    assert!(convicted.contains(&Verdict::Leftover), "{outcome}");
    assert!(
        convicted.iter().all(|verdict| held.contains(verdict)),
        "{outcome}"
    );
}

/// The record of one run tells the server's own connections from those of its clients.
#[test]
fn what_is_said_upstream_is_the_servers_own() {
    let text = r#"name = "one"
[[client]]
steps = [ { do = "connect" }, { do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "9s" }, { do = "close" } ]
"#;
    let bed = Bed::new("pools", |listener, _| proxy(listener, true));
    let server: Arc<dyn hangup::server::Server> = bed.into();
    let cell = hangup::cell::Cell::twice(
        hangup::engine::Engine::Leap,
        &hangup_tests::scenario(text),
        &*server,
        hangup::run::Detail::TOLD,
    );
    assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
    let own: Vec<_> = cell.run.connections.iter().filter(|one| one.own).collect();
    let [upstream] = own[..] else {
        panic!("one connection to the upstream: {own:?}")
    };
    assert!(upstream.client.is_none() && !upstream.probe);
    let lines = cell.run.timeline.iter();
    let of_upstream = lines.filter(|line| line.connection == Some(upstream.id));
    let actors: Vec<_> = of_upstream.map(|line| line.actor).collect();
    assert!(!actors.is_empty());
    assert!(
        actors
            .iter()
            .all(|actor| *actor == hangup::trace::Actor::Server),
        "{actors:?}"
    );
}

/// How many connection tasks of earlier instances were there when a connection of a later one was accepted.
static HAUNTED: AtomicUsize = AtomicUsize::new(0);

/// Counts the instance's connection tasks while it is alive.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

thread_local! {
    /// The counts of all instances of the run on this thread.
    static INSTANCES: std::cell::RefCell<Vec<Weak<AtomicUsize>>> =
        const { std::cell::RefCell::new(Vec::new()) };
}

/// A task of it ticks for ever, as a janitor does.
async fn ticks(listener: TcpListener, deadline: Duration) {
    tokio::spawn(async {
        let mut ticker = tokio::time::interval(Duration::from_secs(10));
        loop {
            ticker.tick().await;
        }
    });
    let count = Arc::new(AtomicUsize::new(0));
    INSTANCES.with_borrow_mut(|all| all.push(Arc::downgrade(&count)));
    loop {
        let stream = accepted(&listener).await;
        let earlier = INSTANCES.with_borrow(|all| {
            let others = all.iter().filter_map(Weak::upgrade);
            let others = others.filter(|other| !Arc::ptr_eq(other, &count));
            others
                .map(|other| other.load(Ordering::Relaxed))
                .sum::<usize>()
        });
        HAUNTED.fetch_add(earlier, Ordering::Relaxed);
        let counted = Counted::new(&count);
        tokio::spawn(async move {
            let _counted = counted;
            timeout(deadline, only_exchange(stream)).await
        });
    }
}

fn with_events(steps: &str, events: &[(&str, &str)]) -> Arc<hangup_scenario::Scenario> {
    let mut text =
        format!("name = \"dies\"\n[[client]]\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n");
    for (at, what) in events {
        text += &format!("[[server_event]]\nat = \"{at}\"\ndo = \"{what}\"\n");
    }
    hangup_tests::scenario(&text)
}

fn judged(bed: Bed, scenario: &Arc<hangup_scenario::Scenario>) -> hangup::cell::Cell {
    let server: Arc<dyn hangup::server::Server> = bed.into();
    let detail = hangup::run::Detail::default();
    hangup::cell::Cell::of(hangup::engine::Engine::Leap, scenario, &*server, detail)
}

#[test]
fn a_dead_process_neither_ticks_on_nor_keeps_its_tasks() {
    let steps = r#"{ do = "send", bytes = "GET / HT" }, { do = "stall", for = "5s" }, { do = "reconnect" },
        { do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "close" }"#;
    for events in [
        &[("1s", "crash")][..],
        &[("1s", "shutdown")],
        &[("1s", "restart")],
        &[
            ("1s", "crash"),
            ("2s", "restart"),
            ("3s", "crash"),
            ("4s", "restart"),
        ],
    ] {
        // Without a deadline, only the end of the process ends its tasks.
        let bed = Bed::new("ticks", |listener, _| ticks(listener, Duration::MAX));
        let start = std::time::Instant::now();
        let cell = judged(bed, &with_events(steps, events));
        INSTANCES.with_borrow_mut(Vec::clear);
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{events:?}: {:?}",
            cell.findings
        );
        assert_eq!(HAUNTED.load(Ordering::Relaxed), 0, "{events:?}");
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            start.elapsed()
        );
        // Ten seconds a tick: nobody has ticked for two years.
        assert!(cell.run.search.wakes < 100, "{:?}", cell.run.search);
    }
    let fuzzed = outcome(Bed::new("ticks", |listener, _| ticks(listener, DEADLINE)));
    assert!(fuzzed.is_clean(), "{fuzzed}");

    // The process that lives is held to its contract as ever.
    let steps = r#"{ do = "stall", for = "2s" }, { do = "reconnect" }, { do = "send", bytes = "GET / HT" }, { do = "stall", for = "1h" }"#;
    let bed = Bed::new("ticks", |listener, _| ticks(listener, Duration::MAX));
    let cell = judged(bed, &with_events(steps, &[("1s", "restart")]));
    assert_eq!(cell.verdict(), Verdict::Hung, "{:?}", cell.findings);
}

/// State that is not `Send`, and tasks that share it.
async fn counts(listener: TcpListener, deadline: Duration) {
    let served = std::rc::Rc::new(std::cell::Cell::new(0_u64));
    loop {
        let stream = accepted(&listener).await;
        let served = std::rc::Rc::clone(&served);
        tokio::task::spawn_local(async move {
            served.set(served.get() + 1);
            timeout(deadline, only_exchange(stream)).await
        });
    }
}

#[test]
fn a_server_that_is_not_send_is_judged_like_any_other() {
    let outcome = self::outcome(Bed::local("counts", |listener, _| {
        counts(listener, DEADLINE)
    }));
    assert!(outcome.is_clean(), "{outcome}");

    let guilty = Bed::local("counts-for-ever", |listener, _| {
        counts(listener, Duration::MAX)
    });
    let outcome = self::outcome(guilty);
    assert!(verdicts(&outcome).contains(&Verdict::Hung), "{outcome}");
    // Its tasks are seen: the report says where the stuck one was spawned.
    let told = outcome.to_string();
    assert!(told.contains("tests/tasks.rs"), "{told}");
}

/// The fields of a response come in the order of a `HashMap`, and the response names the time of day.
async fn unordered(mut stream: TcpStream) -> std::io::Result<()> {
    head(&mut stream).await?;
    let names = ["A", "B", "C", "D", "E", "F", "G", "H"];
    let fields: std::collections::HashMap<_, _> = names.iter().map(|name| (name, 1)).collect();
    let mut answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n".to_owned();
    for (name, value) in fields {
        answer += &format!("{name}: {value}\r\n");
    }
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    answer += &format!("Now: {}\r\n\r\n", now.as_nanos());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    copy(&mut stream, &mut sink()).await?;
    Ok(())
}

fn unordered_bed() -> Bed {
    Bed::new("unordered", |listener: TcpListener, _| async move {
        loop {
            let stream = accepted(&listener).await;
            tokio::spawn(timeout(DEADLINE, unordered(stream)));
        }
    })
}

#[test]
fn a_sealed_bed_gives_the_seed_random_bytes_and_clocks() {
    let open = outcome(unordered_bed());
    assert!(
        verdicts(&open).contains(&Verdict::Nondeterministic),
        "{open}"
    );
    if hangup::engine::Engine::Sealed.available().is_ok() {
        let sealed = outcome(unordered_bed().seal());
        assert!(sealed.is_clean(), "{sealed}");
    }
}
