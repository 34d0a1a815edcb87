//! Habits of how a server is put together: who accepts, who serves, and what else runs.

use crate::base::*;
use crate::guilty::libraries::router;
use crate::job;
use hangup::net::{TcpListener, TcpStream};
use hangup::server::{Serving, Shutdown};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};

/// The next connection, `None` at the shutdown; an error is waited out.
async fn accepted(listener: &TcpListener, stop: &Shutdown) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.clone().given() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// How many connections there are, and who wants to know when there is none.
#[derive(Default)]
struct Open(AtomicUsize, Notify);

struct Counted(Arc<Open>);

impl Counted {
    fn new(open: &Arc<Open>) -> Self {
        open.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.1.notify_one();
        }
    }
}

impl Open {
    async fn none(&self) {
        while self.0.load(Ordering::Relaxed) > 0 {
            self.1.notified().await;
        }
    }
}

/// A ticker runs beside the connections, once a minute, for ever.
#[derive(Default)]
pub(crate) struct Ticker;

impl Hooks for Ticker {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let ticker = tokio::spawn(async {
            let mut ticks = interval(Duration::from_secs(60));
            loop {
                ticks.tick().await;
            }
        });
        listen(self, listener, stop).await;
        ticker.abort();
    }
}

/// A task that reports figures every 10 min is started by the first connection.
#[derive(Default)]
pub(crate) struct MetricsAtFirst(AtomicBool);

impl Hooks for MetricsAtFirst {
    async fn connection(self: Arc<Self>, conn: Conn) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tokio::spawn(async {
                loop {
                    sleep(Duration::from_secs(600)).await;
                }
            });
        }
        connection(self, conn).await;
    }
}

/// A janitor for uploaded files is started by the first upload.
#[derive(Default)]
pub(crate) struct JanitorAtUpload(AtomicBool);

impl Hooks for JanitorAtUpload {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        if request.target == "/upload" && !self.0.swap(true, Ordering::Relaxed) {
            tokio::spawn(async {
                let mut rounds = interval(Duration::from_secs(600));
                loop {
                    rounds.tick().await;
                }
            });
        }
        let app = app(request.method.clone(), request.target.clone(), body);
        handle(conn, app).await
    }
}

/// Lines of the access log go to a task that waits for them on a channel, started by the first
/// response.
#[derive(Default)]
pub(crate) struct LogTask(Mutex<Option<mpsc::UnboundedSender<u16>>>);

impl Hooks for LogTask {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let status = answer.status;
        let log = self
            .0
            .lock()
            .unwrap()
            .get_or_insert_with(|| {
                let (log, mut lines) = mpsc::unbounded_channel();
                tokio::spawn(async move { while lines.recv().await.is_some() {} });
                log
            })
            .clone();
        let _ = log.send(status);
        respond(conn, request, answer, close).await
    }
}

/// An upload is taken with its answer, and worked at for a minute behind it in a task of its own.
#[derive(Default)]
pub(crate) struct JobBehind;

impl Hooks for JobBehind {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        if request.target == "/upload" && request.method == "POST" {
            job::starts(body);
            return Ok(Answer::new(202, "accepted"));
        }
        let app = app(request.method.clone(), request.target.clone(), body);
        handle(conn, app).await
    }
}

/// A handler runs in a task of its own, and goes on for up to 4 s when its client is gone.
#[derive(Default)]
pub(crate) struct HandlerGoesOn;

impl Hooks for HandlerGoesOn {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let app = app(request.method.clone(), request.target.clone(), body);
        let task = tokio::spawn(timeout(Duration::from_secs(4), app));
        let answer = async {
            match task.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Answer::new(503, ""),
                Err(_) => Answer::new(500, ""),
            }
        };
        handle(conn, answer).await
    }
}

/// 512 workers, started at once, take connections from a channel and serve one at a time.
#[derive(Default)]
pub(crate) struct Workers;

