//! Tasks, channels and locks, and the client's half-close.

use crate::base::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{interval, sleep, timeout};

/// Each connection has a watcher that waits for the shutdown, and that nobody ends with the
/// connection.
#[derive(Default)]
pub(crate) struct WatcherStays;

impl Hooks for WatcherStays {
    async fn connection(self: Arc<Self>, conn: Conn) {
        let stop = conn.stop.clone();
        tokio::spawn(async move { stop.given().await });
        connection(self, conn).await;
    }
}

/// Each request starts a task that looks after an hour whether it is done, and that nobody ends.
#[derive(Default)]
pub(crate) struct ReaperStays;

impl Hooks for ReaperStays {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        tokio::spawn(sleep(Duration::from_secs(60 * 60)));
        let app = app(request.method.clone(), request.target.clone(), body);
        handle(conn, app).await
    }
}

/// A connection looks every 5 s whether it is told to reload, and loses the part of a head that it
/// has read.
#[derive(Default)]
pub(crate) struct SelectDropsHead;

impl Hooks for SelectDropsHead {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let mut head = std::mem::take(&mut conn.buf);
        let mut reload = interval(Duration::from_secs(5));
        reload.tick().await;
        let opened = tokio::time::Instant::now();
        while opened.elapsed() < conn.clocks.head {
            tokio::select! {
                read = read_head(conn, std::mem::take(&mut head)) => return read,
                _ = reload.tick() => {}
            }
        }
        Err(End::Status(408))
    }
}

/// The head that begins with `head`, which is lost if this is dropped.
async fn read_head(conn: &mut Conn, mut head: Vec<u8>) -> Result<Request, End> {
    loop {
        if let Some((request, length)) = parse(&head)? {
            conn.buf = head.split_off(length);
            return Ok(request);
        }
        if head.len() > HEAD_MAX {
            return Err(End::Status(431));
        }
        if conn.stream.read_buf(&mut head).await? == 0 {
            return Err(End::Gone);
        }
    }
}

/// A handler runs in a task of its own, which says that it is done with `notify_waiters`; who is
/// not yet waiting does not hear of it.
#[derive(Default)]
pub(crate) struct LostWakeUp;

impl Hooks for LostWakeUp {
    async fn handle(&self, _: &mut Conn, request: &Request, body: Vec<u8>) -> Result<Answer, End> {
        let (done, answer) = (Arc::new(Notify::new()), Arc::new(Mutex::new(None)));
        let app = app(request.method.clone(), request.target.clone(), body);
        let (told, slot) = (Arc::clone(&done), Arc::clone(&answer));
        tokio::spawn(async move {
            let answer = timeout(Duration::from_secs(4), app).await;
            *slot.lock().unwrap() = Some(answer.unwrap_or(Answer::new(503, "")));
            told.notify_waiters();
        });
        // A log line is written first.
        tokio::task::yield_now().await;
        done.notified().await;
        let answer = answer.lock().unwrap().take();
        answer.ok_or(End::Gone)
    }
}

/// A handler runs in a task of its own, which nobody ends when its client is gone.
#[derive(Default)]
pub(crate) struct DetachedHandler;

impl Hooks for DetachedHandler {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let app = app(request.method.clone(), request.target.clone(), body);
        let task = tokio::spawn(app);
        let answer = async { task.await.unwrap_or(Answer::new(500, "")) };
        handle(conn, answer).await
    }
}

/// Responses are written by a task of their own, which ends when nobody can send to it; a list of
/// all writers, kept for broadcasts, can.
#[derive(Default)]
pub(crate) struct WriterInList(Mutex<Vec<mpsc::Sender<Vec<u8>>>>);

impl Hooks for WriterInList {
    async fn connection(self: Arc<Self>, conn: Conn) {
        let (responses, mut queued) = mpsc::channel::<Vec<u8>>(4);
        self.0.lock().unwrap().push(responses.clone());
        let clocks = conn.clocks;
        let (peer, stop) = (conn.peer, conn.stop.clone());
        let (mut reader, mut writer) = conn.stream.into_split();
        tokio::spawn(async move {
            while let Some(response) = queued.recv().await {
                if !matches!(
                    timeout(clocks.write, writer.write_all(&response)).await,
                    Ok(Ok(()))
                ) {
                    return;
                }
            }
        });
        let _ = peer;
        let mut buf = Vec::new();
        loop {
            let read = tokio::select! {
                read = timeout(clocks.head, reader.read_buf(&mut buf)) => read,
                () = stop.clone().given() => return,
            };
            if !matches!(read, Ok(Ok(1..))) {
                return;
            }
            while let Ok(Some((request, length))) = parse(&buf) {
                buf.drain(..length);
                if request.framing != Framing::Length(0) {
                    let answer = response_head(&Answer::new(411, ""), true);
                    let _ = responses.send(answer).await;
                    return;
                }
                let answer = Answer::new(200, "hello");
                let mut bytes = response_head(&answer, request.close);
                if request.method != "HEAD" {
                    bytes.extend(answer.body);
                }
                let _ = responses.send(bytes).await;
                if request.close {
                    return;
                }
            }
        }
    }
}

