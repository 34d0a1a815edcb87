//! Memory that grows by each request of a kind is found; what fills up and then stays is not. A body
//! that is kept as a whole, beyond what the contract allows, is found, and one that is streamed or
//! refused is not.

use hangup::Bed;
use hangup::bed::Route;
use hangup::contract::Contract;
use hangup::net::{TcpListener, TcpStream};
use hangup_scenario::Verdict;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

#[global_allocator]
static ALLOCATOR: hangup::CountingAllocator = hangup::CountingAllocator;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const ROUNDS: u32 = 64;

/// Of which connections the server keeps something.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Keeps {
    Nothing,
    /// A few of the last: a log that is bounded.
    Last(usize),
    Finished,
    Aborted,
    Panicked,
}

type Kept = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// Keeps 100 bytes.
fn keep(kept: &Kept) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push_back(vec![0; 100]);
}

async fn connection(mut stream: TcpStream, keeps: Keeps, kept: &Kept) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if head.starts_with(b"GET /panic") {
        if keeps == Keeps::Panicked {
            keep(kept);
        }
        panic!("the handler panics");
    }
    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

fn bed(keeps: Keeps) -> Bed {
    Bed::new("memory", move |listener: TcpListener, _| async move {
        let kept = Kept::default();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let served = timeout(Duration::from_secs(20), connection(stream, keeps, &kept));
                let ended = served.await.unwrap_or(Ok(()));
                match keeps {
                    Keeps::Finished if ended.is_ok() => keep(&kept),
                    Keeps::Aborted if ended.is_err() => keep(&kept),
                    Keeps::Last(most) => {
                        keep(&kept);
                        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                        if kept.len() > most {
                            kept.pop_front();
                        }
                    }
                    _ => {}
                }
            });
        }
    })
    // It answers before a body is there.
    .tolerate(Verdict::Protocol)
    .route(Route::Panics, "/panic")
    .memory(ROUNDS)
    .cases(0)
    .keep_nothing()
}

/// What the server is found to keep memory of.
fn found(keeps: Keeps) -> Vec<String> {
    let outcome = bed(keeps).run();
    let findings = outcome.convicted.iter().flat_map(|cell| &cell.findings);
    let memory = findings.filter(|one| (one.kind, one.part) == (Verdict::Hoard, Some("memory")));
    memory.map(|one| one.says.clone()).collect()
}

#[test]
fn what_is_kept_of_each_request_is_found_and_told() {
    for (keeps, kinds) in [
        (Keeps::Finished, &["each finished request"][..]),
        (Keeps::Panicked, &["each request whose handler panics"]),
        (
            Keeps::Aborted,
            &[
                "each connection that is closed at once",
                "each head that is cut off by a reset",
            ],
        ),
    ] {
        let found = found(keeps);
        for kind in kinds {
            assert!(
                found.iter().any(|says| says.contains(kind)),
                "{keeps:?}: {found:#?}"
            );
        }
        let mut bytes = found.iter().filter_map(|says| {
            let number = says.strip_prefix("the server keeps ")?.split(' ').next()?;
            number.parse::<u64>().ok()
        });
        // The bytes themselves, and their place in the list.
        assert!(
            bytes.all(|bytes| (100..250).contains(&bytes)),
            "{keeps:?}: {found:#?}"
        );
    }
    assert_eq!(found(Keeps::Panicked).len(), 1);
}

#[test]
fn a_report_tells_of_it() {
    let outcome = bed(Keeps::Finished).run();
    let report = outcome.to_string();
    assert!(
        report.contains("the server keeps ") && report.contains("hoard"),
        "{report}"
    );
}

#[test]
fn what_stays_as_large_as_it_is_is_no_growth() {
    for innocent in [Keeps::Nothing, Keeps::Last(10)] {
        assert_eq!(found(innocent), Vec::<String>::new(), "{innocent:?}");
    }
}

// --- the peak -----------------------------------------------------------------------------------

/// What the contract of [`collector`] allows a connection.
const BUFFER: usize = 1 << 20;

/// Answers what comes first, and takes whatever comes behind it for a body: keeps up to so many
/// bytes of it, and closes behind more; or drops what it has read, where that is 0.
async fn collect(mut stream: TcpStream, most: usize) -> io::Result<()> {
    let (mut body, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    let mut answer = Some(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    loop {
        let read = stream.read(&mut piece).await?;
        if let Some(answer) = answer.take() {
            stream.write_all(answer).await?;
        }
        if read == 0 || (most > 0 && body.len() + read > most) {
            return Ok(());
        }
        if most > 0 {
            body.extend_from_slice(&piece[..read]);
        }
    }
}

/// What is found of a server that keeps so many bytes of a body, or none, and claims this buffer.
fn found_of_peak(most: usize, buffer: Option<u64>) -> Vec<String> {
    let bed = Bed::new("collects", move |listener: TcpListener, _| async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            tokio::spawn(timeout(Duration::from_secs(60), collect(stream, most)));
        }
    });
    let contract = Contract {
        buffer,
        ..Contract::default()
    };
    let bed = bed.contract(contract).route(Route::ReadsBody, "/upload");
    let outcome = bed.memory(4).cases(0).keep_nothing().run();
    let findings = outcome.convicted.iter().flat_map(|cell| &cell.findings);
    let peak = findings.filter(|one| (one.kind, one.part) == (Verdict::Hoard, Some("peak")));
    peak.map(|one| one.says.clone()).collect()
}

#[test]
fn a_body_that_is_kept_as_a_whole_is_found_though_nothing_is_left_of_it() {
    let found = found_of_peak(usize::MAX, Some(BUFFER as u64));
    let whats = ["a chunked upload of", "an upload of"];
    assert_eq!(found.len(), whats.len(), "{found:#?}");
    for (says, what) in found.iter().zip(whats) {
        let bytes = says
            .strip_prefix("the server had ")
            .and_then(|rest| rest.split(' ').next());
        let bytes: usize = bytes.expect("it tells how many").parse().expect("a number");
        // The body, and at most as much again for a buffer that grows to twice its length.
        assert!((16 * BUFFER..50 * BUFFER).contains(&bytes), "{says}");
        assert!(
            says.contains(what) && says.contains("16777216") && says.ends_with("1048576"),
            "{says}"
        );
    }
}

#[test]
fn a_body_that_is_streamed_or_ends_at_the_limit_is_not_found() {
    for most in [0, BUFFER] {
        let found = found_of_peak(most, Some(BUFFER as u64));
        assert_eq!(found, Vec::<String>::new(), "{most}");
    }
}

#[test]
fn a_contract_without_a_buffer_allows_any_body() {
    assert_eq!(found_of_peak(usize::MAX, None), Vec::<String>::new());
}
