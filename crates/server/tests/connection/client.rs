//! A client that does what a test tells it, and what it then has to say about the server.

use crate::probe::{self, Seen};
use hangup_server::{
    Clock, CloseReason, Entry, Ledger, Limits, Peer, Phase, Server, Watch, service_fn,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

pub(crate) struct Client {
    pub(crate) io: DuplexStream,
    pub(crate) start: Instant,
    pub(crate) seen: Seen,
    pub(crate) ledger: Ledger,
    record: Arc<Record>,
    connection: JoinHandle<CloseReason>,
}

/// How a connection ended, for the client.
#[derive(Debug, PartialEq)]
pub(crate) struct End {
    /// What came before the server's FIN.
    pub(crate) said: String,
    /// When that came.
    pub(crate) at: Duration,
}

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Client {
    /// A connection to a server with the default limits, whose pipe is so large that nobody waits to write.
    pub(crate) fn connect() -> Self {
        Self::connect_with(Limits::default(), 1 << 20)
    }

    pub(crate) fn limited(limits: Limits) -> Self {
        Self::connect_with(limits, 1 << 20)
    }

    /// `room` is how many bytes either side can write before the other reads.
    pub(crate) fn connect_with(limits: Limits, room: usize) -> Self {
        let seen = Seen::default();
        let record = Arc::new(Record {
            start: Instant::now(),
            lines: Mutex::default(),
            clocks: Mutex::default(),
        });
        let app = {
            let seen = seen.clone();
            service_fn(move |request| probe::answer(request, seen.clone()))
        };
        let server = Server::new(app)
            .limits(limits)
            .date_header(false)
            .watch(record.clone());
        let (io, theirs) = duplex(room);
        let connection = tokio::spawn(server.connection(theirs, Peer::Unnamed));
        Client {
            io,
            start: record.start,
            seen,
            ledger: server.ledger().clone(),
            record,
            connection,
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends and expects that the server may be gone before all is written.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.io.write_all(bytes.as_ref()).await.is_ok()
    }

    /// One byte, then a pause, until all is sent or the server has closed.
    pub(crate) async fn trickle(&mut self, bytes: impl AsRef<[u8]>, every: Duration) {
        for byte in bytes.as_ref() {
            if !self.try_send([*byte]).await {
                return;
            }
            sleep(every).await;
        }
    }

    /// The next head, without the empty line behind it.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.io.read_u8().await;
            head.push(byte.unwrap_or_else(|_| {
                panic!("closed in a head: {:?}", String::from_utf8_lossy(&head))
            }));
        }
        head.truncate(head.len() - 4);
        String::from_utf8(head).unwrap()
    }

    /// The next response: its status line, and its body, which has a Content-Length.
    pub(crate) async fn response(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.io.read_exact(&mut body).await.unwrap();
        (
            head.lines().next().unwrap().to_owned(),
            String::from_utf8(body).unwrap(),
        )
    }

    pub(crate) async fn status(&mut self) -> String {
        self.response()
            .await
            .0
            .split(' ')
            .nth(1)
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn half_close(&mut self) {
        self.io.shutdown().await.unwrap();
    }

    pub(crate) async fn until(&self, time: Duration) {
        sleep_until(self.start + time).await;
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Reads to the server's FIN. The connection may go on to linger.
    pub(crate) async fn end(&mut self) -> End {
        let mut said = Vec::new();
        // A pipe whose other end is dropped gives what was written, then the end.
        self.io.read_to_end(&mut said).await.unwrap();
        End {
            said: String::from_utf8_lossy(&said).into_owned(),
            at: self.now(),
        }
    }

    /// Waits until the connection's task has ended, without closing anything. Gives the reason, and when it was.
    pub(crate) async fn gone(&mut self) -> (&'static str, Duration) {
        let reason = (&mut self.connection).await.unwrap();
        (reason.name(), self.now())
    }

    /// Drops the connection's task, as a runtime does that goes down.
    pub(crate) fn abort(&self) {
        self.connection.abort();
    }

    /// Why the connection ended. Closes it first.
    pub(crate) async fn reason(self) -> CloseReason {
        drop(self.io);
        self.connection.await.unwrap()
    }

    /// What the server waited for: each phase with its deadline, both in seconds since the connect.
    pub(crate) fn phases(&self) -> Vec<String> {
        self.record.lines.lock().unwrap().clone()
    }

    /// Which clocks it had running out next, and which ran out.
    pub(crate) fn clocks(&self) -> Vec<String> {
        self.record.clocks.lock().unwrap().clone()
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

struct Record {
    start: Instant,
    lines: Mutex<Vec<String>>,
    clocks: Mutex<Vec<String>>,
}

impl Record {
    fn line(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.duration_since(self.start).as_secs_f64()
    }
}

impl Watch for Record {
    fn phase(&self, _: u64, at: Instant, phase: Phase, deadline: Option<Instant>) {
        let deadline = deadline.map_or("never".into(), |deadline| {
            self.seconds(deadline).to_string()
        });
        self.line(format!("{} {phase} until {deadline}", self.seconds(at)));
    }

    fn armed(&self, _: u64, at: Instant, phase: Phase, clock: Option<Clock>) {
        let clock = clock.map_or("none", Clock::name);
        let line = format!("{} {phase} {clock}", self.seconds(at));
        self.clocks.lock().unwrap().push(line);
    }

    fn expired(&self, _: u64, at: Instant, phase: Phase, clock: Clock) {
        let line = format!("{} {phase} {clock} is over", self.seconds(at));
        self.clocks.lock().unwrap().push(line);
    }

    fn closed(&self, _: u64, at: Instant, reason: CloseReason, entry: &Entry) {
        let statuses: Vec<u16> = entry.statuses().collect();
        self.line(format!(
            "{} closed: {}, statuses {statuses:?}",
            self.seconds(at),
            reason.name()
        ));
    }
}
