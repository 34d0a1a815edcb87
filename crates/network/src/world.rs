//! The network of the current thread, and what a test bed does with it.

use crate::agenda::Key;
use crate::alarm::Alarm;
use crate::config::{Config, Link};
use crate::netstat::Socket;
use crate::network::Network;
use crate::observer::{ConnectionId, Observer};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

thread_local! {
    static NETWORK: RefCell<Option<Box<Network>>> = const { RefCell::new(None) };
    /// Whether a task dump may be under way.
    static DUMPS: Cell<bool> = const { Cell::new(true) };
    /// Whether a task of a dead process is unwound when it calls what it has in hand.
    static BURIES: Cell<bool> = const { Cell::new(false) };
}

/// What a task is unwound with that belongs to a process which was [killed](World::kill).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessDied;

/// Worlds of this process so far. It only tells a stream of one world from a stream of another.
static WORLDS: AtomicU64 = AtomicU64::new(0);

/// One simulated network, which all sockets of the current thread use.
///
/// Enter it, spawn [`World::run`] on a current-thread runtime with a paused clock, then use
/// [`TcpListener`](crate::TcpListener) and [`TcpStream`](crate::TcpStream). Dropping the world ends the
/// network: sockets that are left then fail with [`ErrorKind::NetworkDown`].
///
/// The methods that change a connection do nothing if it has been released.
#[derive(Debug)]
pub struct World {
    id: u64,
    /// The network belongs to the thread.
    not_send: PhantomData<*const ()>,
}

impl World {
    /// Installs a network for the current thread.
    ///
    /// # Panics
    /// If the thread already has one.
    pub fn enter(config: Config, observer: Box<dyn Observer>) -> World {
        let id = WORLDS.fetch_add(1, Ordering::Relaxed) + 1;
        NETWORK.with_borrow_mut(|network| {
            assert!(
                network.is_none(),
                "this thread already has a simulated network"
            );
            *network = Some(Box::new(Network::new(id, config, observer)));
        });
        DUMPS.set(true);
        BURIES.set(false);
        World {
            id,
            not_send: PhantomData,
        }
    }