impl Hooks for Workers {
    fn clocks(&self) -> Clocks {
        Clocks {
            idle: Duration::from_secs(5),
            ..Clocks::default()
        }
    }

    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let (queue, queued) = mpsc::channel::<Conn>(1024);
        let queued = Arc::new(tokio::sync::Mutex::new(queued));
        let mut workers = JoinSet::new();
        for _ in 0..512 {
            let (queued, hooks) = (Arc::clone(&queued), Arc::clone(&self));
            workers.spawn(async move {
                loop {
                    let Some(conn) = queued.lock().await.recv().await else {
                        return;
                    };
                    // A panic is the connection's, not the worker's.
                    let serving = Arc::clone(&hooks).connection(conn);
                    let _ = tokio::spawn(serving).await;
                }
            });
        }
        while let Some((stream, peer)) = accepted(&listener, &stop).await {
            let _ = queue.send(opened(&*self, stream, peer, &stop)).await;
        }
        drop((listener, queue));
        let all = async { while workers.join_next().await.is_some() {} };
        let _ = timeout(self.clocks().grace, all).await;
    }
}

/// A worker is started where none is free, and ends when it had nothing to do for two minutes.
#[derive(Default)]
pub(crate) struct WorkersOnDemand {
    open: Arc<Open>,
    free: Mutex<VecDeque<oneshot::Sender<Conn>>>,
}

impl WorkersOnDemand {
    async fn work(self: Arc<Self>, mut conn: Conn) {
        loop {
            let counted = Counted::new(&self.open);
            let _ = exchanges(&*self, &mut conn).await;
            drop((conn, counted));
            let (hand_over, next) = oneshot::channel();
            self.free.lock().unwrap().push_back(hand_over);
            match timeout(Duration::from_secs(120), next).await {
                Ok(Ok(next)) => conn = next,
                _ => return,
            }
        }
    }
}

impl Hooks for WorkersOnDemand {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        while let Some((stream, peer)) = accepted(&listener, &stop).await {
            let mut conn = opened(&*self, stream, peer, &stop);
            loop {
                let Some(free) = self.free.lock().unwrap().pop_back() else {
                    tokio::spawn(Arc::clone(&self).work(conn));
                    break;
                };
                match free.send(conn) {
                    Ok(()) => break,
                    Err(refused) => conn = refused,
                }
            }
        }
        drop(listener);
        let _ = timeout(self.clocks().grace, self.open.none()).await;
    }
}

/// All connections are served by the accept loop's own task, in a `JoinSet` that is polled in one
/// `select!`.
#[derive(Default)]
pub(crate) struct OneTask;

