//! Servers of other make-up than the built-in ones: how a server is put together must not matter to its verdict.
//!
//! The healthy ones share one bounded connection and differ in who accepts, who serves and what else runs. The guilty
//! ones each have a defect that has nothing to do with HTTP.

#[path = "makeups/closing.rs"]
mod closing;

use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::incident;
use hangup::run::Detail;
use hangup::server::{Server, Serving, Shutdown, UNCLAIMED, app};
use hangup::transport::{Listener, Stream};
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::{on_all_cores, scenario};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct MakeUp {
    name: &'static str,
    serve: fn(Listener) -> Serving,
}

impl Server for MakeUp {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        "a server of another make-up"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn serve(&self, listener: Listener, _: Shutdown) -> Serving {
        (self.serve)(listener)
    }
}

/// hyper with everything that it leaves open bounded from outside.
async fn bounded(stream: Stream, mut builder: http1::Builder) {
    builder
        .half_close(true)
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30));
    let connection = builder.serve_connection(TokioIo::new(stream), service_fn(app::answer));
    // What went wrong is the client's affair; the ledger has what happened.
    let _ = timeout(Duration::from_secs(60), connection).await;
}

/// The next connection: an accept that fails is waited out.
async fn next(listener: &mut Listener) -> (Stream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

const HEALTHY: [MakeUp; 9] = [
    MakeUp {
        name: "pipeline-flush",
        serve: |mut listener| {
            Box::pin(async move {
                loop {
                    let (stream, _) = next(&mut listener).await;
                    let mut builder = http1::Builder::new();
                    builder.pipeline_flush(true);
                    tokio::spawn(bounded(stream, builder));
                }
            })
        },
    },
    MakeUp {
        name: "always-close",
        serve: |mut listener| {
            Box::pin(async move {
                loop {
                    let (stream, _) = next(&mut listener).await;
                    let mut builder = http1::Builder::new();
                    builder.keep_alive(false);
                    tokio::spawn(bounded(stream, builder));
                }
            })
        },
    },
    MakeUp {
        name: "join-set",
        serve: |mut listener| {
            Box::pin(async move {
                let mut connections = JoinSet::new();
                loop {
                    tokio::select! {
                        (stream, _) = next(&mut listener) => {
                            connections.spawn(bounded(stream, http1::Builder::new()));
                        }
                        Some(_) = connections.join_next() => {}
                    }
                }
            })
        },
    },
    MakeUp {
        name: "prefork",
        serve: |listener| {
            Box::pin(async move {
                let listener = Arc::new(Mutex::new(listener));
                for _ in 0..5 {
                    let listener = Arc::clone(&listener);
                    tokio::spawn(async move {
                        loop {
                            let (stream, _) = next(&mut *listener.lock().await).await;
                            bounded(stream, http1::Builder::new()).await;
                        }
                    });
                }
                pending().await
            })
        },
    },
    MakeUp {
        name: "dispatcher",
        serve: |mut listener| {
            Box::pin(async move {
                let (hand_over, mut streams) = mpsc::channel(16);
                tokio::spawn(async move {
                    while let Some(stream) = streams.recv().await {
                        tokio::spawn(bounded(stream, http1::Builder::new()));
                    }
                });
                loop {
                    let (stream, _) = next(&mut listener).await;
                    if hand_over.send(stream).await.is_err() {
                        return;
                    }
                }
            })
        },
    },
    MakeUp {
        name: "ticker",
        serve: |mut listener| {
            Box::pin(async move {
                tokio::spawn(async {
                    let mut tick = interval(Duration::from_secs(10));
                    loop {
                        tick.tick().await;
                    }
                });
                loop {
                    let (stream, _) = next(&mut listener).await;
                    tokio::spawn(bounded(stream, http1::Builder::new()));
                }
            })
        },
    },
    MakeUp {
        name: "access-log",
        serve: |mut listener| {
            Box::pin(async move {
                let (log, mut lines) = mpsc::unbounded_channel();
                tokio::spawn(async move { while lines.recv().await.is_some() {} });
                loop {
                    let (stream, peer) = next(&mut listener).await;
                    let log = log.clone();
                    tokio::spawn(async move {
                        bounded(stream, http1::Builder::new()).await;
                        let _ = log.send(peer);
                    });
                }
            })
        },
    },
    MakeUp {
        name: "farmed-out",
        serve: |listener| Box::pin(farmed_out(listener)),
    },
    MakeUp {
        name: "task-in-task",
        serve: |mut listener| {
            Box::pin(async move {
                loop {
                    let (stream, _) = next(&mut listener).await;
                    tokio::spawn(async move {
                        let _ = tokio::spawn(bounded(stream, http1::Builder::new())).await;
                    });
                }
            })
        },
    },
];

/// A request, and who waits for its answer.
type Job = (Request<Incoming>, oneshot::Sender<Answered>);
type Answered = Result<Response<app::Answer<Incoming>>, app::BoxError>;

/// The handlers are tasks of none of the connections: each asks for one over a channel. One that panics lets go of its end.
async fn farmed_out(mut listener: Listener) {
    let (ask, mut jobs) = mpsc::unbounded_channel::<Job>();
    tokio::spawn(async move {
        while let Some((request, mut waits)) = jobs.recv().await {
            tokio::spawn(async move {
                tokio::select! {
                    answered = app::answer(request) => drop(waits.send(answered)),
                    () = waits.closed() => {}
                }
            });
        }
    });
    loop {
        let (stream, _) = next(&mut listener).await;
        let ask = ask.clone();
        let service = service_fn(move |request| {
            let (waits, answered) = oneshot::channel();
            let asked = ask.send((request, waits));
            async move {
                asked.map_err(|_| "nobody takes requests")?;
                answered.await?
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .half_close(true)
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(30));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(timeout(Duration::from_secs(60), connection));
    }
}

/// What each guilty one is convicted of when a client asks for `/` and stays, and whether it is proved to last for ever.
const GUILTY: [(MakeUp, Verdict, bool); 7] = [
    (
        MakeUp {
            name: "parked",
            serve: |mut listener| {
                Box::pin(async move {
                    let mut parked = Vec::new();
                    while let Ok((mut stream, _)) = listener.accept().await {
                        let _ = stream.write_all(OK).await;
                        parked.push(stream);
                    }
                })
            },
        },
        Verdict::Hung,
        true,
    ),
    (
        MakeUp {
            name: "deadlock",
            serve: |mut listener| {
                Box::pin(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        let (one, other) = (Arc::new(Mutex::new(stream)), Arc::new(Mutex::new(())));
                        for swapped in [false, true] {
                            let (one, other) = (Arc::clone(&one), Arc::clone(&other));
                            tokio::spawn(async move {
                                let pause = Duration::from_millis(1);
                                if swapped {
                                    let _first = other.lock().await;
                                    sleep(pause).await;
                                    let _ = one.lock().await.write_all(OK).await;
                                } else {
                                    let mut stream = one.lock().await;
                                    sleep(pause).await;
                                    let _second = other.lock().await;
                                    let _ = stream.write_all(OK).await;
                                }
                            });
                        }
                    }
                })
            },
        },
        Verdict::Hung,
        true,
    ),
    (
        MakeUp {
            name: "held-by-the-other-half",
            serve: |mut listener| {
                Box::pin(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        let (mut reader, mut writer) = tokio::io::split(stream);
                        let asked = Arc::new(Notify::new());
                        let answer = Arc::clone(&asked);
                        tokio::spawn(async move {
                            // It answers the first request and waits for a second, of which the reader does not tell.
                            answer.notified().await;
                            let _ = writer.write_all(OK).await;
                            answer.notified().await;
                        });
                        tokio::spawn(async move {
                            let mut head = [0; 1000];
                            let _ = timeout(Duration::from_secs(30), reader.read(&mut head)).await;
                            asked.notify_one();
                        });
                    }
                })
            },
        },
        Verdict::Hung,
        true,
    ),
    (
        MakeUp {
            name: "endless-sleep",
            serve: |mut listener| {
                Box::pin(async move {
                    while let Ok((mut stream, _)) = listener.accept().await {
                        tokio::spawn(async move {
                            let _ = stream.write_all(OK).await;
                            sleep(Duration::MAX).await;
                        });
                    }
                })
            },
        },
        Verdict::Hung,
        true,
    ),
    (
        MakeUp {
            name: "daily-timer",
            serve: |mut listener| {
                Box::pin(async move {
                    while let Ok((mut stream, _)) = listener.accept().await {
                        tokio::spawn(async move {
                            let _ = stream.write_all(OK).await;
                            let mut day = interval(Duration::from_secs(24 * 60 * 60));
                            loop {
                                day.tick().await;
                            }
                        });
                    }
                })
            },
        },
        Verdict::Hung,
        // It wakes each day: alive after so many wake-ups, but nothing is proved.
        false,
    ),
    (
        MakeUp {
            name: "ten-months",
            serve: |mut listener| {
                Box::pin(async move {
                    while let Ok((mut stream, _)) = listener.accept().await {
                        tokio::spawn(async move {
                            let _ = stream.write_all(OK).await;
                            sleep(Duration::from_secs(300 * 24 * 60 * 60)).await;
                        });
                    }
                })
            },
        },
        Verdict::Late,
        false,
    ),
    (
        MakeUp {
            name: "answered-twice",
            serve: |mut listener| {
                Box::pin(async move {
                    while let Ok((mut stream, _)) = listener.accept().await {
                        tokio::spawn(async move {
                            let mut head = [0; 1000];
                            let _ = timeout(Duration::from_secs(30), stream.read(&mut head)).await;
                            let _ = stream.write_all(&[OK, OK].concat()).await;
                        });
                    }
                })
            },
        },
        Verdict::Protocol,
        false,
    ),
];

