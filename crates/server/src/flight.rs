//! A flight recorder: what the last clients did, in times and sizes, for the test bed to do again.
//!
//! # The file
//! Lines of JSON. The first says what it is, each other one is a connection, oldest first. Times are seconds; a connection's are counted
//! from its accept, `opened_s` from when the recorder was made.
//!
//! ```text
//! {"hangup_flight":1,"taken":"2026-01-05T10:11:12Z","now_s":105483.0,"payload":false,"missed":0}
//! {"connection":1,"peer":"10.0.0.7:51234","opened_s":0.02,"now_s":105482.98,"waits_in":"expect","events":[
//!   {"at_s":0.06,"in":93},
//!   {"at_s":0.06,"request":{"method":"POST","version":"1.1","length":1000,"expect":"100-continue"}},
//!   {"at_s":0.06,"status":100},
//!   {"at_s":0.06,"out":25}]}
//! ```
//!
//! | event | what |
//! |---|---|
//! | `in` | so many bytes came; with `times` and `until_s`, that often, evenly until then (a trickle is one event). `bytes`: the payload, escaped as in Rust, if it was asked for |
//! | `request` | a head is whole: `method`, `version`, `length` or `chunked`, `expect`, `connection` as the client sent them. What came before since the last request's end is the head, what comes behind is the body |
//! | `status` | a response begins; 100 is one |
//! | `out` | the client's side took so many bytes, the last of them at `until_s` |
//! | `fin` | the client's FIN came |
//! | `skipped` | so many events in the middle were not kept, with `in` and `out` bytes in them |
//!
//! A connection that is open has `now_s` and `waits_in`; one that is closed has `closed_s` and `reason`. `client-gone` is a reset.
//! `missed` counts connections that found the recorder full of open ones.
//!
//! The number behind `hangup_flight` is the version of all this. What stands here does not change within it; lines, fields and kinds of events may be added,
//! so a reader skips what it does not know.

mod record;

use crate::{Peer, Watch};
use hangup_lifecycle::{CloseReason, Entry, Phase};
use http::request;
use record::{Head, Record, What};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Connections are spread over so many locks.
const SHARDS: usize = 8;

/// Keeps what the last connections' clients did: times and sizes, and no payload unless asked. Clones share it; it is given to the server as
/// (one of) its [`Watch`]es. The [module's text](self) describes the file that it writes.
///
/// Its memory is bounded: so many connections, each with so many events. A new connection takes the place of the one that closed first; while all
/// that are kept are open, new ones are only counted.
///
/// ```
/// use hangup_server::{Body, FlightRecorder, Server, service_fn};
/// use http::{Request, Response};
/// use std::sync::Arc;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let flight = FlightRecorder::new(1024);
/// let server = Server::new(service_fn(async |_: Request<Body>| Response::new(String::new())))
///     .watch(Arc::new(flight.clone()));
/// let mut file = Vec::new();
/// flight.write(&mut file, std::time::UNIX_EPOCH).unwrap();
/// assert!(file.starts_with(br#"{"hangup_flight":1,"taken":"1970-01-01T00:00:00Z""#));
/// # });
/// ```
#[derive(Clone)]
pub struct FlightRecorder(Arc<Shared>);

struct Shared {
    began: Instant,
    /// Connections that are kept, over all shards.
    connections: usize,
    payload: usize,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    records: BTreeMap<u64, Record>,
    /// The closed ones among them, in the order of their closes.
    closed: std::collections::VecDeque<u64>,
    missed: u64,
}

impl FlightRecorder {
    /// Keeps the last `connections` connections, rounded up to a multiple of eight.
    pub fn new(connections: usize) -> Self {
        FlightRecorder(Arc::new(Shared {
            began: Instant::now(),
            connections,
            payload: 0,
            shards: Default::default(),
        }))
    }

    /// Keeps the first `bytes` bytes of each connection too. They may hold secrets: cookies, passwords, whatever clients send.
    ///
    /// This makes a recorder of its own, which shares nothing with `self`.
    #[must_use]
    pub fn with_payload(self, bytes: usize) -> Self {
        FlightRecorder(Arc::new(Shared {
            began: self.0.began,
            connections: self.0.connections,
            payload: bytes,
            shards: Default::default(),
        }))
    }

