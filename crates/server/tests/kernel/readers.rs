//! Slow readers are served to the last byte; who reads nothing is reset in time, and nothing of it stays.

use crate::scene::{LONG, Scene, TIMES, hastened};
use hangup_server::{Limits, Phase};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The promise is 240 B/s; the slowest honest reader here has 300, on clocks that run so many times faster.
pub(crate) const HONEST: usize = 300 * TIMES as usize;

/// The hastened limits, with bounds on a response and a connection that are shorter than any download here.
fn short_lived() -> Limits {
    let mut limits = hastened(Limits::default());
    limits.age = Duration::from_secs(2).into();
    limits.response.total = Duration::from_secs(2).into();
    limits
}

/// Reads so many bytes at once, at `HONEST` bytes a second, until the end or for so long. Returns what it got, and whether it came
/// to the end.
pub(crate) async fn reads(
    client: &mut (impl AsyncRead + Unpin),
    burst: usize,
    most: Duration,
) -> (Vec<u8>, bool) {
    let mut every = interval(Duration::from_secs_f64(burst as f64 / HONEST as f64));
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (start, mut got) = (Instant::now(), Vec::new());
    while start.elapsed() < most {
        every.tick().await;
        let mut piece = client.take(burst as u64);
        let wanted = got.len() + burst;
        let read = timeout(LONG, piece.read_to_end(&mut got)).await;
        let read = read.expect("it goes on");
        read.unwrap_or_else(|error| {
            panic!(
                "cut after {:?}, {} bytes: {error}",
                start.elapsed(),
                wanted - burst
            )
        });
        if got.len() < wanted {
            return (got, true);
        }
    }
    (got, false)
}

/// The whole body of a response that came to its end.
pub(crate) fn is_whole(got: &[u8], length: usize) -> bool {
    let ends =
        got.ends_with(b"0\r\n\r\n") || got.starts_with(b"HTTP/1.1 200 OK\r\nconnection: close");
    let body = got.iter().filter(|byte| **byte == b'x').count();
    ends && body == length
}

/// Nor by the age of its connection. Both servers are read from at the same time, because the readers mostly wait.
#[tokio::test(flavor = "multi_thread")]
async fn no_honest_reader_is_cut() {
    let servers = [hastened(Limits::default()), short_lived()];
    let served = servers.map(|limits| tokio::spawn(serves_honest_readers(limits)));
    for one in served {
        one.await.unwrap();
    }
}

