//! What a finding says, and what a promise of a contract covers.

use hangup::Bed;
use hangup::bed::Route;
use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::finding::Finding;
use hangup::net::{TcpListener, TcpStream};
use hangup::run::Detail;
use hangup::server::{self, Server, Shutdown};
use hangup::{incident, server::Serving};
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::scenario;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const NOT_FOUND: &[u8] =
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn judged(scenario: &Arc<Scenario>, server: &dyn Server) -> Vec<Finding> {
    Cell::varied(Engine::Leap, scenario, server, Detail::JUDGED).findings
}

/// One client with these steps behind its connect call, and the signal to shut down at this time.
fn with_shutdown(steps: &str, at: &str) -> Arc<Scenario> {
    scenario(&format!(
        "name = \"shutdown\"\n[[client]]\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n[[server_event]]\nat = \"{at}\"\ndo = \"shutdown\"\n"
    ))
}

fn plain(steps: &str) -> Arc<Scenario> {
    scenario(&format!(
        "name = \"plain\"\n[[client]]\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n"
    ))
}

const GET: &str = r#"{ do = "send", head = { method = "GET", target = "/" } }"#;
const AWAIT: &str = r#"{ do = "await", status = "final", within = "20s" }"#;

/// Accepts for ever, and does this with each connection in a task of its own.
async fn each<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream))),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Reads a byte at a time up to the end of one head; false at the end of the stream.
async fn head(stream: &mut TcpStream) -> io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(false);
        }
        head.push(byte[0]);
    }
    Ok(true)
}

