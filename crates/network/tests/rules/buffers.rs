//! Buffers that grow by themselves, and reads of what has arrived.

use crate::scene::{Scene, ms, scene, settle};
use hangup_network::{Config, Link, TcpStream};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

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

/// Fills the queue again and again until the peer's host and the own take nothing more.
async fn saturate(stream: &TcpStream) -> usize {
    let mut count = 0;
    loop {
        match fill(stream) {
            0 => return count,
            more => count += more,
        }
        settle().await;
    }
}

#[test]
fn a_peer_that_never_reads_makes_a_queue_of_half_a_megabyte() {
    scene(Config::default(), async |scene: Scene| {
        let (_listener, _client, server) = scene.pair().await;
        // What Linux begins with on Ethernet.
        assert_eq!(fill(&server), 87_040);
        settle().await;
        // 44 segments were acknowledged, and the congestion window is 54.
        let all = 87_040 + saturate(&server).await;
        assert_eq!(all, 65_536 + 54 * 2 * 4352);
        assert_eq!(server.send_queue().unwrap(), all - 65_536);
    });
}

#[test]
fn a_fast_reader_makes_the_queues_grow_to_megabytes() {
    scene(Config::default(), async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        let writer = tokio::spawn(async move {
            server.write_all(&vec![7; 40_000_000]).await.unwrap();
            server
        });
        let mut left = 20_000_000;
        let mut bytes = vec![0; 1 << 20];
        while left > 0 {
            let most = left.min(bytes.len());
            left -= client.read(&mut bytes[..most]).await.unwrap();
        }
        settle().await;
        // Now it reads no more: what both hosts hold is Linux's most.
        let [one, other] = scene.world.sockets()[..] else {
            panic!("two sockets")
        };
        assert_eq!(one.unread, 3 << 20);
        // Less than a third of it may be free.
        let queued = other.unsent + other.unacknowledged;
        assert!((4 << 20) * 2 / 3 < queued && queued <= 4 << 20, "{queued}");
        drop(client);
        assert!(writer.await.is_err());
    });
}

#[test]
fn a_writer_is_woken_when_a_third_of_a_grown_queue_is_free() {
    scene(Config::default(), async |scene: Scene| {
        let (_listener, mut client, server) = scene.pair().await;
        saturate(&server).await;
        let queue = server.send_queue().unwrap();
        let mut read = 0;
        let mut bytes = [0; 4096];
        // What is read in a second is less than the first window holds.
        while timeout(SECOND, server.writable()).await.is_err() {
            read += client.read(&mut bytes).await.unwrap();
        }
        let free = queue - server.send_queue().unwrap();
        // The window grows by two segments at a time, and each read is two thirds of it.
        let third = queue.div_ceil(3);
        assert!((third..third + 8192).contains(&free), "{free} of {queue}");
        assert!(read >= free);
    });
}

#[test]
fn fixed_buffers_do_not_grow() {
    let config = Config {
        send_buffer: Some(10_000),
        receive_buffer: Some(20_000),
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, _client, server) = scene.pair().await;
        assert_eq!(saturate(&server).await, 30_000);
    });
}

#[test]
fn a_read_gets_all_that_has_arrived() {
    scene(Config::default(), async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(&[1; 30_000]).await.unwrap();
        client.write_all(&[2; 20_000]).await.unwrap();
        settle().await;
        let mut bytes = vec![0; 416 * 1024];
        assert_eq!(server.peek(&mut bytes).await.unwrap(), 50_000);
        assert_eq!(server.read(&mut bytes).await.unwrap(), 50_000);
        assert_eq!(bytes[29_999..30_001], [1, 2]);
    });
}

#[test]
fn what_arrives_later_is_read_later() {
    let config = Config {
        jitter: Duration::from_millis(30),
        ..Config::default()
    };
    scene(config, async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        client.write_all(&[0; 60_000]).await.unwrap();
        let mut bytes = vec![0; 100_000];
        let mut reads = Vec::new();
        while reads.iter().sum::<usize>() < 60_000 {
            reads.push(server.read(&mut bytes).await.unwrap());
        }
        assert!(reads.len() > 2, "{reads:?}");
        let whole = reads.iter().rev().skip(1).all(|read| read % 1500 == 0);
        assert!(whole, "a segment was cut: {reads:?}");
    });
}

#[test]
fn segments_smaller_than_any_path_carries_are_read_one_by_one() {
    scene(Config::default(), async |scene: Scene| {
        let (_listener, mut client, mut server) = scene.pair().await;
        for (mtu, seen) in [(1, 1), (536, 536), (537, 1000)] {
            let link = Link {
                mtu,
                ..scene.world.default_link()
            };
            scene.world.set_link(client.connection(), link);
            client.write_all(&[0; 1000]).await.unwrap();
            settle().await;
            let mut bytes = [0; 2000];
            assert_eq!(server.read(&mut bytes).await.unwrap(), seen);
            while timeout(SECOND, server.read(&mut bytes)).await.is_ok() {}
        }
    });
}

#[test]
fn growing_buffers_are_bounded_for_all_connections_together() {
    scene(Config::default(), async |scene: Scene| {
        let (listener, _client, first) = scene.pair().await;
        let mut kept = vec![(
            TcpStream::connect(crate::scene::SERVER).await.unwrap(),
            first,
        )];
        // Each may grow by 383 kB; 64 MiB are enough for 175 of them.
        for _ in 0..300 {
            let client = TcpStream::connect(crate::scene::SERVER).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            kept.push((client, server));
        }
        let mut sizes = Vec::new();
        for (_, server) in &kept {
            fill(server);
        }
        ms(1000).await;
        for (_, server) in &kept {
            saturate(server).await;
            sizes.push(server.send_queue().unwrap());
        }
        let grown = sizes.iter().filter(|size| **size > 87_040).count();
        assert_eq!(grown, (64 << 20) / (54 * 2 * 4352 - 87_040));
        assert_eq!(sizes.last(), Some(&87_040));
    });
}
