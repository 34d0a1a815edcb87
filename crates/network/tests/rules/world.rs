//! The world itself: idle, observed, repeated, and gone.

use crate::scene::{SERVER, Scene, ms, plain, scene, settle};
use hangup_network::{BlackHole, Config, Link, TcpListener, TcpStream, World};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The proof that nothing is armed which could end a hang needs a network that does not wake by itself.
#[test]
fn an_idle_network_never_wakes() {
    let polls = Arc::new(AtomicU64::new(0));
    let count = polls.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_before_task_poll(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::enter(Config::default(), Box::new(()));
        tokio::spawn(world.run());
        let listener = TcpListener::bind_with_backlog(SERVER, 1).await.unwrap();
        let mut client = TcpStream::connect(SERVER).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"half a head").await.unwrap();
        // One that is never accepted, one whose window is shut, one that connects and gives up, one through a black hole that
        // is healed, one that vanished in silence, one that is half closed.
        let _queued = TcpStream::connect(SERVER).await.unwrap();
        server.try_write(&[0; 1 << 17]).unwrap();
        ms(200).await;
        server.try_write(&[0; 1 << 17]).unwrap();
        let _second = TcpStream::connect(SERVER).await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(SERVER))
                .await
                .is_err()
        );
        let (mut accepted, _) = listener.accept().await.unwrap();
        let id = accepted.connection();
        let hole = Link {
            black_hole: BlackHole::Both,
            ..world.default_link()
        };
        world.set_link(id, hole);
        accepted.write_all(b"lost").await.unwrap();
        ms(300).await;
        world.heal(id);
        ms(5000).await;
        let (accepted, _) = listener.accept().await.unwrap();
        world.vanish(accepted.connection());
        client.shutdown().await.unwrap();
        settle().await;

        let before = polls.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(365 * 24 * 3600)).await;
        assert_eq!(polls.load(Ordering::Relaxed) - before, 0, "polls in a year");
        // It is not dead, though.
        server.read_exact(&mut [0; 11]).await.unwrap();
        client.read_exact(&mut [0; 1 << 17]).await.unwrap();
        assert!(polls.load(Ordering::Relaxed) > before);
    });
}

/// What was to be sent again is off when the client gives up: nothing is left that could wake the network.
#[test]
fn a_network_that_has_given_up_never_wakes() {
    scene(Config::default(), async |scene: Scene| {
        let hole = Link {
            black_hole: BlackHole::Both,
            ..scene.world.default_link()
        };
        let connect = TcpStream::connect_from(None, SERVER, Some(hole));
        let patience = Duration::from_millis(500);
        assert!(tokio::time::timeout(patience, connect).await.is_err());
        ms(10).await;
        let metrics = tokio::runtime::Handle::current().metrics();
        let before = metrics.worker_poll_count(0);
        // The request would have been sent again after a second.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(metrics.worker_poll_count(0), before, "polls in a minute");
    });
}

#[test]
fn where_pauses_are_told_what_arrives_costs_no_poll() {
    let mut polls = Vec::new();
    scene(Config::default(), async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        settle().await;
        let metrics = tokio::runtime::Handle::current().metrics();
        let before = metrics.worker_poll_count(0);
        for _ in 0..10 {
            client.write_all(b"ping").await.unwrap();
            server.read_exact(&mut [0; 4]).await.unwrap();
            server.write_all(b"pong").await.unwrap();
            client.read_exact(&mut [0; 4]).await.unwrap();
        }
        settle().await;
        polls.push(metrics.worker_poll_count(0) - before);
    });
    assert!(polls[0] >= 20, "the network task delivers, {polls:?}");
    assert_eq!(polls[1], 0, "the network delivers at pauses, {polls:?}");
}

/// Each of its sockets spends of the task's cooperative budget, and has to give it back.
#[test]
fn a_task_with_many_idle_sockets_sleeps() {
    plain(async |_: Scene| {
        let _listener = TcpListener::bind(SERVER).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..300 {
            clients.push(TcpStream::connect(SERVER).await.unwrap());
        }
        let mut polls = 0;
        let idle = std::future::poll_fn(|cx| {
            polls += 1;
            for client in &mut clients {
                let mut buf = [0; 1];
                assert!(std::pin::pin!(client.read(&mut buf)).poll(cx).is_pending());
            }
            std::task::Poll::<()>::Pending
        });
        assert!(
            tokio::time::timeout(Duration::from_secs(3600), idle)
                .await
                .is_err()
        );
        assert!(polls <= 3, "{polls}");
    });
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| {
        let config = Config {
            jitter: Duration::from_millis(30),
            loss: 0.1,
            mtu: 100,
            seed,
            ..Config::default()
        };
        let mut events = Vec::new();
        scene(config, async |scene: Scene| {
            let listener = TcpListener::bind(SERVER).await.unwrap();
            let clients: Vec<_> = (0..5)
                .map(|n| {
                    tokio::spawn(async move {
                        let mut client = TcpStream::connect(SERVER).await.unwrap();
                        client.write_all(&vec![n; 2000]).await.unwrap();
                        let mut echo = vec![0; 2000];
                        client.read_exact(&mut echo).await.unwrap();
                    })
                })
                .collect();
            for _ in 0..5 {
                let (mut server, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = server.split();
                    // A client that is done resets what it did not read.
                    tokio::io::copy(&mut read, &mut write).await.ok();
                });
            }
            for client in clients {
                client.await.unwrap();
            }
            settle().await;
            events = scene.events();
        });
        events
    };
    let first = run(1);
    assert!(first.len() > 50);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
}

