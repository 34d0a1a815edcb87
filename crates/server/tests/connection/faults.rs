//! The application fails, or the socket does.

use crate::client::{Client, secs};
use crate::probe;
use hangup_server::{Body, Peer, Server, service_fn};
use http::{Request, Response};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, duplex};
use tokio::time::Instant;

const CLOSE_500: &str =
    "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_500_and_a_close_for_this_connection_alone() {
    let mut client = Client::connect();
    client
        .send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.end().await.said, CLOSE_500);
    assert_eq!(client.seen(), ["GET /panic"]);
    assert_eq!(client.reason().await.name(), "application-panicked");
}

#[tokio::test(start_paused = true)]
async fn a_1xx_from_the_application_is_no_response() {
    let mut client = Client::connect();
    client
        .send("GET /informational HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.end().await.said, CLOSE_500);
    assert_eq!(client.reason().await.name(), "application-failed");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_breaks_off_has_no_end_so_that_it_shows() {
    for path in ["/broken", "/crumbles"] {
        let mut client = Client::connect();
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        let said = client.end().await.said;
        assert!(
            !said.contains("0\r\n\r\n"),
            "{path}: it looks complete: {said}"
        );
        assert_eq!(client.gone().await, ("response-failed", secs(2)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_another_length_than_announced_is_cut() {
    for length in [4, 6] {
        let mut client = Client::connect();
        client
            .send(format!("GET /known/{length} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        let said = client.end().await.said;
        assert!(
            !said.contains(" 200 OK") || said.len() < said.find("\r\n\r\n").unwrap() + 4 + length,
            "{said}"
        );
        assert_eq!(client.reason().await.name(), "response-failed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_response_before_it_arrives_nevertheless() {
    let mut client = Client::connect();
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /broken HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.response().await.1, "ok");
    assert!(!client.end().await.said.contains("0\r\n\r\n"));
}

/// A service that has no room at first, then fails.
#[derive(Clone)]
struct Failing {
    ready_at: Instant,
}

impl tower_service::Service<Request<Body>> for Failing {
    type Response = Response<String>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Response<String>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sleep = Box::pin(tokio::time::sleep_until(self.ready_at));
        if Instant::now() >= self.ready_at {
            return Poll::Ready(Ok(()));
        }
        let waker = cx.waker().clone();
        tokio::spawn(async move {
            sleep.as_mut().await;
            waker.wake();
        });
        Poll::Pending
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Err(io::ErrorKind::Other.into()))
    }
}

async fn failing_after(seconds: u64) -> (String, std::time::Duration, &'static str) {
    let start = Instant::now();
    let server = Server::new(Failing {
        ready_at: start + secs(seconds),
    })
    .date_header(false);
    let (mut client, io) = duplex(1024);
    let connection = tokio::spawn(server.connection(io, Peer::Unnamed));
    tokio::io::AsyncWriteExt::write_all(&mut client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut client, &mut said)
        .await
        .unwrap();
    let at = start.elapsed();
    drop(client);
    (said, at, connection.await.unwrap().name())
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_is_a_500() {
    assert_eq!(
        failing_after(3).await,
        (CLOSE_500.into(), secs(3), "application-failed")
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_is_a_503() {
    let (said, at, reason) = failing_after(31).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert_eq!((at, reason), (secs(30), "timeout-handler"));
}

/// Gives a request, then fails like a socket that was reset.
struct Reset {
    bytes: &'static [u8],
    at: Pin<Box<tokio::time::Sleep>>,
}

impl AsyncRead for Reset {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            buffer.put_slice(bytes);
            return Poll::Ready(Ok(()));
        }
        self.at
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncWrite for Reset {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_cancels_the_handler_at_once() {
    let start = Instant::now();
    for (bytes, phase) in [
        (
            &b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            "the application's response",
        ),
        (
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
            "the rest of the request's body",
        ),
        (b"GET / HT", "the end of the request's head"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "the next request"),
    ] {
        let seen = probe::Seen::default();
        let app = {
            let seen = seen.clone();
            service_fn(move |request| probe::answer(request, seen.clone()))
        };
        let at = Box::pin(tokio::time::sleep(secs(3)));
        let begun = start.elapsed();
        let reason = Server::new(app)
            .connection(Reset { bytes, at }, Peer::Unnamed)
            .await;
        assert_eq!(
            reason.explain(),
            format!("the client was gone while the server waited for {phase}")
        );
        assert_eq!(start.elapsed() - begun, secs(3));
        let seen = seen.lock().unwrap();
        assert!(
            !seen.iter().any(|line| line == "GET /never")
                || seen.last().unwrap() == "dropped /never"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_is_in_the_ledger() {
    let server = Server::new(service_fn(async |_: Request<Body>| {
        Response::new(String::new())
    }));
    let (_client, io) = duplex(64);
    let connection = server.connection(io, Peer::Unnamed);
    assert_eq!(server.ledger().counts().open, 1);
    drop(connection);
    let counts = server.ledger().counts();
    assert_eq!(
        (counts.opened, counts.open, counts.closed.get("dropped")),
        (1, 0, Some(&1))
    );
}

/// Gives a request, then nothing more, and takes nothing: its client's host has refused what was written.
struct Refusing(&'static [u8]);

impl AsyncRead for Refusing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return Poll::Pending;
        }
        buffer.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Refusing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_100_that_cannot_be_written_ends_the_connection() {
    let start = Instant::now();
    let app = service_fn(|request| probe::answer(request, probe::Seen::default()));
    let head =
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let reason = Server::new(app)
        .connection(Refusing(head), Peer::Unnamed)
        .await;
    assert_eq!(reason.name(), "client-gone");
    assert_eq!(
        start.elapsed(),
        secs(0),
        "nobody waits for a body that nobody was asked for"
    );
}
