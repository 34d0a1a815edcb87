//! What a test needs: a paused runtime, a world, and the list of what happened.

use hangup_network::{Config, ConnectionId, Event, Observer, TcpListener, TcpStream, World};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Where the server is.
pub(crate) const SERVER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
    80,
);

/// The network of one test.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) start: Instant,
    log: Log,
}

type Log = Rc<RefCell<Vec<String>>>;

struct Recorder {
    start: Instant,
    log: Log,
}

impl Observer for Recorder {
    fn event(&mut self, at: Instant, connection: ConnectionId, event: &Event<'_>) {
        let text = match event {
            Event::Arrived { to, bytes } => format!("{} bytes arrive at {to:?}", bytes.len()),
            Event::Discarded { to, bytes } => format!("{} bytes discarded at {to:?}", bytes.len()),
            Event::Accepted { .. } => String::from("Accepted"),
            other => format!("{other:?}"),
        };
        let ms = (at - self.start).as_millis();
        self.log
            .borrow_mut()
            .push(format!("{ms} #{connection} {text}"));
    }
}

/// Runs a test in a world of its own: where a task does all that is due, and where the network is told of pauses.
pub(crate) fn scene(config: Config, mut test: impl AsyncFnMut(Scene)) {
    for told in [false, true] {
        play(config.clone(), told, &mut test);
    }
}

fn play(config: Config, told: bool, test: &mut impl AsyncFnMut(Scene)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(hangup_network::about_to_park)
        .on_thread_unpark(hangup_network::time_may_have_passed)
        .build()
        .unwrap();
    runtime.block_on(async {
        let log = Log::default();
        let start = Instant::now();
        let world = World::enter(
            config,
            Box::new(Recorder {
                start,
                log: log.clone(),
            }),
        );
        if told {
            world.follow_pauses(start);
        }
        tokio::spawn(world.run());
        // A hang is a failure, and not a test that never ends.
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        tokio::time::timeout(century, test(Scene { world, start, log }))
            .await
            .expect("the test hangs");
    });
}

/// As [`scene`], with 20 ms one way and buffers of 64 KiB.
pub(crate) fn plain(test: impl AsyncFnMut(Scene)) {
    let config = Config {
        send_buffer: Some(64 * 1024),
        receive_buffer: Some(64 * 1024),
        ..Config::default()
    };
    scene(config, test);
}

impl Scene {
    /// A connection: listener, client, server.
    pub(crate) async fn pair(&self) -> (TcpListener, TcpStream, TcpStream) {
        let listener = TcpListener::bind(SERVER).await.unwrap();
        let client = TcpStream::connect(SERVER).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (listener, client, server)
    }

    /// Milliseconds since the start.
    pub(crate) fn ms(&self) -> u128 {
        self.start.elapsed().as_millis()
    }

    /// All that happened since the last call.
    pub(crate) fn events(&self) -> Vec<String> {
        self.log.borrow_mut().drain(..).collect()
    }
}

/// Lets everything happen that can within a second.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Lets this much time pass.
pub(crate) async fn ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
