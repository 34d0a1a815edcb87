//! A full server: who makes room, who never does, and what is refused in words.

use crate::client::secs;
use crate::probe::{self, Seen};
use hangup_server::{Ledger, Limits, Listener, Peer, Server, service_fn};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const LAST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const REFUSED: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Gives what the test sends, errors included.
struct Sent(mpsc::UnboundedReceiver<io::Result<(DuplexStream, Peer)>>);

impl Listener for Sent {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        match self.0.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }
}

struct Running {
    accepts: mpsc::UnboundedSender<io::Result<(DuplexStream, Peer)>>,
    ledger: Ledger,
    _server: Aborted,
}

struct Aborted(JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Running {
    fn with(limits: Limits) -> Self {
        let app = service_fn(|request| probe::answer(request, Seen::default()));
        let server = Server::new(app).limits(limits).date_header(false);
        let ledger = server.ledger().clone();
        let (accepts, accepted) = mpsc::unbounded_channel();
        Running {
            accepts,
            ledger,
            _server: Aborted(tokio::spawn(server.serve(Sent(accepted)))),
        }
    }

    fn room_for(connections: usize) -> Self {
        Self::with(Limits {
            connections,
            ..Limits::default()
        })
    }

    fn connect_from(&self, peer: Peer) -> Client {
        let (client, io) = duplex(1 << 16);
        self.accepts.send(Ok((io, peer))).unwrap();
        Client(client)
    }

    async fn connect(&self) -> Client {
        let client = self.connect_from(Peer::Unnamed);
        tick().await;
        client
    }

    fn fail(&self, errno: i32) {
        let error = io::Error::from_raw_os_error(errno);
        self.accepts.send(Err(error)).unwrap();
    }

    fn closed(&self, reason: &str) -> u64 {
        let counts = self.ledger.counts();
        counts.closed.get(reason).copied().unwrap_or_default()
    }
}

struct Client(DuplexStream);

impl Client {
    async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
        tick().await;
    }

    /// What has been said since the last look.
    async fn hears(&mut self, expected: &str) {
        let mut heard = vec![0; expected.len()];
        self.0.read_exact(&mut heard).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), expected);
    }

    /// What is said until the server's FIN, which must be there within a second.
    async fn end(&mut self) -> String {
        let start = Instant::now();
        let mut said = String::new();
        self.0.read_to_string(&mut said).await.unwrap();
        assert!(start.elapsed() < secs(1), "{:?}: {said}", start.elapsed());
        said
    }

    async fn is_served(&mut self) {
        self.send(GET).await;
        self.hears(OK).await;
    }
}

