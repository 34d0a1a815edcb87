//! Everything at once: clients, a server and faults that do whatever they like. Whatever they did, a day after all
//! applications have let go no host knows any socket, the network sleeps, and the same run gives the same events.

use hangup_network::{
    BlackHole, Config, ConnectionId, Event, Link, Observer, ResetPolicy, TcpListener, TcpStream,
    World,
};
use proptest::prelude::*;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

#[derive(Clone, Debug)]
enum Act {
    Write(usize),
    Read(usize),
    Shutdown,
    ZeroLinger,
    Split,
    Sleep(u64),
}

#[derive(Clone, Debug)]
struct Client {
    start: u64,
    /// Give up connecting after this many milliseconds.
    patience: u64,
    acts: Vec<Act>,
}

#[derive(Clone, Debug)]
enum Fault {
    Vanish,
    Link(Link),
    Heal,
}

#[derive(Clone, Debug)]
struct Chaos {
    config: Config,
    backlog: u32,
    clients: Vec<Client>,
    /// What the server does with each connection, and when it begins to accept and when it stops to listen.
    serve: Vec<Act>,
    accept_at: u64,
    close_at: u64,
    faults: Vec<(u64, u32, Fault)>,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => prop_oneof![0..50usize, 0..100_000usize].prop_map(Act::Write),
        4 => prop_oneof![1..50usize, 1..100_000usize].prop_map(Act::Read),
        1 => Just(Act::Shutdown),
        1 => Just(Act::ZeroLinger),
        1 => Just(Act::Split),
        3 => prop_oneof![0..100u64, 0..200_000u64].prop_map(Act::Sleep),
    ];
    prop::collection::vec(act, 0..8)
}

fn chaos() -> impl Strategy<Value = Chaos> {
    let config = (
        0..60u64,
        0..20u64,
        0.0..0.2f64,
        any::<bool>(),
        1..3000usize,
        any::<u64>(),
    )
        .prop_map(|(latency, jitter, loss, keep, mtu, seed)| Config {
            latency: Duration::from_millis(latency),
            jitter: Duration::from_millis(jitter),
            mtu,
            loss: if seed % 3 == 0 { loss } else { 0.0 },
            reset: if keep {
                ResetPolicy::Keep
            } else {
                ResetPolicy::Erase
            },
            send_buffer: Some(20_000),
            receive_buffer: Some(20_000),
            descriptors: None,
            seed,
        });
    let client = (0..500u64, prop_oneof![0..200u64, Just(1_000_000)], acts()).prop_map(
        |(start, patience, acts)| Client {
            start,
            patience,
            acts,
        },
    );
    let holes = [
        BlackHole::None,
        BlackHole::ToServer,
        BlackHole::ToClient,
        BlackHole::Both,
    ];
    let link = (
        0..200u64,
        prop_oneof![Just(0), 0..50u64],
        prop_oneof![Just(1), 1..3000usize],
        prop_oneof![Just(0.0), 0.0..1.0f64],
        prop::sample::select(holes.to_vec()),
    );
    let fault = prop_oneof![
        Just(Fault::Vanish),
        link.prop_map(|(ms, jitter, mtu, loss, black_hole)| {
            Fault::Link(Link {
                latency: Duration::from_millis(ms),
                jitter: Duration::from_millis(jitter),
                mtu,
                loss,
                black_hole,
            })
        }),
        Just(Fault::Heal),
    ];
    let at = || prop_oneof![0..1000u64, 0..300_000u64];
    (
        (config, 0..4u32, prop::collection::vec(client, 1..6), acts()),
        (
            prop_oneof![Just(0u64), 0..5000u64],
            prop_oneof![3 => Just(10_000_000u64), 1 => 0..2000u64],
        ),
        prop::collection::vec((at(), 1..6u32, fault), 0..6),
    )
        .prop_map(
            |((config, backlog, clients, serve), (accept_at, close_at), faults)| Chaos {
                config,
                backlog,
                clients,
                serve,
                accept_at,
                close_at,
                faults,
            },
        )
}

