//! Sockets that outlive their application: told of, and gone when all is acknowledged, reset, or given up.

use crate::scene::{SERVER, Scene, ms, plain, settle};
use hangup_network::{BlackHole, Link, State, TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A client that does not read, and a server that has closed behind 131,072 bytes.
async fn orphan(scene: &Scene) -> (TcpListener, TcpStream) {
    let (listener, client, server) = scene.pair().await;
    server.try_write(&[7; 65_536]).unwrap();
    settle().await;
    server.try_write(&[7; 65_536]).unwrap();
    settle().await;
    scene.events();
    drop(server);
    assert_eq!(
        scene.events(),
        [
            "2060 #1 Closed { by: Server, reset: false }",
            "2060 #1 Orphaned { side: Server, bytes: 65536 }"
        ]
    );
    (listener, client)
}

fn ends(scene: &Scene) -> Vec<String> {
    let events = scene.events().into_iter();
    events
        .filter(|event| event.contains("Orphan") || event.contains("TimedOut"))
        .collect()
}

#[test]
fn an_orphan_delivers_what_it_holds_to_a_client_that_reads() {
    plain(async |scene: Scene| {
        let (_listener, mut client) = orphan(&scene).await;
        ms(100_000).await;
        let [_, server] = scene.world.sockets()[..] else {
            panic!("two sockets")
        };
        assert_eq!(
            (server.state, server.held, server.unsent),
            (State::FinWait1, false, 65_536)
        );
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes.len(), 131_072);
        settle().await;
        assert_eq!(ends(&scene), ["102120 #1 OrphanGone { side: Server }"]);
    });
}

#[test]
fn an_orphan_whose_client_never_reads_is_given_up_after_324_seconds() {
    plain(async |scene: Scene| {
        let (_listener, _client) = orphan(&scene).await;
        ms(400_000).await;
        // The window was found shut at 1060 ms.
        assert_eq!(
            ends(&scene),
            [
                "325660 #1 TimedOut { side: Server }",
                "325660 #1 OrphanGone { side: Server }"
            ]
        );
    });
}

#[test]
fn a_socket_closed_behind_a_window_that_was_shut_for_long_is_given_up_at_the_next_probe() {
    plain(async |scene: Scene| {
        let (_listener, _client, server) = scene.pair().await;
        server.try_write(&[7; 65_536]).unwrap();
        settle().await;
        server.try_write(&[7; 65_536]).unwrap();
        ms(399_000).await;
        drop(server);
        ms(100_000).await;
        // Probes are two minutes apart by then: 324.6 s and 444.6 s after the first.
        assert_eq!(
            ends(&scene).last().unwrap(),
            "445660 #1 OrphanGone { side: Server }"
        );
    });
}

#[test]
fn an_orphan_whose_client_resets_is_gone_with_it() {
    plain(async |scene: Scene| {
        let (_listener, client) = orphan(&scene).await;
        client.set_zero_linger().unwrap();
        drop(client);
        settle().await;
        assert_eq!(ends(&scene), ["2080 #1 OrphanGone { side: Server }"]);
        assert_eq!(scene.world.sockets(), []);
    });
}

#[test]
fn a_zero_linger_leaves_no_orphan() {
    plain(async |scene: Scene| {
        let (_listener, _client, server) = scene.pair().await;
        server.try_write(&[7; 65_536]).unwrap();
        settle().await;
        server.try_write(&[7; 65_536]).unwrap();
        server.set_zero_linger().unwrap();
        drop(server);
        assert_eq!(ends(&scene), [""; 0]);
    });
}

#[test]
fn a_zero_linger_leaves_nothing_behind_both_ends_of_the_stream() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        scene.world.vanish(client.connection());
        server.write_all(b"hello").await.unwrap();
        server.shutdown().await.unwrap();
        ms(20_000).await;
        // All was sent, and nothing acknowledged (LAST_ACK): no reset is sent, and no socket stays.
        server.set_zero_linger().unwrap();
        drop(server);
        let events = scene.events();
        assert!(
            events
                .last()
                .unwrap()
                .ends_with("OrphanGone { side: Server }"),
            "{events:?}"
        );
        drop(client);
        assert_eq!(scene.world.sockets(), []);
    });
}

#[test]
fn what_is_merely_under_way_makes_no_orphan_until_it_may_be_lost() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        server.write_all(b"hello").await.unwrap();
        let hole = Link {
            black_hole: BlackHole::ToClient,
            ..scene.world.default_link()
        };
        drop(server);
        assert_eq!(ends(&scene), [""; 0]);
        scene.world.set_link(client.connection(), hole);
        ms(200_000).await;
        // What was under way then arrives, and its acknowledgement.
        assert_eq!(
            ends(&scene),
            [
                "60 #1 Orphaned { side: Server, bytes: 5 }",
                "100 #1 OrphanGone { side: Server }"
            ]
        );
    });
}

#[test]
fn an_orphan_whose_client_vanished_is_given_up_after_102_seconds() {
    plain(async |scene: Scene| {
        let client = {
            let (listener, client, mut server) = scene.pair().await;
            scene.world.vanish(client.connection());
            server.write_all(b"hello").await.unwrap();
            drop((server, listener));
            client
        };
        ms(200_000).await;
        assert_eq!(
            ends(&scene),
            [
                "60 #1 Orphaned { side: Server, bytes: 5 }",
                "102260 #1 TimedOut { side: Server }",
                "102260 #1 OrphanGone { side: Server }"
            ]
        );
        drop(client);
        assert!(TcpStream::connect(SERVER).await.is_err());
    });
}