/// A moment of the paused clock: everybody else runs until all wait.
async fn tick() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_idle_makes_room_then_the_silent_then_half_a_head() {
    let running = Running::room_for(4);
    let mut half = running.connect().await;
    half.send("GET / HT").await;
    let mut silent = running.connect().await;
    let mut older = running.connect().await;
    older.is_served().await;
    let mut younger = running.connect().await;
    younger.is_served().await;
    // Active again, so it is the other's turn.
    older.is_served().await;
    sleep(secs(3)).await;

    let mut fifth = running.connect().await;
    assert_eq!(younger.end().await, "");
    fifth.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut sixth = running.connect().await;
    assert_eq!(older.end().await, "");
    sixth.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut seventh = running.connect().await;
    assert_eq!(silent.end().await, "");
    seventh.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut eighth = running.connect().await;
    assert_eq!(half.end().await, REFUSED);
    eighth.is_served().await;
    drop(half);
    tick().await;
    assert_eq!(running.closed("evicted"), 4);
    assert_eq!(running.ledger.counts().open, 4);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_progress_never_makes_room() {
    let running = Running::room_for(5);
    let mut busy = Vec::new();
    for request in [
        "GET /never HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        "GET /events/100 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    ] {
        let mut client = running.connect().await;
        client.send(request).await;
        busy.push(client);
    }
    for _ in 0..3 {
        assert_eq!(running.connect().await.end().await, REFUSED);
    }
    assert_eq!(running.closed("evicted"), 0);
    busy[1].send("lo").await;
    busy[1]
        .hears("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        .await;
    // Its request is answered, so it is idle, and it alone.
    let mut next = running.connect().await;
    next.is_served().await;
    assert_eq!(busy[1].end().await, "");
}

/// The request that crosses its eviction is answered, with `close`.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_there_when_its_connection_is_to_make_room_is_answered() {
    let running = Running::room_for(1);
    let mut idle = running.connect().await;
    idle.is_served().await;
    sleep(secs(10)).await;
    // In one instant: the other connects, and the request comes.
    let mut other = running.connect_from(Peer::Unnamed);
    idle.0.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(idle.end().await, LAST);
    other.is_served().await;
    drop(idle);
    tick().await;
    assert_eq!(running.closed("evicted"), 1);
}

/// A response that a client may still be reading is not taken back by its client's next request.
#[tokio::test(start_paused = true)]
async fn who_was_answered_just_now_has_the_linger_to_read() {
    let running = Running::room_for(1);
    let mut first = running.connect().await;
    first.send(GET).await;
    let _second = running.connect().await;
    let waits: Vec<_> = running
        .ledger
        .open()
        .iter()
        .map(|open| open.phase)
        .collect();
    assert_eq!(
        waits,
        [hangup_server::Phase::Linger, hangup_server::Phase::Opening]
    );
    first.send(GET).await;
    assert_eq!(first.end().await, OK);
}

/// Not so many linger that there would be no place for others.
#[tokio::test(start_paused = true)]
async fn a_crowd_that_was_answered_just_now_makes_room_too() {
    let running = Running::room_for(64);
    let mut crowd = Vec::new();
    for _ in 0..200 {
        let mut client = running.connect().await;
        client.is_served().await;
        crowd.push(client);
    }
    assert_eq!(running.closed("too-many-connections"), 0);
    assert!(running.ledger.counts().open <= 64 + 8);
}

#[tokio::test(start_paused = true)]
async fn an_address_at_its_limit_is_refused_and_nobody_makes_room_for_it() {
    let running = Running::with(Limits {
        connections: 2,
        connections_by_address: 1,
        ..Limits::default()
    });
    let one = || Peer::Socket(([10, 0, 0, 1], 1).into());
    let mut first = running.connect_from(one());
    first.is_served().await;
    let mut other = running.connect_from(Peer::Socket(([10, 0, 0, 2], 1).into()));
    other.is_served().await;
    sleep(secs(3)).await;
    let mut again = running.connect_from(one());
    assert!(again.end().await.starts_with("HTTP/1.1 429 "));
    first.is_served().await;
    other.is_served().await;
}

#[tokio::test(start_paused = true)]
async fn without_descriptors_the_longest_idle_makes_room() {
    const EMFILE: i32 = 24;
    let running = Running::room_for(100);
    let mut idle = running.connect().await;
    idle.is_served().await;
    sleep(secs(3)).await;
    running.fail(EMFILE);
    let start = Instant::now();
    let mut next = running.connect_from(Peer::Unnamed);
    next.is_served().await;
    // Not the pause, but the close: the first recovery is at once.
    assert!(
        start.elapsed() < Duration::from_millis(4),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(idle.end().await, "");
    assert_eq!(
        running.ledger.counts().accept_errors,
        [("descriptors", 1)].into()
    );
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_the_pause_after_an_error() {
    const EINVAL: i32 = 22;
    let running = Running::room_for(100);
    let idle = running.connect().await;
    for _ in 0..9 {
        running.fail(EINVAL);
    }
    // 5, 10 ... 640 ms are over, and the pause of a second has begun.
    sleep(Duration::from_millis(1300)).await;
    let mut waiting = running.connect_from(Peer::Unnamed);
    drop(idle);
    let start = Instant::now();
    waiting.is_served().await;
    assert!(
        start.elapsed() < Duration::from_millis(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(running.ledger.counts().accept_errors, [("other", 9)].into());
}

/// Errors of one connection each do not hold up the next one, unless there is no end of them.
#[tokio::test(start_paused = true)]
async fn aborted_connections_are_passed_over_and_their_flood_is_no_spin() {
    let running = Running::room_for(100);
    let start = Instant::now();
    for errno in [103, 71, 111, 104, 110, 113, 101, 100, 92, 112, 95, 1, 4] {
        running.fail(errno);
    }
    let mut client = running.connect_from(Peer::Unnamed);
    client.is_served().await;
    assert_eq!(start.elapsed(), Duration::from_millis(1), "no pause");
    assert_eq!(
        running.ledger.counts().accept_errors,
        [("connection", 13)].into()
    );
    for _ in 0..1000 {
        running.fail(103);
    }
    sleep(secs(10)).await;
    let errors = running.ledger.counts().accept_errors["connection"];
    assert!((20..60).contains(&errors), "{errors} in ten seconds");
}
