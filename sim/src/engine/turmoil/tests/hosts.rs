//! What happens to whole hosts: held, cut off, crashed, bounced.

use super::{BUFFER, Found, LATENCY, Log, found, plain, read, run, seconds};
use crate::engine::turmoil::{Dialer, Listener, dialer};
use std::future::pending;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};
use turmoil::Sim;

/// Says what it reads for a minute, with each connection in its turn.
async fn reader(mut listener: Listener, log: Log) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        log.say("server: accepts");
        while let Ok(text) = timeout(seconds(60), read(&mut stream)).await {
            log.say(format!("server: reads {text}"));
            if text.is_empty() || text == "ConnectionReset" {
                break;
            }
        }
    }
}

/// Says something after one second and something else after three.
async fn speaker(dialer: Dialer, log: Log) -> io::Result<()> {
    let mut stream = dialer.connect(None).await?;
    sleep(Duration::from_millis(1000 - 2 * LATENCY)).await;
    stream.write_all(b"one").await?;
    sleep(seconds(2)).await;
    stream.write_all(b"two").await?;
    sleep(seconds(80)).await;
    log.say("client: leaves");
    Ok(())
}

/// Runs both, and does `what` to their hosts when two seconds and when ten are over.
fn with_hosts(what: [fn(&mut Sim<'_>); 2]) -> Found {
    let mut due = [(seconds(2), what[0]), (seconds(10), what[1])]
        .into_iter()
        .peekable();
    run(&plain(), reader, speaker, |sim| {
        while let Some((_, what)) = due.next_if(|(at, _)| *at <= sim.elapsed()) {
            what(sim);
        }
    })
}

#[test]
fn what_is_held_arrives_when_it_is_released() {
    let seen = with_hosts([
        |sim| sim.hold("client", dialer::SERVER),
        |sim| sim.release("client", dialer::SERVER),
    ]);
    assert_eq!(
        seen[..2],
        found(&[
            (3 * LATENCY, "server: accepts"),
            (1000 + LATENCY, "server: reads one")
        ])
    );
    let (at, what) = &seen[2];
    assert_eq!(what, "server: reads two");
    // A tick, which is as long as the latency, may pass until turmoil hands it over.
    assert!((10_000..=10_000 + 2 * LATENCY).contains(at), "{seen:?}");
}

#[test]
fn who_is_cut_off_hears_nothing_also_not_when_the_partition_is_mended() {
    let seen = with_hosts([
        |sim| sim.partition("client", dialer::SERVER),
        |sim| sim.repair("client", dialer::SERVER),
    ]);
    let heard = found(&[
        (3 * LATENCY, "server: accepts"),
        (1000 + LATENCY, "server: reads one"),
    ]);
    assert_eq!(seen[..2], heard);
    // turmoil sends nothing again.
    assert!(
        !seen.iter().any(|(_, what)| what.contains("two")),
        "{seen:?}"
    );
}

#[test]
fn the_connections_of_a_host_that_is_bounced_are_closed_and_its_next_process_serves() {
    async fn client(dialer: Dialer, log: Log) -> io::Result<()> {
        let mut stream = dialer.connect(None).await?;
        stream.write_all(b"one").await?;
        log.say(format!("client: reads {}", read(&mut stream).await));
        let mut again = dialer.connect(None).await?;
        again.write_all(b"two").await?;
        sleep(seconds(1)).await;
        Ok(())
    }
    let mut bounced = false;
    let seen = run(&plain(), reader, client, |sim| {
        if !bounced && sim.elapsed() >= seconds(2) {
            bounced = true;
            sim.crash(dialer::SERVER);
            sim.bounce(dialer::SERVER);
        }
    });
    let words: Vec<&str> = seen.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(
        words,
        [
            "server: accepts",
            "server: reads one",
            "client: reads ",
            "server: accepts",
            "server: reads two",
        ],
        "{seen:?}"
    );
    assert!(
        seen[2].0 >= 2000 && seen[2].0 <= 2000 + 3 * LATENCY,
        "{seen:?}"
    );
}

#[test]
fn a_held_writer_waits_for_room_and_goes_on() {
    async fn server(mut listener: Listener, log: Log) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        sleep(seconds(3)).await;
        stream.write_all(&vec![7; 3 * BUFFER]).await?;
        log.say("server: written");
        pending().await
    }
    async fn client(dialer: Dialer, log: Log) -> io::Result<()> {
        let mut stream = dialer.connect(None).await?;
        let mut left = 3 * BUFFER;
        let mut buffer = vec![0; BUFFER];
        while left > 0 {
            left -= tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await?;
        }
        log.say("client: has all");
        Ok(())
    }
    let mut due = [true, true];
    let seen = run(&plain(), server, client, |sim| {
        if std::mem::take(&mut due[0]) {
            // Not before the handshake.
            due[0] = sim.elapsed() < seconds(2);
            if !due[0] {
                sim.hold("client", dialer::SERVER);
            }
        }
        if due[1] && sim.elapsed() >= seconds(30) {
            due[1] = false;
            sim.release("client", dialer::SERVER);
        }
    });
    assert!(
        seen.len() == 2 && seen.iter().all(|(at, _)| *at >= 30_000),
        "{seen:?}"
    );
}