async fn serves_honest_readers(limits: Limits) {
    let scene = Scene::new(limits).await;
    let mut readers = Vec::new();
    // An endless response, and ones whose tail is all that is left: with close, half-closed, by the close, and kept.
    for (version, fields, length) in [
        ("1.1", "", 1_000_000_000),
        ("1.1", "Connection: close\r\n", 24_000),
        ("1.0", "", 24_000),
        ("1.1", "X-Half-Close: 1\r\n", 24_000),
    ] {
        for buffer in [None, Some(2_000), Some(16_000)] {
            for burst in [60, 1500] {
                let mut client = scene.connect(buffer).await;
                let request =
                    format!("GET /big/{length} HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
                client.write_all(request.as_bytes()).await.unwrap();
                if fields.contains("Half-Close") {
                    client.shutdown().await.unwrap();
                }
                let what = format!("{version} {fields:?} {length} {buffer:?} {burst}");
                // The system's own buffer opens its window in steps of up to 130 KB on loopback.
                let most = match (length, buffer) {
                    (1_000_000_000, None) => Duration::from_secs(26),
                    _ => Duration::from_millis(5500),
                };
                readers.push(tokio::spawn(async move {
                    let (got, ended) = reads(&mut client, burst, most).await;
                    if length == 24_000 {
                        assert!(ended && is_whole(&got, length), "{what}: {}", got.len());
                    } else {
                        assert!(!ended && got.len() > 5 * HONEST, "{what}: {}", got.len());
                    }
                }));
            }
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let closed = scene.ledger.counts().closed;
    let names: Vec<_> = closed.into_keys().collect();
    // A connection that is idle behind its response is as old as it may be.
    assert!(
        names
            .iter()
            .all(|name| !name.starts_with("timeout") || *name == "timeout-idle"),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_a_kept_connection_is_no_idle_time() {
    // The tail takes four times as long as an idle connection has.
    let limits = Limits {
        idle: hangup_server::Span::of(Duration::from_secs(1)),
        ..hastened(Limits::default())
    };
    let mut scene = Scene::new(limits).await;
    let mut client = scene.connect(Some(2_000)).await;
    let request = b"GET /big/24000 HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    let (got, ended) = reads(&mut client, 60, Duration::from_secs(4)).await;
    assert!(!ended && got.len() > 23_000, "{}", got.len());
    // It goes on to the end, and idles there.
    let mut rest = Vec::new();
    let read = timeout(LONG, client.read_to_end(&mut rest)).await;
    read.expect("it is closed").unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"));
    assert_eq!(scene.closed().await.name(), "timeout-idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_readers_leave_nothing_in_the_kernel() {
    for request in [
        "GET /big/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        // All of it is in the kernel, and our side is closed.
        "GET /big/60000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /big/60000 HTTP/1.0\r\n\r\n",
    ] {
        let mut scene = Scene::new(hastened(Limits::default())).await;
        let mut clients = Vec::new();
        for _ in 0..50 {
            let mut client = scene.connect(Some(2_000)).await;
            client.write_all(request.as_bytes()).await.unwrap();
            clients.push(client);
        }
        let start = Instant::now();
        for _ in &clients {
            let reason = scene.closed().await;
            let name = reason.name();
            let ends = ["timeout-response", "timeout-kernel", "client-asked"];
            assert!(ends.contains(&name), "{name}, {request:?}");
        }
        // Some kilobytes pay for less than a second, behind 250 ms.
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}, {request:?}");
        scene.kernel_has_nothing().await;
        assert_eq!(scene.ledger.counts().open, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_the_kernel_are_bounded_in_all() {
    const READERS: u64 = 40;
    let limits = Limits {
        queued_bytes: 256 * 1024,
        ..Limits::default()
    };
    let bound = limits.queued_bytes + READERS * 2 * Limits::QUEUED_SHARE;
    let scene = Scene::new(limits).await;
    let mut clients = Vec::new();
    for _ in 0..READERS {
        let mut client = scene.connect(Some(2_000)).await;
        let request = b"GET /big/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n";
        client.write_all(request).await.unwrap();
        clients.push(client);
    }
    let full = async {
        while scene.ledger.open().len() < READERS as usize
            || scene
                .ledger
                .open()
                .iter()
                .any(|open| open.phase != Phase::Response)
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, full).await.expect("each waits");
    let queued: u64 = scene.in_the_kernel().iter().map(|(_, queue)| queue).sum();
    assert!(
        queued > READERS * 1000 && queued <= bound,
        "{queued} of {bound}"
    );
    let shown = scene
        .ledger
        .open()
        .iter()
        .map(|open| open.queued)
        .sum::<u64>();
    assert!(
        shown > READERS * 1000 && shown <= bound,
        "{shown} of {bound}"
    );
    // The others are served, and at once.
    let mut client = scene.connect(None).await;
    let request = b"GET /big/3000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut got = Vec::new();
    let read = timeout(LONG, client.read_to_end(&mut got)).await;
    read.expect("it is served").unwrap();
    assert!(is_whole(&got, 3_000_000), "{}", got.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_waits_for_room_is_ended_by_its_clocks() {
    const READERS: u64 = 100;
    let limits = Limits {
        queued_bytes: 256 * 1024,
        ..hastened(Limits::default())
    };
    let mut scene = Scene::new(limits).await;
    let mut clients = Vec::new();
    for _ in 0..READERS {
        let mut client = scene.connect(Some(2_000)).await;
        let request = b"GET /big/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n";
        client.write_all(request).await.unwrap();
        clients.push(client);
    }
    let start = Instant::now();
    for _ in &clients {
        assert_eq!(scene.closed().await.name(), "timeout-response");
    }
    // Some kilobytes pay for less than a second, behind 250 ms.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    scene.kernel_has_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fast_reader_has_taken_is_not_counted_as_queued() {
    const LENGTH: usize = 400_000_000;
    let scene = Scene::new(Limits::default()).await;
    let mut client = scene.connect(None).await;
    let request = format!("GET /big/{LENGTH} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let (mut got, mut piece, mut most) = (0, vec![0; 1 << 20], 0);
    while got < LENGTH {
        let read = timeout(LONG, client.read(&mut piece)).await;
        got += read.expect("it goes on").expect("it is served");
        let queued = scene.ledger.open().iter().map(|open| open.queued).max();
        most = most.max(queued.unwrap_or_default());
    }
    // The send queue has at most 4 MB of memory (tcp_wmem).
    assert!(0 < most && most < 8 << 20, "{most}");
}
