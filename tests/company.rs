//! Clients beside each other: an honest one is not shut out by those that stall, and none gets what another
//! one sent or asked for.

use hangup::Bed;
use hangup::bed::Route;
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::finding::Finding;
use hangup::net::{TcpListener, TcpStream};
use hangup::run::Detail;
use hangup::server::{self, Server};
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::scenario;
use std::io;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};

/// How long these servers wait for a head, or for room to write.
const DEADLINE: Duration = Duration::from_secs(60);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

fn judged(scenario: &Arc<Scenario>, server: &dyn Server) -> Vec<Finding> {
    Cell::varied(Engine::Leap, scenario, server, Detail::JUDGED).findings
}

async fn accepted(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One whole request: its head as text, and its body. None at the end of the stream.
async fn request(stream: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(None),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap_or(0))];
    stream.read_exact(&mut body).await?;
    Ok(Some((head, body)))
}

fn response(body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Answers `ok`, or some megabytes, to each request until the client is silent for too long; `lock` is held
/// while it writes.
async fn serve_one(mut stream: TcpStream, lock: Arc<Mutex<()>>) {
    while let Ok(Ok(Some((head, _)))) = timeout(DEADLINE, request(&mut stream)).await {
        let body = match head.starts_with("GET /big") {
            true => vec![b'x'; 4 << 20],
            false => b"ok".to_vec(),
        };
        let _locked = lock.lock().await;
        match timeout(DEADLINE, stream.write_all(&response(&body))).await {
            Ok(Ok(())) => {}
            _ => return,
        }
        if head.contains("Connection: close") {
            return;
        }
    }
}

/// So many connections at once; the next is accepted when one of them is gone.
fn slots(count: usize) -> Arc<dyn Server> {
    Bed::new("slots", move |listener, _| async move {
        let slots = Arc::new(Semaphore::new(count));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await;
            let stream = accepted(&listener).await;
            tokio::spawn(async move {
                serve_one(stream, Arc::default()).await;
                drop(slot);
            });
        }
    })
    .route(Route::Big, "/big")
    .into()
}

/// One lock for all writes, or one for each connection.
fn locked(shared: bool) -> Arc<dyn Server> {
    Bed::new("locked", move |listener, _| async move {
        let lock = Arc::default();
        loop {
            let stream = accepted(&listener).await;
            let lock = if shared {
                Arc::clone(&lock)
            } else {
                Arc::default()
            };
            tokio::spawn(serve_one(stream, lock));
        }
    })
    .route(Route::Big, "/big")
    .into()
}

#[test]
fn four_idle_clients_do_not_shut_an_honest_one_out() {
    let idle = scenario(
        "name = \"idle\"\n[[client]]\ncount = 4\nsteps = [ { do = \"connect\" }, { do = \"stall\", for = \"50s\" } ]\n",
    );
    let findings = judged(&idle, &*slots(4));
    let [finding] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(
        (finding.kind, finding.part),
        (Verdict::Deaf, Some("shut-out"))
    );
    assert!(
        finding.says.contains("another address") && finding.says.contains("connection 1 (phase: "),
        "{}",
        finding.says
    );
    assert!(finding.task.is_some());
    assert_eq!(judged(&idle, &*slots(5)), []);
    // A server that is full, and says so, shuts nobody out.
    let twin = server::named("twin").expect("it is built in");
    assert_eq!(judged(&idle, &*twin), []);
}

#[test]
fn a_lock_that_is_held_across_a_slow_write_shuts_others_out() {
    let slow = scenario(
        r#"
        name = "slow"
        [[client]]
        steps = [
          { do = "connect" },
          { do = "send", head = { method = "GET", target = "/big/4000000" } },
          { do = "stall", for = "40s" },
          { do = "reset" },
        ]
        "#,
    );
    let findings = judged(&slow, &*locked(true));
    let parts: Vec<_> = findings.iter().map(|one| one.part).collect();
    assert_eq!(parts, [Some("shut-out")], "{findings:?}");
    assert!(
        findings[0].says.contains("was accepted at"),
        "{}",
        findings[0].says
    );
    assert_eq!(judged(&slow, &*locked(false)), []);
}

/// What a server gives to a request with a body.
#[derive(Clone, Copy, PartialEq)]
enum Gives {
    /// That body.
    Own,
    /// The body that came before it, from whichever connection.
    Last,
    /// Every body so far, its own at the end: a guest book.
    All,
}

fn keeper(gives: Gives) -> Arc<dyn Server> {
    Bed::new("keeper", move |listener, _| async move {
        let kept: Arc<StdMutex<Vec<u8>>> = Arc::default();
        loop {
            let mut stream = accepted(&listener).await;
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                while let Ok(Ok(Some((_, body)))) = timeout(DEADLINE, request(&mut stream)).await {
                    let answer = match gives {
                        Gives::Own => body,
                        Gives::Last => {
                            let mut kept = kept.lock().expect("nobody panics");
                            std::mem::replace(&mut *kept, body)
                        }
                        Gives::All => {
                            let mut kept = kept.lock().expect("nobody panics");
                            kept.extend_from_slice(&body);
                            kept.clone()
                        }
                    };
                    if stream.write_all(&response(&answer)).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
    .route(Route::ReadsBody, "/upload")
    .into()
}

#[test]
fn what_one_client_sends_does_not_reach_another() {
    let uploads = scenario(
        r#"
        name = "uploads"
        [[client]]
        count = 2
        stagger = "1s"
        steps = [
          { do = "connect" },
          { do = "send", all = [ { head = { method = "POST", target = "/stream", length = 400 } }, { body = 400 } ] },
          { do = "await", status = "final", within = "5s" },
          { do = "close" },
        ]
        "#,
    );
    let findings = judged(&uploads, &*keeper(Gives::Last));
    let parts: Vec<_> = findings.iter().map(|one| (one.kind, one.part)).collect();
    assert_eq!(
        parts,
        [(Verdict::Protocol, Some("crosstalk"))],
        "{findings:?}"
    );
    assert!(
        findings[0]
            .says
            .contains("connection 2: crosstalk: response 1 carries what connection 1 sent"),
        "{}",
        findings[0].says
    );
    // An application may keep what clients upload, and show it to the next.
    for innocent in [Gives::Own, Gives::All] {
        assert_eq!(judged(&uploads, &*keeper(innocent)), []);
    }
}

/// `/echo` answers with a digest: whose body that is of is known all the same.
#[test]
fn an_answer_that_a_client_did_not_wait_for_does_not_reach_the_next() {
    let canary = server::named("canary-pooled-answer").expect("it is built in");
    for target in ["/echo", "/stream"] {
        let left = scenario(&format!(
            r#"
            name = "left"
            [[client]]
            steps = [
              {{ do = "connect" }},
              {{ do = "send", all = [ {{ head = {{ method = "POST", target = "{target}", length = 400 }} }}, {{ body = 400 }} ] }},
              {{ do = "reset" }},
            ]
            "#
        ));
        let findings = judged(&left, &*canary);
        let crosstalk = findings.iter().find(|one| one.part == Some("crosstalk"));
        let says = &crosstalk.unwrap_or_else(|| panic!("{findings:?}")).says;
        assert!(
            says.contains("what connection 1 sent as the body of its request 1"),
            "{says}"
        );
    }
}