    /// Writes the record. `taken` is the time by the calendar.
    ///
    /// # Errors
    /// Those of `file`.
    pub fn write(&self, mut file: impl Write, taken: SystemTime) -> io::Result<()> {
        let now = Instant::now();
        let mut lines = Vec::new();
        let mut missed = 0;
        for shard in 0..SHARDS {
            let shard = self.lock(shard as u64);
            missed += shard.missed;
            for (id, record) in &shard.records {
                let line = record.line(*id, self.0.began, now);
                lines.push((*id, serde_json::to_string(&line)?));
            }
        }
        lines.sort_unstable_by_key(|(id, _)| *id);
        let title = Title {
            hangup_flight: 1,
            taken: humantime::format_rfc3339_seconds(taken).to_string(),
            now_s: now.saturating_duration_since(self.0.began).as_secs_f64(),
            payload: self.0.payload > 0,
            missed,
        };
        writeln!(file, "{}", serde_json::to_string(&title)?)?;
        lines
            .iter()
            .try_for_each(|(_, line)| writeln!(file, "{line}"))
    }

    /// The record as a text.
    pub fn text(&self, taken: SystemTime) -> String {
        let mut text = Vec::new();
        // Writing to memory does not fail, and JSON is UTF-8.
        let _ = self.write(&mut text, taken);
        String::from_utf8(text).unwrap_or_default()
    }

    fn lock(&self, connection: u64) -> MutexGuard<'_, Shard> {
        let shard = &self.0.shards[(connection % SHARDS as u64) as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, connection: u64, at: Instant, what: What) {
        if let Some(record) = self.lock(connection).records.get_mut(&connection) {
            record.note(at, what);
        }
    }
}

#[derive(Serialize)]
struct Title {
    hangup_flight: u32,
    taken: String,
    now_s: f64,
    payload: bool,
    missed: u64,
}

impl Watch for FlightRecorder {
    fn opened(&self, connection: u64, at: Instant, peer: &Peer) {
        let most = self.0.connections.div_ceil(SHARDS);
        let mut shard = self.lock(connection);
        if shard.records.len() >= most {
            match shard.closed.pop_front() {
                Some(oldest) => shard.records.remove(&oldest),
                None => {
                    shard.missed += 1;
                    return;
                }
            };
        }
        let record = Record::new(at, *peer, self.0.payload);
        shard.records.insert(connection, record);
    }

    fn received(&self, connection: u64, at: Instant, length: usize, bytes: &[u8]) {
        if let Some(record) = self.lock(connection).records.get_mut(&connection) {
            record.received(at, length, bytes);
        }
    }

    fn ended(&self, connection: u64, at: Instant) {
        self.note(connection, at, What::Fin);
    }

    fn request(&self, connection: u64, at: Instant, head: &request::Parts) {
        self.note(connection, at, What::Request(Box::new(Head::of(head))));
    }

    fn response(&self, connection: u64, at: Instant, status: u16) {
        self.note(connection, at, What::Status(status));
    }

    fn sent(&self, connection: u64, at: Instant, length: u64) {
        self.note(connection, at, What::Out { length, until: at });
    }

    fn phase(&self, connection: u64, _: Instant, phase: Phase, _: Option<Instant>) {
        if let Some(record) = self.lock(connection).records.get_mut(&connection) {
            record.phase = phase;
        }
    }

    fn closed(&self, connection: u64, at: Instant, reason: CloseReason, _: &Entry) {
        let mut shard = self.lock(connection);
        if let Some(record) = shard.records.get_mut(&connection) {
            record.closed = Some((at, reason));
            shard.closed.push_back(connection);
        }
    }
}

impl fmt::Debug for FlightRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightRecorder")
            .field("connections", &self.0.connections)
            .field("payload", &self.0.payload)
            .finish_non_exhaustive()
    }
}

fn seconds(since: Instant, at: Instant) -> f64 {
    at.saturating_duration_since(since).as_secs_f64()
}

/// A gap between two events counts as even with others if it is within half and twice of their mean, or this near.
const EVEN: Duration = Duration::from_millis(1);
