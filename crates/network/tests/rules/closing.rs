//! How connections end.

use crate::scene::{Scene, ms, plain, scene, settle};
use hangup_network::{Config, ResetPolicy, State};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn the_end_of_the_stream_travels_behind_the_data() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        scene.events();
        client.write_all(&[7; 100]).await.unwrap();
        drop(client);
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes.len(), 100);
        assert_eq!(
            scene.events(),
            [
                "60 #1 Closed { by: Client, reset: false }",
                "80 #1 100 bytes arrive at Server",
                "80 #1 FinArrived { to: Server }"
            ]
        );
    });
}

#[test]
fn each_direction_can_be_shut_down_and_the_other_goes_on() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(kind(client.write(b"more").await), ErrorKind::BrokenPipe);
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");
        ms(100).await;
        let states: Vec<State> = scene
            .world
            .sockets()
            .iter()
            .map(|socket| socket.state)
            .collect();
        assert_eq!(states, [State::FinWait2, State::CloseWait]);

        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        server.shutdown().await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer");
        settle().await;
        let states: Vec<State> = scene
            .world
            .sockets()
            .iter()
            .map(|socket| socket.state)
            .collect();
        assert_eq!(states, [State::Closed, State::Closed], "held, but over");
        drop((client, server));
        assert!(scene.world.sockets().is_empty());
    });
}

#[test]
fn a_close_with_unread_data_sends_what_was_written_and_then_a_reset() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(b"a body that nobody reads").await.unwrap();
        ms(100).await;
        scene.events();
        server.write_all(b"413").await.unwrap();
        drop(server);
        ms(100).await;
        assert_eq!(
            scene.events(),
            [
                "160 #1 Closed { by: Server, reset: true }",
                "180 #1 3 bytes arrive at Client",
                "180 #1 ResetArrived { to: Client }"
            ]
        );
        // What had arrived can still be read; then the error comes, once.
        let mut text = [0; 10];
        assert_eq!(client.read(&mut text).await.unwrap(), 3);
        assert_eq!(
            kind(client.read(&mut text).await),
            ErrorKind::ConnectionReset
        );
        assert_eq!(client.read(&mut text).await.unwrap(), 0);
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
        client.shutdown().await.unwrap();
        assert_eq!(kind(client.peer_addr()), ErrorKind::NotConnected);
    });
}

#[test]
fn the_error_of_a_reset_goes_to_whoever_asks_first() {
    plain(async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        server.set_zero_linger().unwrap();
        drop(server);
        settle().await;
        assert_eq!(kind(client.write(b"x").await), ErrorKind::ConnectionReset);
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn a_reset_after_the_peers_fin_is_a_broken_pipe_for_writers_and_the_end_for_readers() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        server.shutdown().await.unwrap();
        ms(100).await;
        drop(server);
        // The server's application is gone: its host answers data with a reset.
        client.write_all(b"late").await.unwrap();
        ms(100).await;
        assert!(
            scene
                .events()
                .contains(&String::from("180 #1 4 bytes discarded at Server"))
        );
        assert_eq!(
            client.take_error().unwrap().map(|error| error.kind()),
            Some(ErrorKind::BrokenPipe)
        );
        assert!(client.take_error().unwrap().is_none());
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn data_after_a_clean_close_is_answered_with_a_reset() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        server.write_all(b"bye").await.unwrap();
        drop(server);
        ms(100).await;
        assert_eq!(client.write(b"one").await.unwrap(), 3);
        ms(100).await;
        assert_eq!(kind(client.write(b"two").await), ErrorKind::BrokenPipe);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "bye");
    });
}

/// Seen on Linux with 20 ms each way: the reset carries the sequence number of what the client had when it sent its data, so
/// the client takes it for an old one; only the answer to its next acknowledgement counts.
#[test]
fn a_reset_that_crosses_data_on_its_way_comes_a_round_trip_later() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        scene.events();
        client.write_all(b"12345").await.unwrap();
        ms(5).await;
        server.write_all(b"twelve bytes").await.unwrap();
        drop(server);
        ms(200).await;
        assert_eq!(
            scene.events(),
            [
                "65 #1 Closed { by: Server, reset: false }",
                "80 #1 5 bytes discarded at Server",
                "85 #1 12 bytes arrive at Client",
                "85 #1 FinArrived { to: Client }",
                "125 #1 ResetArrived { to: Client }"
            ]
        );
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "twelve bytes");
    });
}

#[test]
fn a_reset_wakes_a_blocked_reader_and_a_blocked_writer() {
    plain(async |scene: Scene| {
        let (_listener, client, server) = scene.pair().await;
        let (mut read, mut write) = client.into_split();
        let reader = tokio::spawn(async move { kind(read.read(&mut [0; 1]).await) });
        let writer = tokio::spawn(async move { kind(write.write_all(&[0; 1 << 20]).await) });
        ms(1000).await;
        assert!(!reader.is_finished() && !writer.is_finished());
        server.set_linger(Some(Duration::ZERO)).unwrap();
        drop(server);
        let errors = [reader.await.unwrap(), writer.await.unwrap()];
        // One of the two gets the error. The other is told of the end: an empty read is `Ok`, so it was the reader.
        assert_eq!(errors, [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe]);
        assert_eq!(scene.ms(), 1080);
    });
}

