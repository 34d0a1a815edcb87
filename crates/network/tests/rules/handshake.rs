//! How connections begin.

use crate::scene::{SERVER, Scene, ms, plain, scene, settle};
use hangup_network::{Config, ConnectionId, Side, State, TcpListener, TcpStream, World};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn an_open_port_is_answered_in_three_segments() {
    plain(async |scene: Scene| {
        let (_listener, client, server) = scene.pair().await;
        assert_eq!(
            scene.events(),
            [
                "0 #1 Connecting",
                "40 #1 Connected",
                "60 #1 Opened",
                "60 #1 Accepted"
            ]
        );
        assert_eq!(
            (client.connection(), client.side()),
            (ConnectionId(1), Side::Client)
        );
        assert_eq!(
            (server.connection(), server.side()),
            (ConnectionId(1), Side::Server)
        );
        assert_eq!(client.peer_addr().unwrap(), SERVER);
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    });
}

#[test]
fn a_closed_port_is_refused_after_a_round_trip() {
    plain(async |scene: Scene| {
        let error = TcpStream::connect(SERVER).await.unwrap_err();
        assert_eq!(
            (error.kind(), scene.ms()),
            (ErrorKind::ConnectionRefused, 40)
        );
        assert_eq!(scene.events(), ["0 #1 Connecting", "40 #1 Refused"]);
        assert!(scene.world.sockets().is_empty());
    });
}

#[test]
fn connections_and_their_data_exist_before_accept() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let mut client = TcpStream::connect(SERVER).await.unwrap();
        client.write_all(b"early").await.unwrap();
        client.shutdown().await.unwrap();
        settle().await;
        let [_, queued] = scene.world.sockets()[..] else {
            panic!("two sockets")
        };
        assert_eq!(
            (queued.state, queued.unread, queued.held),
            (State::CloseWait, 5, false)
        );
        let (mut server, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "early");
    });
}

/// Linux's SYNs go out at 0, 1, 2, 3, 4, 5, 7, 11 s ... (`tcp_syn_linear_timeouts`), and its accept queue holds one more
/// than the backlog.
#[test]
fn a_full_backlog_ignores_the_syn_and_the_client_sends_it_again() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind_with_backlog(SERVER, 1).await.unwrap();
        let first = TcpStream::connect(SERVER).await.unwrap();
        let second = TcpStream::connect(SERVER).await.unwrap();
        settle().await;
        scene.events();
        let third = tokio::spawn(TcpStream::connect(SERVER));
        let begun = scene.ms();
        ms(5500).await;
        assert_eq!(scene.events().len(), 1, "it is still connecting");
        let accepted = listener.accept().await.unwrap();
        let third = third.await.unwrap().unwrap();
        assert_eq!(
            scene.ms() - begun,
            7040,
            "the SYN of the seventh second is answered"
        );
        drop((first, second, third, accepted));
    });
}

#[test]
fn clients_in_excess_of_the_backlog_are_all_served_in_the_end() {
    for stagger in [0, 50] {
        plain(async |scene: Scene| {
            let listener = TcpListener::bind_with_backlog(SERVER, 4).await.unwrap();
            let clients: Vec<_> = (0..20)
                .map(|n| {
                    tokio::spawn(async move {
                        ms(n * stagger).await;
                        let mut client = TcpStream::connect(SERVER).await.unwrap();
                        client.write_all(b"x").await.unwrap();
                        client
                    })
                })
                .collect();
            ms(600).await;
            let mut servers = Vec::new();
            for _ in 0..20 {
                let (mut server, _) = listener.accept().await.unwrap();
                assert_eq!(server.read_u8().await.unwrap(), b'x');
                servers.push(server);
            }
            for client in clients {
                client.await.unwrap();
            }
            assert!(scene.ms() <= 8_000, "{}", scene.ms());
        });
    }
}

/// A listener with room for one more connection, and two clients that both believe to be it.
async fn overbooked(scene: &Scene) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind_with_backlog(SERVER, 1).await.unwrap();
    // Nobody misses the first, which is in the queue for good.
    std::mem::forget(TcpStream::connect(SERVER).await.unwrap());
    ms(60).await;
    assert_eq!(scene.ms(), 100);
    let one = tokio::spawn(TcpStream::connect(SERVER));
    let two = tokio::spawn(TcpStream::connect(SERVER));
    let (one, two) = (one.await.unwrap().unwrap(), two.await.unwrap().unwrap());
    assert_eq!(scene.ms(), 140, "both are connected, as they see it");
    (listener, one, two)
}