/// Closes so that what was written can be read.
async fn closes(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    let rest = async {
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    timeout(2 * SECOND, rest).await.unwrap_or(Ok(()))
}

// --- nondeterministic ---------------------------------------------------------------------------

fn differs(canary: &str) -> String {
    let server = server::named(canary).expect("it is built in");
    let scenario = incident::named("idle-keep-alive").expect("it is in the book");
    let cell = Cell::twice(Engine::Leap, &scenario, &*server, Detail::default());
    assert_eq!(cell.verdict(), Verdict::Nondeterministic);
    cell.findings[0].says.clone()
}

#[test]
fn what_differs_is_told_with_its_first_event_its_source_and_the_way_out() {
    for (canary, source) in [
        ("canary-hash-order", "getrandom"),
        ("canary-wall-clock", "clock_gettime"),
    ] {
        let says = differs(canary);
        let first = says.starts_with("two runs of one seed differ: at ") && says.contains(" s \"")
            || says.contains(" ms \"");
        assert!(first, "{canary}: {says}");
        assert!(says.contains("the second time"), "{canary}: {says}");
        assert!(says.contains(source), "{canary}: {says}");
        assert!(says.contains("--seal"), "{canary}: {says}");
    }
}

// --- shutdown -----------------------------------------------------------------------------------

/// Takes its time for each answer, and returns so long after the signal, whatever is under way.
fn cuts_after(grace: Duration) -> Arc<dyn Server> {
    let serve = move |listener: TcpListener, stop: Shutdown| -> Serving {
        Box::pin(async move {
            let serving = each(listener, |mut stream| async move {
                if head(&mut stream).await? {
                    sleep(8 * SECOND).await;
                    stream.write_all(CLOSE).await?;
                }
                closes(stream).await
            });
            tokio::select! {
                () = serving => {}
                () = stop.given() => sleep(grace).await,
            }
        })
    };
    let claimed = Contract {
        shutdown: Some(30 * SECOND),
        ..Contract::default()
    };
    Bed::new("cuts-after", serve).contract(claimed).into()
}

#[test]
fn the_time_for_a_shutdown_is_a_maximum() {
    let slow = with_shutdown(&format!("{GET}, {AWAIT}"), "3s");
    // It may take 30 s, and takes two of them.
    assert_eq!(judged(&slow, &*cuts_after(2 * SECOND)), []);
    let findings = judged(&slow, &*cuts_after(Duration::ZERO));
    let dropped = findings.first().expect("it has given its client no time");
    assert_eq!(
        (dropped.kind, dropped.part),
        (Verdict::Lost, Some("dropped"))
    );
}

/// Closes a connection by a deadline of its own, two seconds after its accept, and goes on with it in its task; the signal
/// to shut down ends all tasks at once.
fn closes_by_deadline(closes: bool) -> Arc<dyn Server> {
    let serve = move |listener: TcpListener, stop: Shutdown| -> Serving {
        Box::pin(async move {
            let serving = each(listener, move |mut stream| async move {
                head(&mut stream).await?;
                sleep(2 * SECOND).await;
                if closes {
                    drop(stream);
                    sleep(3 * SECOND).await;
                } else {
                    sleep(3 * SECOND).await;
                    drop(stream);
                }
                Ok(())
            });
            tokio::select! {
                () = serving => {}
                () = stop.given() => {}
            }
        })
    };
    let claimed = Contract {
        shutdown: Some(10 * SECOND),
        ..Contract::default()
    };
    Bed::new("closes-by-deadline", serve)
        .contract(claimed)
        .into()
}

fn is_dropped(findings: &[Finding]) -> bool {
    let mut all = findings.iter();
    all.any(|one| (one.kind, one.part) == (Verdict::Lost, Some("dropped")))
}

#[test]
fn what_a_deadline_has_closed_is_not_dropped_by_a_shutdown() {
    let client = with_shutdown(
        &format!("{GET}, {AWAIT}, {{ do = \"stall\", for = \"20s\" }}"),
        "3s",
    );
    assert!(!is_dropped(&judged(&client, &*closes_by_deadline(true))));
    assert!(is_dropped(&judged(&client, &*closes_by_deadline(false))));
}

/// Answers one request half a second after the signal to shut down, says close or does not, and returns. It reads the second
/// request before, or does not.
fn answers_one(says_close: bool, reads_both: bool) -> Arc<dyn Server> {
    let serve = move |listener: TcpListener, stop: Shutdown| -> Serving {
        Box::pin(async move {
            let signal = stop.clone();
            let serving = each(listener, move |mut stream| {
                let signal = signal.clone();
                async move {
                    head(&mut stream).await?;
                    if reads_both {
                        head(&mut stream).await?;
                    }
                    signal.given().await;
                    sleep(SECOND / 4).await;
                    stream
                        .write_all(if says_close { CLOSE } else { OK })
                        .await?;
                    sleep(10 * SECOND).await;
                    Ok(())
                }
            });
            tokio::select! {
                () = serving => {}
                () = stop.given() => sleep(SECOND / 2).await,
            }
        })
    };
    let claimed = Contract {
        shutdown: Some(10 * SECOND),
        ..Contract::default()
    };
    Bed::new("answers-one", serve).contract(claimed).into()
}

#[test]
fn what_was_not_read_at_a_shutdown_may_stay_unanswered_behind_a_close() {
    let two = r#"{ do = "send", all = [ { head = { method = "GET", target = "/" } }, { head = { method = "GET", target = "/" } } ] }"#;
    let client = with_shutdown(&format!("{two}, {AWAIT}, {AWAIT}"), "3s");
    assert!(!is_dropped(&judged(&client, &*answers_one(true, false))));
    assert!(is_dropped(&judged(&client, &*answers_one(true, true))));
    assert!(is_dropped(&judged(&client, &*answers_one(false, false))));
}

// --- tolerate -----------------------------------------------------------------------------------

/// A head must come in one read.
async fn in_one_read(mut stream: TcpStream) -> io::Result<()> {
    let mut read = [0; 1024];
    let count = timeout(20 * SECOND, stream.read(&mut read)).await??;
    if read[..count].ends_with(b"\r\n\r\n") {
        stream.write_all(CLOSE).await?;
    }
    closes(stream).await
}

#[test]
fn what_is_tolerated_is_so_by_metamorphic_rules_too() {
    let bed = || Bed::new("one-read", |listener, _| each(listener, in_one_read));
    let client = plain(&format!("{GET}, {AWAIT}, {{ do = \"close\" }}"));
    let open: Arc<dyn Server> = bed().into();
    let findings = judged(&client, &*open);
    let finding = findings
        .first()
        .expect("smaller segments change its answer");
    assert_eq!(
        (finding.kind, finding.part),
        (Verdict::Protocol, Some("segmentation"))
    );
    let tolerant: Arc<dyn Server> = bed().tolerate(Verdict::Protocol).into();
    assert_eq!(judged(&client, &*tolerant), []);
}

/// A head must come in one read, for one target that the application has.
async fn in_one_read_for_hello(mut stream: TcpStream) -> io::Result<()> {
    let (mut head, mut read, mut reads) = (Vec::new(), [0; 1024], 0);
    while !head.ends_with(b"\r\n\r\n") {
        let count = timeout(20 * SECOND, stream.read(&mut read)).await??;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&read[..count]);
        reads += 1;
    }
    match head.starts_with(b"GET /hello ") {
        true if reads > 1 => {}
        true => stream.write_all(CLOSE).await?,
        false => stream.write_all(NOT_FOUND).await?,
    }
    closes(stream).await
}

/// The variant, too, asks for what the server has.
#[test]
fn what_a_run_is_compared_with_is_fitted_to_the_server() {
    let bed = Bed::new("one-read-for-hello", |listener, _| {
        each(listener, in_one_read_for_hello)
    });
    let server: Arc<dyn Server> = bed.route(Route::Plain, "/hello").into();
    let client = plain(&format!("{GET}, {AWAIT}, {{ do = \"close\" }}"));
    let findings = judged(&client, &*server);
    let parts: Vec<_> = findings.iter().map(|one| (one.kind, one.part)).collect();
    assert_eq!(
        parts,
        [(Verdict::Protocol, Some("segmentation"))],
        "{findings:?}"
    );
}

