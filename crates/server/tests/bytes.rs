//! Bytes from strangers: heads, chunked bodies, whole connections. Any segmentation gives the same answers, nothing that a generator makes up is
//! more than a 4xx and a close, and nothing makes the server buffer more than its limits. A stable equivalent of fuzz targets, which every `cargo test` runs;
//! `PROPTEST_RNG_SEED=2 PROPTEST_CASES=20000 cargo test -p hangup-server --test bytes` runs others, and more.

use bytes::Bytes;
use hangup_lifecycle::Drain;
use hangup_server::{Body, Limits, Peer, Server};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::runtime::Runtime;
use tower_service::Service;

/// What a client got, what the application saw, and how it ended.
#[derive(Debug, PartialEq)]
struct Outcome {
    said: String,
    seen: Vec<String>,
    reason: &'static str,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Notes what it is asked and what it reads, and echoes it; at `/reject` it does not read.
#[derive(Clone, Default)]
struct App(Seen);

impl Service<Request<Body>> for App {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let seen = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let asked = format!("{} {}", head.method, head.uri);
            seen.lock().unwrap().push(asked);
            let body = if head.uri.path() == "/reject" {
                Ok(Bytes::new())
            } else {
                body.collect().await.map(|body| body.to_bytes())
            };
            seen.lock().unwrap().push(format!("{body:?}"));
            Ok(Response::new(Full::new(body.unwrap_or_default())))
        })
    }
}

fn server(limits: &Limits) -> (Server<App>, Seen) {
    let app = App::default();
    let seen = app.0.clone();
    let server = Server::new(app).limits(limits.clone()).date_header(false);
    (server, seen)
}

/// Sends the segments to a server of their own, one after the other is read, then half-closes.
fn exchange(runtime: &Runtime, segments: &[&[u8]], limits: &Limits) -> Outcome {
    let (server, seen) = server(limits);
    let outcome = exchange_with(runtime, segments, &server, &seen);
    let counts = server.ledger().counts();
    assert_eq!(
        (counts.opened, counts.open, counts.closed.values().sum()),
        (1, 0, 1)
    );
    outcome
}

fn exchange_with(
    runtime: &Runtime,
    segments: &[&[u8]],
    server: &Server<App>,
    seen: &Seen,
) -> Outcome {
    runtime.block_on(async {
        let (client, io) = duplex(1 << 20);
        let connection = tokio::spawn(server.connection(io, Peer::Unnamed));
        let (mut reads, mut writes) = tokio::io::split(client);
        let reader = tokio::spawn(async move {
            let mut said = Vec::new();
            reads.read_to_end(&mut said).await.unwrap();
            said
        });
        for segment in segments {
            if writes.write_all(segment).await.is_err() {
                break;
            }
            // Each is read before the next is there.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        let _ = writes.shutdown().await;
        let said = String::from_utf8_lossy(&reader.await.unwrap()).into_owned();
        let reason = connection.await.unwrap().name();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        Outcome { said, seen, reason }
    })
}

/// Pieces of requests, good and bad, so that what is put together of them is often nearly right.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x?y=z HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
        b"POST /reject HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\nGET / HTTP/1.1\r\nHost: c\r\n\r\n\r\n0\r\nA: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n", b"Host: a\r\n", b"Content-Length: 5\r\n", b"content-length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n", b"Expect: 100-continue\r\n", b"Expect: x\r\n", b"Connection: close\r\n", b"X: ",
        b"HTTP/1.1", b"HTTP/2.0\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b":", b";x=\"y\"", b"5\r\n", b"hello\r\n", b"0\r\n",
        b"ffffffffffffffff\r\n", b"\0", b"\xff", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01",
    ];
    prop_oneof![
        8 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (b'!'..b'~', 0..5000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 1..8).prop_map(|pieces| pieces.concat())
}

