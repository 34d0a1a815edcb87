//! One call in a `#[test]`, as a user makes it: servers of several makes, regressions kept and replayed, the report.

#[path = "bed/hosts.rs"]
mod hosts;
#[path = "bed/preflight.rs"]
mod preflight;
#[path = "bed/residue.rs"]
mod residue;
#[path = "bed/verdicts.rs"]
mod verdicts;

use hangup::Bed;
use hangup::bed::Route;
use hangup::contract::Contract;
use hangup::net::{TcpListener, TcpStream};
use hangup_scenario::{Scenario, Verdict};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(20);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const NEVER: Duration = Duration::MAX;

/// Generic over the stream: one request a connection, `ok` to all of them.
async fn connection<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    answer(stream).await
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> std::io::Result<()> {
    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    // What is left unread would have a reset erase the answer.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

async fn serve(listener: TcpListener, deadline: Duration) {
    loop {
        // Out of descriptors now is not out of descriptors for ever.
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        tokio::spawn(timeout(deadline, connection(stream)));
    }
}

fn bed(name: &str, deadline: Duration) -> Bed {
    Bed::new(name, move |listener, _| serve(listener, deadline))
        // It answers before a body is there.
        .tolerate(Verdict::Protocol)
        .cases(300)
}

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("cargo gives tests a folder to write in");
    folder
}

#[test]
fn a_server_that_keeps_its_contract_is_clean() {
    let outcome = bed("bounded", DEADLINE).keep_nothing().run();
    assert!(outcome.is_clean(), "{outcome}");
    assert_eq!(outcome.cases, 300);
    assert!(outcome.incidents >= 6, "{outcome}");
    let mut left_out = outcome.left_out.iter();
    assert!(
        left_out.any(|(name, _)| name == "handler-panics"),
        "{outcome}"
    );
}

#[test]
fn what_was_found_is_kept_replayed_first_and_stays_when_it_is_mended() {
    let folder = folder("bed-kept");
    let first = bed("kept", NEVER).regressions(&folder).run();
    assert!(!first.is_clean());
    let files: Vec<PathBuf> = fs::read_dir(folder.join("kept"))
        .expect("the fuzzer found something, which was saved")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    assert_eq!(files.len(), 1);
    Scenario::read(&files[0]).unwrap_or_else(|error| panic!("{error}"));
    assert!(first.to_string().contains("is saved in"), "{first}");

    let second = bed("kept", NEVER).regressions(&folder).run();
    let shown = files[0].display().to_string();
    assert_eq!(second.convicted[0].scenario.name, shown);
    assert_eq!((second.regressions, second.cases), (1, 0));

    let mended = bed("kept", DEADLINE).regressions(&folder).run();
    assert!(mended.is_clean(), "{mended}");
    assert_eq!((mended.regressions, mended.cases), (1, 300));
}

#[test]
fn a_scenario_of_ones_own_beside_the_test_is_run_too() {
    let folder = folder("bed-own");
    fs::create_dir_all(folder.join("own")).expect("a folder");
    let text = "name = \"mine\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"stall\", for = \"1h\" } ]\n";
    fs::write(folder.join("own/mine.toml"), text).expect("a file");
    let outcome = bed("own", NEVER).regressions(&folder).run();
    assert_eq!(outcome.convicted[0].verdict(), Verdict::Hung);
    assert!(outcome.convicted[0].scenario.name.ends_with("mine.toml"));
}

#[test]
#[should_panic(expected = "broken.toml:1")]
fn a_kept_file_that_cannot_be_read_is_told_with_its_line() {
    let folder = folder("bed-broken");
    fs::create_dir_all(folder.join("broken")).expect("a folder");
    fs::write(folder.join("broken/broken.toml"), "nome = \"x\"\n").expect("a file");
    bed("broken", DEADLINE).regressions(&folder).check();
}

#[test]
#[should_panic(expected = "; nothing is")]
fn check_panics_with_the_report() {
    bed("unbounded", NEVER).keep_nothing().check();
}

#[test]
fn a_contract_of_ones_own_is_what_it_is_held_to() {
    let strict = Contract {
        stall: Duration::from_secs(10),
        ..Contract::default()
    };
    let outcome = bed("strict", DEADLINE)
        .contract(strict)
        .keep_nothing()
        .run();
    let late = |cell: &hangup::cell::Cell| cell.verdict() == Verdict::Late;
    assert!(outcome.convicted.iter().any(late), "{outcome}");
}

/// Whoever reads what came before a route is asked for can say which of them reads bodies.
#[test]
fn a_route_is_asked_as_it_is_named_with_the_fields_that_let_it_in() {
    async fn picky(mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let let_in = text.contains("Authorization: Bearer x\r\n");
        let at = text.split(' ').nth(1).unwrap_or_default();
        assert!(["/", "/upload"].contains(&at), "{text}");
        let status = if let_in { "200 OK" } else { "500 No" };
        let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        Ok(())
    }
    let bed = Bed::new("picky", |listener: TcpListener, _| async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(timeout(DEADLINE, picky(stream)))),
                // Out of descriptors now is not out of descriptors for ever.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    });
    let outcome = bed
        .route(Route::ReadsBody, "/upload")
        .header("Authorization", "Bearer x")
        .tolerate(Verdict::Protocol)
        .cases(0)
        .keep_nothing()
        .run();
    assert!(outcome.is_clean(), "{outcome}");
    let named = |name: &str| outcome.left_out.iter().any(|(left, _)| left == name);
    assert!(named("response-never-read"), "{outcome}");
    assert!(!named("fasthttp-1834"), "{outcome}");
}
