//! Hosts that vanish, links that swallow, and what becomes of those who wait.

use crate::scene::{SERVER, Scene, ms, plain, settle};
use hangup_network::{BlackHole, Link, Side, State, TcpListener, TcpStream};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);

fn hole(scene: &Scene, black_hole: BlackHole) -> Link {
    Link {
        black_hole,
        ..scene.world.default_link()
    }
}

#[test]
fn a_writer_to_a_vanished_client_fills_its_buffer_and_times_out_after_924_seconds() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        scene.world.vanish(client.connection());
        let begun = scene.ms();
        let error = server.write_all(&vec![0; 1 << 20]).await.unwrap_err();
        assert_eq!(
            (error.kind(), scene.ms() - begun),
            (ErrorKind::TimedOut, 924_600)
        );
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(
            server.write(b"x").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        let events = scene.events();
        assert_eq!(
            events.last().unwrap(),
            "924660 #1 TimedOut { side: Server }"
        );
    });
}

#[test]
fn a_reader_of_a_vanished_client_waits_for_ever() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        scene.world.vanish(client.connection());
        drop(client);
        assert!(timeout(24 * HOUR, server.read(&mut [0; 1])).await.is_err());
        let [socket] = scene.world.sockets()[..] else {
            panic!("one socket")
        };
        assert_eq!(
            (socket.side, socket.state),
            (Side::Server, State::Established)
        );
    });
}

#[test]
fn what_a_client_sent_before_it_vanished_arrives_and_nothing_after() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(b"before").await.unwrap();
        scene.world.vanish(client.connection());
        client.write_all(b"after").await.unwrap();
        client.shutdown().await.unwrap();
        drop(client);
        let mut buf = [0; 100];
        assert_eq!(server.read(&mut buf).await.unwrap(), 6);
        assert!(timeout(HOUR, server.read(&mut buf)).await.is_err());
    });
}

#[test]
fn a_window_that_a_vanished_client_left_shut_times_out_too() {
    plain(async |scene: Scene| {
        let (_listener, client, server) = scene.pair().await;
        server.try_write(&[0; 65_536]).unwrap();
        ms(100).await;
        server.try_write(&[0; 65_536]).unwrap();
        ms(5000).await;
        // The window is shut and all that was sent is acknowledged: for as long as the client lives, that is no fault.
        ms(10_000_000).await;
        scene.events();
        let begun = scene.ms();
        scene.world.vanish(client.connection());
        assert!(server.writable().await.is_ok());
        assert_eq!(scene.ms() - begun, 924_600);
        assert_eq!(
            server.try_write(b"x").unwrap_err().kind(),
            ErrorKind::TimedOut
        );
    });
}

#[test]
fn a_host_gives_up_a_closed_socket_sooner() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        scene.world.vanish(client.connection());
        server.write_all(b"answer").await.unwrap();
        drop(server);
        ms(102_000).await;
        let states: Vec<_> = scene
            .world
            .sockets()
            .iter()
            .map(|s| (s.side, s.state, s.held))
            .collect();
        assert_eq!(
            states,
            [
                (Side::Client, State::Established, true),
                (Side::Server, State::FinWait1, false)
            ]
        );
        ms(1000).await;
        assert_eq!(scene.world.sockets().len(), 1);
        drop(client);
        assert!(scene.world.sockets().is_empty());
    });
}

#[test]
fn a_host_gives_up_a_closed_socket_whose_peer_never_reads() {
    plain(async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        server.try_write(&[0; 65_536]).unwrap();
        ms(100).await;
        server.try_write(&[0; 65_536]).unwrap();
        drop(server);
        ms(324_000).await;
        assert_eq!(scene.world.sockets().len(), 2);
        ms(1000).await;
        assert_eq!(scene.world.sockets().len(), 1);
        // What the client then tells about its window is answered with a reset.
        let mut got = 0;
        let error = loop {
            match client.read(&mut [0; 4096]).await {
                Ok(n) => got += n,
                Err(error) => break error.kind(),
            }
        };
        assert_eq!((got, error), (65_536, ErrorKind::ConnectionReset));
    });
}

#[test]
fn a_black_hole_that_is_healed_delays_and_loses_nothing() {
    for black_hole in [BlackHole::ToServer, BlackHole::ToClient, BlackHole::Both] {
        plain(async |scene: Scene| {
            let (_listener, mut client, mut server) = scene.pair().await;
            let id = client.connection();
            scene.world.set_link(id, hole(&scene, black_hole));
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let begun = scene.ms();
            ms(3000).await;
            scene.world.heal(id);
            let mut text = String::new();
            server.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "question");
            // Sent again after 200, 600, 1400, 3000 (too early), 6200 ms.
            let expected = if black_hole == BlackHole::ToClient {
                3000
            } else {
                6220
            };
            assert_eq!(scene.ms() - begun, expected);
            server.write_all(b"answer").await.unwrap();
            drop(server);
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "answer");
            drop(client);
            ms(60_000).await;
            assert!(
                scene.world.sockets().is_empty(),
                "{black_hole:?} {:?}",
                scene.world.sockets()
            );
        });
    }
}