/// Both SYNs came while there was room, so both were answered; who then finds the queue full believes to be connected.
/// Linux answers the SYN again after 1, 3, 7 ... s, which brings the client's acknowledgement again.
#[test]
fn a_client_may_believe_that_it_is_connected_while_the_queue_is_full() {
    plain(async |scene: Scene| {
        let (listener, _one, two) = overbooked(&scene).await;
        ms(60).await;
        let last = *scene.world.sockets().last().unwrap();
        assert_eq!(
            (last.connection, last.state),
            (two.connection(), State::SynReceived)
        );
        listener.accept().await.unwrap();
        listener.accept().await.unwrap();
        let (second, _) = listener.accept().await.unwrap();
        // The SYN was answered at 120 ms.
        assert_eq!((second.connection(), scene.ms()), (two.connection(), 1160));
    });
}

#[test]
fn what_such_a_client_writes_opens_the_connection_once_there_is_room() {
    plain(async |scene: Scene| {
        let (listener, _one, mut two) = overbooked(&scene).await;
        two.write_all(b"hello").await.unwrap();
        ms(100).await;
        listener.accept().await.unwrap();
        listener.accept().await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        // Written at 140 ms, sent again after 200 ms.
        assert_eq!(scene.ms(), 360);
        let mut text = [0; 5];
        second.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello");
    });
}

#[test]
fn a_handshake_that_never_finds_room_is_forgotten_after_63_seconds() {
    plain(async |scene: Scene| {
        let (listener, _one, mut two) = overbooked(&scene).await;
        ms(63_000).await;
        let last = *scene.world.sockets().last().unwrap();
        assert_eq!(
            (last.connection, last.side),
            (two.connection(), Side::Client)
        );
        listener.accept().await.unwrap();
        two.write_all(b"hello").await.unwrap();
        let error = two.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

/// More handshakes at a time than the backlog: their host remembers nothing of them, so that who finds the queue full is not
/// asked again, and has to say something.
#[test]
fn syn_cookies_open_a_connection_only_for_clients_that_speak() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind_with_backlog(SERVER, 0).await.unwrap();
        let clients: Vec<_> = (0..4)
            .map(|_| tokio::spawn(TcpStream::connect(SERVER)))
            .collect();
        let mut connected = Vec::new();
        for client in clients {
            connected.push(client.await.unwrap().unwrap());
        }
        assert_eq!(scene.ms(), 40);
        ms(60).await;
        assert_eq!(
            scene.world.sockets().len(),
            5,
            "the server's host knows of one"
        );
        listener.accept().await.unwrap();
        let silence = tokio::time::timeout(Duration::from_secs(60), listener.accept()).await;
        assert!(silence.is_err());
        connected[2].write_all(b"hello").await.unwrap();
        let (spoke, _) = listener.accept().await.unwrap();
        assert_eq!(spoke.connection(), connected[2].connection());
        ms(120_000).await;
        connected[3].write_all(b"too late").await.unwrap();
        let error = connected[3].read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_cancelled_connect_leaves_nothing_behind() {
    // At once, before the SYN arrives, before its answer does, and when the connection is open but connect has not been
    // polled.
    for cancelled_at in [0, 10, 30, 41] {
        plain(async |scene: Scene| {
            let listener = TcpListener::bind(SERVER).await.unwrap();
            let mut connect = Box::pin(TcpStream::connect_from(None, SERVER, None));
            let poll = poll_once(&mut connect).await;
            assert!(poll.is_pending());
            assert_eq!(connect.connection(), Some(ConnectionId(1)));
            ms(cancelled_at).await;
            drop(connect);
            settle().await;
            if cancelled_at < 40 {
                assert!(scene.world.sockets().is_empty());
                let accept = tokio::time::timeout(Duration::from_secs(1), listener.accept());
                assert!(accept.await.is_err(), "nothing to accept");
            } else {
                // The server saw a connection that is closed again.
                let (mut server, _) = listener.accept().await.unwrap();
                assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
                drop(server);
                settle().await;
                assert!(scene.world.sockets().is_empty());
            }
        });
    }
}

/// Polls a future once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx)))
        .await
}

#[test]
fn dropping_the_listener_resets_what_was_not_accepted() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let mut quiet = TcpStream::connect(SERVER).await.unwrap();
        let mut done = TcpStream::connect(SERVER).await.unwrap();
        done.write_all(b"request").await.unwrap();
        done.shutdown().await.unwrap();
        settle().await;
        drop(listener);
        for client in [&mut quiet, &mut done] {
            let error = client.read(&mut [0; 1]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        drop((quiet, done));
        settle().await;
        assert!(scene.world.sockets().is_empty());
    });
}

#[test]
fn a_listener_that_closes_during_the_handshake_resets_it() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let connect = tokio::spawn(TcpStream::connect(SERVER));
        ms(30).await;
        drop(listener);
        // Another one at the same place knows nothing of the handshake.
        let _again = TcpListener::bind(SERVER).await.unwrap();
        let mut client = connect.await.unwrap().unwrap();
        let error = client.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!((error.kind(), scene.ms()), (ErrorKind::ConnectionReset, 80));
    });
}