impl Hooks for OneTask {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        // Futures in a set of their own, without a task for each.
        let mut connections: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
        let mut stopped = std::pin::pin!(stop.clone().given());
        let mut due = None;
        loop {
            let all = std::future::poll_fn(|cx| {
                connections.retain_mut(|one| {
                    let polled = std::panic::AssertUnwindSafe(|| one.as_mut().poll(cx));
                    match std::panic::catch_unwind(polled) {
                        Ok(polled) => polled.is_pending(),
                        Err(_) => false,
                    }
                });
                match due.is_some() && connections.is_empty() {
                    true => std::task::Poll::Ready(()),
                    false => std::task::Poll::Pending,
                }
            });
            tokio::select! {
                biased;
                () = &mut stopped, if due.is_none() => due = Some(Instant::now() + self.clocks().grace),
                () = async { tokio::time::sleep_until(due.unwrap()).await }, if due.is_some() => return,
                () = all => return,
                accepted = listener.accept(), if due.is_none() => match accepted {
                    Ok((stream, peer)) => {
                        let conn = opened(&*self, stream, peer, &stop);
                        connections.push(Box::pin(Arc::clone(&self).connection(conn)));
                    }
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

/// An idle connection goes back to the accept loop, which hands it to a new task when its next
/// request begins.
#[derive(Default)]
pub(crate) struct HandsBack {
    open: Arc<Open>,
}

impl Hooks for HandsBack {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let (give, mut given_back) = mpsc::unbounded_channel::<(Conn, Counted)>();
        let mut stopped = std::pin::pin!(stop.clone().given());
        loop {
            let (mut conn, counted) = tokio::select! {
                biased;
                () = &mut stopped => break,
                Some(back) = given_back.recv() => back,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let conn = opened(&*self, stream, peer, &stop);
                        (conn, Counted::new(&self.open))
                    }
                    Err(_) => {
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let (give, hooks) = (give.clone(), Arc::clone(&self));
            tokio::spawn(async move {
                match exchange(&*hooks, &mut conn).await {
                    Ok(true) => drop(give.send((conn, counted))),
                    Ok(false) => drop(finish(&mut conn).await),
                    Err(End::Status(status)) => {
                        let answer = Answer::new(status, "");
                        let unread = Request::unread();
                        if respond(&mut conn, &unread, answer, true).await.is_ok() {
                            let _ = finish(&mut conn).await;
                        }
                    }
                    Err(End::Gone) => {}
                }
            });
        }
        drop(listener);
        // Those that were on their way back are idle.
        given_back.close();
        while let Some((mut conn, counted)) = given_back.recv().await {
            tokio::spawn(async move {
                let _ = finish(&mut conn).await;
                drop(counted);
            });
        }
        let _ = timeout(self.clocks().grace, self.open.none()).await;
    }
}

/// A connection is two tasks, a reader that parses and a writer that answers, with a channel
/// between.
#[derive(Default)]
pub(crate) struct TwoTasks;

impl Hooks for TwoTasks {
    async fn connection(self: Arc<Self>, conn: Conn) {
        let clocks = conn.clocks;
        let stop = conn.stop.clone();
        let (mut reader, mut writer) = conn.stream.into_split();
        let (requests, mut asked) = mpsc::channel::<(Vec<u8>, bool)>(8);
        let writing = tokio::spawn(async move {
            while let Some((response, close)) = asked.recv().await {
                let written = timeout(clocks.write, writer.write_all(&response)).await;
                if !matches!(written, Ok(Ok(()))) || close {
                    break;
                }
            }
            let _ = writer.shutdown().await;
            // The reader lingers.
            asked.close();
        });
        let mut buf = Vec::new();
        let mut done = false;
        let mut due = Instant::now() + clocks.head;
        while !done {
            let read = tokio::select! {
                biased;
                read = timeout_at(due, reader.read_buf(&mut buf)) => read,
                () = stop.clone().given() => break,
            };
            if !matches!(read, Ok(Ok(1..))) || buf.len() > HEAD_MAX {
                break;
            }
            loop {
                let (answer, request, close) = match parse(&buf) {
                    Ok(None) => break,
                    Ok(Some((request, length))) => {
                        buf.drain(..length);
                        due = Instant::now() + clocks.head;
                        let close = request.close
                            || request.framing != Framing::Length(0)
                            || stop.is_given();
                        let status = if request.framing == Framing::Length(0) {
                            200
                        } else {
                            411
                        };
                        (Answer::new(status, "hello"), request, close)
                    }
                    Err(_) => (Answer::new(400, ""), Request::unread(), true),
                };
                let mut bytes = response_head(&answer, close);
                if request.method != "HEAD" {
                    bytes.extend(answer.body);
                }
                done = requests.send((bytes, close)).await.is_err() || close;
                if done {
                    break;
                }
            }
        }
        drop(requests);
        let _ = writing.await;
        let lingering = async {
            let mut rest = [0; 1024];
            while matches!(reader.read(&mut rest).await, Ok(1..)) {}
        };
        let _ = timeout(clocks.linger, lingering).await;
    }
}

/// At most 256 connections are served, and the accept loop waits for a place.
pub(crate) struct WaitsForPlace(Arc<Semaphore>);

impl Default for WaitsForPlace {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(256)))
    }
}

impl Hooks for WaitsForPlace {
    fn clocks(&self) -> Clocks {
        Clocks {
            idle: Duration::from_secs(5),
            head: Duration::from_secs(5),
            ..Clocks::default()
        }
    }

    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let open = Arc::new(Open::default());
        let mut stopped = std::pin::pin!(stop.clone().given());
        loop {
            let next = async {
                let place = self.0.clone().acquire_owned().await.unwrap();
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                biased;
                () = &mut stopped => break,
                next = next => next,
            };
            let Ok((stream, peer)) = accepted else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let conn = opened(&*self, stream, peer, &stop);
            let (hooks, counted) = (Arc::clone(&self), Counted::new(&open));
            tokio::spawn(async move {
                hooks.connection(conn).await;
                drop((place, counted));
            });
        }
        drop(listener);
        let _ = timeout(self.clocks().grace, open.none()).await;
    }
}