#[test]
fn a_reset_after_both_ends_have_passed_changes_nothing() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(b"unread").await.unwrap();
        client.shutdown().await.unwrap();
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        settle().await;
        scene.events();
        // Unread data, but the connection is over: no reset is sent.
        drop(server);
        settle().await;
        assert_eq!(
            scene.events(),
            ["1060 #1 Closed { by: Server, reset: false }"]
        );
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer");
    });
}

#[test]
fn a_reset_that_finds_both_ends_passed_is_ignored() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(b"unread").await.unwrap();
        client.shutdown().await.unwrap();
        settle().await;
        scene.events();
        server.shutdown().await.unwrap();
        // The server does not know yet that its end has arrived.
        drop(server);
        settle().await;
        assert_eq!(
            scene.events(),
            [
                "1060 #1 Shutdown { by: Server }",
                "1060 #1 Closed { by: Server, reset: true }",
                "1080 #1 FinArrived { to: Client }"
            ]
        );
        assert!(client.take_error().unwrap().is_none());
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn zero_linger_forgets_what_was_not_sent() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        // The window is 64 KiB; as much again waits in the send buffer.
        let sent = client.try_write(&[1; 1 << 20]).unwrap();
        assert_eq!(sent, 64 * 1024);
        ms(100).await;
        let waiting = client.try_write(&[1; 1 << 20]).unwrap();
        assert_eq!(waiting, 64 * 1024);
        client.set_zero_linger().unwrap();
        drop(client);
        settle().await;
        let mut bytes = vec![0; 1 << 20];
        let mut got = 0;
        let error = loop {
            match server.read(&mut bytes).await {
                Ok(n) => got += n,
                Err(error) => break error.kind(),
            }
        };
        assert_eq!((got, error), (64 * 1024, ErrorKind::ConnectionReset));
        drop(server);
        assert!(scene.world.sockets().is_empty());
    });
}

#[test]
fn zero_linger_resets_nothing_when_the_last_fin_is_on_its_way() {
    plain(async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        drop(server);
        ms(100).await;
        scene.events();
        client.shutdown().await.unwrap();
        client.set_zero_linger().unwrap();
        drop(client);
        settle().await;
        assert_eq!(
            scene.events(),
            [
                "160 #1 Shutdown { by: Client }",
                "160 #1 Closed { by: Client, reset: false }",
                "180 #1 FinArrived { to: Server }"
            ]
        );
        assert!(scene.world.sockets().is_empty());
    });
}

#[test]
fn a_plain_close_sends_what_waits_in_the_buffer() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        let mut written = client.try_write(&[1; 1 << 20]).unwrap();
        ms(100).await;
        written += client.try_write(&[1; 1 << 20]).unwrap();
        drop(client);
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).await.unwrap();
        assert_eq!((bytes.len(), written), (128 * 1024, 128 * 1024));
    });
}

#[test]
fn other_stacks_erase_what_was_not_read_when_a_reset_comes() {
    let config = Config {
        reset: ResetPolicy::Erase,
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(b"unread").await.unwrap();
        ms(100).await;
        server.write_all(b"413").await.unwrap();
        drop(server);
        ms(100).await;
        assert_eq!(
            kind(client.read(&mut [0; 10]).await),
            ErrorKind::ConnectionReset
        );
    });
}

/// `tcp_fin_timeout`.
#[test]
fn a_host_forgets_after_a_minute_that_only_the_peers_fin_was_missing() {
    plain(async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        drop(server);
        ms(65_000).await;
        scene.events();
        client.shutdown().await.unwrap();
        settle().await;
        assert_eq!(
            scene.events(),
            [
                "65060 #1 Shutdown { by: Client }",
                "65100 #1 ResetArrived { to: Client }"
            ]
        );
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(kind(client.write(b"1").await), ErrorKind::ConnectionReset);
        assert_eq!(kind(client.write(b"1").await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn simultaneous_closes_meet() {
    plain(async |scene: Scene| {
        let (_listener, client, server) = scene.pair().await;
        drop(client);
        drop(server);
        let states: Vec<State> = scene
            .world
            .sockets()
            .iter()
            .map(|socket| socket.state)
            .collect();
        assert_eq!(states, [State::FinWait1, State::FinWait1]);
        ms(25).await;
        let states: Vec<State> = scene
            .world
            .sockets()
            .iter()
            .map(|socket| socket.state)
            .collect();
        assert_eq!(states, [State::Closing, State::Closing]);
        ms(20).await;
        assert!(scene.world.sockets().is_empty());
    });
}