fn tight() -> Limits {
    Limits {
        head_bytes: 4096,
        head_fields: 8,
        body_bytes: 1000,
        requests: 5,
        ..Limits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_segmentation_gives_the_same(bytes in bytes(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let runtime = runtime();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut segments = Vec::new();
        let mut rest = &bytes[..];
        for pair in [&[0], &cuts[..]].concat().windows(2) {
            let (segment, behind) = rest.split_at(pair[1] - pair[0]);
            segments.push(segment);
            rest = behind;
        }
        segments.push(rest);
        let limits = tight();
        let at_once = essence(exchange(&runtime, &[&bytes], &limits));
        let cut = essence(exchange(&runtime, &segments, &limits));
        prop_assert_eq!(&at_once, &cut);
        if bytes.len() < 300 {
            let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&at_once, &essence(exchange(&runtime, &bytewise, &limits)));
        }
    }

    #[test]
    fn whatever_comes_ends_well(bytes in bytes()) {
        let outcome = exchange(&runtime(), &[&bytes], &tight());
        let statuses: Vec<&str> = outcome.said.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect();
        for status in &statuses {
            prop_assert!(["100", "200", "400", "413", "414", "417", "431", "501", "505"].contains(status), "{status}: {outcome:?}");
        }
        let finals = statuses.iter().filter(|status| **status != "100").count();
        let dispatched = outcome.seen.iter().filter(|line| !line.starts_with("Ok") && !line.starts_with("Err")).count();
        // One final response a request, and at most one for what never became one.
        prop_assert!(finals <= dispatched + 1 && dispatched <= finals, "{outcome:?}");
    }
}

/// What must not depend on how the bytes were cut. Whether a 100 is sent does, rightly, and so does whether the application was called
/// for a body that turns out to be broken.
fn essence(mut outcome: Outcome) -> Outcome {
    outcome.said = outcome.said.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    outcome.seen.retain(|line| line.starts_with("Ok"));
    outcome
}

/// Whole requests: what is done to them is mostly still one, up to the place where it is not.
const GOOD: [&[u8]; 5] = [
    b"GET / HTTP/1.1\r\nHost: a\r\nX: some value\r\nY: another\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n",
    b"PUT /x HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n00a;q=\"r\"\r\n0123456789\r\n0\r\n\r\n",
    b"GET /p HTTP/1.0\r\nConnection: keep-alive\r\n\r\nPOST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
];

/// Changes, takes out, puts in, cuts off or doubles, up to `most` times.
fn mutated(random: &mut Xorshift, good: &[u8], most: usize) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=random.below(most) {
        let at = random.below(bytes.len().max(1));
        match random.below(5) {
            _ if bytes.is_empty() => break,
            0 => bytes[at] = random.below(256) as u8,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"\r\n\0 :;,\t\x7f\xff"[random.below(10)]),
            3 => bytes.truncate(at.max(1)),
            _ => {
                let copy = bytes[at..].to_vec();
                bytes.extend_from_slice(&copy);
            }
        }
    }
    bytes
}

/// Ten thousand malformed requests to one server, each on a connection of its own: a 4xx or 5xx and a close, the same if they come byte by byte,
/// and the server still serves.
#[test]
fn ten_thousand_malformed_requests() {
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let runtime = runtime();
    let (server, seen) = server(&Limits::default());
    let (mut refused, mut behind, mut made) = (0, 0, 0);
    while refused < 10_000 {
        let good = GOOD[random.below(GOOD.len())];
        let bytes = mutated(&mut random, good, 3);
        made += 1;
        assert!(
            made < 30_000,
            "the generator breaks only {refused} of {made}"
        );
        let outcome = essence(exchange_with(&runtime, &[&bytes], &server, &seen));
        let shown = String::from_utf8_lossy(&bytes);
        if made % 4 == 0 {
            let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
            let bytewise = exchange(&runtime, &bytewise, &Limits::default());
            assert_eq!(outcome, essence(bytewise), "{shown:?}");
        }
        if outcome.reason != "refused" {
            // It was still a request, or nothing of one.
            assert!(
                !outcome.said.contains("HTTP/1.1 4") && !outcome.said.contains("HTTP/1.1 5"),
                "{shown:?}: {outcome:?}"
            );
            continue;
        }
        let last = outcome.said.rsplit("HTTP/1.1 ").next().unwrap_or_default();
        let status = last.get(..3).unwrap_or_default();
        if status == "200" {
            // The body broke off behind the response that it was not read for.
            behind += 1;
            continue;
        }
        refused += 1;
        assert!(
            ["400", "413", "414", "417", "431", "501", "505"].contains(&status),
            "{shown:?}: {outcome:?}"
        );
        assert!(
            last.contains("\r\nconnection: close\r\n") && last.ends_with("\r\n\r\n"),
            "{shown:?}: {outcome:?}"
        );
    }
    let counts = server.ledger().counts();
    assert_eq!((counts.opened, counts.open), (made, 0));
    assert_eq!(counts.closed["refused"], 10_000 + behind);
    let outcome = exchange_with(&runtime, &[GOOD[1]], &server, &seen);
    assert!(outcome.said.ends_with("\r\n\r\nhello"));
}

