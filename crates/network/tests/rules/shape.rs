//! The methods of `tokio::net`.

use crate::scene::{SERVER, Scene, ms, plain};
use hangup_network::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};

fn is_send_sync_unpin<T: Send + Sync + Unpin + 'static>() {}

#[test]
fn streams_and_listeners_can_go_to_other_tasks() {
    is_send_sync_unpin::<TcpStream>();
    is_send_sync_unpin::<TcpListener>();
    is_send_sync_unpin::<OwnedReadHalf>();
    is_send_sync_unpin::<OwnedWriteHalf>();
}

#[test]
fn writes_can_be_vectored_and_reads_too() {
    plain(async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        assert!(client.is_write_vectored());
        let parts = [
            IoSlice::new(b"head"),
            IoSlice::new(b""),
            IoSlice::new(b"body"),
        ];
        assert_eq!(client.write_vectored(&parts).await.unwrap(), 8);
        ms(100).await;
        let (mut one, mut two, mut three) = ([0; 3], [0; 0], [0; 9]);
        let mut parts = [
            IoSliceMut::new(&mut one),
            IoSliceMut::new(&mut two),
            IoSliceMut::new(&mut three),
        ];
        assert_eq!(server.try_read_vectored(&mut parts).unwrap(), 8);
        assert_eq!((&one, &three[..5]), (b"hea", &b"dbody"[..]));
        client.write_all(b"more").await.unwrap();
        server.readable().await.unwrap();
        let mut buf = bytes::BytesMut::from("and ");
        assert_eq!(server.try_read_buf(&mut buf).unwrap(), 4);
        assert_eq!(buf, "and more");
    });
}

#[test]
fn readiness_says_what_a_try_would_do() {
    plain(async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        let both = Interest::READABLE | Interest::WRITABLE;
        let ready = server.ready(both).await.unwrap();
        assert!(ready.is_writable() && !ready.is_readable());
        assert_eq!(
            server.try_read(&mut [0; 1]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        client.write_all(b"x").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(scene.ms(), 80);
        client.shutdown().await.unwrap();
        ms(100).await;
        assert!(server.ready(both).await.unwrap().is_read_closed());
        assert_eq!(server.try_read(&mut [0; 9]).unwrap(), 1);
        assert_eq!(server.try_read(&mut [0; 9]).unwrap(), 0);
    });
}

#[test]
fn several_tasks_can_wait_for_one_stream() {
    plain(async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        let server = std::sync::Arc::new(server);
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move { server.peek(&mut [0; 10]).await.unwrap() })
            })
            .collect();
        ms(10).await;
        client.write_all(b"four").await.unwrap();
        for task in waiting {
            assert_eq!(task.await.unwrap(), 4);
        }
    });
}

#[test]
fn several_tasks_can_accept() {
    plain(async |_: Scene| {
        let listener = std::sync::Arc::new(TcpListener::bind(SERVER).await.unwrap());
        let accepting: Vec<_> = (0..3)
            .map(|_| {
                let listener = listener.clone();
                tokio::spawn(async move { listener.accept().await.unwrap().0.connection() })
            })
            .collect();
        let _clients = [
            TcpStream::connect(SERVER).await.unwrap(),
            TcpStream::connect(SERVER).await.unwrap(),
            TcpStream::connect(SERVER).await.unwrap(),
        ];
        let mut accepted = Vec::new();
        for task in accepting {
            accepted.push(task.await.unwrap().0);
        }
        accepted.sort();
        assert_eq!(accepted, [1, 2, 3]);
    });
}

#[test]
fn halves_that_borrow_work_at_the_same_time() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        let (mut read, mut write) = client.split();
        let echo = tokio::spawn(async move {
            let (mut read, mut write) = server.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap()
        });
        let sent = vec![3; 500_000];
        let mut got = vec![0; 500_000];
        let (written, read) = tokio::join!(write.write_all(&sent), read.read_exact(&mut got));
        written.unwrap();
        read.unwrap();
        assert_eq!(got, sent);
        drop(client);
        assert_eq!(echo.await.unwrap(), 500_000);
    });
}

#[test]
fn dropping_the_owned_write_half_shuts_down_and_forgetting_it_does_not() {
    plain(async |scene: Scene| {
        let (listener, client, mut server) = scene.pair().await;
        let (mut read, write) = client.into_split();
        drop(write);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        server.write_all(b"late").await.unwrap();
        let mut text = [0; 4];
        read.read_exact(&mut text).await.unwrap();

        let client = TcpStream::connect(SERVER).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let (read, write) = client.into_split();
        write.forget();
        let silence = tokio::time::timeout(Duration::from_secs(9), server.read(&mut text));
        assert!(silence.await.is_err());
        // The socket is closed with its last half.
        drop(read);
        assert_eq!(server.read(&mut text).await.unwrap(), 0);
    });
}

#[test]
fn only_halves_of_one_stream_can_be_reunited() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        let other = TcpStream::connect(SERVER).await.unwrap();
        let (read, write) = client.into_split();
        let (other_read, other_write) = other.into_split();
        let error = read.reunite(other_write).unwrap_err();
        assert!(error.to_string().contains("not from the same socket"));
        let (read, other_write) = (error.0, error.1);
        other_read.reunite(other_write).unwrap();
        let mut client = write.reunite(read).unwrap();
        client.write_all(b"whole again").await.unwrap();
        let mut text = [0; 11];
        server.read_exact(&mut text).await.unwrap();
    });
}

#[test]
fn options_are_remembered() {
    plain(async |scene: Scene| {
        let (_listener, client, _server) = scene.pair().await;
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        assert_eq!(client.linger().unwrap(), None);
        client.set_linger(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(3)));
    });
}

/// As with tokio's own sockets, a task that always finds something to do gives way to others in the end.
#[test]
fn operations_spend_the_tasks_cooperative_budget() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(&[0; 10_000]).await.unwrap();
        ms(100).await;
        let reader = tokio::spawn(async move {
            for _ in 0..10_000 {
                server.read_u8().await.unwrap();
            }
        });
        let mut turns = 0;
        while !reader.is_finished() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        assert!(turns > 10, "{turns}");
    });
}