fn judged(scenario: &Arc<Scenario>, server: &MakeUp) -> Cell {
    Cell::twice(Engine::Leap, scenario, server, Detail::default())
}

/// Healthy but for one thing, and what that is.
const RIGHTLY_CONVICTED: [(&str, &str, Verdict, &str); 4] = [
    (
        "pipeline-flush",
        "close-then-request",
        Verdict::Protocol,
        "hyper 1.12 with `pipeline_flush` flushes nothing while bytes are unread, and shuts the socket down behind `Connection: \
         close` with the response still in its buffer",
    ),
    ("prefork", "idle-race", Verdict::Deaf, SHUT_OUT),
    ("prefork", "connection-crowd", Verdict::Deaf, SHUT_OUT),
    (
        "prefork",
        "panics-in-a-row",
        Verdict::Deaf,
        "each panic ends a worker, and nobody starts another one",
    ),
];

const SHUT_OUT: &str = "its few workers wait for idle clients, and nobody else is served meanwhile";

/// The one download that takes longer than the minute in which every connection of these servers ends: it is cut by all.
const LONGER_THAN_A_MINUTE: &str = "download-large-paced";

/// Why the verdict of this cell is not the expected one, if so.
fn surprise(server: &MakeUp, cell: &Cell) -> Option<String> {
    let incident = &cell.scenario;
    let known = RIGHTLY_CONVICTED
        .iter()
        .find(|known| (known.0, known.1) == (server.name, &*incident.name));
    // Most are hyper within, which does not linger, and does not look for a Host.
    let of_hyper = incident.expect.get("hyper").copied();
    let within = of_hyper.filter(|kind| matches!(kind, Verdict::Lost | Verdict::Protocol));
    let verdict = cell.verdict();
    let expected = match known {
        _ if incident.name == LONGER_THAN_A_MINUTE => verdict == Verdict::Lost,
        Some((_, _, Verdict::Deaf, SHUT_OUT)) => {
            let mut findings = cell.findings.iter();
            verdict == Verdict::Deaf && findings.all(|one| one.part == Some("shut-out"))
        }
        Some(known) => verdict == known.2,
        None => verdict == Verdict::Clean || within == Some(verdict),
    };
    let says = || format!("{} x {}: {:?}", server.name, incident.name, cell.findings);
    (!expected).then(says)
}

#[test]
fn a_bounded_connection_is_acquitted_whoever_accepts_and_serves_it() {
    let tells = |incident: &&Arc<Scenario>| incident.server_events.is_empty();
    let incidents: Vec<_> = incident::all().iter().filter(tells).collect();
    let surprises = on_all_cores(&HEALTHY, |server| {
        let each = incidents.iter();
        let found = each.filter_map(|incident| surprise(server, &judged(incident, server)));
        found.collect::<Vec<_>>()
    });
    let surprises = surprises.concat();
    assert!(surprises.is_empty(), "{surprises:#?}");
}

#[test]
fn defects_that_have_nothing_to_do_with_http_are_convicted() {
    let client = scenario(
        r#"name = "asks-and-stays"
        [[client]]
        steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" } ]
        "#,
    );
    for (server, verdict, never_ends) in &GUILTY {
        let cell = judged(&client, server);
        let name = server.name;
        // Who stays for months is convicted of more: the fresh client said `close`.
        let found = cell
            .findings
            .iter()
            .find(|finding| finding.kind == *verdict);
        assert_eq!(
            found.map(|finding| finding.never_ends),
            Some(*never_ends),
            "{name}: {:?}",
            cell.findings
        );
    }
}
