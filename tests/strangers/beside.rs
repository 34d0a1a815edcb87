//! Habits of what else runs beside the connections.

use crate::base::*;
use crate::job;
use hangup::net::{TcpListener, TcpStream};
use hangup::server::Shutdown;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{interval, sleep, timeout};

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

/// A ticker runs beside the connections, every millisecond, for ever.
#[derive(Default)]
pub(crate) struct FastTicker;

impl Hooks for FastTicker {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let ticker = tokio::spawn(async {
            let mut ticks = interval(Duration::from_millis(1));
            loop {
                ticks.tick().await;
            }
        });
        listen(self, listener, stop).await;
        ticker.abort();
    }
}

/// A ticker of 10 s is started by the first connection.
#[derive(Default)]
pub(crate) struct TickerAtFirst(AtomicBool);

impl Hooks for TickerAtFirst {
    async fn connection(self: Arc<Self>, conn: Conn) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tokio::spawn(async {
                let mut ticks = interval(Duration::from_secs(10));
                loop {
                    ticks.tick().await;
                }
            });
        }
        connection(self, conn).await;
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

/// Each request waits for a file that is read on another thread, as `tokio::fs` does it, and for the look-up of a name.
#[derive(Default)]
pub(crate) struct Offloads;

impl Hooks for Offloads {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let read = spawn_blocking(|| std::fs::read(file!()));
        drop(read.await);
        drop(tokio::net::lookup_host("localhost:80").await);
        let app = app(request.method.clone(), request.target.clone(), body);
        handle(conn, app).await
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