#[test]
fn a_black_hole_that_is_never_healed_times_out_whoever_waits_for_an_answer() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        scene
            .world
            .set_link(client.connection(), hole(&scene, BlackHole::ToClient));
        let begun = scene.ms();
        client.write_all(b"question").await.unwrap();
        let mut text = [0; 8];
        server.read_exact(&mut text).await.unwrap();
        // The question has arrived; the client never learns it.
        let error = client.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(
            (error.kind(), scene.ms() - begun),
            (ErrorKind::TimedOut, 924_600)
        );
    });
}

#[test]
fn a_lost_reset_is_noticed_only_by_who_sends() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        let id = client.connection();
        scene.world.set_link(id, hole(&scene, BlackHole::ToServer));
        client.set_zero_linger().unwrap();
        drop(client);
        ms(1000).await;
        scene.world.heal(id);
        assert!(timeout(HOUR, server.read(&mut [0; 1])).await.is_err());
        server.write_all(b"hello?").await.unwrap();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_connect_into_a_black_hole_times_out_after_131_seconds() {
    for black_hole in [BlackHole::ToServer, BlackHole::ToClient, BlackHole::Both] {
        plain(async |scene: Scene| {
            let _listener = TcpListener::bind(SERVER).await.unwrap();
            let link = hole(&scene, black_hole);
            let error = TcpStream::connect_from(None, SERVER, Some(link))
                .await
                .unwrap_err();
            assert_eq!((error.kind(), scene.ms()), (ErrorKind::TimedOut, 131_000));
            ms(200_000).await;
            assert!(scene.world.sockets().is_empty(), "{black_hole:?}");
        });
    }
}

#[test]
fn a_connect_is_answered_once_the_link_is_healed() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let link = hole(&scene, BlackHole::Both);
        let connect = tokio::spawn(TcpStream::connect_from(None, SERVER, Some(link)));
        ms(1500).await;
        let [socket] = scene.world.sockets()[..] else {
            panic!("one socket")
        };
        assert_eq!(socket.state, State::SynSent);
        scene.world.heal(socket.connection);
        let _client = connect.await.unwrap().unwrap();
        assert_eq!(scene.ms(), 2040);
        listener.accept().await.unwrap();
    });
}

#[test]
fn a_client_that_vanishes_in_the_handshake_is_forgotten() {
    plain(async |scene: Scene| {
        let _listener = TcpListener::bind(SERVER).await.unwrap();
        let connect = tokio::spawn(TcpStream::connect(SERVER));
        ms(30).await;
        let [client, server] = scene.world.sockets()[..] else {
            panic!("two sockets")
        };
        assert_eq!(
            (client.state, server.state),
            (State::SynSent, State::SynReceived)
        );
        scene.world.vanish(client.connection);
        ms(200_000).await;
        connect.abort();
        ms(10).await;
        assert!(
            scene.world.sockets().is_empty(),
            "{:?}",
            scene.world.sockets()
        );
    });
}

#[test]
fn a_link_can_be_slow_and_lossy_from_now_on() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        let id = client.connection();
        let slow = Link {
            latency: Duration::from_millis(300),
            ..scene.world.default_link()
        };
        scene.world.set_link(id, slow);
        assert_eq!(scene.world.link(id), Some(slow));
        let begun = scene.ms();
        client.write_all(b"a").await.unwrap();
        server.read_u8().await.unwrap();
        assert_eq!(scene.ms() - begun, 300);
        // A loss of one is a black hole.
        scene.world.set_link(id, Link { loss: 1.0, ..slow });
        client.write_all(b"b").await.unwrap();
        let error = client.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop((client, server));
        settle().await;
    });
}

#[test]
fn a_link_can_have_small_segments_and_jitter_from_now_on() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        let (id, usual) = (client.connection(), scene.world.default_link());
        let mut buffer = [0; 16];
        client.write_all(b"whole").await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
        // A byte of payload a segment: what one read sees, though all of them arrive at one time.
        scene.world.set_link(id, Link { mtu: 1, ..usual });
        client.write_all(b"bytes").await.unwrap();
        for byte in b"bytes" {
            assert_eq!(server.read(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], *byte);
        }
        // No segment of none: that would never arrive.
        scene.world.set_link(id, Link { mtu: 0, ..usual });
        assert_eq!(scene.world.link(id).map(|link| link.mtu), Some(1));
        // With jitter they arrive one by one, and none before its time.
        let jittery = Link {
            jitter: Duration::from_millis(500),
            mtu: 1,
            ..usual
        };
        scene.world.set_link(id, jittery);
        let begun = scene.ms();
        client.write_all(b"jitter").await.unwrap();
        let mut times = Vec::new();
        for byte in b"jitter" {
            assert_eq!(server.read_u8().await.unwrap(), *byte);
            times.push(scene.ms() - begun);
        }
        assert!(
            times.is_sorted() && times[0] >= 20 && times[5] <= 520,
            "{times:?}"
        );
        assert!(times[0] < times[5], "{times:?}");
        scene.world.heal(id);
        assert_eq!(scene.world.link(id), Some(usual));
        drop((client, server));
        settle().await;
    });
}

#[test]
fn faults_of_a_released_connection_do_nothing() {
    plain(async |scene: Scene| {
        let (_listener, client, server) = scene.pair().await;
        let id = client.connection();
        drop((client, server));
        settle().await;
        scene.world.vanish(id);
        scene.world.heal(id);
        assert_eq!(scene.world.link(id), None);
        assert!(
            !scene
                .events()
                .iter()
                .any(|event| event.contains("Vanished"))
        );
    });
}
