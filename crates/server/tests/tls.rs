//! TLS over a pipe in memory, with certificates made here.
#![cfg(feature = "tls")]

use hangup_server::{Body, Limits, Listener, Peer, Server, Tls, service_fn};
use http::{Request, Response};
use http_body_util::BodyExt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

struct Pipes(mpsc::Receiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        match self.0.recv().await {
            Some(io) => Ok((io, Peer::Unnamed)),
            None => std::future::pending().await,
        }
    }
}

struct Site {
    connect: mpsc::Sender<DuplexStream>,
    connector: TlsConnector,
    server: Server<service::App>,
    start: Instant,
}

mod service {
    use super::*;

    type Answer = Pin<Box<dyn Future<Output = Response<String>> + Send>>;
    pub(super) type App = hangup_server::ServiceFn<fn(Request<Body>) -> Answer>;

    /// Reads the whole body first.
    pub(super) fn app() -> App {
        service_fn(|request: Request<Body>| {
            Box::pin(async move {
                let answer = format!("secret {}", request.uri().path());
                let _ = request.into_body().collect().await;
                Response::new(answer)
            })
        })
    }
}

impl Site {
    fn open() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let certificate = made.cert.der().clone();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let trusting = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (connect, pipes) = mpsc::channel(8);
        let server = Server::new(service::app())
            .limits(limits)
            .date_header(false);
        tokio::spawn(
            server
                .clone()
                .serve(Tls::new(Pipes(pipes), TlsAcceptor::from(Arc::new(config)))),
        );
        Site {
            connect,
            connector: Arc::new(trusting).into(),
            server,
            start: Instant::now(),
        }
    }

    async fn pipe(&self) -> DuplexStream {
        let (client, io) = duplex(1 << 16);
        self.connect.send(io).await.unwrap();
        client
    }

    async fn client(&self) -> TlsStream<DuplexStream> {
        let name = ServerName::try_from("localhost").unwrap();
        self.connector
            .connect(name, self.pipe().await)
            .await
            .unwrap()
    }

    fn closed(&self) -> Vec<&'static str> {
        self.server.ledger().counts().closed.into_keys().collect()
    }
}

#[tokio::test(start_paused = true)]
async fn requests_over_tls_are_served_and_closed_with_its_alert() {
    let site = Site::open();
    let mut client = site.client().await;
    for path in ["/one", "/two"] {
        client
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let expected = format!("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nsecret {path}");
        let mut answer = vec![0; expected.len()];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), expected);
    }
    let mut rest = Vec::new();
    // An end without the alert would be an error here.
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(site.start.elapsed(), Duration::from_secs(75));
    assert_eq!(site.closed(), ["timeout-idle"]);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_comes_is_closed_after_ten_seconds_and_holds_up_nobody() {
    let site = Site::open();
    let mut silent = site.pipe().await;
    let mut half = site.pipe().await;
    half.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
    let mut client = site.client().await;
    client
        .write_all(b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert!(said.ends_with("secret /x"));
    assert_eq!(site.start.elapsed(), Duration::ZERO);
    for pipe in [&mut silent, &mut half] {
        assert_eq!(pipe.read(&mut [0; 64]).await.unwrap(), 0);
        assert_eq!(site.start.elapsed(), Duration::from_secs(10));
    }
    assert!(site.closed().contains(&"timeout-handshake"));
}

/// Who is over the limit is told so over TLS too, in its own task: a client that does not do its part of the handshake waits alone.
#[tokio::test(start_paused = true)]
async fn a_refused_client_that_never_shakes_hands_holds_up_nobody() {
    let one = Limits {
        connections: 1,
        ..Limits::default()
    };
    let site = Site::with(one);
    let mut served = site.client().await;
    // Its request is in progress, so it does not make room.
    served
        .write_all(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel")
        .await
        .unwrap();
    served.flush().await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(site.pipe().await);
    }
    let mut refused = site.client().await;
    let mut said = String::new();
    refused.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    drop((refused, served));
    sleep_until(site.start + Duration::from_secs(1)).await;
    let mut next = site.client().await;
    next.write_all(b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    said.clear();
    next.read_to_string(&mut said).await.unwrap();
    assert!(said.ends_with("secret /x"), "{said}");
    assert_eq!(site.start.elapsed(), Duration::from_secs(1));
    for pipe in &mut silent {
        assert_eq!(pipe.read(&mut [0; 64]).await.unwrap(), 0);
        assert_eq!(site.start.elapsed(), Duration::from_secs(10));
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_handshake_the_opening_has_its_own_time() {
    let site = Site::open();
    let pipe = site.pipe().await;
    sleep_until(site.start + Duration::from_secs(9)).await;
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = site.connector.connect(name, pipe).await.unwrap();
    assert_eq!(client.read(&mut [0; 64]).await.unwrap(), 0);
    assert_eq!(site.start.elapsed(), Duration::from_secs(19));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_tls_is_closed() {
    let site = Site::open();
    let mut pipe = site.pipe().await;
    pipe.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    pipe.read_to_end(&mut said).await.unwrap();
    assert!(!said.starts_with(b"HTTP"), "at most an alert");
    assert_eq!(site.closed(), ["handshake-failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_close_without_the_alert_is_a_close() {
    let site = Site::open();
    let client = site.client().await;
    // The server has its part of the handshake to finish.
    sleep_until(site.start + Duration::from_millis(1)).await;
    let (pipe, _) = client.into_inner();
    drop(pipe);
    sleep_until(site.start + Duration::from_millis(2)).await;
    assert_eq!(site.closed(), ["client-closed"]);
}