#[test]
fn a_port_can_be_bound_again_while_its_connections_live() {
    plain(async |scene: Scene| {
        let (listener, mut client, mut server) = scene.pair().await;
        let error = TcpListener::bind(SERVER).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        let again = TcpListener::bind(SERVER).await.unwrap();
        server.write_all(b"still here").await.unwrap();
        let mut text = [0; 10];
        client.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"still here");
        TcpStream::connect(SERVER).await.unwrap();
        again.accept().await.unwrap();
    });
}

#[test]
fn an_unspecified_address_hears_every_host_and_port_zero_finds_a_free_one() {
    plain(async |_: Scene| {
        let all = TcpListener::bind("0.0.0.0:80").await.unwrap();
        TcpStream::connect("10.1.2.3:80").await.unwrap();
        TcpStream::connect("127.0.0.1:80").await.unwrap();
        TcpStream::connect("0.0.0.0:80").await.unwrap();
        let kind = |result: std::io::Result<TcpListener>| result.unwrap_err().kind();
        assert_eq!(
            kind(TcpListener::bind("10.0.0.1:80").await),
            ErrorKind::AddrInUse
        );
        let (one, two) = (
            TcpListener::bind("[::1]:0").await.unwrap(),
            TcpListener::bind("[::1]:0").await.unwrap(),
        );
        let (one, two) = (one.local_addr().unwrap(), two.local_addr().unwrap());
        assert!(one.port() > 0 && two.port() > 0 && one != two);
        drop(all);
    });
}

#[test]
fn a_client_can_have_an_address() {
    plain(async |_: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let host = "10.7.7.7".parse().unwrap();
        let client = TcpStream::connect_from(Some(host), SERVER, None)
            .await
            .unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(peer.ip(), host);
    });
}

#[test]
fn latency_may_be_zero() {
    let config = Config {
        latency: Duration::ZERO,
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(b"ping").await.unwrap();
        let mut text = [0; 4];
        server.read_exact(&mut text).await.unwrap();
        drop(server);
        assert_eq!(client.read(&mut text).await.unwrap(), 0);
        assert_eq!(scene.ms(), 0);
    });
}

#[test]
fn ephemeral_ports_come_round() {
    let config = Config {
        latency: Duration::ZERO,
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let address: SocketAddr = SERVER;
        for n in 0..60_000u32 {
            // Every fourth is cancelled in the handshake.
            let mut connect = TcpStream::connect_from(None, address, None);
            if n % 4 == 0 {
                assert!(poll_once(&mut connect).await.is_pending());
                drop(connect);
                continue;
            }
            let client = connect.await.unwrap();
            let (server, peer) = listener.accept().await.unwrap();
            assert!((32768..=60999).contains(&peer.port()));
            assert_eq!(client.connection().0, n + 1);
            drop((client, server));
        }
        settle().await;
        assert_eq!(World::sockets(&scene.world), []);
    });
}
