//! Buffers, windows, and what a read can see.

use crate::scene::{Scene, ms, plain, scene};
use hangup_network::{Config, TcpListener, TcpStream};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn buffers_are_bytes_and_a_writer_waits_when_they_are_full() {
    plain(async |scene: Scene| {
        let (_listener, client, _server) = scene.pair().await;
        // Small writes, none of which is ever read.
        let mut written = 0;
        for _ in 0..100_000 {
            match client.try_write(b"0123456789") {
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => ms(100).await,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(written, 128 * 1024, "a send buffer and a receive buffer");
        let [client, server] = scene.world.sockets()[..] else {
            panic!("two sockets")
        };
        assert_eq!(
            (client.unsent, client.unacknowledged, server.unread),
            (65_536, 0, 65_536)
        );
    });
}

#[test]
fn space_is_given_back_also_if_it_is_read_in_small_pieces() {
    plain(async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        let writer = tokio::spawn(async move {
            client.write_all(&vec![9; 300_000]).await.unwrap();
        });
        let mut got = 0;
        let mut buf = [0; 100];
        while got < 300_000 {
            got += server.read(&mut buf).await.unwrap();
        }
        writer.await.unwrap();
        assert_eq!(got, 300_000);
    });
}

#[test]
fn space_comes_back_with_latency() {
    plain(async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        client.try_write(&[0; 65_536]).unwrap();
        ms(100).await;
        client.try_write(&[0; 65_536]).unwrap();
        ms(100).await;
        let before = scene.ms();
        // Everything that is there is read at once.
        let mut got = 0;
        while got < 65_536 {
            got += server.read(&mut [0; 4096]).await.unwrap();
        }
        assert_eq!(scene.ms(), before);
        // 20 ms for the window to reach the client, 20 ms for the data, 20 ms for its acknowledgement.
        client.writable().await.unwrap();
        assert_eq!(scene.ms() - before, 60);
    });
}

#[test]
fn a_writer_is_woken_when_a_third_of_its_buffer_is_free() {
    let config = Config {
        send_buffer: Some(9000),
        receive_buffer: Some(9000),
        mtu: 1000,
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, client, mut server) = scene.pair().await;
        assert_eq!(client.try_write(&[0; 20_000]).unwrap(), 9000);
        ms(100).await;
        assert_eq!(client.try_write(&[0; 20_000]).unwrap(), 9000);
        server.read_exact(&mut [0; 2000]).await.unwrap();
        ms(100).await;
        assert_eq!(
            client.try_write(b"x").unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "2000 are free"
        );
        server.read_exact(&mut [0; 2000]).await.unwrap();
        ms(100).await;
        assert_eq!(client.try_write(&[0; 20_000]).unwrap(), 4000);
    });
}

#[test]
fn the_smallest_buffers_still_carry_everything() {
    let config = Config {
        send_buffer: Some(1),
        receive_buffer: Some(1),
        mtu: 1,
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        let text = b"one byte at a time";
        let writer = tokio::spawn(async move {
            client.write_all(text).await.unwrap();
            client.shutdown().await.unwrap();
            client
        });
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, text);
        drop(writer.await.unwrap());
    });
}

#[test]
fn the_mtu_cuts_what_one_read_can_see() {
    let config = Config {
        mtu: 3,
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(b"GET / HTTP").await.unwrap();
        ms(100).await;
        let mut buf = [0; 100];
        assert_eq!(server.peek(&mut buf).await.unwrap(), 3);
        let mut reads = Vec::new();
        for _ in 0..4 {
            reads.push(server.read(&mut buf).await.unwrap());
        }
        assert_eq!(reads, [3, 3, 3, 1]);
        assert_eq!(
            server.try_read(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn a_lost_segment_arrives_a_retransmission_timeout_later_and_nothing_overtakes_it() {
    let config = Config {
        loss: 0.3,
        seed: 5,
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        let start = scene.ms();
        let mut arrivals = Vec::new();
        let reader = tokio::spawn(async move {
            let clock = tokio::time::Instant::now();
            for n in 0..200u8 {
                assert_eq!(server.read_u8().await.unwrap(), n);
                arrivals.push(clock.elapsed().as_millis() as u64);
            }
            arrivals
        });
        for n in 0..200u8 {
            client.write_all(&[n]).await.unwrap();
            ms(1000).await;
        }
        let arrivals = reader.await.unwrap();
        let late: Vec<u64> = (0..)
            .zip(&arrivals)
            .map(|(n, at)| at - n * 1000 - 20)
            .collect();
        // 200 ms, 600 with a second loss, 1400 with a third ...
        assert!(
            late.iter()
                .all(|late| [0, 200, 600, 1400, 3000].contains(late)
            // or held up behind one that was sent before
            || late % 1000 == 400 || late % 1000 == 0),
            "{late:?}"
        );
        let lost = late.iter().filter(|&&late| late > 0).count();
        assert!((40..80).contains(&lost), "{lost} of 200 at 30 %");
        assert!(scene.ms() > start);
    });
}

#[test]
fn jitter_delays_and_keeps_the_order() {
    let config = Config {
        jitter: Duration::from_millis(50),
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        let reader = tokio::spawn(async move {
            let clock = tokio::time::Instant::now();
            let mut delays = Vec::new();
            for n in 0..200u8 {
                assert_eq!(server.read_u8().await.unwrap(), n);
                delays.push(clock.elapsed().as_millis() as u64 - u64::from(n) * 10);
            }
            delays
        });
        for n in 0..200u8 {
            client.write_all(&[n]).await.unwrap();
            ms(10).await;
        }
        let delays = reader.await.unwrap();
        assert!(
            delays.iter().all(|delay| (20..=70).contains(delay)),
            "{delays:?}"
        );
        assert!(delays.iter().any(|&delay| delay > 60) && delays.iter().any(|&delay| delay < 40));
    });
}

/// What one connection draws must not depend on what another does, so that deleting a client from a scenario does
/// not change what happens to the others.
#[test]
fn chance_in_one_connection_does_not_depend_on_others() {
    let arrivals = |neighbour_writes: usize| {
        let config = Config {
            jitter: Duration::from_millis(30),
            loss: 0.2,
            mtu: 10,
            seed: 77,
            ..Config::default()
        };
        let mut result = Vec::new();
        scene(config, async |scene: Scene| {
            let listener = TcpListener::bind(crate::scene::SERVER).await.unwrap();
            let mut first = TcpStream::connect(crate::scene::SERVER).await.unwrap();
            let mut second = TcpStream::connect(crate::scene::SERVER).await.unwrap();
            let _servers = [
                listener.accept().await.unwrap(),
                listener.accept().await.unwrap(),
            ];
            ms(10_000).await;
            scene.events();
            first.write_all(&vec![0; neighbour_writes]).await.unwrap();
            for _ in 0..20 {
                second.write_all(&[0; 50]).await.unwrap();
                ms(200).await;
            }
            ms(10_000).await;
            result = scene
                .events()
                .into_iter()
                .filter(|event| event.contains("#2"))
                .collect();
        });
        result
    };
    let alone = arrivals(0);
    assert!(alone.len() > 10, "{alone:?}");
    assert_eq!(alone, arrivals(1000));
}
