//! How much a connection may ask for, how many there may be, and who has other limits.

use crate::client::{Client, secs};
use hangup_server::{Body, Limits, Peer, Server, Span, service_fn};
use http::{Request, Response};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};
use tower_service::Service;

async fn read(request: Request<Body>) -> Response<String> {
    let path = request.uri().path().to_owned();
    if path == "/never" {
        std::future::pending::<()>().await;
    }
    let length = request
        .into_body()
        .collect()
        .await
        .map_or(0, |body| body.to_bytes().len());
    let mut response = Response::new(format!("{length} bytes"));
    if path == "/last" {
        response.extensions_mut().insert(Arc::new(Limits {
            idle: Span::seconds(1),
            ..Limits::default()
        }));
    }
    response
}

fn connect<S>(server: &Server<S>, peer: Peer) -> DuplexStream
where
    S: Service<
            Request<Body>,
            Response = Response<String>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
{
    let (client, io) = duplex(1 << 20);
    tokio::spawn(server.connection(io, peer));
    client
}

async fn ask(client: &mut DuplexStream, request: &str) -> String {
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let length = client.read(&mut answer).await.unwrap();
    answer.truncate(length);
    String::from_utf8(answer).unwrap()
}

/// What is said until the server's FIN, and how long that takes.
async fn end(client: &mut DuplexStream) -> (String, Duration) {
    let start = Instant::now();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    (said, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_route_has_its_own_limits_and_the_next_request_the_servers() {
    let strict = Arc::new(Limits {
        body_bytes: 3,
        handler: Span::seconds(2),
        ..Limits::default()
    });
    let wide = Arc::new(Limits {
        body_bytes: 100,
        ..Limits::default()
    });
    let server = Server::new(service_fn(read))
        .date_header(false)
        .limits(Limits {
            body_bytes: 10,
            ..Limits::default()
        })
        .route_limits(move |head| match head.uri.path() {
            "/strict" | "/never" => Some(strict.clone()),
            "/wide" => Some(wide.clone()),
            _ => None,
        });
    let post = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}",
            "x".repeat(length)
        )
    };
    let mut client = connect(&server, Peer::Unnamed);
    assert!(
        ask(&mut client, &post("/wide", 100))
            .await
            .ends_with("100 bytes")
    );
    assert!(ask(&mut client, &post("/", 10)).await.ends_with("10 bytes"));
    assert!(
        ask(&mut client, &post("/strict", 3))
            .await
            .ends_with("3 bytes")
    );
    assert!(
        ask(&mut client, &post("/wide", 101))
            .await
            .starts_with("HTTP/1.1 413 ")
    );
    for path in ["/", "/strict"] {
        let mut client = connect(&server, Peer::Unnamed);
        assert!(
            ask(&mut client, &post(path, 11))
                .await
                .starts_with("HTTP/1.1 413 "),
            "{path}"
        );
    }
    let mut client = connect(&server, Peer::Unnamed);
    let start = Instant::now();
    assert!(
        ask(&mut client, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 503 ")
    );
    assert_eq!(start.elapsed(), secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_responses_limits_end_with_it() {
    let server = Server::new(service_fn(read)).date_header(false);
    let mut client = connect(&server, Peer::Unnamed);
    ask(&mut client, "GET /last HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(end(&mut client).await, (String::new(), secs(75)));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_prepared_with_its_peer() {
    let peers = Arc::new(AtomicUsize::new(0));
    let server = {
        let peers = peers.clone();
        Server::new(service_fn(read)).prepare(move |request, peer| {
            request.extensions_mut().insert(*peer);
            peers.fetch_add(
                usize::from(*peer == Peer::from(std::net::SocketAddr::from(([10, 0, 0, 1], 7)))),
                Ordering::Relaxed,
            );
        })
    };
    let mut client = connect(&server, Peer::Socket(([10, 0, 0, 1], 7).into()));
    ask(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(peers.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn one_connection_too_many_is_told_so_and_the_others_are_served() {
    let server = Server::new(service_fn(read))
        .date_header(false)
        .limits(Limits {
            connections: 2,
            ..Limits::default()
        });
    let mut first = connect(&server, Peer::Unnamed);
    let mut second = connect(&server, Peer::Unnamed);
    // Both have a request in progress, so neither makes room.
    for client in [&mut first, &mut second] {
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut third = connect(&server, Peer::Unnamed);
    assert_eq!(
        end(&mut third).await,
        (
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                .into(),
            secs(0)
        )
    );
    for client in [&mut first, &mut second] {
        assert!(ask(client, "lo").await.ends_with("5 bytes"));
    }
    drop(first);
    tokio::task::yield_now().await;
    let mut fourth = connect(&server, Peer::Unnamed);
    assert!(
        ask(&mut fourth, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .ends_with("0 bytes")
    );
    drop((second, third, fourth));
    tokio::time::sleep(secs(10)).await;
    let counts = server.ledger().counts();
    assert_eq!(
        (
            counts.opened,
            counts.open,
            counts.closed["too-many-connections"],
            counts.closed["client-closed"]
        ),
        (4, 0, 1, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn one_address_cannot_have_them_all() {
    let server = Server::new(service_fn(read))
        .date_header(false)
        .limits(Limits {
            connections_by_address: 1,
            ..Limits::default()
        });
    let from = |ip: &str| Peer::Socket((ip.parse::<std::net::IpAddr>().unwrap(), 1).into());
    let mut first = connect(&server, from("2001:db8::1"));
    let mut neighbour = connect(&server, from("2001:db8::2"));
    let mut other = connect(&server, from("2001:db8:1::1"));
    assert!(end(&mut neighbour).await.0.starts_with("HTTP/1.1 429 "));
    for client in [&mut first, &mut other] {
        assert!(
            ask(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .ends_with("0 bytes")
        );
    }
}

/// What the server takes without its application: at most a head and a read for input, and a few pieces of output.
#[tokio::test(start_paused = true)]
async fn buffered_bytes_are_bounded() {
    const MOST: usize = 64 * 1024 + 8 * 1024;
    for request in [
        "GET /never HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /never HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n",
        "POST /never HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
        "GET /big/100000000 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = Client::connect_with(Limits::default(), 1024);
        client.send(request).await;
        let mut taken = 0;
        while timeout(Duration::from_millis(1), client.io.write_all(&[b'x'; 1024]))
            .await
            .is_ok_and(|sent| sent.is_ok())
        {
            taken += 1024;
            assert!(taken < 2 * MOST, "{request:?}: {taken}");
        }
        assert!(taken <= MOST, "{request:?}: {taken}");
    }
}
