//! Socket options: the send queue's length and bounds, keep-alive probes, the user timeout.

use crate::scene::{Scene, ms, plain, scene, settle};
use hangup_network::{BlackHole, Config, Link, TcpStream};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

fn hole(scene: &Scene) -> Link {
    Link {
        black_hole: BlackHole::Both,
        ..scene.world.default_link()
    }
}

/// Writes until the socket takes no more; how much that was.
fn fill(stream: &TcpStream) -> usize {
    let mut count = 0;
    loop {
        match stream.try_write(&[7; 10_000]) {
            Ok(more) => count += more,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return count;
            }
        }
    }
}

#[test]
fn the_send_queue_holds_what_the_peer_has_not_acknowledged() {
    plain(async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        assert_eq!(server.send_queue().unwrap(), 0);
        server.try_write(&[0; 1000]).unwrap();
        ms(39).await;
        // It has arrived, but the acknowledgement has not.
        assert_eq!(server.send_queue().unwrap(), 1000);
        ms(2).await;
        assert_eq!(server.send_queue().unwrap(), 0);
        client.shutdown().await.unwrap();
        assert_eq!(client.send_queue().unwrap(), 1);
        settle().await;
        assert_eq!(client.send_queue().unwrap(), 0);
    });
}

#[test]
fn a_low_water_mark_bounds_what_is_unsent_and_wakes_when_half_of_it_is_sent() {
    let config = Config {
        receive_buffer: Some(100_000),
        send_buffer: Some(4_000_000),
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        server.set_notsent_lowat(50_000).unwrap();
        // 100,000 are sent. Of pieces of 10,000 five more are taken until the mark is reached.
        assert_eq!(fill(&server), 150_000);
        settle().await;
        assert_eq!(server.send_queue().unwrap(), 50_000);
        let writable = async |wanted: bool| {
            let woken = timeout(SECOND, server.writable()).await.is_ok();
            assert_eq!(woken, wanted);
        };
        let mut bytes = [0; 25_000];
        client.read_exact(&mut bytes).await.unwrap();
        // Half of the mark is still unsent.
        writable(false).await;
        client.read_exact(&mut bytes[..4000]).await.unwrap();
        writable(true).await;
        assert_eq!(server.try_write(&[7; 100_000]).unwrap(), 65_536);
        server.set_notsent_lowat(0).unwrap();
        assert!(fill(&server) > 3_000_000);
    });
}

#[test]
fn a_vanished_peer_is_found_by_keepalive_probes() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        server.set_keepalive(10 * SECOND, SECOND, 3).unwrap();
        settle().await;
        scene.world.vanish(client.connection());
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Connected at 60 ms, 10 s of silence, three probes, and a second after the last of them.
        assert_eq!(scene.ms(), 13_060);
        assert_eq!(
            scene.events().last().unwrap(),
            "13060 #1 TimedOut { side: Server }"
        );
    });
}

#[test]
fn probes_that_were_answered_move_the_time_at_which_a_vanished_peer_is_found() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        server.set_keepalive(10 * SECOND, SECOND, 3).unwrap();
        ms(24_940).await;
        scene.world.vanish(client.connection());
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Probes at 10.06 s and, a round trip later, at 20.10 s, were answered.
        assert_eq!(scene.ms(), 20_140 + 13_000);
    });
}

#[test]
fn no_probe_is_sent_while_something_waits_to_be_acknowledged() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        server.set_keepalive(10 * SECOND, SECOND, 3).unwrap();
        scene.world.vanish(client.connection());
        server.write_all(b"hello").await.unwrap();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!((error.kind(), scene.ms()), (ErrorKind::TimedOut, 924_660));
    });
}

#[test]
fn a_peer_that_comes_back_in_time_is_not_given_up() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        server.set_keepalive(10 * SECOND, SECOND, 3).unwrap();
        scene.world.set_link(client.connection(), hole(&scene));
        ms(12_500).await;
        scene.world.heal(client.connection());
        assert!(timeout(HOUR, server.read(&mut [0; 1])).await.is_err());
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 1);
    });
}

