//! `cargo bench -p hangup-server --bench memory`: what a request costs over a pipe in memory, beside hyper on the same pipe.
//!
//! Rounds of all sides are interleaved, and the best of each is shown, so that what else the machine does falls on all alike.

use bytes::Bytes;
use hangup_server::{Limits, Peer, Server, service_fn};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const ROUNDS: usize = 15;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

async fn answer<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, B::Error>
where
    B: http_body::Body,
{
    if request.uri().path() == "/" {
        return Ok(Response::new(Full::from("ok")));
    }
    let body = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(Full::new(body)))
}

#[derive(Clone, Copy)]
enum Side {
    Hangup,
    Unbounded,
    Hyper,
    HyperTimeouts,
}

impl Side {
    const ALL: [(Side, &str); 4] = [
        (Side::Hangup, "hangup"),
        (Side::Unbounded, "hangup, no clocks"),
        (Side::Hyper, "hyper, no clocks"),
        (Side::HyperTimeouts, "hyper, head timeout"),
    ];

    fn serve(self, io: DuplexStream) {
        match self {
            Side::Hangup | Side::Unbounded => {
                let base = if matches!(self, Side::Hangup) {
                    Limits::default()
                } else {
                    Limits::unbounded()
                };
                let limits = Limits {
                    requests: u32::MAX,
                    ..base
                };
                let app = service_fn(async |request| answer(request).await.unwrap());
                tokio::spawn(
                    Server::new(app)
                        .limits(limits)
                        .connection(io, Peer::Unnamed),
                );
            }
            Side::Hyper | Side::HyperTimeouts => {
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.pipeline_flush(true);
                if matches!(self, Side::HyperTimeouts) {
                    builder
                        .timer(TokioTimer::new())
                        .header_read_timeout(Duration::from_secs(60));
                }
                let connection = builder.serve_connection(
                    TokioIo::new(io),
                    hyper::service::service_fn(answer::<hyper::body::Incoming>),
                );
                tokio::spawn(async move {
                    let _ = connection.await;
                });
            }
        }
    }
}

/// Sends `request` and reads the response, `times` over, on one connection.
async fn keep_alive(side: Side, request: &[u8], times: u32) -> Duration {
    let (mut client, io) = duplex(256 * 1024);
    side.serve(io);
    let mut buffer = vec![0; 256 * 1024];
    let mut length = 0;
    let start = Instant::now();
    for turn in 0..times {
        client.write_all(request).await.unwrap();
        let mut read = 0;
        // The first response tells the length of all.
        while read == 0 || (turn > 0 && read < length) {
            read += client.read(&mut buffer).await.unwrap();
        }
        if turn == 0 {
            let body = request.len()
                - request
                    .windows(4)
                    .position(|end| end == b"\r\n\r\n")
                    .unwrap()
                - 4;
            while !ends(&buffer[..read], body) {
                read += client.read(&mut buffer[read..]).await.unwrap();
            }
            length = read;
        }
    }
    start.elapsed() / times
}

fn ends(response: &[u8], body: usize) -> bool {
    let head = response.windows(4).position(|end| end == b"\r\n\r\n");
    head.is_some_and(|head| response.len() >= head + 4 + body.max(2))
}

/// One connection, one request, one close.
async fn connections(side: Side, times: u32) -> Duration {
    let mut buffer = [0; 1024];
    let start = Instant::now();
    for _ in 0..times {
        let (mut client, io) = duplex(4096);
        side.serve(io);
        client.write_all(GET).await.unwrap();
        assert!(client.read(&mut buffer).await.unwrap() > 0);
        client.shutdown().await.unwrap();
        while client.read(&mut buffer).await.unwrap() > 0 {}
    }
    start.elapsed() / times
}

async fn measure(name: &str, run: impl AsyncFn(Side) -> Duration) {
    let mut best = [Duration::MAX; Side::ALL.len()];
    for _ in 0..ROUNDS {
        for (slot, (side, _)) in best.iter_mut().zip(Side::ALL) {
            *slot = (*slot).min(run(side).await);
        }
    }
    let hyper = best[2].as_secs_f64();
    for (time, (_, side)) in best.iter().zip(Side::ALL) {
        println!(
            "{name:<24} {side:<20} {:>9.3} us   {:.2} x hyper",
            time.as_secs_f64() * 1e6,
            time.as_secs_f64() / hyper
        );
    }
}

fn upload(size: usize) -> Vec<u8> {
    let mut request =
        format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n")
            .into_bytes();
    request.resize(request.len() + size, b'x');
    request
}

fn main() -> Result<(), Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        measure("GET, keep-alive", async |side| {
            keep_alive(side, GET, 20_000).await
        })
        .await;
        let small = upload(1024);
        measure("POST 1 KiB, keep-alive", async |side| {
            keep_alive(side, &small, 20_000).await
        })
        .await;
        let large = upload(128 * 1024);
        measure("POST 128 KiB, keep-alive", async |side| {
            keep_alive(side, &large, 500).await
        })
        .await;
        measure("connect, GET, close", async |side| {
            connections(side, 5_000).await
        })
        .await;
    });
    Ok(())
}
