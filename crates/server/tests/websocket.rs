//! A stock axum WebSocket route on the server, with tokio-tungstenite as its client: what works on
//! hyper works here, and the connection keeps its count and its clock.

#![cfg(feature = "hyper-upgrade")]

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use hangup_server::{Ledger, Limits, Peer, Phase, Server, Span};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as Said;

/// What the application saw of its sockets.
type Seen = Arc<Mutex<Vec<String>>>;

fn app(seen: Seen) -> Router {
    let failed = seen.clone();
    Router::new()
        .route(
            "/echo",
            get(move |upgrade: WebSocketUpgrade| async move {
                upgrade.on_upgrade(move |socket| echo(socket, seen))
            }),
        )
        .route(
            "/refused",
            get(move |upgrade: WebSocketUpgrade| async move {
                let note = move |error| failed.lock().unwrap().push(format!("failed: {error}"));
                let mut response: Response =
                    upgrade.on_failed_upgrade(note).on_upgrade(async |_| {});
                *response.status_mut() = StatusCode::FORBIDDEN;
                response
            }),
        )
}

async fn echo(mut socket: WebSocket, seen: Seen) {
    while let Some(Ok(message)) = socket.recv().await {
        seen.lock().unwrap().push(format!("{message:?}"));
        match message {
            Message::Text(_) | Message::Binary(_) => {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
    seen.lock().unwrap().push("over".to_owned());
}

fn connect(seen: &Seen, limits: Limits) -> (DuplexStream, Ledger) {
    let (client, io) = duplex(1 << 16);
    let server = Server::new(app(seen.clone()))
        .date_header(false)
        .limits(limits);
    let ledger = server.ledger().clone();
    tokio::spawn(server.connection(io, Peer::Unnamed));
    (client, ledger)
}

/// Text, a message of many frames' size, a ping, and the closing handshake.
async fn dialogue(io: impl AsyncRead + AsyncWrite + Unpin) -> Vec<String> {
    let (mut socket, response) = client_async("ws://a/echo", io).await.unwrap();
    let mut heard = vec![response.status().to_string()];
    let large = "x".repeat(300_000);
    for message in [
        Said::text("hello"),
        Said::text(large),
        Said::Ping(vec![1, 2].into()),
        Said::binary(vec![0, 255]),
    ] {
        socket.send(message).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        heard.push(match answer {
            Said::Text(text) if text.len() > 10 => format!("{} bytes", text.len()),
            answer => format!("{answer:?}"),
        });
    }
    socket.close(None).await.unwrap();
    while let Some(message) = socket.next().await {
        heard.push(format!("{message:?}"));
    }
    heard
}

#[tokio::test]
async fn on_sockets_it_is_what_it_is_on_hyper() {
    let ours = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, beside) = (ours.local_addr().unwrap(), theirs.local_addr().unwrap());
    let seen = [Seen::default(), Seen::default()];
    let server = tokio::spawn(Server::new(app(seen[0].clone())).serve(ours));
    let hyper = tokio::spawn(axum::serve(theirs, app(seen[1].clone())).into_future());
    let heard = dialogue(TcpStream::connect(at).await.unwrap()).await;
    let beside = dialogue(TcpStream::connect(beside).await.unwrap()).await;
    assert_eq!(heard, beside);
    assert_eq!(
        heard[..3],
        [
            "101 Switching Protocols",
            "Text(Utf8Bytes(b\"hello\"))",
            "300000 bytes"
        ]
    );
    server.abort();
    hyper.abort();
}

#[tokio::test(start_paused = true)]
async fn the_connection_is_counted_and_ends_with_the_socket() {
    let seen = Seen::default();
    let (io, ledger) = connect(&seen, Limits::default());
    let (mut socket, _) = client_async("ws://a/echo", io).await.unwrap();
    sleep(Duration::from_secs(1000)).await;
    socket.send(Said::text("still there")).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Said::text("still there")
    );
    assert_eq!(ledger.open()[0].phase, Phase::Upgrade);
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    sleep(Duration::from_millis(1)).await;
    let counts = ledger.counts();
    assert_eq!((counts.open, counts.closed), (0, [("upgraded", 1)].into()));
    assert_eq!(seen.lock().unwrap().last().unwrap(), "over");
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_the_upgrade_ends_it() {
    let seen = Seen::default();
    let limits = Limits {
        upgrade: Span::seconds(100),
        ..Limits::default()
    };
    let (io, ledger) = connect(&seen, limits);
    let start = Instant::now();
    let (mut socket, _) = client_async("ws://a/echo", io).await.unwrap();
    assert!(!matches!(socket.next().await, Some(Ok(_))));
    assert_eq!(start.elapsed(), Duration::from_secs(100));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(ledger.counts().closed, [("timeout-upgrade", 1)].into());
    assert_eq!(*seen.lock().unwrap(), ["over"]);
}

const REQUEST: &str = "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A client may send its first frame right behind its request.
#[tokio::test(start_paused = true)]
async fn bytes_that_came_with_the_request_are_the_sockets() {
    let seen = Seen::default();
    let (mut io, _) = connect(&seen, Limits::default());
    // "hi", masked with zeros.
    let frame = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    let both = [REQUEST.as_bytes(), &frame].concat();
    io.write_all(&both).await.unwrap();
    let mut heard = vec![0; 4096];
    let mut length = 0;
    while !heard[..length].ends_with(b"\x81\x02hi") {
        let more = io.read(&mut heard[length..]).await.unwrap();
        assert!(more > 0, "{:?}", String::from_utf8_lossy(&heard[..length]));
        length += more;
    }
    let head = String::from_utf8_lossy(&heard[..length - 4]);
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{head}"
    );
    assert!(
        !head.contains("date"),
        "hyper's own 101 is seen by nobody: {head}"
    );
}

#[tokio::test(start_paused = true)]
async fn another_status_fails_the_upgrade_and_the_connection_goes_on() {
    let seen = Seen::default();
    let (mut io, ledger) = connect(&seen, Limits::default());
    let get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let both = REQUEST.replace("/echo", "/refused") + get;
    io.write_all(both.as_bytes()).await.unwrap();
    let mut said = String::new();
    io.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 403 "), "{said}");
    assert!(said.contains("HTTP/1.1 404 "), "{said}");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].starts_with("failed: "), "{seen:?}");
    drop(io);
    assert_eq!(ledger.counts().closed.get("upgraded"), None);
}

#[tokio::test(start_paused = true)]
async fn without_being_asked_there_is_none() {
    let seen = Seen::default();
    for request in [
        REQUEST.replace("Connection: Upgrade", "Connection: close"),
        REQUEST.replace("Upgrade: websocket", "X: y"),
    ] {
        let (mut io, _) = connect(&seen, Limits::default());
        io.write_all(
            request
                .replace("Host: a", "Host: a\r\nConnection: close")
                .as_bytes(),
        )
        .await
        .unwrap();
        let mut said = String::new();
        io.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 4"), "{said}");
    }
    assert_eq!(seen.lock().unwrap().len(), 0);
}
