//! Servers that bind their listeners themselves, and servers that call others.

use crate::{DEADLINE, connection, serve};
use hangup::Bed;
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::net::{TcpListener, TcpSocket, TcpStream};
use hangup::run::Detail;
use hangup::server::Server;
use hangup_scenario::{Scenario, Verdict};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{interval, sleep, timeout};

/// As people write it: two listeners, the one for metrics first.
async fn run(deadline: Duration) -> io::Result<()> {
    let metrics = TcpListener::bind(("0.0.0.0", 9090)).await?;
    tokio::spawn(async move {
        loop {
            // It takes connections and says nothing.
            let (stream, _) = metrics.accept().await?;
            tokio::spawn(async move {
                sleep(Duration::from_secs(1)).await;
                drop(stream);
            });
        }
        #[expect(unreachable_code, reason = "it gives the block its type")]
        io::Result::Ok(())
    });
    // It needs a moment to start.
    sleep(Duration::from_secs(2)).await;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind("127.0.0.1:8080".parse().expect("an address"))?;
    serve(socket.listen(128)?, deadline).await;
    Ok(())
}

fn binding(deadline: Duration) -> Bed {
    Bed::binding("binding", move |_| run(deadline))
        .port(8080)
        .tolerate(Verdict::Protocol)
        .cases(300)
        .keep_nothing()
}

#[test]
fn a_server_that_binds_its_own_listener_is_tried_as_any_other() {
    let outcome = binding(DEADLINE).run();
    assert!(outcome.is_clean(), "{outcome}");
    assert!(outcome.incidents > 20, "{outcome}");

    let outcome = binding(Duration::MAX).run();
    let kinds: Vec<_> = outcome
        .convicted
        .iter()
        .map(|cell| cell.verdict())
        .collect();
    assert!(kinds.contains(&Verdict::Hung), "{outcome}");
    assert!(outcome.to_string().contains("half-head"), "{outcome}");
}

#[test]
#[should_panic(expected = "made with Bed::binding")]
fn a_port_is_for_a_server_that_binds() {
    drop(Bed::new("given", |listener, _| serve(listener, DEADLINE)).port(80));
}

#[test]
fn the_first_listener_is_the_one_that_clients_come_to() {
    let bed = Bed::binding("first", |_| async {
        let listener = TcpListener::bind("[::1]:0").await?;
        let other = TcpListener::bind("0.0.0.0:9090").await?;
        serve(listener, DEADLINE).await;
        drop(other);
        io::Result::Ok(())
    });
    let outcome = bed
        .tolerate(Verdict::Protocol)
        .cases(100)
        .keep_nothing()
        .run();
    assert!(outcome.is_clean(), "{outcome}");
}

/// One request of its own to the database for each connection.
async fn relays(listener: TcpListener, patience: Duration) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(timeout(DEADLINE.max(patience), async move {
            let asked = async {
                let mut database = TcpStream::connect("db:5432").await?;
                database.write_all(b"?").await?;
                database.read_u8().await
            };
            // Without the answer of the database there is none to the client.
            if let Ok(Ok(b'!')) = timeout(patience, asked).await {
                connection(stream).await?;
            }
            io::Result::Ok(())
        }));
    }
}

/// A stand-in for a database, which answers its first clients, so many.
async fn database(listener: TcpListener, answers: usize) -> io::Result<()> {
    for number in 0.. {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            stream.read_u8().await?;
            match number < answers {
                true => stream.write_all(b"!").await?,
                false => sleep(Duration::MAX).await,
            }
            io::Result::Ok(())
        });
    }
    Ok(())
}

fn relaying(patience: Duration, answers: usize) -> Bed {
    Bed::new("relays", move |listener, _| relays(listener, patience))
        .peer("db:5432", move |listener| database(listener, answers))
        .tolerate(Verdict::Protocol)
        .cases(300)
        .keep_nothing()
}

#[test]
fn a_handler_calls_a_peer_by_its_name() {
    let outcome = relaying(Duration::from_secs(5), usize::MAX).run();
    assert!(outcome.is_clean(), "{outcome}");
}

#[test]
fn a_peer_that_falls_silent_shows_who_waits_for_it_without_a_deadline() {
    let outcome = relaying(Duration::MAX, 1).run();
    let kinds: Vec<_> = outcome
        .convicted
        .iter()
        .map(|cell| cell.verdict())
        .collect();
    assert!(kinds.contains(&Verdict::Hung), "{outcome}");
}

#[test]
#[should_panic(expected = "it takes the form host:port")]
fn the_address_of_a_peer_is_a_host_and_a_port() {
    drop(Bed::new("given", |listener, _| serve(listener, DEADLINE)).peer("db", |_| async {}));
}

/// A cache in front of a disk: it keeps one connection to that for ever, and looks after it once a second.
async fn cache(listener: TcpListener, lost: Arc<AtomicUsize>) -> io::Result<()> {
    let mut disk = TcpStream::connect("disk:1").await?;
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (mut stream, _) = accepted?;
                disk.write_all(b"?").await?;
                let answer = disk.read_u8().await;
                lost.fetch_add(usize::from(answer.is_err()), Ordering::Relaxed);
                tokio::spawn(async move { stream.write_u8(answer?).await });
            }
            _ = ticks.tick() => {}
        }
    }
}

#[test]
fn a_peer_outlives_the_server_and_may_tick() {
    let lost = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&lost);
    let server: Arc<dyn Server> = Bed::new("relays", |listener, _| relays(listener, DEADLINE))
        .peer("disk:1", |listener: TcpListener| async move {
            let (mut stream, _) = listener.accept().await?;
            loop {
                stream.read_u8().await?;
                stream.write_u8(b'!').await?;
            }
            #[expect(unreachable_code, reason = "it gives the block its type")]
            io::Result::Ok(())
        })
        .peer("db:5432", move |listener| {
            cache(listener, Arc::clone(&counts))
        })
        .into();
    let text = r#"
        name = "restarted"
        [[client]]
        steps = [
            { do = "connect" }, { do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "close" },
            { do = "stall", for = "20h" }, { do = "reconnect" },
            { do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "close" },
        ]
        [[server_event]]
        at = "1h"
        do = "restart"
    "#;
    let scenario = Scenario::from_toml("restarted", text).expect("a scenario");
    let cell = Cell::of(Engine::Leap, &Arc::new(scenario), &*server, Detail::TOLD);
    assert_eq!(cell.findings, []);
    let answered = cell.run.connections.iter().filter(|one| one.of_scenario());
    let answered = answered.filter(|one| one.responses.list.iter().any(|it| it.status == 200));
    assert_eq!(answered.count(), 2);
    assert_eq!(lost.load(Ordering::Relaxed), 0);
    let says = cell.run.caveats.join("\n");
    assert!(says.contains("for ever, period 1 s"), "{says}");
}