#[test]
fn without_its_world_a_socket_fails_and_its_drop_is_harmless() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let down = ErrorKind::NetworkDown;
        assert_eq!(TcpListener::bind(SERVER).await.unwrap_err().kind(), down);
        assert_eq!(TcpStream::connect(SERVER).await.unwrap_err().kind(), down);

        let world = World::enter(Config::default(), Box::new(()));
        tokio::spawn(world.run());
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let mut client = TcpStream::connect(SERVER).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let connect = tokio::spawn(TcpStream::connect(SERVER));
        let reader = tokio::spawn(async move {
            let mut server = server;
            server.read(&mut [0; 1]).await
        });
        tokio::task::yield_now().await;
        drop(world);
        // Who waits is told.
        assert_eq!(connect.await.unwrap().unwrap_err().kind(), down);
        assert_eq!(reader.await.unwrap().unwrap_err().kind(), down);

        assert_eq!(client.write(b"x").await.unwrap_err().kind(), down);
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_err().kind(), down);
        assert_eq!(client.shutdown().await.unwrap_err().kind(), down);
        assert_eq!(client.peer_addr().unwrap_err().kind(), down);
        assert_eq!(listener.accept().await.unwrap_err().kind(), down);
        assert_eq!(client.local_addr().unwrap().port(), 32768);

        // Those of one world mean nothing to the next, though the places in it are the same.
        let world = World::enter(Config::default(), Box::new(()));
        let _listener = TcpListener::bind(SERVER).await.unwrap();
        assert_eq!(client.write(b"x").await.unwrap_err().kind(), down);
        drop((client, listener));
        assert_eq!(
            TcpListener::bind(SERVER).await.unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        drop(world);
    });
}

#[test]
fn a_socket_on_another_thread_fails() {
    plain(async |scene: Scene| {
        let (listener, client, server) = scene.pair().await;
        let kinds = std::thread::spawn(move || {
            let kinds = [client.try_read(&mut [0; 1]), client.try_write(b"x")];
            drop((listener, server));
            kinds.map(|result| result.unwrap_err().kind())
        });
        assert_eq!(kinds.join().unwrap(), [ErrorKind::NetworkDown; 2]);
    });
}

#[test]
#[should_panic(expected = "already has a simulated network")]
fn a_thread_has_one_world_at_a_time() {
    let _first = World::enter(Config::default(), Box::new(()));
    let _second = World::enter(Config::default(), Box::new(()));
}

/// The world may outlive the runtime: what tasks hold is then dropped with the runtime, and an observer is told simulated
/// time.
#[test]
fn tasks_that_are_dropped_with_their_runtime_close_their_sockets() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let world = World::enter(Config::default(), Box::new(()));
    let client = runtime.block_on(async {
        tokio::spawn(world.run());
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let client = TcpStream::connect(SERVER).await.unwrap();
        tokio::spawn(async move {
            let (mut server, _) = listener.accept().await.unwrap();
            server.read(&mut [0; 1]).await
        });
        ms(100).await;
        client
    });
    assert_eq!(world.sockets().len(), 2);
    drop(runtime);
    assert!(
        world
            .sockets()
            .iter()
            .all(|socket| socket.held == (socket.side == client.side()))
    );
    drop(client);
    drop(world);
}

#[test]
fn connections_that_are_released_are_freed() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        for _ in 0..100 {
            let clients: Vec<_> = (0..20)
                .map(|_| tokio::spawn(TcpStream::connect(SERVER)))
                .collect();
            for client in clients {
                let mut client = client.await.unwrap().unwrap();
                let (server, _) = listener.accept().await.unwrap();
                client.write_all(b"x").await.unwrap();
                drop((server, client));
            }
        }
        settle().await;
        assert!(scene.world.sockets().is_empty());
    });
}
