//! The process that serves: its listening socket is taken from it, its accept fails, it dies.

use crate::scene::{SERVER, Scene, ms, plain, settle};
use hangup_network::{TcpListener, TcpStream};
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
