//! Much data in both directions at once, over networks of every kind, also with black holes that are healed: all bytes
//! arrive, in order, and nothing hangs.

use hangup_network::ToSocketAddrs;
use hangup_network::{BlackHole, Config, ConnectionId, Link, TcpListener, TcpStream, World};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// What one direction carries, and in which pieces.
#[derive(Clone, Debug)]
struct Flow {
    bytes: usize,
    writes: Vec<usize>,
    reads: Vec<usize>,
    /// Milliseconds before every write and every read, or none.
    write_pause: u64,
    read_pause: u64,
}

fn flow() -> impl Strategy<Value = Flow> {
    let pieces =
        || prop::collection::vec(prop_oneof![1..20usize, 1..2000usize, 1..70_000usize], 1..8);
    let pause = || prop_oneof![4 => Just(0u64), 1 => 1..30u64];
    (0..500_000usize, pieces(), pieces(), pause(), pause()).prop_map(
        |(bytes, writes, reads, write_pause, read_pause)| Flow {
            bytes,
            writes,
            reads,
            write_pause,
            read_pause,
        },
    )
}

/// Bytes that a buffer holds; none for one that grows.
fn buffer() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![
        Just(None),
        (1..100usize).prop_map(Some),
        (1000..100_000usize).prop_map(Some)
    ]
}

fn network() -> impl Strategy<Value = Config> {
    let ms = |range: std::ops::Range<u64>| range.prop_map(Duration::from_millis);
    (
        prop_oneof![Just(Duration::ZERO), ms(0..100)],
        prop_oneof![Just(Duration::ZERO), ms(0..50)],
        // The slowest reader takes two such segments, for which the window opens, in less than the 324 s after which a host gives
        // up an orphan.
        prop_oneof![1..5usize, 100..2000usize, Just(9000)],
        prop_oneof![Just(0.0), 0.0..0.3f64],
        buffer(),
        buffer(),
        any::<u64>(),
    )
        .prop_map(
            |(latency, jitter, mtu, loss, send_buffer, receive_buffer, seed)| Config {
                latency,
                jitter,
                mtu,
                loss,
                send_buffer,
                receive_buffer,
                seed,
                ..Config::default()
            },
        )
}

/// A time in which the link swallows everything in these directions, in milliseconds since the one before.
type Hole = (u64, BlackHole, u64);

fn holes() -> impl Strategy<Value = Vec<Hole>> {
    let directions = prop::sample::select(vec![
        BlackHole::ToServer,
        BlackHole::ToClient,
        BlackHole::Both,
    ]);
    // Far from the 924 s after which a host gives up.
    prop::collection::vec(
        (0..3000u64, directions, prop_oneof![1..500u64, 1..30_000u64]),
        0..5,
    )
}

async fn swallow(world: &World, holes: Vec<Hole>) {
    // A lossy network may need several connects.
    let all = || (1..10).map(ConnectionId);
    for (after, black_hole, ms) in holes {
        sleep(Duration::from_millis(after)).await;
        all().for_each(|id| {
            world.set_link(
                id,
                Link {
                    black_hole,
                    ..world.default_link()
                },
            )
        });
        sleep(Duration::from_millis(ms)).await;
        all().for_each(|id| world.heal(id));
    }
}

/// Tiny segments and buffers make a byte cost an event and a round trip, so that they carry less.
fn most(config: &Config) -> usize {
    match config
        .mtu
        .min(config.send_buffer.unwrap_or(usize::MAX))
        .min(config.receive_buffer.unwrap_or(usize::MAX))
    {
        0..10 => 3000,
        10..1000 => 50_000,
        _ => 500_000,
    }
}

fn pattern(n: usize) -> u8 {
    (n % 251) as u8
}

async fn send(flow: Flow, mut to: impl AsyncWriteExt + Unpin) {
    let mut sent = 0;
    for piece in flow.writes.iter().cycle() {
        if flow.write_pause > 0 {
            sleep(Duration::from_millis(flow.write_pause)).await;
        }
        let piece = (*piece).min(flow.bytes - sent);
        let bytes: Vec<u8> = (sent..sent + piece).map(pattern).collect();
        to.write_all(&bytes).await.expect("a write");
        sent += piece;
        if sent == flow.bytes {
            break;
        }
    }
    to.shutdown().await.expect("a shutdown");
}

async fn receive(flow: Flow, mut from: impl AsyncReadExt + Unpin) {
    let mut got = 0;
    for piece in flow.reads.iter().cycle() {
        if flow.read_pause > 0 {
            sleep(Duration::from_millis(flow.read_pause)).await;
        }
        let mut buf = vec![0; *piece];
        let count = from.read(&mut buf).await.expect("a read");
        if count == 0 {
            break;
        }
        let right = (got..)
            .zip(&buf[..count])
            .all(|(n, &byte)| byte == pattern(n));
        assert!(right, "other bytes than were written, from {got} on");
        got += count;
    }
    assert_eq!(got, flow.bytes);
}

async fn talk(stream: TcpStream, out: Flow, back: Flow) {
    let (read, write) = stream.into_split();
    tokio::join!(send(out, write), receive(back, read));
}

async fn connect(to: impl ToSocketAddrs + Clone) -> TcpStream {
    // A lossy network may lose a SYN for longer than a connect waits.
    loop {
        if let Ok(stream) = TcpStream::connect(to.clone()).await {
            return stream;
        }
    }
}

fn carry(config: Config, mut up: Flow, mut down: Flow, holes: Vec<Hole>) {
    up.bytes = up.bytes.min(most(&config));
    down.bytes = down.bytes.min(most(&config));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::enter(config, Box::new(()));
        tokio::spawn(world.run());
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let listener = TcpListener::bind(address).await.unwrap();
        let (accepted, accept) = tokio::sync::oneshot::channel();
        let server = tokio::spawn({
            let (up, down) = (up.clone(), down.clone());
            async move {
                let (stream, _) = listener.accept().await.unwrap();
                accepted.send(()).unwrap();
                talk(stream, down, up).await;
            }
        });
        let client = tokio::spawn(async move { talk(connect(address).await, up, down).await });
        // A hole in the handshake may last until a host has forgotten it, which is not a hang.
        accept.await.unwrap();
        swallow(&world, holes).await;
        let month = Duration::from_secs(30 * 24 * 3600);
        timeout(month, client)
            .await
            .expect("the client hangs")
            .unwrap();
        timeout(month, server)
            .await
            .expect("the server hangs")
            .unwrap();
        sleep(Duration::from_secs(1000)).await;
        assert_eq!(world.sockets(), []);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_bytes_arrive_in_order_and_nothing_hangs(
        config in network(), up in flow(), down in flow(), holes in holes(),
    ) {
        carry(config, up, down, holes);
    }
}