async fn act(mut stream: TcpStream, acts: &[Act]) -> std::io::Result<()> {
    for act in acts {
        match act {
            Act::Write(n) => stream.write_all(&vec![1; *n]).await?,
            Act::Read(n) => stream.read_exact(&mut vec![0; *n]).await.map(drop)?,
            Act::Shutdown => stream.shutdown().await?,
            Act::ZeroLinger => stream.set_zero_linger()?,
            Act::Split => {
                let (read, write) = stream.into_split();
                stream = read.reunite(write).expect("halves of one stream");
            }
            Act::Sleep(ms) => sleep(Duration::from_millis(*ms)).await,
        }
    }
    Ok(())
}

struct Recorder(Rc<RefCell<Vec<String>>>, Instant);

impl Observer for Recorder {
    fn event(&mut self, at: Instant, connection: ConnectionId, event: &Event<'_>) {
        let text = match event {
            Event::Arrived { to, bytes } => format!("{} to {to:?}", bytes.len()),
            Event::Discarded { to, bytes } => format!("{} discarded by {to:?}", bytes.len()),
            Event::Accepted { .. } => String::from("Accepted"),
            other => format!("{other:?}"),
        };
        self.0
            .borrow_mut()
            .push(format!("{:?} {connection} {text}", at - self.1));
    }
}

/// All that happened.
fn run(chaos: &Chaos, told: bool) -> Vec<String> {
    let chaos = chaos.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(hangup_network::about_to_park)
        .on_thread_unpark(hangup_network::time_may_have_passed)
        .build()
        .unwrap();
    let log = Rc::new(RefCell::new(Vec::new()));
    runtime.block_on(async {
        let start = Instant::now();
        let recorder = Recorder(log.clone(), start);
        let world = World::enter(chaos.config.clone(), Box::new(recorder));
        if told {
            world.follow_pauses(start);
        }
        tokio::spawn(world.run());
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let listener = TcpListener::bind_with_backlog(address, chaos.backlog)
            .await
            .unwrap();
        let mut tasks = Vec::new();
        let serve = chaos.serve.clone();
        let (accept_at, close_at) = (chaos.accept_at, chaos.close_at);
        tasks.push(tokio::spawn(async move {
            // Dropping the set ends the connections' tasks.
            let mut connections = JoinSet::new();
            let life = async {
                sleep(Duration::from_millis(accept_at)).await;
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let serve = serve.clone();
                    connections.spawn(async move { act(stream, &serve).await.ok() });
                }
            };
            let _: Result<(), _> = timeout(Duration::from_millis(close_at), life).await;
            drop(listener);
            connections.join_all().await;
        }));
        for client in chaos.clients {
            tasks.push(tokio::spawn(async move {
                sleep(Duration::from_millis(client.start)).await;
                let patience = Duration::from_millis(client.patience);
                if let Ok(Ok(stream)) = timeout(patience, TcpStream::connect(address)).await {
                    act(stream, &client.acts).await.ok();
                }
            }));
        }
        let mut faults = chaos.faults;
        faults.sort_by_key(|fault| fault.0);
        let start = Instant::now();
        for (at, connection, fault) in faults {
            tokio::time::sleep_until(start + Duration::from_millis(at)).await;
            let connection = ConnectionId(connection);
            match fault {
                Fault::Vanish => world.vanish(connection),
                Fault::Link(link) => world.set_link(connection, link),
                Fault::Heal => world.heal(connection),
            }
        }
        // Whoever still waits after a day waits for a peer that is silent, which he may; now all let go.
        let day = Duration::from_secs(24 * 3600);
        sleep(day).await;
        tasks.iter().for_each(|task| task.abort());
        sleep(day).await;
        assert_eq!(world.sockets(), [], "a host still knows a socket");
    });
    log.take()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_and_the_same_run_gives_the_same_events(chaos in chaos()) {
        for told in [false, true] {
            prop_assert_eq!(run(&chaos, told), run(&chaos, told));
        }
    }
}