/// The end of the client's stream behind a request is taken for the end of its interest.
#[derive(Default)]
pub(crate) struct HalfCloseAborts;

impl Hooks for HalfCloseAborts {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let app = app(request.method.clone(), request.target.clone(), body);
        let app = timeout(conn.clocks.handler, app);
        let gone = async {
            while conn.buf.len() < 64 * 1024 {
                if !matches!(conn.fill().await, Ok(1..)) {
                    return;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            answer = app => Ok(answer.unwrap_or(Answer::new(503, ""))),
            () = gone => Err(End::Gone),
        }
    }
}

/// The end of the stream between two requests is not looked for: it reads again in a second, for
/// ever.
#[derive(Default)]
pub(crate) struct HalfCloseIgnored;

impl Hooks for HalfCloseIgnored {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        loop {
            if !conn.buf.is_empty() {
                return Ok(true);
            }
            let stop = conn.stop.clone();
            tokio::select! {
                biased;
                read = timeout(conn.clocks.idle, conn.fill()) => match read {
                    Ok(read) => if read? == 0 { sleep(Duration::from_secs(1)).await },
                    Err(_) => return Ok(false),
                },
                () = stop.given() => return Ok(false),
            }
        }
    }
}

/// The end of the stream inside a body is no reason to stop reading.
#[derive(Default)]
pub(crate) struct ReadsPastTheEnd;

impl Hooks for ReadsPastTheEnd {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        let Framing::Length(length) = request.framing else {
            return body(conn, request).await;
        };
        if length > BODY_MAX {
            return Err(End::Status(413));
        }
        if is_left(request) {
            return Ok(Vec::new());
        }
        if request.expect && conn.buf.is_empty() && length > 0 {
            conn.send(CONTINUE).await?;
        }
        let whole = tokio::time::Instant::now() + conn.clocks.body;
        while conn.buf.len() < length {
            let due = whole.min(tokio::time::Instant::now() + conn.clocks.gap);
            match tokio::time::timeout_at(due, conn.fill()).await {
                Ok(read) => drop(read?),
                Err(_) => return Err(End::Status(408)),
            }
            tokio::task::yield_now().await;
        }
        conn.exactly(length).await
    }
}

/// A shared cache is locked while a handler waits for its backend, and the handler's clock does not
/// run while it waits for the lock.
#[derive(Default)]
pub(crate) struct LockAcrossHandler(tokio::sync::Mutex<()>);

impl Hooks for LockAcrossHandler {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let _cache = self.0.lock().await;
        let app = app(request.method.clone(), request.target.clone(), body);
        handle(conn, app).await
    }
}

/// Every response is also sent to an audit task over a channel that holds 64 of them, and that task
/// waits for a second copy of each which never comes.
#[derive(Default)]
pub(crate) struct AuditBlocks(Mutex<Option<mpsc::Sender<u16>>>);

impl Hooks for AuditBlocks {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let audit = self.0.lock().unwrap().get_or_insert_with(audit).clone();
        let _ = audit.send(answer.status).await;
        respond(conn, request, answer, close).await
    }
}

/// Takes nothing more behind the first refusal.
fn audit() -> mpsc::Sender<u16> {
    let (audit, mut statuses) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(status) = statuses.recv().await {
            if status >= 500 {
                std::future::pending::<()>().await;
            }
        }
    });
    audit
}

/// Bodies are spooled by a task of their own, which the connection waits for also when the body has
/// failed.
#[derive(Default)]
pub(crate) struct SpoolWaits;

impl Hooks for SpoolWaits {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        let (spool, mut parts) = mpsc::channel::<Option<Vec<u8>>>(4);
        let task = tokio::spawn(async move {
            let mut whole = Vec::new();
            while let Some(Some(part)) = parts.recv().await {
                whole.extend(part);
            }
            whole
        });
        let read = body(conn, request).await;
        if let Ok(body) = read {
            let _ = spool.send(Some(body)).await;
            let _ = spool.send(None).await;
            return task.await.map_err(|_| End::Gone);
        }
        // The sender is still there.
        let _ = task.await;
        drop(spool);
        read
    }
}