// --- deaf ---------------------------------------------------------------------------------------

/// Refuses every request with this status until the server is so old.
fn refuses(status: &'static str, until: Duration) -> Arc<dyn Server> {
    let serve = move |listener: TcpListener, _: Shutdown| -> Serving {
        let began = Instant::now();
        Box::pin(each(listener, move |mut stream| async move {
            if timeout(20 * SECOND, head(&mut stream)).await?? {
                let refusal =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let is_refused = began.elapsed() < until;
                let answer = if is_refused {
                    refusal.as_bytes()
                } else {
                    CLOSE
                };
                stream.write_all(answer).await?;
            }
            closes(stream).await
        }))
    };
    Bed::new("refuses", serve).into()
}

#[test]
fn a_fresh_client_that_is_refused_is_told_with_the_status() {
    let client = plain(&format!("{GET}, {AWAIT}, {{ do = \"close\" }}"));
    for (status, said) in [
        ("503 Unavailable", "it was answered 503"),
        ("429 Too Many Requests", "it was answered 429"),
    ] {
        let findings = judged(&client, &*refuses(status, Duration::MAX));
        let [deaf] = &findings[..] else {
            panic!("{findings:?}")
        };
        assert_eq!(deaf.kind, Verdict::Deaf);
        assert!(deaf.says.ends_with(said), "{}", deaf.says);
        // Nothing of a server that has answered is stuck.
        assert!(deaf.task.is_none(), "{deaf:?}");
    }
    // A limit of so many requests in a time lets it in when that is over.
    assert_eq!(
        judged(&client, &*refuses("429 Too Many Requests", 12 * SECOND)),
        []
    );
}

/// A server that reads the fresh client's request and closes is deaf. No rule of HTTP is broken that
/// would be the graver word, because nobody but the fresh client has asked for anything.
#[test]
fn a_server_that_reads_the_fresh_request_and_closes_is_deaf() {
    let bed = Bed::new("deaf-behind-one", |listener, _| async move {
        let served = Arc::new(AtomicBool::new(false));
        each(listener, move |mut stream| {
            let first = !served.swap(true, Ordering::Relaxed);
            async move {
                let whole = timeout(5 * SECOND, head(&mut stream)).await;
                if first && whole.unwrap_or(Ok(false))? {
                    stream.write_all(CLOSE).await?;
                }
                closes(stream).await
            }
        })
        .await;
    });
    let server: Arc<dyn Server> = bed.into();
    let findings = judged(&plain(&format!("{GET}, {AWAIT}")), &*server);
    let kinds: Vec<_> = findings.iter().map(|one| (one.kind, one.part)).collect();
    assert_eq!(kinds, [(Verdict::Deaf, None)], "{findings:?}");
    assert!(
        findings[0].says.ends_with("it got no answer"),
        "{findings:?}"
    );
    // The same silence is a broken rule where a client of the scenario meets it.
    let two = plain(&format!(
        "{GET}, {AWAIT}, {{ do = \"reconnect\", after = \"1s\" }}, {GET}, {AWAIT}"
    ));
    let findings = judged(&two, &*server);
    let of_client = findings.iter().filter(|one| one.client == Some(0));
    let parts: Vec<_> = of_client.map(|one| one.part).collect();
    assert_eq!(parts, [Some("unanswered")], "{findings:?}");
}

// --- what is no defect --------------------------------------------------------------------------

/// Refuses with 400 at the end of its clock of 5 s for a head, and answers in time.
async fn refuses_at_the_clock(mut stream: TcpStream) -> io::Result<()> {
    let answer = match timeout(5 * SECOND, head(&mut stream)).await {
        Ok(Ok(true)) => CLOSE,
        Ok(_) => return Ok(()),
        Err(_) => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    };
    stream.write_all(answer).await?;
    closes(stream).await
}

#[test]
fn a_400_at_the_end_of_a_clock_is_about_the_pace() {
    let server: Arc<dyn Server> =
        Bed::new("clock", |listener, _| each(listener, refuses_at_the_clock)).into();
    let mut refused = 0;
    for pause in ["4939ms", "4940ms", "4941ms", "5s", "6s"] {
        let client = plain(&format!(
            r#"{{ do = "send", head = {{ method = "GET", target = "/" }}, part = [0, 20] }}, {{ do = "stall", for = "{pause}" }},
               {{ do = "send", bytes = ": hangup.test\r\n\r\n" }}, {AWAIT}, {{ do = "close" }}"#
        ));
        let cell = Cell::of(Engine::Leap, &client, &*server, Detail::JUDGED);
        assert_eq!(cell.findings, [], "{pause}");
        let responses = &cell.run.connections[0].responses.list;
        refused += usize::from(responses.iter().any(|one| one.status == 400));
    }
    assert!((1..5).contains(&refused), "{refused}");
}

