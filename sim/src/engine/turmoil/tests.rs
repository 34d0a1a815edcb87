//! The rules of the adapter, each seen by two applications on two hosts.

mod hosts;
mod whole;

use super::plan::Plan;
use super::{Dialer, Listener, TcpStream, dialer, journal, now, path, simulation};
use crate::server::UNCLAIMED;
use hangup_scenario::{Rst, Scenario, Step};
use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// One way, as in a scenario without a network of its own.
const LATENCY: u64 = 20;
const BUFFER: usize = 64 << 10;

/// What an application found, and at which millisecond.
type Found = Vec<(u64, String)>;

/// Runs a server and a client until the client is done, and gives what both have said.
fn between<S, C>(
    scenario: &Scenario,
    server: fn(Listener, Log) -> S,
    client: fn(Dialer, Log) -> C,
) -> Found
where
    S: Future<Output = io::Result<()>> + 'static,
    C: Future<Output = io::Result<()>> + 'static,
{
    run(scenario, server, client, |_| {})
}

/// The same, with what `between_ticks` does to the hosts.
fn run<S, C>(
    scenario: &Scenario,
    server: fn(Listener, Log) -> S,
    client: fn(Dialer, Log) -> C,
    mut between_ticks: impl FnMut(&mut turmoil::Sim<'_>),
) -> Found
where
    S: Future<Output = io::Result<()>> + 'static,
    C: Future<Output = io::Result<()>> + 'static,
{
    journal::clear();
    path::clear();
    let plan = Plan::of(&Arc::new(scenario.clone()), &UNCLAIMED);
    let mut sim = simulation(&plan);
    let log = Log::default();
    let (link, told) = (plan.link, log.clone());
    sim.host(dialer::SERVER, move || {
        let (listener, backlog) = Listener::new(None);
        let log = told.clone();
        async move {
            tokio::spawn(backlog.answer(link));
            server(listener, log).await?;
            pending().await
        }
    });
    let told = log.clone();
    sim.client("client", async move {
        client(Dialer::new(link), told).await?;
        Ok(())
    });
    while !sim.step().expect("neither host fails") {
        assert!(sim.elapsed() < Duration::from_secs(1000), "{:?}", log.0);
        between_ticks(&mut sim);
    }
    drop(sim);
    log.0.take()
}

#[derive(Clone, Default)]
struct Log(Rc<RefCell<Found>>);

impl Log {
    fn say(&self, what: impl Into<String>) {
        let at = now().as_millis() as u64;
        self.0.borrow_mut().push((at, what.into()));
    }
}

fn plain() -> Scenario {
    Scenario::of("adapter", vec![Step::Connect])
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn found(list: &[(u64, &str)]) -> Found {
    list.iter()
        .map(|&(at, what)| (at, what.to_owned()))
        .collect()
}

/// What the next read gives.
async fn read(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 100];
    match stream.read(&mut buffer).await {
        Ok(count) => buffer[..count].escape_ascii().to_string(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

#[test]
fn a_half_close_leaves_the_other_half_open() {
    async fn server(mut listener: Listener, log: Log) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        log.say(format!("server: {text}, then the end"));
        sleep(seconds(1)).await;
        stream.write_all(b"answer").await?;
        drop(stream);
        pending().await
    }
    async fn client(dialer: Dialer, log: Log) -> io::Result<()> {
        let mut stream = dialer.connect(None).await?;
        log.say("client: connected");
        stream.write_all(b"request").await?;
        stream.shutdown().await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        log.say(format!("client: {text}, then the end"));
        let refused = stream.write_all(b"more").await.unwrap_err();
        log.say(format!("client: {:?}", refused.kind()));
        Ok(())
    }
    let expected = found(&[
        (2 * LATENCY, "client: connected"),
        (3 * LATENCY, "server: request, then the end"),
        (1000 + 4 * LATENCY, "client: answer, then the end"),
        (1000 + 4 * LATENCY, "client: BrokenPipe"),
    ]);
    assert_eq!(between(&plain(), server, client), expected);
}

#[test]
fn a_reset_wakes_a_blocked_writer() {
    async fn server(mut listener: Listener, log: Log) -> io::Result<()> {
        let (stream, _) = listener.accept().await?;
        // A task that only writes: nothing but the reset can wake it.
        let (_read, mut write) = tokio::io::split(stream);
        let error = write.write_all(&vec![7; 1 << 20]).await.unwrap_err();
        log.say(format!("server: {:?}", error.kind()));
        pending().await
    }
    async fn client(dialer: Dialer, log: Log) -> io::Result<()> {
        let stream = dialer.connect(None).await?;
        sleep(seconds(5)).await;
        stream.set_zero_linger();
        drop(stream);
        log.say("client: reset");
        sleep(seconds(1)).await;
        Ok(())
    }
    let reset = 5000 + 2 * LATENCY;
    let expected = found(&[
        (reset, "client: reset"),
        (reset + LATENCY, "server: ConnectionReset"),
    ]);
    assert_eq!(between(&plain(), server, client), expected);
}

#[test]
fn a_slow_reader_stops_the_writer() {
    const SIZE: usize = 1 << 20;
    async fn server(mut listener: Listener, log: Log) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        let mut written = 0;
        while written < SIZE {
            match timeout(seconds(10), stream.write(&vec![7; SIZE - written])).await {
                Ok(count) => written += count?,
                Err(_) => log.say(format!("server: stuck after {written}")),
            }
        }
        log.say("server: written");
        drop(stream);
        pending().await
    }
    async fn client(dialer: Dialer, log: Log) -> io::Result<()> {
        let mut stream = dialer.connect(None).await?;
        sleep(seconds(15)).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        log.say(format!("client: {}", bytes.len()));
        Ok(())
    }
    let found = between(&plain(), server, client);
    let words: Vec<&str> = found.iter().map(|(_, what)| what.as_str()).collect();
    let stuck = format!("server: stuck after {}", 2 * BUFFER);
    assert_eq!(
        words,
        [stuck.as_str(), "server: written", "client: 1048576"]
    );
    // The receive buffer is known to be empty at 15.04 s, and each of them carries 64 KiB a round trip.
    let (last, _) = found[2];
    let round_trips = ((SIZE - 2 * BUFFER) / BUFFER) as u64;
    assert!(last > 15_000 + round_trips * 2 * LATENCY, "{last}");
    assert!(last < 15_000 + (round_trips + 4) * 2 * LATENCY, "{last}");
}

/// The server answers, and closes with a byte unread: the answer arrives, then the reset.
fn answer_and_reset(rst: Rst) -> Found {
    async fn server(mut listener: Listener, _: Log) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"answer").await?;
        drop(stream);
        pending().await
    }
    async fn client(dialer: Dialer, log: Log) -> io::Result<()> {
        let mut stream = dialer.connect(None).await?;
        stream.write_all(b"request").await?;
        sleep(seconds(1)).await;
        for _ in 0..3 {
            log.say(format!("reads {}", read(&mut stream).await));
        }
        let error = stream.write_all(b"more").await.unwrap_err();
        log.say(format!("writes {:?}", error.kind()));
        Ok(())
    }
    let mut scenario = plain();
    scenario.network.rst = rst;
    between(&scenario, server, client)
}

