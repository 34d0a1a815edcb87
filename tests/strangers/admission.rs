//! Habits of who is let in, and when.

use crate::base::*;
use hangup::net::TcpListener;
use hangup::server::Shutdown;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};

/// How many connections there are, and who wants to know when there is none.
#[derive(Default)]
pub(super) struct Open(AtomicUsize, Notify);

pub(super) struct Counted(Arc<Open>);

impl Counted {
    pub(super) fn new(open: &Arc<Open>) -> Self {
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
    pub(super) async fn none(&self) {
        while self.0.load(Ordering::Relaxed) > 0 {
            self.1.notified().await;
        }
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

/// An address with 20 failed connections in a row is not answered for ten minutes.
#[derive(Default)]
pub(crate) struct BansAbusers(Mutex<HashMap<IpAddr, Bans>>);

/// What is held against an address, or against all of them.
#[derive(Default)]
pub(crate) struct Bans {
    failures: u32,
    until: Option<Instant>,
}

impl Bans {
    const FAILURES_MAX: u32 = 20;
    const LASTS: Duration = Duration::from_secs(10 * 60);

    pub(crate) fn are_on(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// A connection has ended.
    pub(crate) fn ended(&mut self, well: bool) {
        match well {
            true => self.failures = 0,
            false => self.failures += 1,
        }
        if self.failures >= Self::FAILURES_MAX {
            *self = Self {
                failures: 0,
                until: Some(Instant::now() + Self::LASTS),
            };
        }
    }
}

impl Hooks for BansAbusers {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        let address = conn.peer.ip();
        let is_banned = self.0.lock().unwrap().get(&address).map(Bans::are_on);
        if is_banned == Some(true) {
            return;
        }
        let ended = exchanges(&*self, &mut conn).await;
        let mut all = self.0.lock().unwrap();
        all.entry(address).or_default().ended(ended.is_ok());
    }
}