/// Of more than eight connections the one that was idle the longest is closed.
#[derive(Default)]
pub(crate) struct EvictsIdle(Mutex<VecDeque<(SocketAddr, Arc<Notify>)>>);

impl Hooks for EvictsIdle {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        if conn.served == 0 || !conn.buf.is_empty() {
            return wait(conn).await;
        }
        let evicted = Arc::new(Notify::new());
        {
            let mut idle = self.0.lock().unwrap();
            idle.push_back((conn.peer, Arc::clone(&evicted)));
            if idle.len() > 8
                && let Some((_, longest)) = idle.pop_front()
            {
                longest.notify_one();
            }
        }
        let peer = conn.peer;
        let goes_on = tokio::select! {
            biased;
            goes_on = wait(conn) => goes_on,
            () = evicted.notified() => Ok(false),
        };
        self.0.lock().unwrap().retain(|(idle, _)| *idle != peer);
        goes_on
    }
}

/// More than 100 connections are answered 503, with a linger as everybody.
#[derive(Default)]
pub(crate) struct Refuses(Arc<Open>);

impl Hooks for Refuses {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        let _counted = Counted::new(&self.0);
        if self.0.0.load(Ordering::Relaxed) <= 100 {
            return connection(self, conn).await;
        }
        let answer = Answer::new(503, "");
        if respond(&mut conn, &Request::unread(), answer, true)
            .await
            .is_ok()
        {
            let _ = finish(&mut conn).await;
        }
    }
}

/// An address may make 50 requests in 10 s, and is answered 429 beyond.
#[derive(Default)]
pub(crate) struct RateLimit(Mutex<HashMap<IpAddr, (Began, u32)>>);

/// When a window of 10 s began.
type Began = Option<Instant>;

impl Hooks for RateLimit {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let over = {
            let mut windows = self.0.lock().unwrap();
            let (began, count) = windows.entry(conn.peer.ip()).or_default();
            if began.is_none_or(|began| began.elapsed() > Duration::from_secs(10)) {
                (*began, *count) = (Some(Instant::now()), 0);
            }
            *count += 1;
            *count > 50
        };
        if over {
            return Ok(Answer::new(429, ""));
        }
        let app = app(request.method.clone(), request.target.clone(), body);
        handle(conn, app).await
    }
}

/// A panic in a handler is caught, and answered 500 on a connection that goes on.
#[derive(Default)]
pub(crate) struct CatchesPanics;

impl Hooks for CatchesPanics {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let app = app(request.method.clone(), request.target.clone(), body);
        let mut handlers = JoinSet::new();
        handlers.spawn(app);
        let answer = async {
            match handlers.join_next().await {
                Some(Ok(answer)) => answer,
                _ => Answer::new(500, ""),
            }
        };
        handle(conn, answer).await
    }
}

/// Figures are kept with an `AtomicU64` for each connection in a registry, which forgets it when it
/// is dropped.
#[derive(Default)]
pub(crate) struct Registry(Arc<Mutex<HashMap<SocketAddr, Arc<AtomicU64>>>>);

struct Entry(Arc<Mutex<HashMap<SocketAddr, Arc<AtomicU64>>>>, SocketAddr);

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.lock().unwrap().remove(&self.1);
    }
}

impl Hooks for Registry {
    async fn connection(self: Arc<Self>, conn: Conn) {
        self.0.lock().unwrap().insert(conn.peer, Arc::default());
        let _entry = Entry(Arc::clone(&self.0), conn.peer);
        connection(self, conn).await;
    }
}

/// Every connection has a watchdog task, which is ended with it.
#[derive(Default)]
pub(crate) struct Watchdog;

impl Hooks for Watchdog {
    async fn connection(self: Arc<Self>, conn: Conn) {
        let mut watchdog = JoinSet::new();
        watchdog.spawn(async {
            loop {
                sleep(Duration::from_secs(7)).await;
            }
        });
        connection(self, conn).await;
    }
}

/// The application is behind a proxy of the server's own: each request goes to a backend over a
/// connection from a pool.
#[derive(Default)]
pub(crate) struct Upstream(tokio::sync::Mutex<Vec<TcpStream>>);

