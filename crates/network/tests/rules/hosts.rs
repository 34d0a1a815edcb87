//! Names and addresses, other hosts than the one that is tested, and sockets before they connect or listen.

use crate::scene::{SERVER, Scene, plain};
use hangup_network::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::time::timeout;

const DATABASE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

#[test]
fn a_name_is_what_the_world_was_told() {
    plain(async |scene: Scene| {
        let error = "db:5432".to_socket_addrs().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        scene.world.name("db", DATABASE);
        let database = SocketAddr::new(DATABASE, 5432);
        assert_eq!("db:5432".to_socket_addrs().unwrap(), [database]);
        assert_eq!(("db", 5432).to_socket_addrs().unwrap(), [database]);
        let error = "bd:5432".to_socket_addrs().unwrap_err();
        let says = "no host of the simulated network is called \"bd\" (there are: db)";
        assert_eq!(error.to_string(), says);

        let local = lookup_host("localhost:80").await.unwrap();
        let local: Vec<_> = local.collect();
        assert_eq!(local, [SocketAddr::from(([127, 0, 0, 1], 80))]);
        for address in ["10.0.0.1:80", "[::1]:80"] {
            let [found] = address.to_socket_addrs().unwrap()[..] else {
                panic!("{address} is one address");
            };
            assert_eq!(found.to_string(), address);
        }
        for address in ["db", "db:", "db:65536", ":80x", ""] {
            let error = address.to_socket_addrs().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
        }
    });
}

#[test]
fn another_host_lives_on_when_the_tested_process_dies() {
    plain(async |scene: Scene| {
        scene.world.name("db", DATABASE);
        let database = TcpListener::bind_beside("db:5432").await.unwrap();
        let _listener = TcpListener::bind(SERVER).await.unwrap();
        let mut client = TcpStream::connect("db:5432").await.unwrap();
        let (mut served, _) = database.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        scene.world.kill();

        assert_eq!(served.read(&mut [0; 8]).await.unwrap(), 1);
        let mut again = TcpStream::connect("db:5432").await.unwrap();
        let (mut served, _) = database.accept().await.unwrap();
        served.write_all(b"y").await.unwrap();
        assert_eq!(again.read(&mut [0; 8]).await.unwrap(), 1);
        // And it takes away no listener of the host that is tested.
        let error = TcpStream::connect(SERVER).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn the_front_is_the_first_listener_of_the_tested_process() {
    plain(async |scene: Scene| {
        scene.world.front(SERVER, None);
        let closed = timeout(Duration::from_secs(9), scene.world.front_open()).await;
        assert!(closed.is_err(), "nothing is bound yet");
        let _beside = TcpListener::bind_beside("10.0.1.1:5432").await.unwrap();
        let error = TcpStream::connect(SERVER).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

        let waits = scene.world.front_open();
        let (first, ()) = tokio::join!(TcpListener::bind("0.0.0.0:8080"), waits);
        let first = first.unwrap();
        let second = TcpListener::bind("127.0.0.1:9090").await.unwrap();
        let client = TcpStream::connect(SERVER).await.unwrap();
        first.accept().await.unwrap();
        assert_eq!(
            client.peer_addr().unwrap(),
            "10.0.0.1:8080".parse().unwrap()
        );

        scene.world.front(SERVER, Some(9090));
        let _client = TcpStream::connect(SERVER).await.unwrap();
        second.accept().await.unwrap();
        // Whoever knows an address comes there.
        let _client = TcpStream::connect("10.0.0.1:8080").await.unwrap();
        first.accept().await.unwrap();
    });
}

#[test]
fn a_socket_listens_and_connects_with_what_was_set() {
    plain(async |_: Scene| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        assert!(socket.reuseaddr().unwrap());
        assert_eq!(socket.send_buffer_size().unwrap(), 16 << 10);
        socket.set_send_buffer_size(4096).unwrap();
        assert_eq!(socket.send_buffer_size().unwrap(), 4096);
        socket.bind(SERVER).unwrap();
        assert_eq!(socket.local_addr().unwrap(), SERVER);
        let twice = socket.bind(SERVER).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::InvalidInput);
        let listener = socket.listen(16).unwrap();
        let taken = TcpSocket::new_v4().unwrap();
        taken.bind(SERVER).unwrap();
        let error = taken.listen(16).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);

        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.bind("192.0.2.7:0".parse().unwrap()).unwrap();
        let client = socket.connect(SERVER).await.unwrap();
        assert!(client.nodelay().unwrap());
        let (_server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip().to_string(), "192.0.2.7");
        let other = TcpSocket::new_v6()
            .unwrap()
            .connect(SERVER)
            .await
            .unwrap_err();
        assert_eq!(other.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn what_needs_a_kernel_says_so_and_what_does_not_works() {
    plain(async |scene: Scene| {
        let (listener, mut client, server) = scene.pair().await;
        let kernel = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = TcpListener::from_std(kernel).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(listener.ttl().unwrap(), 64);
        let error = server.set_ttl(0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        let read = || server.try_read(&mut [0; 8]);
        let early = server.try_io(Interest::READABLE, read).unwrap_err();
        assert_eq!(early.kind(), ErrorKind::WouldBlock);
        client.write_all(b"two").await.unwrap();
        assert_eq!(server.async_io(Interest::READABLE, read).await.unwrap(), 3);
        let late = server.try_io(Interest::READABLE, read).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::WouldBlock);
        assert!(server.into_std().unwrap_err().kind() == ErrorKind::Unsupported);
    });
}
