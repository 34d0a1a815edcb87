//! The twin, with the places where a defect can be put in.

use super::message::{self, Body, Head, Malformed};
use super::{Defect, fields};
use crate::digest::Digest;
use crate::server::Shutdown;
use crate::server::app;
use crate::transport::{Listener, Stream};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const HEAD_DEADLINE: Duration = Duration::from_secs(10);
const IDLE_DEADLINE: Duration = Duration::from_secs(30);
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// How long the client may take nothing of a response.
const WRITE_DEADLINE: Duration = Duration::from_secs(20);
/// How often it is looked at how much the client has taken.
const LOOK: Duration = Duration::from_millis(200);
const HANDLER_DEADLINE: Duration = Duration::from_secs(10);
const LINGER: Duration = Duration::from_secs(2);
const PERMIT_WAIT: Duration = Duration::from_secs(5);
const PERMITS: usize = 4;
pub(super) const HEAD_MAX: usize = 16 * 1024;
/// The most that one read takes.
pub(super) const READ_MAX: usize = 8 * 1024;
pub(super) const BODY_MAX: usize = 4 * 1024 * 1024;
/// How long a graceful shutdown waits for requests that are under way.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Of the canary that gives up: so many errors in a row.
const ACCEPT_ERRORS_MAX: u32 = 3;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Of the canary that is in a hurry: less than a round trip over most networks.
const HURRY: Duration = Duration::from_millis(30);
/// Of the canary that looks at first bytes in its accept loop: so long it waits for them.
const SNIFF: Duration = Duration::from_secs(30);
/// A deadline longer than any search: none.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

pub(super) async fn serve(mut listener: Listener, shutdown: Shutdown, defect: Defect) {
    let permits = Arc::new(Semaphore::new(PERMITS));
    let mut connections = JoinSet::new();
    let newcomer = Arc::new(Notify::new());
    let pooled = Arc::new(Mutex::new(None));
    let mut told = pin!(shutdown.clone().given());
    let mut errors = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut told => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(_) if defect == Defect::AcceptDies => return,
            Err(_) if defect == Defect::AcceptSpins => continue,
            Err(_) => {
                errors += 1;
                let gives_up = defect == Defect::AcceptGivesUp && errors > ACCEPT_ERRORS_MAX;
                let pause = if gives_up { FOREVER } else { ACCEPT_PAUSE };
                if timeout(pause, told.as_mut()).await.is_ok() {
                    break;
                }
                continue;
            }
        };
        errors = 0;
        newcomer.notify_waiters();
        let mut connection = Connection {
            newcomer: Arc::clone(&newcomer),
            pooled: Arc::clone(&pooled),
            stream,
            read: Vec::new(),
            shutdown: shutdown.clone(),
            answered: Notify::new(),
            defect,
        };
        if defect == Defect::SniffsInline {
            tokio::select! {
                biased;
                () = &mut told => break,
                _ = timeout(SNIFF, connection.fill()) => {}
            }
        }
        if defect == Defect::RejectInline && permits.available_permits() == 0 {
            connection.defect = Defect::EndlessDrain;
            let _ = connection.refuse(503).await;
            continue;
        }
        connections.spawn(connection.run(Arc::clone(&permits)));
    }
    drop(listener);
    let bound = match defect {
        Defect::PatientShutdown => FOREVER,
        Defect::HastyShutdown => Duration::ZERO,
        _ => SHUTDOWN,
    };
    let all_gone = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(bound, all_gone).await;
}

/// A status and a body.
type Answer = (u16, Vec<u8>);

struct Connection {
    stream: Stream,
    /// What has been read and not been used.
    read: Vec<u8>,
    shutdown: Shutdown,
    /// Told when there is a new connection.
    newcomer: Arc<Notify>,
    /// Of the canary with a pool: an answer that nobody has taken from it.
    pooled: Arc<Mutex<Option<Answer>>>,
    /// Told when a response has been written.
    answered: Notify,
    defect: Defect,
}

enum Broken {
    /// The peer is to blame, and gets this status.
    Status(u16),
    /// Nothing more can be said.
    Io,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

impl From<Malformed> for Broken {
    fn from(_: Malformed) -> Self {
        Self::Status(400)
    }
}

impl Connection {
    async fn run(mut self, permits: Arc<Semaphore>) {
        let Ok(Ok(permit)) = timeout(PERMIT_WAIT, permits.acquire()).await else {
            let _ = self.refuse(503).await;
            return;
        };
        let closed = Arc::new(Notify::new());
        if self.defect == Defect::TaskLeak {
            let closed = Arc::clone(&closed);
            tokio::spawn(async move { closed.notified().await });
        }
        match self.serve().await {
            Ok(()) => closed.notify_one(),
            Err(_) if self.defect == Defect::PermitLeak => permit.forget(),
            // With the defect of the same name, nobody tells the helper task.
            Err(_) => {}
        }
    }

