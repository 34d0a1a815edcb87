//! The process that serves: its listening socket is taken from it, its accept fails, it dies.

use crate::scene::{SERVER, Scene, ms, plain, scene, settle};
use hangup_network::{Config, TcpListener, TcpStream};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_process_that_dies_leaves_its_sockets_to_the_kernel() {
    plain(async |scene: Scene| {
        let (listener, mut clean, mut first) = scene.pair().await;
        let mut unread = TcpStream::connect(SERVER).await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        let mut waiting = TcpStream::connect(SERVER).await.unwrap();
        first.write_all(b"last words").await.unwrap();
        unread.write_all(b"unheard").await.unwrap();
        ms(25).await;
        scene.world.kill();

        // Everything read: a FIN behind what was written. Something unread, or never accepted: a reset.
        let mut text = String::new();
        clean.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last words");
        for stream in [&mut unread, &mut waiting] {
            let error = stream.read(&mut [0; 1]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        let error = TcpStream::connect(SERVER).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // What comes for a dead process is answered with a reset.
        clean.write_all(b"hello?").await.unwrap();
        settle().await;
        let broken = clean.write(b"!").await.unwrap_err().kind();
        assert_eq!(broken, ErrorKind::BrokenPipe);

        // No call on what the dead process has in hand returns, and dropping it changes nothing.
        scene.events();
        assert!(timeout(HOUR, first.read(&mut [0; 1])).await.is_err());
        assert!(timeout(HOUR, second.write_all(b"x")).await.is_err());
        assert!(timeout(HOUR, first.readable()).await.is_err());
        assert!(timeout(HOUR, listener.accept()).await.is_err());
        let again = TcpListener::bind(SERVER).await.unwrap();
        drop((listener, first, second));
        assert_eq!(scene.events(), [""; 0]);

        // The next process is alive.
        let mut client = TcpStream::connect(SERVER).await.unwrap();
        let (mut server, _) = again.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 1);
    });
}

#[test]
fn without_its_listening_socket_a_process_keeps_its_connections() {
    plain(async |scene: Scene| {
        let (listener, mut client, mut server) = scene.pair().await;
        let mut waiting = TcpStream::connect(SERVER).await.unwrap();
        scene.world.stop_listening();
        let error = waiting.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = TcpStream::connect(SERVER).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(timeout(HOUR, listener.accept()).await.is_err());
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 1);
    });
}

#[test]
fn an_accept_that_fails_leaves_the_connection_to_the_next() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        scene.world.fail_accept();
        assert!(
            timeout(HOUR, listener.accept()).await.is_err(),
            "nobody came"
        );
        let _client = TcpStream::connect(SERVER).await.unwrap();
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(24));
        listener.accept().await.unwrap();
    });
}

fn out_of_descriptors(accepted: std::io::Result<(TcpStream, std::net::SocketAddr)>) {
    assert_eq!(accepted.unwrap_err().raw_os_error(), Some(24));
}

#[test]
fn accepts_fail_as_long_as_they_are_told_to() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let _client = TcpStream::connect(SERVER).await.unwrap();
        ms(100).await;
        scene.world.fail_accepts_for(Duration::from_secs(10));
        out_of_descriptors(listener.accept().await);
        ms(9_999).await;
        out_of_descriptors(listener.accept().await);
        ms(1).await;
        listener.accept().await.unwrap();
    });
}

#[test]
fn accepts_fail_until_a_connection_is_closed_if_there_is_one() {
    plain(async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let _clients = (
            TcpStream::connect(SERVER).await.unwrap(),
            TcpStream::connect(SERVER).await.unwrap(),
        );
        ms(100).await;
        // It holds none whose close could end it.
        scene.world.fail_accepts_until_close();
        let (first, _) = listener.accept().await.unwrap();
        scene.world.fail_accepts_until_close();
        out_of_descriptors(listener.accept().await);
        out_of_descriptors(listener.accept().await);
        drop(first);
        listener.accept().await.unwrap();
    });
}

#[test]
fn a_process_holds_as_many_connections_as_it_has_descriptors() {
    let config = Config {
        descriptors: Some(2),
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(SERVER).await.unwrap());
        }
        let (first, _) = listener.accept().await.unwrap();
        let (second, _) = listener.accept().await.unwrap();
        out_of_descriptors(listener.accept().await);
        // Closed is closed, whatever the kernel still has to send.
        drop(first);
        listener.accept().await.unwrap();
        // A new process has all of them.
        scene.world.kill();
        let listener = TcpListener::bind(SERVER).await.unwrap();
        for _ in 0..2 {
            clients.push(TcpStream::connect(SERVER).await.unwrap());
            clients.push(TcpStream::connect(SERVER).await.unwrap());
        }
        let third = listener.accept().await.unwrap();
        let fourth = listener.accept().await.unwrap();
        // What is left of the old one is not the new one's.
        drop(second);
        out_of_descriptors(listener.accept().await);
        drop((third, fourth));
    });
}
