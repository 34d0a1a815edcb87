//! The incident on real sockets: 412 clients do fasthttp #1834, with no limits and with short ones.

use hangup_server::{
    Alert, Body, CloseReason, Counted, Entry, Ledger, Limits, Past, Phase, Server, Span, TaskWatch,
    Watch, service_fn,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{sleep, timeout};

const CLIENTS: usize = 412;
const HEAD: &[u8] =
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// No test here waits longer than this for anything.
const LONG: Duration = Duration::from_secs(20);

/// What a connection came to.
#[derive(Debug, PartialEq)]
enum Came {
    Waits(Phase),
    Closed(&'static str),
}

struct Told(UnboundedSender<Came>);

impl Watch for Told {
    fn phase(
        &self,
        _: u64,
        _: tokio::time::Instant,
        phase: Phase,
        _: Option<tokio::time::Instant>,
    ) {
        let _ = self.0.send(Came::Waits(phase));
    }

    fn closed(&self, _: u64, _: tokio::time::Instant, reason: CloseReason, _: &Entry) {
        let _ = self.0.send(Came::Closed(reason.name()));
    }
}

struct Scene {
    address: SocketAddr,
    ledger: Ledger,
    came: UnboundedReceiver<Came>,
}

impl Scene {
    async fn new(limits: Limits) -> Self {
        let (told, came) = mpsc::unbounded_channel();
        let app = service_fn(async |request: Request<Body>| {
            let length = request.into_body().collect().await;
            Response::new(
                length.map_or_else(|_| String::new(), |body| body.to_bytes().len().to_string()),
            )
        });
        let server = Server::new(app).limits(limits).watch(Arc::new(Told(told)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scene = Scene {
            address: listener.local_addr().unwrap(),
            ledger: server.ledger().clone(),
            came,
        };
        tokio::spawn(server.serve(listener));
        scene
    }

    /// The clients, each of which has got its 100 and sends `more`; some of them come, then there is a pause, then some others come.
    async fn clients(&self, more: &[u8], pause: Duration) -> Vec<TcpStream> {
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            if number % 4 == 0 {
                sleep(pause).await;
            }
            let mut client = TcpStream::connect(self.address).await.unwrap();
            client.write_all(HEAD).await.unwrap();
            let mut heard = [0; CONTINUE.len()];
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, CONTINUE);
            client.write_all(more).await.unwrap();
            clients.push(client);
        }
        clients
    }

    /// Until this has come from each of the clients.
    async fn until_each(&mut self, what: Came) {
        let each = async {
            for _ in 0..CLIENTS {
                while self.came.recv().await.as_ref() != Some(&what) {}
            }
        };
        timeout(LONG, each).await.expect("each comes to it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_limits_they_are_one_line_of_the_dump_and_raise_the_alert() {
    let limits = Limits::unbounded();
    let mut scene = Scene::new(limits.clone()).await;
    let (told, mut alerts) = mpsc::unbounded_channel();
    let ledger = scene.ledger.clone();
    let watch = |patience| {
        let told = told.clone();
        TaskWatch::new(ledger.clone(), &limits)
            .every(Duration::from_millis(50))
            .patience(patience)
            .growth(4, 3)
            .on_alert(move |alert: &Alert| {
                let _ = told.send(alert.clone());
            })
    };

    // While they come, their number only grows: the first alert, long before any of them is past a bound.
    let growth = tokio::spawn(watch(LONG).run());
    let mut clients = scene.clients(b"ten bytes!", Duration::from_millis(5)).await;
    scene.until_each(Came::Waits(Phase::Body)).await;
    growth.abort();
    let mut grew = Vec::new();
    while let Ok(alert) = alerts.try_recv() {
        grew.push(alert);
    }
    let connections = |alert: &Alert| {
        matches!(
            alert,
            Alert::Growing {
                what: Counted::Connections,
                ..
            }
        )
    };
    assert!(grew.iter().any(connections), "{grew:?}");
    let dump = scene.ledger.dump();
    let text = dump.to_string();
    let heads: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(", oldest "))
        .collect();
    assert_eq!(heads.len(), 1, "{text}");
    assert!(heads[0].starts_with("412 in body, oldest "), "{text}");
    assert!(
        heads[0].ends_with(", deadline none (as fasthttp's defaults)"),
        "{text}"
    );
    assert_eq!(dump.counts.opened, CLIENTS as u64);

    // All have waited for so long that the first look finds all of them.
    let patience = Duration::from_millis(200);
    let waited = async {
        while scene
            .ledger
            .open()
            .iter()
            .any(|open| open.since.elapsed() <= patience)
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, waited).await.expect("they wait");
    tokio::spawn(watch(patience).run());
    let all = async {
        loop {
            match alerts.recv().await.expect("the watch runs") {
                Alert::PastBound {
                    bound: Past::Endless,
                    count,
                    worst,
                    ..
                } if count == CLIENTS as u64 => {
                    break worst.phase;
                }
                _ => {}
            }
        }
    };
    let phase = timeout(LONG, all).await.expect("the alert comes");
    assert_eq!(phase, Phase::Body);

    // They are still there, and a client that goes on is served: nothing was cut.
    assert_eq!(scene.ledger.counts().open, CLIENTS as u64);
    let mut answer = [0; 15];
    clients[0].write_all(&[b'x'; 990]).await.unwrap();
    clients[0].read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop(clients);
    let gone = async {
        while scene.ledger.counts().open > 0 {
            scene.came.recv().await;
        }
    };
    timeout(LONG, gone)
        .await
        .expect("with their clients they are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_limits_they_are_gone_after_the_deadline() {
    let limits = Limits {
        expect: Span::of(Duration::from_millis(500)),
        ..Limits::default()
    };
    let mut scene = Scene::new(limits).await;
    let clients = scene.clients(b"", Duration::ZERO).await;
    for mut client in clients {
        let mut rest = String::new();
        let read = client.read_to_string(&mut rest);
        timeout(LONG, read)
            .await
            .expect("the deadline comes")
            .unwrap();
        assert!(
            rest.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{rest}"
        );
    }
    scene.until_each(Came::Closed("timeout-expect")).await;
    let counts = scene.ledger.counts();
    assert_eq!((counts.opened, counts.open), (CLIENTS as u64, 0));
    assert_eq!(counts.closed, [("timeout-expect", CLIENTS as u64)].into());
}
