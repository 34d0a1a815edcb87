//! The client: blocking sockets on one thread.

use crate::side::Server;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a request takes.
#[derive(Clone, Copy)]
pub(crate) struct Takes {
    /// By the clock, client included.
    pub(crate) time: Duration,
    /// Of the processor, the server alone: what else the machine does hardly shows in it.
    pub(crate) processor: Duration,
}

/// The same request, many times over.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// On so many connections at once: all are written to before any is read from.
    connections: usize,
    times: u32,
    head: Vec<u8>,
    /// What is sent when the 100 has come.
    behind_continue: Vec<u8>,
    /// How long the response's body is.
    answer: usize,
}

fn upload(size: usize, fields: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n{fields}\r\n")
        .into_bytes()
}

fn with_body(mut head: Vec<u8>, size: usize) -> Vec<u8> {
    head.resize(head.len() + size, b'x');
    head
}

impl Workload {
    pub(crate) fn all() -> Vec<Self> {
        let plain = |name, connections, times, head, answer| Workload {
            name,
            connections,
            times,
            head,
            behind_continue: Vec::new(),
            answer,
        };
        let (kib, mib) = (1024, 1024 * 1024);
        vec![
            plain("GET /", 32, 150, GET.to_vec(), 2),
            plain("echo 1 KiB", 32, 120, with_body(upload(kib, ""), kib), kib),
            plain(
                "echo 64 KiB",
                1,
                400,
                with_body(upload(64 * kib, ""), 64 * kib),
                64 * kib,
            ),
            // One at a time: a client that writes all before it reads would wait for itself.
            plain("echo 1 MiB", 1, 40, with_body(upload(mib, ""), mib), mib),
            Workload {
                behind_continue: vec![b'x'; kib],
                ..plain(
                    "Expect, 1 KiB",
                    32,
                    80,
                    upload(kib, "Expect: 100-continue\r\n"),
                    kib,
                )
            },
        ]
    }

    /// What one request takes.
    pub(crate) fn run(&self, server: &Server) -> Takes {
        let mut connections = connect(server.address, self.connections);
        let mut buffer = Vec::new();
        // The first response tells how long all are.
        for connection in &mut connections {
            self.send(connection);
            self.go_on(connection);
            buffer = first_response(connection, self.answer);
        }
        let (start, had) = (Instant::now(), server.processor_time());
        for _ in 0..self.times {
            connections
                .iter_mut()
                .for_each(|connection| self.send(connection));
            connections
                .iter_mut()
                .for_each(|connection| self.go_on(connection));
            for connection in &mut connections {
                connection.read_exact(&mut buffer).expect("a response");
            }
        }
        let requests = self.times * self.connections as u32;
        Takes {
            time: start.elapsed() / requests,
            processor: (server.processor_time() - had) / requests,
        }
    }

    fn send(&self, connection: &mut TcpStream) {
        connection.write_all(&self.head).expect("it is open");
    }

    fn go_on(&self, connection: &mut TcpStream) {
        if !self.behind_continue.is_empty() {
            let mut heard = [0; CONTINUE.len()];
            connection.read_exact(&mut heard).expect("a 100");
            assert_eq!(heard, CONTINUE);
            connection
                .write_all(&self.behind_continue)
                .expect("it is open");
        }
    }
}

fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("it is open");
        stream
    };
    (0..count).map(connect).collect()
}

/// A whole response with a body of this length.
fn first_response(connection: &mut TcpStream, body: usize) -> Vec<u8> {
    let mut said = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        let read = connection.read(&mut buffer).expect("a response");
        assert!(
            read > 0,
            "the connection ended: {}",
            String::from_utf8_lossy(&said)
        );
        said.extend_from_slice(&buffer[..read]);
        let head = said.windows(4).position(|end| end == b"\r\n\r\n");
        if head.is_some_and(|head| said.len() >= head + 4 + body) {
            assert!(said.starts_with(b"HTTP/1.1 200 OK\r\n"));
            return said;
        }
    }
}

/// Connections that were served once and now say nothing.
pub(crate) fn idle(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut all = Vec::new();
    // In groups that the backlog holds.
    while all.len() < count {
        let mut group = connect(address, 100.min(count - all.len()));
        for connection in &mut group {
            connection.write_all(GET).expect("it is open");
        }
        for connection in &mut group {
            first_response(connection, 2);
        }
        all.append(&mut group);
    }
    all
}
