//! What the application does wrong and what the server cannot take, as `tracing` hears it: with the
//! whole chain of causes, with advice, and at a bounded rate.

use crate::scene::settle;
use crate::spans::Hears;
use bytes::Bytes;
use hangup_server::{Body, Limits, Peer, Server};
use http::{Request, Response};
use http_body::Frame;
use std::error::Error;
use std::fmt;
use std::future::Ready;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// An error with causes.
#[derive(Debug)]
struct Failure(&'static str, Option<Box<Failure>>);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as &dyn Error)
    }
}

fn failure() -> BoxError {
    let disk = Failure("the disk is full", None);
    let file = Failure("cannot write the file", Some(Box::new(disk)));
    Box::new(Failure("no answer", Some(Box::new(file))))
}

/// `/fails`, `/breaks` within its body, `/short` of its length, `/panics`, or a plain answer.
#[derive(Clone)]
struct App;

impl Service<Request<Body>> for App {
    type Response = Response<Breaking>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Breaking>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ends = match request.uri().path() {
            "/fails" => return std::future::ready(Err(failure())),
            "/panics" => panic!("no {}", "luck"),
            "/breaks" => End::Fails,
            _ => End::Ends,
        };
        let mut response = Response::new(Breaking(ends));
        if request.uri().path() == "/short" {
            response.headers_mut().insert("content-length", 3.into());
        }
        std::future::ready(Ok(response))
    }
}

enum End {
    Fails,
    Ends,
}

struct Breaking(End);

impl http_body::Body for Breaking {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match self.0 {
            End::Fails => Some(Err(failure())),
            End::Ends => None,
        })
    }
}

fn connect(server: &Server<App>) -> DuplexStream {
    let (client, io) = duplex(1 << 16);
    let peer = Peer::Socket(([10, 0, 0, 1], 7).into());
    tokio::spawn(server.connection(io, peer));
    client
}

async fn ask(server: &Server<App>, path: &str) -> String {
    let mut client = connect(server);
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    said
}

/// The lines of at least `WARN`, from their message on.
fn loud(hears: &Hears) -> Vec<String> {
    let text = hears.text();
    let loud = text
        .lines()
        .filter(|line| line.contains("ERROR ") || line.contains(" WARN "));
    loud.map(|line| {
        line.split_once(": ")
            .map_or(line, |(_, said)| said)
            .to_owned()
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn errors_come_with_their_causes_and_panics_with_their_text() {
    let hears = Hears::all();
    let server = Server::new(App).date_header(false);
    assert!(ask(&server, "/fails").await.starts_with("HTTP/1.1 500 "));
    assert!(ask(&server, "/breaks").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(&server, "/short").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(&server, "/panics").await.starts_with("HTTP/1.1 500 "));
    assert_eq!(
        loud(&hears),
        [
            "the application failed error=no answer: cannot write the file: the disk is full suppressed=0",
            "the application failed error=no answer: cannot write the file: the disk is full suppressed=0",
            "the application failed error=the body is 3 bytes shorter than its length suppressed=0",
            "the application panicked panic=\"no luck\" suppressed=0",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_failures_is_logged_at_a_bounded_rate() {
    let hears = Hears::all();
    let server = Server::new(App).date_header(false);
    for _ in 0..1000 {
        // Not read to its close, so that no time passes.
        let mut client = connect(&server);
        client
            .write_all(b"GET /fails HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        client.read_u8().await.unwrap();
    }
    assert_eq!(loud(&hears).len(), 10);
    sleep(Duration::from_secs(1)).await;
    ask(&server, "/fails").await;
    let last = loud(&hears).pop().unwrap();
    assert!(last.ends_with(" suppressed=990"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_full_server_says_what_to_raise_every_ten_seconds() {
    let hears = Hears::all();
    let server = Server::new(App).date_header(false).limits(Limits {
        connections: 1,
        ..Limits::default()
    });
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(connect(&server));
        settle().await;
    }
    // The one that is there has a request in progress: nobody can make room.
    let last = idle.last_mut().unwrap();
    last.write_all(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    )
    .await
    .unwrap();
    settle().await;
    let said = loud(&hears);
    assert_eq!(
        said,
        [
            "the connection that was idle longest makes room peer=10.0.0.1:7 limit=1 suppressed=0 advice=\"raise Limits::connections, if there is memory for more\"",
        ]
    );
    sleep(Duration::from_secs(10)).await;
    for _ in 0..3 {
        idle.push(connect(&server));
        settle().await;
    }
    let said = loud(&hears);
    assert!(
        said[1].contains("makes room") && said[1].contains("suppressed=3"),
        "{said:?}"
    );
    assert_eq!(said.len(), 2, "{said:?}");
}
