//! What a server may hold behind its own close: until its FIN is acknowledged, and in its kernel.

use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::run::Detail;
use hangup::server::{Server, Serving, Shutdown, UNCLAIMED};
use hangup::transport::{Listener, Stream};
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::scenario;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// How long these servers may hold a connection on which nothing moves.
const STALL: Duration = Duration::from_secs(10);

/// Sends its FIN just before the end of a silent client's time, and then keeps the socket.
struct Shuts {
    /// How long it keeps the socket. None: for ever.
    holds: Option<Duration>,
    /// How long after its client's end everything is gone, as it claims.
    drain: Duration,
}

impl Server for Shuts {
    fn name(&self) -> &str {
        "shuts-and-holds"
    }

    fn about(&self) -> &str {
        "sends its FIN in time, and keeps its socket"
    }

    fn contract(&self) -> Contract {
        Contract {
            stall: STALL,
            drain: self.drain,
            ..UNCLAIMED
        }
    }

    fn serve(&self, mut listener: Listener, _: Shutdown) -> Serving {
        let holds = self.holds;
        Box::pin(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(shuts(stream, holds));
            }
        })
    }
}

async fn shuts(mut stream: Stream, holds: Option<Duration>) {
    let in_time = STALL - Duration::from_millis(500);
    let mut head = [0; 1000];
    if let Ok(Ok(1..)) = timeout(in_time, stream.read(&mut head)).await {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
        return;
    }
    let _ = stream.shutdown().await;
    match holds {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
}

/// What becomes of a client that is silent, and stays for longer than any server here.
fn beside_a_silent_client(server: &dyn Server) -> Cell {
    let silent = scenario(
        "name = \"silent\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"stall\", for = \"5m\" } ]\n",
    );
    judged(&silent, server)
}

fn judged(scenario: &Arc<Scenario>, server: &dyn Server) -> Cell {
    Cell::twice(Engine::Leap, scenario, server, Detail::default())
}

/// A FIN that left in time may be waited for, because the server cannot make its client acknowledge it sooner: for five
/// seconds, or for as long as the server claims if that is less. Who holds the socket for longer is late.
#[test]
fn behind_a_fin_that_was_in_time_the_socket_has_five_seconds_or_the_drain() {
    let (long, short) = (Duration::from_secs(30), Duration::from_secs(2));
    for (holds, drain, verdict) in [
        (Some(4), long, Verdict::Clean),
        (Some(7), long, Verdict::Late),
        (None, long, Verdict::Hung),
        (Some(1), short, Verdict::Clean),
        (Some(4), short, Verdict::Late),
        (None, short, Verdict::Hung),
    ] {
        let holds = holds.map(Duration::from_secs);
        let cell = beside_a_silent_client(&Shuts { holds, drain });
        assert_eq!(
            cell.verdict(),
            verdict,
            "held for {holds:?}, drain {drain:?}: {:?}",
            cell.findings
        );
    }
}

/// Writes more than its client takes, and lets go of the connection: in an orderly way, or by a panic.
struct Orphans {
    panics: bool,
}

impl Server for Orphans {
    fn name(&self) -> &str {
        "orphans"
    }

    fn about(&self) -> &str {
        "drops its socket behind what the client does not take"
    }

    fn contract(&self) -> Contract {
        Contract {
            kernel: Some(Duration::from_secs(10)),
            ..UNCLAIMED
        }
    }

    fn serve(&self, mut listener: Listener, _: Shutdown) -> Serving {
        let panics = self.panics;
        Box::pin(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(orphans(stream, panics));
            }
        })
    }
}

async fn orphans(mut stream: Stream, panics: bool) {
    let mut head = [0; 1000];
    let Ok(Ok(count @ 1..)) = timeout(Duration::from_secs(30), stream.read(&mut head)).await else {
        return;
    };
    if !head[..count].starts_with(b"GET /big") {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
        return;
    }
    let body = vec![b'x'; 200_000];
    let _ = stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\nConnection: close\r\n\r\n")
        .await;
    let _ = stream.write_all(&body).await;
    assert!(!panics, "as asked");
    let _ = stream.write_all(&body).await;
}

/// A server that promises what its kernel keeps is held to it, except where its handler panicked: what unwinds has no
/// choice of how the connection is closed.
#[test]
fn the_kernel_of_a_handler_that_panicked_is_excused_and_no_other() {
    let takes_nothing = scenario(
        "name = \"takes-nothing\"\n[[client]]\nsteps = [ { do = \"connect\" }, \
         { do = \"send\", head = { method = \"GET\", target = \"/big/400000\" } }, { do = \"stall\", for = \"2m\" } ]\n",
    );
    let of_kernel = |panics| {
        let cell = judged(&takes_nothing, &Orphans { panics });
        let connection = &cell.run.connections[0];
        let kernel = connection
            .kernel
            .expect("its kernel holds what was written");
        assert!(kernel.bytes > 0, "{kernel:?}");
        assert_eq!(connection.panicked.is_some(), panics);
        let mut findings = cell.findings.iter();
        (
            findings.any(|finding| finding.part == Some("kernel")),
            format!("{:?}", cell.findings),
        )
    };
    let (convicted, findings) = of_kernel(false);
    assert!(convicted, "{findings}");
    let (convicted, findings) = of_kernel(true);
    assert!(!convicted, "{findings}");
}