/// Closes without an answer so long behind a head, as a deadline for writing does.
fn gives_up_after(time: Duration) -> Arc<dyn Server> {
    let serve = move |listener: TcpListener, _: Shutdown| -> Serving {
        Box::pin(each(listener, move |mut stream| async move {
            if timeout(20 * SECOND, head(&mut stream)).await?? {
                sleep(time).await;
            }
            closes(stream).await
        }))
    };
    Bed::new("gives-up", serve)
        .route(Route::ReadsBody, "/upload")
        .into()
}

#[test]
fn what_is_answered_at_once_is_not_given_up_and_what_takes_its_time_may_be() {
    let of = |target: &str| {
        let post = format!(
            r#"{{ do = "send", head = {{ method = "POST", target = "{target}", length = 0 }} }}"#
        );
        let client = plain(&format!("{post}, {AWAIT}, {{ do = \"close\" }}"));
        let findings = judged(&client, &*gives_up_after(12 * SECOND));
        // The fresh client in the end asks for the plain target.
        let mut of_client = findings.iter().filter(|one| one.client.is_some());
        of_client.any(|one| one.part == Some("unanswered"))
    };
    assert!(of("/upload"));
    assert!(!of("/report"));
}

/// Reads a request to its end, and drops it if the signal to shut down has come by then.
fn drops_at_signal() -> Arc<dyn Server> {
    let serve = |listener: TcpListener, stop: Shutdown| -> Serving {
        Box::pin(async move {
            let signal = stop.clone();
            let serving = each(listener, move |mut stream| {
                let signal = signal.clone();
                async move {
                    let whole = timeout(20 * SECOND, head(&mut stream)).await??;
                    let mut body = [0; 5];
                    if whole && stream.read_exact(&mut body).await.is_ok() && !signal.is_given() {
                        stream.write_all(CLOSE).await?;
                    }
                    closes(stream).await
                }
            });
            tokio::select! {
                () = serving => {}
                () = async { stop.given().await; sleep(5 * SECOND).await } => {}
            }
        })
    };
    let claimed = Contract {
        shutdown: Some(10 * SECOND),
        ..Contract::default()
    };
    Bed::new("drops", serve).contract(claimed).into()
}

#[test]
fn a_request_is_under_way_at_a_shutdown_if_its_head_was_read_before() {
    let post = r#"{ do = "send", head = { method = "POST", target = "/upload", length = 5 } }"#;
    let stall = r#"{ do = "stall", for = "1500ms" }"#;
    let body = r#"{ do = "send", body = 5 }"#;
    let unanswered = |steps: &str| {
        let findings = judged(&with_shutdown(steps, "1s"), &*drops_at_signal());
        let mut parts = findings.iter().map(|one| one.part);
        parts.any(|part| part == Some("unanswered"))
    };
    assert!(unanswered(&format!("{post}, {stall}, {body}, {AWAIT}")));
    assert!(!unanswered(&format!("{stall}, {post}, {body}, {AWAIT}")));
}

// --- Transfer-Encoding --------------------------------------------------------------------------

/// Answers every request with these bytes, and closes.
fn answers(bytes: &'static [u8]) -> Arc<dyn Server> {
    let serve = move |listener: TcpListener, _: Shutdown| -> Serving {
        Box::pin(each(listener, move |mut stream| async move {
            if timeout(20 * SECOND, head(&mut stream)).await?? {
                stream.write_all(bytes).await?;
            }
            closes(stream).await
        }))
    };
    Bed::new("answers", serve).into()
}

#[test]
fn a_transfer_encoding_is_for_http_1_1_and_for_what_can_have_a_body() {
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let none: &[u8] =
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let early: &[u8] = b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let plain_204: &[u8] = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    let ask = |version: &str| {
        plain(&format!(
            "{{ do = \"send\", head = {{ method = \"GET\", target = \"/\", version = \"{version}\" }} }}, {AWAIT}, {{ do = \"close\" }}"
        ))
    };
    let part = |version, answer| {
        let findings = judged(&ask(version), &*answers(answer));
        findings.first().map(|finding| (finding.kind, finding.part))
    };
    let coded = Some((Verdict::Protocol, Some("coded")));
    assert_eq!(part("1.1", chunked), None);
    assert_eq!(part("1.0", chunked), coded);
    assert_eq!(part("1.0", CLOSE), None);
    assert_eq!(part("1.1", none), coded);
    assert_eq!(part("1.1", plain_204), None);
    assert_eq!(part("1.1", early), coded);
}
