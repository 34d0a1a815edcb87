//! What a scenario does to the path of a connection: other latencies, and black holes.
//!
//! A change counts for what departs from then on. The client's host makes it, and knows what it has sent before; the server's
//! may be at another time within that tick, so that one looks only at what departed a tick ago. What a black hole swallows is
//! sent again until it is not, as a TCP does that hears nothing: 200 ms later, then after twice the time each, up to two
//! minutes. Acknowledgements and resets are treated alike, though a TCP says them again only when its peer asks: one that
//! hears nothing does ask, unless it only reads.

use super::frame::Departure;
use super::journal;
use super::link::Link;
use hangup_network::{ConnectionId, Side};
use hangup_scenario::{Blackhole, LinkChange};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// The first retransmission timeout; it doubles up to two minutes.
const RTO: Duration = Duration::from_millis(200);
const RTO_MOST: Duration = Duration::from_secs(120);
/// So long Linux sends again what is not acknowledged, and then gives the peer up (`tcp_retries2` is 15).
pub(super) const GIVE_UP: Duration = Duration::from_millis(924_600);

/// The path from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    from: Duration,
    latency: Duration,
    hole: Option<Blackhole>,
}

impl Stretch {
    fn swallows(&self, sender: Side) -> bool {
        match self.hole {
            None => false,
            Some(Blackhole::Both) => true,
            Some(Blackhole::ToServer) => sender == Side::Client,
            Some(Blackhole::ToClient) => sender == Side::Server,
        }
    }
}

#[derive(Debug, Default)]
struct Path {
    /// By time.
    stretches: Vec<Stretch>,
    vanished: Option<Duration>,
}

thread_local! {
    /// The paths that are not as they were in the beginning.
    static PATHS: RefCell<BTreeMap<ConnectionId, Path>> = const { RefCell::new(BTreeMap::new()) };
}

/// A new run begins on this thread.
pub(super) fn clear() {
    PATHS.take();
}

/// The path changes now, at the client's host.
pub(super) fn change(id: ConnectionId, change: &LinkChange, link: Link) {
    let Some(from) = journal::now() else { return };
    PATHS.with_borrow_mut(|paths| {
        let path = paths.entry(id).or_default();
        let last = path.stretches.last().filter(|_| !change.heal);
        let latency = last.map_or(link.latency, |last| last.latency);
        path.stretches.push(Stretch {
            from,
            latency: change.latency.map_or(latency, Link::carried),
            hole: change.blackhole.or(last.and_then(|last| last.hole)),
        });
    });
}

/// The client's host is gone: nothing is answered from now on.
pub(super) fn vanish(id: ConnectionId) {
    PATHS.with_borrow_mut(|paths| {
        let path = paths.entry(id).or_default();
        path.vanished = path.vanished.or_else(journal::now);
    });
}

/// It has been changed: what is sent may be under way for long.
pub(super) fn is_changed(id: ConnectionId) -> bool {
    PATHS.with_borrow(|paths| {
        paths
            .get(&id)
            .is_some_and(|path| !path.stretches.is_empty())
    })
}

/// Since when nothing that is sent is answered.
pub(super) fn dark_since(id: ConnectionId) -> Option<Duration> {
    PATHS.with_borrow(|paths| {
        let path = paths.get(&id)?;
        let dark = path.stretches.iter().rev();
        let hole = dark.take_while(|stretch| stretch.hole.is_some()).last();
        let hole = hole.map(|stretch| stretch.from);
        hole.into_iter().chain(path.vanished).min()
    })
}

/// What `sender` puts on the path now.
pub(super) fn departure(id: ConnectionId, sender: Side, at: Duration) -> Departure {
    let changes = PATHS.with_borrow(|paths| paths.get(&id).map_or(0, |path| path.stretches.len()));
    let stretch = match sender {
        Side::Client => changes as u64,
        Side::Server => u64::MAX,
    };
    Departure { at, stretch }
}

/// How long what `sender` sends travels; none if it is swallowed.
fn latency(id: ConnectionId, sender: Side, sent: Departure, link: Link) -> Option<Duration> {
    PATHS.with_borrow(|paths| {
        let stretches = paths.get(&id).map_or(&[][..], |path| &path.stretches);
        let known = usize::try_from(sent.stretch).unwrap_or(usize::MAX);
        let known = &stretches[..stretches.len().min(known)];
        let stretch = known.iter().rfind(|one| one.from <= sent.at);
        match stretch {
            Some(stretch) if stretch.swallows(sender) => None,
            Some(stretch) => Some(stretch.latency),
            None => Some(link.latency),
        }
    })
}

/// One segment on its way, which may have to be sent again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Journey {
    /// When it was sent, for the last time.
    sent: Departure,
    timeout: Duration,
    first: Duration,
}

impl Journey {
    /// It is first sent at `first`.
    pub(super) fn beginning(first: Departure) -> Self {
        Self {
            sent: first,
            timeout: RTO,
            first: first.at,
        }
    }

    pub(super) fn departure(&self) -> Duration {
        self.sent.at
    }

    /// How long it travels, if it is not swallowed.
    pub(super) fn latency(&self, id: ConnectionId, sender: Side, link: Link) -> Option<Duration> {
        latency(id, sender, self.sent, link)
    }

    /// It is sent again; false if it has been given up.
    pub(super) fn again(&mut self) -> bool {
        // Nobody looks at it before all is known of that time.
        self.sent = Departure {
            at: self.sent.at + self.timeout,
            stretch: u64::MAX,
        };
        self.timeout = (self.timeout * 2).min(RTO_MOST);
        self.sent.at < self.first + GIVE_UP
    }
}