#[test]
fn a_peer_that_has_forgotten_the_connection_answers_a_probe_with_a_reset() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        server.set_keepalive(100 * SECOND, SECOND, 3).unwrap();
        drop(client);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        settle().await;
        // The client's host keeps the socket for a minute, then the first probe is refused.
        assert!(timeout(90 * SECOND, server.writable()).await.is_ok());
        ms(100_000).await;
        let error = server.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let reset = scene
            .events()
            .into_iter()
            .find(|event| event.contains("ResetArrived"));
        assert_eq!(reset.unwrap(), "100120 #1 ResetArrived { to: Server }");
    });
}

#[test]
fn keepalive_takes_what_linux_takes() {
    plain(async |scene: Scene| {
        let (_listener, _client, server) = scene.pair().await;
        let ok = |idle: Duration, interval: Duration, count: u32| {
            server.set_keepalive(idle, interval, count).is_ok()
        };
        assert!(ok(SECOND, SECOND, 1) && ok(32_767 * SECOND, 32_767 * SECOND, 127));
        assert!(!ok(Duration::ZERO, SECOND, 1) && !ok(SECOND / 2, SECOND, 1));
        assert!(!ok(SECOND, 32_768 * SECOND, 1) && !ok(SECOND, SECOND, 0));
        assert!(!ok(SECOND, SECOND, 128));
    });
}

#[test]
fn without_probes_again_nobody_is_given_up() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        server.set_keepalive(10 * SECOND, SECOND, 3).unwrap();
        scene.world.vanish(client.connection());
        ms(11_000).await;
        server.clear_keepalive().unwrap();
        assert!(timeout(HOUR, server.read(&mut [0; 1])).await.is_err());
    });
}

#[test]
fn the_user_timeout_ends_a_connection_whose_data_is_not_acknowledged() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        server.set_user_timeout(30 * SECOND).unwrap();
        scene.world.vanish(client.connection());
        server.write_all(b"hello").await.unwrap();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!((error.kind(), scene.ms()), (ErrorKind::TimedOut, 30_260));
    });
}

#[test]
fn the_user_timeout_ends_a_connection_behind_a_closed_window() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        server.set_user_timeout(30 * SECOND).unwrap();
        fill(&server);
        settle().await;
        fill(&server);
        settle().await;
        // What is read opens the window: the time begins anew.
        client.read_exact(&mut [0; 40_000]).await.unwrap();
        settle().await;
        let begun = scene.ms();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let waited = scene.ms() - begun;
        assert!((29_000..=30_200).contains(&waited), "{waited} ms");
        // No reset is sent: the client learns of it when it opens the window.
        let mut rest = Vec::new();
        let error = client.read_to_end(&mut rest).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(rest.len(), 65_536);
    });
}

#[test]
fn the_user_timeout_can_be_set_while_the_host_waits() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        scene.world.vanish(client.connection());
        server.write_all(b"hello").await.unwrap();
        ms(60_000).await;
        server.set_user_timeout(30 * SECOND).unwrap();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // The next retransmission would be 102.2 s after the first attempt.
        assert_eq!(scene.ms(), 102_260);
    });
}

#[test]
fn an_orphan_is_bound_by_the_user_timeout_too() {
    plain(async |scene: Scene| {
        let (_listener, _client, server) = scene.pair().await;
        server.set_user_timeout(5 * SECOND).unwrap();
        fill(&server);
        settle().await;
        fill(&server);
        drop(server);
        ms(10_000).await;
        let ended = scene
            .events()
            .into_iter()
            .find(|event| event.contains("TimedOut"));
        assert_eq!(ended.unwrap(), "6260 #1 TimedOut { side: Server }");
    });
}
