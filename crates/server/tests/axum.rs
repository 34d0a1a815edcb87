//! An axum `Router` on the server: extractors, server-sent events, a streaming upload, a body limit, a fallback.

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use hangup_server::{Limits, Peer, Server};
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

fn app() -> Router {
    Router::new()
        .route("/", get(|State(word): State<&'static str>| async move { word }))
        .route(
            "/hello/{name}",
            get(|Path(name): Path<String>, Query(query): Query<BTreeMap<String, String>>| async move { format!("{name} {query:?}") }),
        )
        .route("/json", post(|Json(numbers): Json<Vec<u32>>| async move { Json(numbers.iter().sum::<u32>()) }))
        .route("/bytes", post(|bytes: Bytes| async move { bytes.len().to_string() }).layer(DefaultBodyLimit::max(100)))
        .route("/upload", post(upload))
        .route("/events", get(events))
        .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
        .with_state("hello")
}

async fn upload(mut body: Body) -> String {
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.extend(frame.unwrap().into_data().map(|data| data.len()));
    }
    format!("{pieces:?}")
}

async fn events() -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    let stream = futures_util::stream::unfold(0, |count| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        (count < 3).then(|| (Ok(Event::default().data(count.to_string())), count + 1))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

fn connect() -> DuplexStream {
    let (client, io) = duplex(1 << 16);
    let server = Server::new(app())
        .date_header(false)
        .prepare(|request, peer| {
            if let Peer::Socket(address) = peer {
                request.extensions_mut().insert(ConnectInfo(*address));
            }
        });
    let peer = SocketAddr::from(([10, 0, 0, 1], 7));
    tokio::spawn(server.limits(Limits::default()).connection(io, peer.into()));
    client
}

/// Sends a request, and returns its response's status and body, read to the close.
async fn ask(request: &str) -> (u16, String) {
    let mut client = connect();
    client
        .write_all(
            request
                .replacen("\r\n", "\r\nHost: a\r\nConnection: close\r\n", 1)
                .as_bytes(),
        )
        .await
        .unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test(start_paused = true)]
async fn extractors() {
    assert_eq!(ask("GET / HTTP/1.1\r\n\r\n").await, (200, "hello".into()));
    assert_eq!(
        ask("GET /hello/world?a=b HTTP/1.1\r\n\r\n").await,
        (200, "world {\"a\": \"b\"}".into())
    );
    assert_eq!(ask("POST /json HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n[1,2,3]").await, (200, "6".into()));
    assert_eq!(
        ask("GET /peer HTTP/1.1\r\n\r\n").await,
        (200, "10.0.0.1:7".into())
    );
    assert_eq!(ask("GET /nowhere HTTP/1.1\r\n\r\n").await.0, 404);
    assert_eq!(ask("PUT / HTTP/1.1\r\n\r\n").await.0, 405);
}

#[tokio::test(start_paused = true)]
async fn axums_own_body_limit_is_its_own() {
    let post = |length: usize| {
        format!(
            "POST /bytes HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{}",
            "x".repeat(length)
        )
    };
    assert_eq!(ask(&post(100)).await, (200, "100".into()));
    assert_eq!(ask(&post(101)).await.0, 413);
}

#[tokio::test(start_paused = true)]
async fn an_upload_streams() {
    let mut client = connect();
    client.write_all(b"POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let mut invited = [0; 25];
    client.read_exact(&mut invited).await.unwrap();
    assert_eq!(&invited, b"HTTP/1.1 100 Continue\r\n\r\n");
    for length in [1, 2, 3] {
        client
            .write_all(format!("{length}\r\n{}\r\n", "x".repeat(length)).as_bytes())
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 1024];
    let length = client.read(&mut answer).await.unwrap();
    assert!(answer[..length].ends_with(b"[1, 2, 3]"));
}

#[tokio::test(start_paused = true)]
async fn events_arrive_as_they_happen() {
    let start = Instant::now();
    let mut client = connect();
    client
        .write_all(b"GET /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut arrived = Vec::new();
    let mut bytes = [0; 1024];
    loop {
        let length = client.read(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]);
        if length == 0 {
            break;
        }
        let what = text
            .lines()
            .find(|line| line.starts_with("data") || line.starts_with(':'))
            .unwrap_or("")
            .trim_end();
        arrived.push((start.elapsed().as_secs(), what.to_owned()));
    }
    let events: Vec<_> = arrived
        .iter()
        .filter(|(_, what)| !what.is_empty())
        .map(|(second, what)| (*second, what.as_str()))
        .collect();
    assert_eq!(
        events,
        [
            (15, ":"),
            (20, "data: 0"),
            (35, ":"),
            (40, "data: 1"),
            (55, ":"),
            (60, "data: 2"),
            (75, ":")
        ]
    );
}
