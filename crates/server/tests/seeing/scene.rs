//! A server with clients, whose steps a test writes down in order.

use bytes::Bytes;
use hangup_server::{Body, Connection, Ledger, Limits, Peer, Server, ServiceFn, Watch, service_fn};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

/// The head of the incident: a body is announced, and the client waits to be told to go on.
pub(crate) const UPLOAD: &str =
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n";
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(crate) type App =
    fn(Request<Body>) -> Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

pub(crate) struct Scene {
    server: Server<ServiceFn<App>>,
    pub(crate) ledger: Ledger,
    clients: u16,
}

fn app(request: Request<Body>) -> Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>> {
    Box::pin(async move {
        let body = request.into_body().collect().await;
        Response::new(Full::new(body.map_or(Bytes::new(), |body| body.to_bytes())))
    })
}

impl Scene {
    pub(crate) fn new(limits: Limits) -> Self {
        let server = Server::new(service_fn(app as App))
            .limits(limits)
            .date_header(false);
        Scene {
            ledger: server.ledger().clone(),
            server,
            clients: 0,
        }
    }

    /// Another application, with the default limits.
    pub(crate) fn with(app: App) -> Self {
        let server = Server::new(service_fn(app)).date_header(false);
        Scene {
            ledger: server.ledger().clone(),
            server,
            clients: 0,
        }
    }

    pub(crate) fn watched(limits: Limits, watch: Arc<dyn Watch>) -> Self {
        let mut scene = Scene::new(limits);
        scene.server = scene.server.watch(watch);
        scene
    }

    /// Client number n has address 10.0.0.1, port n.
    pub(crate) fn connect(&mut self) -> Client {
        self.clients += 1;
        let (io, theirs) = duplex(1 << 16);
        let peer = Peer::Socket(([10, 0, 0, 1], self.clients).into());
        tokio::spawn(self.server.connection(theirs, peer));
        Client(io)
    }

    /// A connection that the test polls itself, or does not.
    pub(crate) fn unpolled(
        &self,
    ) -> (
        DuplexStream,
        Connection<ServiceFn<App>, Full<Bytes>, DuplexStream>,
    ) {
        let (io, theirs) = duplex(1 << 16);
        (io, self.server.connection(theirs, Peer::Unnamed))
    }
}

pub(crate) struct Client(pub(crate) DuplexStream);

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Does what the client of the incident did; returns when it has its 100.
    pub(crate) async fn incident(&mut self) {
        self.send(UPLOAD).await;
        let mut heard = [0; CONTINUE.len()];
        self.0.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, CONTINUE);
        settle().await;
    }

    /// Everything until the server's FIN.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await.unwrap();
        rest
    }
}

/// A moment of the paused clock: everybody else runs until all wait.
pub(crate) async fn settle() {
    sleep(Duration::from_millis(1)).await;
}