#[test]
fn a_close_with_unread_data_is_a_reset_behind_the_answer() {
    let at = 1000 + 2 * LATENCY;
    let kept = [
        (at, "reads answer"),
        (at, "reads ConnectionReset"),
        (at, "reads "),
        (at, "writes BrokenPipe"),
    ];
    assert_eq!(answer_and_reset(Rst::Keep), found(&kept));
    let erased = [
        (at, "reads ConnectionReset"),
        (at, "reads "),
        (at, "reads "),
        (at, "writes BrokenPipe"),
    ];
    assert_eq!(answer_and_reset(Rst::Erase), found(&erased));
}

#[test]
fn data_for_a_closed_socket_is_answered_with_a_reset() {
    async fn server(mut listener: Listener, _: Log) -> io::Result<()> {
        drop(listener.accept().await?);
        pending().await
    }
    async fn client(dialer: Dialer, log: Log) -> io::Result<()> {
        let mut stream = dialer.connect(None).await?;
        log.say(format!("reads {}", read(&mut stream).await));
        stream.write_all(b"too late").await?;
        sleep(Duration::from_millis(2 * LATENCY + 1)).await;
        let error = stream.write_all(b"more").await.unwrap_err();
        log.say(format!("writes {:?}", error.kind()));
        Ok(())
    }
    let expected = found(&[
        (4 * LATENCY, "reads "),
        (6 * LATENCY + 1, "writes BrokenPipe"),
    ]);
    assert_eq!(between(&plain(), server, client), expected);
}