    async fn serve(&mut self) -> io::Result<()> {
        let mut first = true;
        loop {
            match self.exchange(first).await {
                Ok(true) => first = false,
                Ok(false) => return self.linger().await,
                Err(Broken::Status(400)) if self.defect == Defect::ReadsOn && self.skip() => {
                    self.respond(400, b"", false, false).await?;
                }
                Err(Broken::Status(status)) => {
                    self.refuse(status).await?;
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Err(Broken::Io) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }

    /// Drops what is there up to an empty line; false if there is none.
    fn skip(&mut self) -> bool {
        let end = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        end.map(|end| self.read.drain(..end + 4)).is_some()
    }

    /// One request and its response; false when the connection is to be closed.
    async fn exchange(&mut self, first: bool) -> Result<bool, Broken> {
        let idle = match self.defect {
            _ if first => HEAD_DEADLINE,
            Defect::LongIdle => 20 * IDLE_DEADLINE,
            Defect::HastyIdle => HURRY,
            _ => IDLE_DEADLINE,
        };
        if self.read.is_empty() {
            let told = self.shutdown.clone().given();
            let patient = self.defect == Defect::PatientShutdown;
            let (evicts, newcomer) = (self.defect == Defect::Evicts, Arc::clone(&self.newcomer));
            let filled = tokio::select! {
                biased;
                filled = timeout(idle, self.fill()) => filled,
                // Nothing is under way.
                () = told, if !patient => return Ok(false),
                () = newcomer.notified(), if evicts => return Ok(false),
            };
            match filled {
                Ok(Ok(true)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Ok(Ok(false)) if self.defect == Defect::LostWakeUp => {
                    // Whoever told that the last response is out has done so, and will not do so again.
                    self.answered.notified().await;
                    return Ok(false);
                }
                // The end of the stream, or of the patience, between two requests.
                Ok(Ok(false)) | Err(_) => return Ok(false),
            }
        }
        let patience = match self.defect {
            Defect::FirstHeadClockOnly if !first => FOREVER,
            _ => HEAD_DEADLINE,
        };
        let head = match timeout(patience, self.head()).await {
            Ok(head) => head?,
            Err(_) => return Err(Broken::Status(408)),
        };
        let body = match self.defect {
            Defect::BodyAsRequest if head.target == "/reject" => Vec::new(),
            _ => match timeout(BODY_DEADLINE, self.body(&head)).await {
                Ok(body) => body?,
                Err(_) => return Err(Broken::Status(408)),
            },
        };
        if self.defect == Defect::Swapped && head.target.starts_with("/slow/") {
            self.overtake().await?;
        }
        let (mut status, mut body) = handled(&head, body).await;
        if let Some(stale) = self.take_pooled() {
            (status, body) = stale;
        }
        let close = match self.defect {
            Defect::CloseIgnored if !self.read.is_empty() => false,
            _ => head.close || self.shutdown.is_given(),
        };
        let responded = self
            .respond(status, &body, close, head.method == "HEAD")
            .await;
        let left = matches!(&responded, Err(error) if error.kind() != io::ErrorKind::TimedOut);
        if left && self.defect == Defect::PooledAnswer {
            *self.pooled.lock().unwrap_or_else(PoisonError::into_inner) = Some((status, body));
        }
        responded?;
        self.answered.notify_waiters();
        Ok(!close)
    }

    /// What the pool gives first, if it has an answer that nobody has waited for.
    fn take_pooled(&self) -> Option<(u16, Vec<u8>)> {
        let mut pooled = self.pooled.lock().unwrap_or_else(PoisonError::into_inner);
        pooled.take()
    }

    /// Answers the next request, if it is there and has no body.
    async fn overtake(&mut self) -> Result<(), Broken> {
        if let Some(next) = message::head(&self.read)?
            && next.body == Body::Length(0)
        {
            self.read.drain(..next.length);
            let (status, body) = handled(&next, Vec::new()).await;
            self.respond(status, &body, false, next.method == "HEAD")
                .await?;
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<Head, Broken> {
        loop {
            if let Some(head) = message::head(&self.read)? {
                if !head.has_host() && self.defect != Defect::Hostless {
                    return Err(Broken::Status(400));
                }
                self.read.drain(..head.length);
                return Ok(head);
            }
            if self.defect == Defect::HeadInOneRead && !self.read.is_empty() {
                return Err(Broken::Status(400));
            }
            if self.read.len() > HEAD_MAX && self.defect != Defect::EndlessHead {
                return Err(Broken::Status(431));
            }
            if !self.fill().await? {
                return Err(Broken::Status(400));
            }
        }
    }

    async fn body(&mut self, head: &Head) -> Result<Vec<u8>, Broken> {
        if matches!(head.body, Body::Length(length) if length > BODY_MAX) {
            return Err(Broken::Status(413));
        }
        let mut asked = !head.expects || (head.old && self.defect != Defect::ContinueToOld);
        if self.defect == Defect::ContinueTwice && !asked {
            // At once, and below once more.
            self.write(CONTINUE).await?;
        }
        loop {
            if let Some((length, mut body)) = message::body(&self.read, head.body)? {
                self.read.drain(..length);
                if self.defect == Defect::LosesByte && body.len() > READ_MAX {
                    body.remove(READ_MAX);
                }
                return Ok(body);
            }
            if !asked {
                asked = true;
                self.write(CONTINUE).await?;
            }
            if self.read.len() > 2 * BODY_MAX {
                return Err(Broken::Status(413));
            }
            if !self.fill().await? {
                if self.defect == Defect::BusyAtEof {
                    tokio::task::yield_now().await;
                    continue;
                }
                return Err(Broken::Status(400));
            }
        }
    }

    async fn respond(
        &mut self,
        status: u16,
        body: &[u8],
        close: bool,
        head_only: bool,
    ) -> io::Result<()> {
        let connection = if close { "close" } else { "keep-alive" };
        let mut bytes = format!(
            "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\nConnection: {connection}\r\n{}\r\n",
            body.len(),
            fields::of(self.defect)
        )
        .into_bytes();
        if !head_only {
            bytes.extend_from_slice(body);
        }
        self.write(&bytes).await
    }

    async fn refuse(&mut self, status: u16) -> io::Result<()> {
        self.respond(status, b"", true, false).await?;
        self.linger().await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match self.defect {
            Defect::NoWriteDeadline => return self.stream.write_all(bytes).await,
            Defect::TotalWrite => timeout(WRITE_DEADLINE, self.stream.write_all(bytes))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            _ => self.write_while_taken(bytes).await,
        };
        if written.is_err() {
            // The kernel is not to keep what cannot be delivered.
            let _ = self.stream.set_zero_linger();
        }
        written
    }

    /// Writes as long as the client takes something within each deadline. What the kernel takes is no measure: a socket becomes writable
    /// only when a third of its send queue is free.
    async fn write_while_taken(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut queued = self.stream.send_queue()?;
        while !bytes.is_empty() {
            match timeout(WRITE_DEADLINE, self.stream.write(bytes)).await {
                Ok(written) => bytes = &bytes[written?..],
                Err(_) if self.stream.send_queue()? >= queued => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(_) => {}
            }
            queued = self.stream.send_queue()?;
        }
        Ok(())
    }

    /// Waits until the client has taken all that was written, as long as it takes something within each deadline.
    async fn deliver(&mut self) -> io::Result<()> {
        let (mut queued, mut since) = (self.stream.send_queue()?, Instant::now());
        let mut ended = false;
        // The end of the stream counts as one.
        while queued > 1 {
            if ended {
                sleep(LOOK).await;
                // A reset that comes behind the end of the stream shows nowhere else.
                if let Some(error) = self.stream.take_error()? {
                    return Err(error);
                }
            } else if let Ok(filled) = timeout(LOOK, self.fill()).await {
                self.read.clear();
                ended = !filled?;
            }
            let left = self.stream.send_queue()?;
            if left < queued {
                (queued, since) = (left, Instant::now());
            } else if since.elapsed() >= WRITE_DEADLINE {
                self.stream.set_zero_linger()?;
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Reads once; false at the end of the stream.
    async fn fill(&mut self) -> io::Result<bool> {
        let mut some = (&mut self.stream).take(READ_MAX as u64);
        Ok(some.read_buf(&mut self.read).await? > 0)
    }

    /// Closes so that the peer can still read what was sent (RFC 9112 section 9.6).
    async fn linger(&mut self) -> io::Result<()> {
        if self.defect == Defect::RstAtClose {
            return Ok(());
        }
        self.stream.shutdown().await?;
        if self.defect != Defect::LeavesOrphan {
            self.deliver().await?;
        }
        let patience = match self.defect {
            Defect::EndlessDrain => FOREVER,
            _ => LINGER,
        };
        let gone = async {
            loop {
                self.read.clear();
                if !self.fill().await? {
                    return Ok(());
                }
            }
        };
        timeout(patience, gone).await.unwrap_or(Ok(()))
    }
}

/// What the application says to a request, in time or not.
async fn handled(head: &Head, body: Vec<u8>) -> (u16, Vec<u8>) {
    let answer = timeout(HANDLER_DEADLINE, answer(head, body)).await;
    answer.unwrap_or((503, Vec::new()))
}

/// The probe app, as far as it can be misused by a client.
async fn answer(head: &Head, body: Vec<u8>) -> (u16, Vec<u8>) {
    app::begin(&head.target);
    let number = |prefix: &str| head.target.strip_prefix(prefix)?.parse::<u64>().ok();
    if let Some(milliseconds) = number("/slow/") {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        return (200, b"ok".to_vec());
    }
    if let Some(count) = number("/big/") {
        return (
            200,
            vec![
                b'x';
                usize::try_from(count)
                    .unwrap_or(usize::MAX)
                    .min(8 * 1024 * 1024)
            ],
        );
    }
    match (head.method.as_str(), head.target.as_str()) {
        ("GET" | "HEAD", "/") => (200, b"ok".to_vec()),
        ("POST", "/echo") => {
            let said = app::echoed(body.len() as u64, &Digest::of(&body));
            (200, said.into_bytes())
        }
        ("POST", "/stream") => (200, body),
        ("POST", "/reject") => (403, b"rejected".to_vec()),
        _ => (404, b"not found".to_vec()),
    }
}
