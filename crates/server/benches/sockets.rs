//! `cargo bench -p hangup-server --bench sockets`: the server on one thread, its clients on another, over kernel TCP, beside hyper.
//!
//! Rounds of all sides are interleaved, and the best of each is shown. Memory is what the process has grown by for each idle
//! connection, clients' sockets included, which are the same for all.

use bytes::Bytes;
use hangup_server::{Limits, Server, service_fn};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const ROUNDS: usize = 9;
const CONNECTIONS: usize = 32;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Hangup,
    Unbounded,
    Hyper,
    HyperTimeouts,
}

const SIDES: [(Side, &str); 4] = [
    (Side::Hangup, "hangup"),
    (Side::Unbounded, "hangup, no clocks"),
    (Side::Hyper, "hyper, no clocks"),
    (Side::HyperTimeouts, "hyper, head timeout"),
];

async fn answer<B: http_body::Body>(
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, B::Error> {
    if request.uri().path() == "/" {
        return Ok(Response::new(Full::from("ok")));
    }
    Ok(Response::new(Full::new(
        request.into_body().collect().await?.to_bytes(),
    )))
}

/// Serves on a thread of its own, for as long as the program runs.
fn serve(side: Side) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            match side {
                Side::Hangup | Side::Unbounded => {
                    let base = if side == Side::Hangup {
                        Limits::default()
                    } else {
                        Limits::unbounded()
                    };
                    let limits = Limits {
                        requests: u32::MAX,
                        connections_by_address: 1 << 20,
                        connections: 1 << 20,
                        ..base
                    };
                    let app = service_fn(async |request| answer(request).await.unwrap_or_default());
                    Server::new(app).limits(limits).serve(listener).await;
                }
                Side::Hyper | Side::HyperTimeouts => loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let mut builder = hyper::server::conn::http1::Builder::new();
                    if side == Side::HyperTimeouts {
                        builder
                            .timer(TokioTimer::new())
                            .header_read_timeout(Duration::from_secs(60));
                    }
                    let service = hyper::service::service_fn(answer::<hyper::body::Incoming>);
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    tokio::spawn(async move {
                        let _ = connection.await;
                    });
                },
            }
        });
    });
    told.recv().unwrap()
}

/// `times` requests on each of `connections`, all of them sent before any is awaited. The time of one.
fn exchange(connections: &mut [TcpStream], request: &[u8], length: usize, times: u32) -> Duration {
    let mut buffer = vec![0; length];
    let start = Instant::now();
    for _ in 0..times {
        for connection in connections.iter_mut() {
            connection.write_all(request).unwrap();
        }
        for connection in connections.iter_mut() {
            connection.read_exact(&mut buffer).unwrap();
        }
    }
    start.elapsed() / times / connections.len() as u32
}

fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    (0..count).map(connect).collect()
}

/// How long the response to this request is.
fn length_of(address: SocketAddr, request: &[u8], body: usize) -> usize {
    let mut connection = connect(address, 1).remove(0);
    connection.write_all(request).unwrap();
    let mut said = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        let read = connection.read(&mut buffer).unwrap();
        said.extend_from_slice(&buffer[..read]);
        if let Some(head) = said.windows(4).position(|end| end == b"\r\n\r\n")
            && said.len() >= head + 4 + body
        {
            return said.len();
        }
    }
}

fn measure(
    name: &str,
    addresses: &[SocketAddr],
    connections: usize,
    request: &[u8],
    body: usize,
    times: u32,
) {
    let mut best = [Duration::MAX; SIDES.len()];
    let lengths: Vec<usize> = addresses
        .iter()
        .map(|&address| length_of(address, request, body))
        .collect();
    for _ in 0..ROUNDS {
        for ((best, &address), &length) in best.iter_mut().zip(addresses).zip(&lengths) {
            let mut connections = connect(address, connections);
            exchange(&mut connections, request, length, times / 10 + 1);
            *best = (*best).min(exchange(&mut connections, request, length, times));
        }
    }
    for (time, (_, side)) in best.iter().zip(SIDES) {
        let ratio = time.as_secs_f64() / best[2].as_secs_f64();
        println!(
            "{name:<20} {side:<20} {:>9.2} us   {ratio:.2} x hyper",
            time.as_secs_f64() * 1e6
        );
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .unwrap_or_default()
}

fn idle(addresses: &[SocketAddr], count: usize) {
    let mut all = Vec::new();
    for (&address, (_, side)) in addresses.iter().zip(SIDES) {
        let before = resident_kib();
        let length = length_of(address, GET, 2);
        let mut connections = Vec::new();
        // In groups that the backlog holds.
        for _ in 0..count / 100 {
            let mut group = connect(address, 100);
            exchange(&mut group, GET, length, 1);
            connections.append(&mut group);
        }
        println!(
            "idle connection      {side:<20} {:>9} bytes",
            (resident_kib() - before) * 1024 / count as u64
        );
        // They stay, so that the next side does not grow into what they leave behind.
        all.push(connections);
    }
}

fn upload(size: usize) -> Vec<u8> {
    let mut request =
        format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n")
            .into_bytes();
    request.resize(request.len() + size, b'x');
    request
}

fn main() {
    let addresses: Vec<SocketAddr> = SIDES.iter().map(|&(side, _)| serve(side)).collect();
    measure("GET", &addresses, CONNECTIONS, GET, 2, 1000);
    measure(
        "echo 1 KiB",
        &addresses,
        CONNECTIONS,
        &upload(1024),
        1024,
        500,
    );
    // One at a time: a client that writes all before it reads would wait for itself.
    let body = upload(64 * 1024);
    measure("echo 64 KiB", &addresses, 1, &body, 64 * 1024, 2000);
    let body = upload(1024 * 1024);
    measure("echo 1 MiB", &addresses, 1, &body, 1024 * 1024, 100);
    idle(&addresses, 2000);
}
