//! Connections that travel to the task that serves them: through a channel, an actor, a stream of connections. What is
//! stuck there is found with its own stack, wherever it was spawned.

use crate::{DEADLINE, accepted, close, head, with_events};
use hangup::Bed;
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::net::{TcpListener, TcpStream};
use hangup::run::Detail;
use hangup::server::Server;
use hangup_scenario::{Scenario, Verdict};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How a connection comes to the task that serves it, and what that does for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The accept loop sends it to a dispatcher, which spawns a task for it.
    Channel,
    /// A helper makes a stream of connections, from which the serving task takes one after the other.
    Stream,
    /// The accept loop spawns an actor, then sends it the stream.
    Mailbox,
    /// One of four workers that were there from the start takes it.
    Worker,
    /// The accept loop spawns a task that handshakes, and sends the connection to a dispatcher.
    Handshake,
    /// A dispatcher has a task ready for the next connection, and gives it that.
    Prepared,
}

/// Longer than the contract allows, or for ever.
const RESTS: [(Duration, Verdict); 2] = [
    (Duration::from_secs(3600), Verdict::Late),
    (Duration::MAX, Verdict::Leftover),
];

const WAYS: [Way; 6] = [
    Way::Channel,
    Way::Stream,
    Way::Mailbox,
    Way::Worker,
    Way::Handshake,
    Way::Prepared,
];

/// It answers, and what it does then takes `rest`.
async fn serves_and_rests(mut stream: TcpStream, rest: Duration) {
    let served = timeout(DEADLINE, async {
        head(&mut stream).await?;
        close(stream).await
    });
    let _ = served.await;
    rests(rest).await;
}

/// The frame that a finding is to show.
async fn rests(rest: Duration) {
    sleep(rest).await;
}

async fn serves(listener: TcpListener, way: Way, rest: Duration) {
    let (streams, mut taken) = mpsc::channel::<TcpStream>(16);
    match way {
        Way::Channel | Way::Handshake => {
            tokio::spawn(async move {
                while let Some(stream) = taken.recv().await {
                    tokio::spawn(serves_and_rests(stream, rest));
                }
            });
            accepts(&listener, &streams, way).await;
        }
        Way::Stream => {
            tokio::spawn(async move { accepts(&listener, &streams, way).await });
            while let Some(stream) = taken.recv().await {
                tokio::spawn(serves_and_rests(stream, rest));
            }
        }
        Way::Mailbox => loop {
            let stream = accepted(&listener).await;
            let (mailbox, mut mail) = mpsc::channel(1);
            tokio::spawn(async move {
                while let Some(stream) = mail.recv().await {
                    serves_and_rests(stream, rest).await;
                }
            });
            let _ = mailbox.send(stream).await;
        },
        Way::Worker => {
            let taken = Arc::new(tokio::sync::Mutex::new(taken));
            for _ in 0..4 {
                let taken = Arc::clone(&taken);
                tokio::spawn(async move {
                    loop {
                        let next = taken.lock().await.recv().await;
                        let Some(stream) = next else { return };
                        serves_and_rests(stream, rest).await;
                    }
                });
            }
            accepts(&listener, &streams, way).await;
        }
        Way::Prepared => {
            tokio::spawn(async move {
                loop {
                    let (give, mut given) = mpsc::channel(1);
                    tokio::spawn(async move {
                        if let Some(stream) = given.recv().await {
                            serves_and_rests(stream, rest).await;
                        }
                    });
                    let Some(stream) = taken.recv().await else {
                        return;
                    };
                    let _ = give.send(stream).await;
                }
            });
            accepts(&listener, &streams, way).await;
        }
    }
}

async fn accepts(listener: &TcpListener, streams: &mpsc::Sender<TcpStream>, way: Way) {
    loop {
        let stream = accepted(listener).await;
        if way == Way::Handshake {
            let streams = streams.clone();
            tokio::spawn(async move {
                let mut first = [0];
                if stream.peek(&mut first).await.is_ok() {
                    let _ = streams.send(stream).await;
                }
            });
            continue;
        }
        let _ = streams.send(stream).await;
    }
}

fn told(way: Way, rest: Duration, scenario: &Arc<Scenario>) -> Cell {
    let bed = Bed::new("travels", move |listener, _| serves(listener, way, rest));
    let server: Arc<dyn Server> = bed.into();
    Cell::of(Engine::Leap, scenario, &*server, Detail::TOLD)
}

/// A client that asks and goes, and one that is silent first and goes.
fn scenarios() -> [Arc<Scenario>; 2] {
    let asks = r#"{ do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "close" }"#;
    let silent = r#"{ do = "stall", for = "3s" }, { do = "send", bytes = "GET / HT" }, { do = "stall", for = "2s" }, { do = "reset" }, { do = "stall", for = "100s" }"#;
    [asks, silent].map(|steps| with_events(steps, &[]))
}

#[test]
fn what_outlives_its_connection_is_found_wherever_it_was_spawned() {
    for way in WAYS {
        for scenario in scenarios() {
            let innocent = told(way, Duration::ZERO, &scenario);
            let what = (way, &innocent.findings);
            assert_eq!(innocent.verdict(), Verdict::Clean, "{what:?}");

            // What was there before the first client has a right to be there, whatever it does.
            let lasting = match way {
                Way::Worker => continue,
                Way::Prepared => &RESTS[1..],
                _ => &RESTS[..],
            };
            for (rest, verdict) in lasting {
                let guilty = told(way, *rest, &scenario);
                let what = (way, rest, &guilty.findings);
                assert_eq!(guilty.verdict(), *verdict, "{what:?}");
                let task = guilty.findings[0].task.as_ref();
                let stack = &task.expect("it is shown").stack;
                let shown = |frame: &String| frame.starts_with("tasks::channels::rests");
                let right = way == Way::Prepared || stack.iter().any(shown);
                assert!(right || !cfg!(target_os = "linux"), "{what:?}");
            }
        }
    }
}
