//! What one client does to all others, by the accept loop or by what all connections share.

use crate::base::*;
use crate::innocent::admission::Bans;
use hangup::net::TcpListener;
use hangup::server::Shutdown;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The accept loop looks at the first byte of each connection before it spawns, with a clock of 10
/// s.
#[derive(Default)]
pub(crate) struct InlineSniff;

impl Hooks for InlineSniff {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let accepting = async {
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let mut first = [0];
                let sniffed = timeout(Duration::from_secs(10), stream.peek(&mut first)).await;
                if !matches!(sniffed, Ok(Ok(1))) {
                    continue;
                }
                let conn = opened(&*self, stream, peer, &stop);
                tokio::spawn(Arc::clone(&self).connection(conn));
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.clone().given() => {}
        }
        drop(listener);
        sleep(self.clocks().grace).await;
    }
}

/// The accept loop reads a PROXY line before it spawns, if the first byte is a `P`, and has no
/// clock for that.
#[derive(Default)]
pub(crate) struct InlinePreface;

impl Hooks for InlinePreface {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let accepting = async {
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let mut conn = opened(&*self, stream, peer, &stop);
                while conn.buf.len() < 5 {
                    if !matches!(conn.fill().await, Ok(1..)) {
                        break;
                    }
                }
                tokio::spawn(Arc::clone(&self).connection(conn));
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.clone().given() => {}
        }
        drop(listener);
        sleep(self.clocks().grace).await;
    }
}

/// There are four slots, which a connection holds also while it is idle; the accept loop waits for
/// one.
pub(crate) struct SlotsWhileIdle(Arc<Semaphore>);

impl Default for SlotsWhileIdle {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(4)))
    }
}

impl Hooks for SlotsWhileIdle {
    async fn connection(self: Arc<Self>, conn: Conn) {
        if let Ok(_slot) = self.0.clone().acquire_owned().await {
            connection(self, conn).await;
        }
    }
}

/// There are eight slots; one that ends in an error is not given back.
pub(crate) struct SlotLeaks(Semaphore);

impl Default for SlotLeaks {
    fn default() -> Self {
        Self(Semaphore::new(8))
    }
}

impl Hooks for SlotLeaks {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        let Ok(slot) = self.0.acquire().await else {
            return;
        };
        if exchanges(&*self, &mut conn).await.is_err() {
            slot.forget();
        }
    }
}

/// Eight requests may be under way; one whose handler panics stays counted.
#[derive(Default)]
pub(crate) struct PanicStaysCounted(AtomicUsize);

impl Hooks for PanicStaysCounted {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        if self.0.fetch_add(1, Ordering::Relaxed) >= 8 {
            self.0.fetch_sub(1, Ordering::Relaxed);
            return Ok(Answer::new(503, ""));
        }
        let app = app(request.method.clone(), request.target.clone(), body);
        let answer = handle(conn, app).await;
        self.0.fetch_sub(1, Ordering::Relaxed);
        answer
    }
}

/// At most 32 connections are served, the others get 503; one that ends in an error stays counted.
#[derive(Default)]
pub(crate) struct ErrorStaysCounted(AtomicUsize);

impl Hooks for ErrorStaysCounted {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        if self.0.fetch_add(1, Ordering::Relaxed) >= 32 {
            self.0.fetch_sub(1, Ordering::Relaxed);
            let answer = Answer::new(503, "");
            let _ = respond(&mut conn, &Request::unread(), answer, true).await;
            let _ = finish(&mut conn).await;
            return;
        }
        if exchanges(&*self, &mut conn).await.is_ok() {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The accept loop ends at the first error.
#[derive(Default)]
pub(crate) struct AcceptErrorEnds;

impl Hooks for AcceptErrorEnds {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let accepting = async {
            while let Ok((stream, peer)) = listener.accept().await {
                let conn = opened(&*self, stream, peer, &stop);
                tokio::spawn(Arc::clone(&self).connection(conn));
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.clone().given() => {}
        }
        drop(listener);
        sleep(self.clocks().grace).await;
    }
}

/// The accept loop tries again at once behind an error.
#[derive(Default)]
pub(crate) struct AcceptErrorSpins;

impl Hooks for AcceptErrorSpins {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let accepting = async {
            loop {
                if let Ok((stream, peer)) = listener.accept().await {
                    let conn = opened(&*self, stream, peer, &stop);
                    tokio::spawn(Arc::clone(&self).connection(conn));
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.clone().given() => {}
        }
        drop(listener);
        sleep(self.clocks().grace).await;
    }
}

/// The accept loop unwraps the end of each connection's task, so that a panic in a handler ends it.
#[derive(Default)]
pub(crate) struct PanicEndsAccept;

impl Hooks for PanicEndsAccept {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let mut connections = JoinSet::new();
        let mut stopped = std::pin::pin!(stop.clone().given());
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => ended.unwrap(),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let conn = opened(&*self, stream, peer, &stop);
                        connections.spawn(Arc::clone(&self).connection(conn));
                    }
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                }
            }
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(self.clocks().grace, all).await;
    }
}

