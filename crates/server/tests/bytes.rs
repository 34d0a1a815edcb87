//! Bytes from strangers: any segmentation gives the same answers, and nothing that a generator makes up is more than a 4xx and a close.

use bytes::Bytes;
use hangup_server::{Body, Limits, Peer, Server, service_fn};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Runtime;

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

/// Sends the segments, one after the other is read, then half-closes.
fn exchange(runtime: &Runtime, segments: &[&[u8]], limits: &Limits) -> Outcome {
    runtime.block_on(async {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let app = {
            let seen = seen.clone();
            service_fn(move |request: Request<Body>| {
                let seen = seen.clone();
                async move {
                    let (head, body) = request.into_parts();
                    seen.lock()
                        .unwrap()
                        .push(format!("{} {}", head.method, head.uri));
                    let body = if head.uri.path() == "/reject" {
                        Ok(Bytes::new())
                    } else {
                        body.collect().await.map(|body| body.to_bytes())
                    };
                    seen.lock().unwrap().push(format!("{body:?}"));
                    Response::new(Full::new(body.unwrap_or_default()))
                }
            })
        };
        let (client, io) = duplex(1 << 20);
        let server = Server::new(app).limits(limits.clone()).date_header(false);
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
        let counts = server.ledger().counts();
        assert_eq!(
            (counts.opened, counts.open, counts.closed.values().sum()),
            (1, 0, 1)
        );
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

/// Ten thousand broken requests, each on a connection of its own: a 4xx or 5xx and a close, and the server still serves.
#[test]
fn ten_thousand_malformed_requests() {
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let runtime = runtime();
    let good: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\nX: some value\r\nY: another\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n",
    ];
    let mut refused = 0;
    for _ in 0..10_000 {
        let mut bytes = good[random.below(good.len())].to_vec();
        for _ in 0..=random.below(3) {
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
        let outcome = exchange(&runtime, &[&bytes], &Limits::default());
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        let bytewise = exchange(&runtime, &bytewise, &Limits::default());
        let shown = String::from_utf8_lossy(&bytes);
        let outcome = essence(outcome);
        assert_eq!(outcome, essence(bytewise), "{shown:?}");
        let last = outcome.said.rsplit("HTTP/1.1 ").next().unwrap_or_default();
        match &last.get(..3) {
            // It was still a request, or what was left behind one.
            Some("200") | None => {}
            Some(status) => {
                refused += 1;
                assert!(
                    ["400", "413", "414", "417", "431", "501", "505"].contains(status),
                    "{shown:?}: {outcome:?}"
                );
                assert!(
                    last.contains("\r\nconnection: close\r\n") && last.ends_with("\r\n\r\n"),
                    "{shown:?}: {outcome:?}"
                );
                assert_eq!(outcome.reason, "refused");
            }
        }
    }
    assert!(
        refused > 5_000,
        "the generator breaks requests, only {refused} of 10000 were"
    );
    let outcome = exchange(&runtime, &[good[1]], &Limits::default());
    assert!(outcome.said.ends_with("\r\n\r\nhello"));
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