const BACKEND: &str = "127.0.0.1:9001";

impl Upstream {
    async fn ask(&self) -> std::io::Result<Answer> {
        let pooled = self.0.lock().await.pop();
        let mut stream = match pooled {
            Some(stream) => stream,
            None => TcpStream::connect(BACKEND).await?,
        };
        stream.write_all(b"?").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        self.0.lock().await.push(stream);
        Ok(Answer::new(200, answer))
    }
}

impl Hooks for Upstream {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let backend = TcpListener::bind(BACKEND).await;
        let serving = tokio::spawn(async move {
            let Ok(backend) = backend else { return };
            let mut connections = JoinSet::new();
            loop {
                let Ok((mut stream, _)) = backend.accept().await else {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                connections.spawn(async move {
                    let mut asked = [0];
                    while matches!(stream.read(&mut asked).await, Ok(1)) {
                        if stream.write_all(b"hello").await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        listen(Arc::clone(&self), listener, stop).await;
        serving.abort();
    }

    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        if request.target == "/" {
            let asked = async { self.ask().await.unwrap_or(Answer::new(502, "")) };
            return handle(conn, asked).await;
        }
        let app = app(request.method.clone(), request.target.clone(), body);
        handle(conn, app).await
    }
}

/// Four tasks accept from one listener.
#[derive(Default)]
pub(crate) struct FourAcceptors;

impl Hooks for FourAcceptors {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let listener = Arc::new(tokio::sync::Mutex::new(listener));
        let mut acceptors = JoinSet::new();
        for _ in 0..4 {
            let (listener, hooks, stop) = (Arc::clone(&listener), Arc::clone(&self), stop.clone());
            acceptors.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    let accepted = tokio::select! {
                        biased;
                        () = stop.clone().given() => break,
                        Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                        accepted = async { listener.lock().await.accept().await } => accepted,
                    };
                    match accepted {
                        Ok((stream, peer)) => {
                            let conn = opened(&*hooks, stream, peer, &stop);
                            connections.spawn(Arc::clone(&hooks).connection(conn));
                        }
                        Err(_) => sleep(ACCEPT_PAUSE).await,
                    }
                }
                drop(listener);
                let all = async { while connections.join_next().await.is_some() {} };
                let _ = timeout(hooks.clocks().grace, all).await;
            });
        }
        drop(listener);
        while acceptors.join_next().await.is_some() {}
    }
}

/// hyper with a clock for heads and one for the whole connection, and a graceful shutdown.
pub(crate) fn hyper_clocked(listener: TcpListener, stop: Shutdown) -> Serving {
    Box::pin(async move {
        let mut connections = JoinSet::new();
        while let Some((stream, _)) = accepted(&listener, &stop).await {
            let service = TowerToHyperService::new(router());
            let stopped = stop.clone();
            connections.spawn(async move {
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .half_close(true)
                    .header_read_timeout(Duration::from_secs(10))
                    .serve_connection(TokioIo::new(stream), service);
                let mut serving = std::pin::pin!(serving);
                let gracefully = async {
                    tokio::select! {
                        biased;
                        _ = serving.as_mut() => return,
                        () = stopped.given() => serving.as_mut().graceful_shutdown(),
                    }
                    let _ = serving.await;
                };
                let _ = timeout(Duration::from_secs(60), gracefully).await;
            });
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_secs(10), all).await;
    })
}

/// A line protocol with a clock for a line and one for an answer.
pub(crate) fn lines(listener: TcpListener, stop: Shutdown) -> Serving {
    Box::pin(async move {
        let mut connections = JoinSet::new();
        while let Some((stream, _)) = accepted(&listener, &stop).await {
            connections.spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader.take(64 * 1024));
                let mut line = Vec::new();
                loop {
                    line.clear();
                    let reading = lines.read_until(b'\n', &mut line);
                    if !matches!(timeout(Duration::from_secs(30), reading).await, Ok(Ok(1..))) {
                        return;
                    }
                    let writing = writer.write_all(&line);
                    if !matches!(timeout(Duration::from_secs(10), writing).await, Ok(Ok(()))) {
                        return;
                    }
                }
            });
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_secs(10), all).await;
    })
}