/// A stream without end: some bytes, then others over and over. Counts what is read of it since the server last wrote.
struct Endless {
    first: Vec<u8>,
    again: Vec<u8>,
    at: usize,
    left: usize,
    read: usize,
    most: Arc<Mutex<usize>>,
    /// The server has sent its FIN.
    ended: bool,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut taken = 0;
        while buffer.remaining() > 0 && this.left > 0 {
            let from = match this.first.get(this.at..) {
                Some(rest) if !rest.is_empty() => rest,
                _ => &this.again[(this.at - this.first.len()) % this.again.len()..],
            };
            let length = from.len().min(buffer.remaining()).min(this.left);
            buffer.put_slice(&from[..length]);
            this.at += length;
            this.left -= length;
            taken += length;
        }
        if !this.ended {
            this.read += taken;
            let mut most = this.most.lock().unwrap();
            *most = (*most).max(this.read);
        }
        if taken == 0 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A 100 lets nothing of what was read go.
        if !bytes.starts_with(b"HTTP/1.1 100") {
            self.read = 0;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What comes now is only dropped.
        (self.ended, self.left) = (true, 0);
        Poll::Ready(Ok(()))
    }
}

/// Whatever a client sends without end behind whatever it began with: what the server has read and not yet answered stays within its limits,
/// and the connection ends.
#[test]
fn nothing_makes_it_buffer_without_bound() {
    const SENT: usize = 256 * 1024;
    // Not empty lines: between requests these are dropped as they come, for as long as the clock lets them.
    let again: [&[u8]; 7] = [
        b"x",
        b"X: y\r\n",
        b"1;e\r\nz\r\n",
        b"1\r\nz\r\n",
        b";",
        b"T: u\r\n",
        b"0",
    ];
    let limits = Limits {
        drain: Drain {
            bytes: 4096,
            ..Limits::default().drain
        },
        requests: 100,
        ..tight()
    };
    // A head; a body, which the application keeps; the framing that a body may have; a read behind each.
    let allowed = limits.head_bytes + 1000 + 16 * 1024 + 2 * 8 * 1024;
    let mut random = Xorshift(0x2545_f491_4f6c_dd1d);
    let runtime = runtime();
    let mut worst = 0;
    for _ in 0..3_000 {
        let good = GOOD[random.below(GOOD.len())];
        let mut first = mutated(&mut random, good, 2);
        // Mostly to end within a message, where more of it may follow.
        first.truncate(random.below(first.len() + 1));
        let again = again[random.below(again.len())];
        let most = Arc::new(Mutex::new(0));
        let (shown, told) = (
            String::from_utf8_lossy(&[&first[..], again].concat()).into_owned(),
            most.clone(),
        );
        let io = Endless {
            first,
            again: again.repeat(1 << 12),
            at: 0,
            left: SENT,
            read: 0,
            most,
            ended: false,
        };
        let (server, _) = server(&limits);
        // With a paused clock a connection that waits for ever would end the test here.
        runtime.block_on(server.connection(io, Peer::Unnamed));
        let most = *told.lock().unwrap();
        assert!(
            most <= allowed,
            "{shown:?}: {most} bytes were read before anything was said"
        );
        worst = worst.max(most);
    }
    assert!(
        worst > limits.head_bytes,
        "only {worst} bytes were read at most: nothing was tried"
    );
}

struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