    /// The network task, which delivers everything at its time. Spawn it on the paused runtime, on this
    /// thread. It sleeps until the next event; when nothing is under way it has no timer.
    pub fn run(&self) -> impl Future<Output = Infallible> + Send + 'static {
        Run {
            world: self.id,
            alarm: Alarm::default(),
        }
    }

    /// All sockets that the hosts know, as netstat would show them: in the order of the connections, the
    /// client's first.
    pub fn sockets(&self) -> Vec<Socket> {
        self.with(Socket::all)
    }

    /// The client's host is gone: from now on it sends nothing and acknowledges nothing, for ever. What it
    /// had sent still arrives.
    pub fn vanish(&self, connection: ConnectionId) {
        self.change(connection, |network, key| {
            if let Some((connection, medium)) = network.get(key) {
                connection.vanish(medium);
            }
        });
    }

    /// Changes the path of one connection from now on; what is under way is not touched.
    pub fn set_link(&self, connection: ConnectionId, link: Link) {
        self.change(connection, |network, key| {
            if let Some((connection, medium)) = network.get(key) {
                connection.set_link(link, medium);
            }
        });
    }

    /// Gives a connection the path back that the network's settings describe. What was lost is sent again when
    /// the sender's retransmission timer goes off. A host that vanished stays away.
    pub fn heal(&self, connection: ConnectionId) {
        let link = self.default_link();
        self.set_link(connection, link);
    }

    /// The path of a connection, `None` if it has been released.
    pub fn link(&self, connection: ConnectionId) -> Option<Link> {
        self.with(|network| {
            let key = network.find(connection)?;
            network.get(key).map(|(connection, _)| connection.link)
        })
    }

    /// The path that the network's settings describe.
    pub fn default_link(&self) -> Link {
        self.with(|network| network.link())
    }

    /// A name that sockets can bind and connect to: `name` resolves to `ip` from now on.
    pub fn name(&self, name: &str, ip: IpAddr) {
        self.with(|network| network.hosts.names.insert(name.to_owned(), ip));
    }

    /// Where the tested process binds a listener of its own, clients do not know the address: what connects to `address` comes
    /// to the listener that this process has bound first, or first with `port`. Without one it is refused.
    pub fn front(&self, address: SocketAddr, port: Option<u16>) {
        self.with(|network| network.front(address, port));
    }

    /// Waits until the tested process has bound the listener that clients come to, see [`World::front`].
    pub fn front_open(&self) -> impl Future<Output = ()> + use<> {
        let world = self.id;
        poll_fn(move |cx| {
            let open = with(world, |network| network.is_front_open(cx.waker()));
            match open.unwrap_or(true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }

    /// Every listening socket is closed under its application, as when it is handed over to another process: connections
    /// that were not accepted are reset, new ones are refused, and an accept gives nothing any more.
    pub fn stop_listening(&self) {
        self.with(Network::stop_listening);
    }

    /// The next accept that would give a connection fails instead with EMFILE, as in a process that has no file descriptor
    /// left. The connection stays in the queue.
    pub fn fail_accept(&self) {
        self.with(Network::fail_accept);
    }

    /// Every accept that would give a connection within this time fails instead with EMFILE. A call replaces what an
    /// earlier one has left of it.
    pub fn fail_accepts_for(&self, lasts: Duration) {
        self.with(|network| network.fail_accepts_for(lasts));
    }

    /// Every accept that would give a connection fails instead with EMFILE, until an application of the process that serves
    /// closes a connection.
    pub fn fail_accepts_until_close(&self) {
        self.with(Network::fail_accepts_until_close);
    }

    /// The process that serves dies: its listeners are closed, and so is every socket that it accepted, by the kernel: with
    /// a reset where data was unread, else with a FIN. Its tasks are not this crate's, and may live on; but what they
    /// have in hand is dead: no call on it that can wait ever returns, and no other does anything.
    pub fn kill(&self) {
        self.with(Network::kill);
    }

    /// Whether a task of a process that was [killed](Self::kill) is unwound, with [`ProcessDied`], when it calls what it has
    /// in hand or connects. Such tasks are woken at the kill, so what waits for a socket is dropped then. At first they are
    /// not: their calls never return. A program that aborts at panics unwinds nothing.
    pub fn bury_dead(&self, buries: bool) {
        BURIES.set(buries && cfg!(panic = "unwind"));
    }

    /// From now on the network does at the pauses of its runtime, of which [`about_to_park`] and [`time_may_have_passed`] tell it, what the
    /// [network task](Self::run) does else: that one is left with what happens at the very instant at which it is caused, and what arrives
    /// later costs no poll of a task. It is there before any task runs that a timer wakes at the same instant.
    ///
    /// `start` is when the clock of the runtime began: tokio's timers go off at whole milliseconds from then. If the next thing happens no later
    /// than the next of those, nothing can come before it, and the network moves the clock there itself, which saves the runtime a pause.
    pub fn follow_pauses(&self, start: Instant) {
        self.with(|network| network.follow_pauses(start));
    }

    /// Whether task dumps may be taken from now on. At first they may: every operation then looks whether one is under way, which costs half
    /// as much as the operation. In one that comes unexpected, operations are done, and no stack ends in them.
    pub fn expect_dumps(&self, may_come: bool) {
        DUMPS.set(may_come);
    }

    /// From now on it is as late as it was when the network last looked. If it [follows pauses](Self::follow_pauses), this is called before the
    /// runtime is dropped: sockets are closed then, and its clock is out of their reach.
    pub fn stop_clock(&self) {
        self.with(Network::stop_clock);
    }

    fn change(&self, connection: ConnectionId, change: impl FnOnce(&mut Network, Key)) {
        self.with(|network| {
            if let Some(key) = network.find(connection) {
                change(network, key);
                network.release(key);
            }
        });
    }

    fn with<R>(&self, work: impl FnOnce(&mut Network) -> R) -> R {
        with(self.id, work).expect("a world stays on its thread and lives as long as its network")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Whoever waits is told, after the borrow has ended, since wakers may run any code.
        if let Ok(Some(mut network)) = NETWORK.try_with(|network| network.take()) {
            network
                .waiting()
                .into_iter()
                .for_each(std::task::Waker::wake);
        }
    }
}

/// Works on the network of this thread if it is `world`'s.
pub(crate) fn with<R>(world: u64, work: impl FnOnce(&mut Network) -> R) -> Option<R> {
    with_current(|network| {
        (network.world == world).then(|| {
            network.medium.is_called();
            work(network)
        })
    })
    .flatten()
}

/// Works on the network of this thread. Tasks are woken, and wakers dropped, when the network is no longer borrowed.
fn with_current<R>(work: impl FnOnce(&mut Network) -> R) -> Option<R> {
    NETWORK
        .try_with(|cell| {
            let mut network = cell.borrow_mut();
            let network_ref = network.as_deref_mut()?;
            let result = work(network_ref);
            let medium = &mut network_ref.medium;
            if !medium.woken.is_empty() || !medium.discarded.is_empty() {
                let mut woken = std::mem::take(&mut medium.woken);
                let mut discarded = std::mem::take(&mut medium.discarded);
                drop(network);
                discarded.clear();
                woken.drain(..).for_each(std::task::Waker::wake);
                // They keep their memory for the next time.
                if let Some(network) = cell.borrow_mut().as_deref_mut() {
                    network.medium.recycle(woken, discarded);
                }
            }
            Some(result)
        })
        .ok()
        .flatten()
}

/// Looks at the names that the world of this thread was told, if there is a world.
pub(crate) fn with_names<R>(look: impl FnOnce(&BTreeMap<String, IpAddr>) -> R) -> Option<R> {
    with_current(|network| look(&network.hosts.names))
}

/// The answer to a task of a dead process that calls anything which can wait: none, or the end of the task.
pub(crate) fn process_died<T>() -> Poll<T> {
    // A second panic on the way would abort the test bed.
    if BURIES.get() && tokio::task::try_id().is_some() && !std::thread::panicking() {
        std::panic::resume_unwind(Box::new(ProcessDied));
    }
    Poll::Pending
}

/// Whether a task dump may be under way.
pub(crate) fn expects_dumps() -> bool {
    DUMPS.get()
}

/// The world of the current thread.
pub(crate) fn current() -> io::Result<u64> {
    let world = NETWORK.try_with(|cell| cell.borrow().as_deref().map(|network| network.world));
    world.ok().flatten().ok_or_else(down)
}

/// Tells the network of this thread, if there is one that [follows pauses](World::follow_pauses), that nothing is left to do at this
/// instant. It is meant for a runtime's `on_thread_park`.
pub fn about_to_park() {
    with_current(Network::about_to_park);
}

/// Tells the network of this thread, if there is one that [follows pauses](World::follow_pauses), that time may have passed: what is due
/// happens. The network takes it that time does not pass without this, and reads the clock once from one to the next instead of at every call of an
/// application. It is meant for a runtime's `on_thread_unpark`: a paused clock moves only while there is nothing else
/// to do. Whoever moves it by `tokio::time::advance` has to call this, too.
pub fn time_may_have_passed() {
    with_current(Network::time_may_have_passed);
}

/// What an operation without its world gives.
pub(crate) fn down() -> io::Error {
    io::Error::new(
        ErrorKind::NetworkDown,
        "the simulated network of this socket is not on this thread, or gone",
    )
}

/// The network task.
struct Run {
    world: u64,
    alarm: Alarm,
}

impl Future for Run {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        while let Some(next) = with(self.world, |network| network.run(cx.waker())) {
            self.alarm.set(next);
            if self.alarm.poll(cx).is_pending() {
                break;
            }
        }
        Poll::Pending
    }
}