/// An address may have a hundred connections, and those that are over still count.
#[derive(Default)]
pub(crate) struct AddressNeverForgotten(Mutex<HashMap<IpAddr, u32>>);

impl Hooks for AddressNeverForgotten {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        let count = {
            let mut counts = self.0.lock().unwrap();
            let count = counts.entry(conn.peer.ip()).or_default();
            *count += 1;
            *count
        };
        if count <= 100 {
            return connection(self, conn).await;
        }
        let answer = Answer::new(429, "");
        let _ = respond(&mut conn, &Request::unread(), answer, true).await;
        let _ = finish(&mut conn).await;
    }
}

/// Behind 20 failed connections in a row, whoever makes them, nobody is answered for ten minutes: the address that the
/// failures are counted by is that of a proxy.
#[derive(Default)]
pub(crate) struct BansEverybody(Mutex<Bans>);

impl Hooks for BansEverybody {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        if self.0.lock().unwrap().are_on() {
            return;
        }
        let ended = exchanges(&*self, &mut conn).await;
        self.0.lock().unwrap().ended(ended.is_ok());
    }
}

/// A lock on the access log is held while a response is written.
#[derive(Default)]
pub(crate) struct LockAcrossWrite(tokio::sync::Mutex<u64>);

impl Hooks for LockAcrossWrite {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let mut served = self.0.lock().await;
        *served += 1;
        respond(conn, request, answer, close).await
    }
}

/// One worker serves all connections, one after the other.
#[derive(Default)]
pub(crate) struct OneWorker;

impl Hooks for OneWorker {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let (queue, mut queued) = mpsc::channel(1024);
        let hooks = Arc::clone(&self);
        let worker = tokio::spawn(async move {
            while let Some(conn) = queued.recv().await {
                Arc::clone(&hooks).connection(conn).await;
            }
        });
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        let conn = opened(&*self, stream, peer, &stop);
                        let _ = queue.send(conn).await;
                    }
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.clone().given() => {}
        }
        drop((listener, queue));
        let _ = timeout(self.clocks().grace, worker).await;
    }
}

/// Each connection is entered in a registry, with 64 KiB for its statistics; one that fails stays
/// there.
#[derive(Default)]
pub(crate) struct RegistryGrows(Mutex<HashMap<usize, Vec<u8>>>, AtomicUsize);

impl Hooks for RegistryGrows {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        let id = self.1.fetch_add(1, Ordering::Relaxed);
        self.0.lock().unwrap().insert(id, vec![1; 64 * 1024]);
        if exchanges(&*self, &mut conn).await.is_ok() {
            self.0.lock().unwrap().remove(&id);
        }
    }
}

/// A socket that could not be answered is kept in a list of those to be closed later, and nobody
/// ever does.
#[derive(Default)]
pub(crate) struct KeepsFailedSockets(Mutex<Vec<Conn>>);

impl Hooks for KeepsFailedSockets {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        if exchanges(&*self, &mut conn).await.is_err() {
            self.0.lock().unwrap().push(conn);
        }
    }
}

/// A client that is over the limit of 16 is told so by the accept loop, which then waits for its
/// end.
#[derive(Default)]
pub(crate) struct RefusesInline(Arc<AtomicUsize>);

impl Hooks for RefusesInline {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let accepting = async {
            loop {
                let Ok((mut stream, peer)) = listener.accept().await else {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                if self.0.load(Ordering::Relaxed) >= 16 {
                    let refusal =
                        b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                    let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, refusal).await;
                    let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
                    let mut rest = Vec::new();
                    let _ = stream.read_to_end(&mut rest).await;
                    continue;
                }
                let count = Arc::clone(&self.0);
                count.fetch_add(1, Ordering::Relaxed);
                let serving = Arc::clone(&self).connection(opened(&*self, stream, peer, &stop));
                tokio::spawn(async move {
                    let _ = tokio::spawn(serving).await;
                    count.fetch_sub(1, Ordering::Relaxed);
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.clone().given() => {}
        }
        drop(listener);
        sleep(self.clocks().grace).await;
    }
}