#[test]
fn who_is_not_accepted_is_reset_and_who_comes_later_is_refused() {
    async fn server(listener: Listener, log: Log) -> io::Result<()> {
        sleep(seconds(1)).await;
        drop(listener);
        log.say("server: closed");
        pending().await
    }
    async fn client(dialer: Dialer, log: Log) -> io::Result<()> {
        let mut stream = dialer.connect(None).await?;
        log.say("client: connected");
        log.say(format!("client: reads {}", read(&mut stream).await));
        let error = dialer.connect(None).await.unwrap_err();
        log.say(format!("client: {:?}", error.kind()));
        Ok(())
    }
    let expected = found(&[
        (2 * LATENCY, "client: connected"),
        (1000, "server: closed"),
        (1000 + LATENCY, "client: reads ConnectionReset"),
        (1000 + 3 * LATENCY, "client: ConnectionRefused"),
    ]);
    assert_eq!(between(&plain(), server, client), expected);
}

#[test]
fn who_has_vanished_is_silent() {
    async fn server(mut listener: Listener, log: Log) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"never read").await?;
        let writing = timeout(seconds(60), stream.write_all(&vec![7; 1 << 20])).await;
        log.say(format!(
            "server: {}",
            if writing.is_err() { "stuck" } else { "written" }
        ));
        log.say(format!(
            "server: reads {:?}",
            timeout(seconds(1), read(&mut stream)).await.ok()
        ));
        Ok(())
    }
    async fn client(dialer: Dialer, _: Log) -> io::Result<()> {
        let stream = dialer.connect(None).await?;
        // What has arrived and is not read would make a close a reset.
        sleep(seconds(1)).await;
        stream.vanish();
        sleep(seconds(100)).await;
        Ok(())
    }
    let accepted = 3 * LATENCY;
    let expected = found(&[
        (accepted + 60_000, "server: stuck"),
        (accepted + 61_000, "server: reads None"),
    ]);
    assert_eq!(between(&plain(), server, client), expected);
}

#[test]
fn the_length_of_a_tick_does_not_show() {
    async fn server(mut listener: Listener, log: Log) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        for _ in 0..3 {
            log.say(read(&mut stream).await);
        }
        pending().await
    }
    async fn client(dialer: Dialer, _: Log) -> io::Result<()> {
        // In the middle of a tick of 100 ms.
        sleep(Duration::from_millis(33)).await;
        let mut stream = dialer.connect(None).await?;
        for text in ["one", "two", "three"] {
            stream.write_all(text.as_bytes()).await?;
            sleep(Duration::from_millis(7)).await;
        }
        sleep(seconds(1)).await;
        Ok(())
    }
    let mut scenario = plain();
    scenario.network.latency = Duration::from_millis(100);
    let expected = found(&[(333, "one"), (340, "two"), (347, "three")]);
    assert_eq!(between(&scenario, server, client), expected);
}

#[test]
fn connections_are_numbered_in_the_order_of_their_connect_calls() {
    async fn server(mut listener: Listener, log: Log) -> io::Result<()> {
        let mut open = Vec::new();
        loop {
            let (stream, _) = listener.accept().await?;
            log.say(stream.connection().to_string());
            open.push(stream);
        }
    }
    async fn client(dialer: Dialer, _: Log) -> io::Result<()> {
        let cancelled = timeout(Duration::from_millis(1), dialer.connect(None)).await;
        assert!(cancelled.is_err(), "nothing comes back in a millisecond");
        let _open = (dialer.connect(None).await?, dialer.connect(None).await?);
        sleep(seconds(1)).await;
        Ok(())
    }
    let found = between(&plain(), server, client);
    let numbers: Vec<&str> = found.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(numbers, ["2", "3"]);
}
