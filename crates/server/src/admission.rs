//! How many connections there may be, in all and from one address.

use crate::{Descriptors, Peer};
use hangup_lifecycle::{CloseReason, Limits};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Counts those that are served, and those that are being told that they are not.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    served: usize,
    /// Of these, the ones that were told to make room.
    leaving: usize,
    refused: usize,
    by_origin: BTreeMap<Origin, usize>,
}

/// What counts as one address: an IPv4 address, or the /64 that an IPv6 host usually has for itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Origin {
    V4(u32),
    V6(u64),
    Unnamed,
}

/// What became of a connection that knocked. It is given back with [`Admission::leave`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admitted {
    Served(Origin),
    /// It gets an answer that says why not, and a close.
    Refused(CloseReason),
    /// So many are being refused that this one is dropped without a word.
    Dropped(CloseReason),
}

/// How a connection that is to make room ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    /// As it would by itself, with time for its client to read the last response.
    Lingering,
    /// So that its place is free: too many linger.
    AtOnce,
}

/// How many connections there may be of each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// That are served.
    pub(crate) connections: usize,
    /// That are served, from one address.
    pub(crate) by_address: usize,
    /// That are being refused.
    refused: usize,
    /// That were told to make room and are not gone yet: served beyond `connections`.
    leaving: usize,
    /// It is the limit of open files that `connections` follows from.
    by_descriptors: bool,
}

impl Bounds {
    pub(crate) fn new(limits: &Limits, descriptors: Option<&Descriptors>) -> Self {
        let all = descriptors.map_or(usize::MAX, Descriptors::connections);
        let connections = limits.connections.min(all);
        let share = descriptors.map_or(usize::MAX, Descriptors::share);
        // Both linger; they must not be many more than those that are served.
        let others = (connections / 8).max(8).min(share);
        Bounds {
            connections,
            by_address: limits.connections_by_address,
            refused: others,
            leaving: others,
            by_descriptors: connections == all,
        }
    }

    /// What to raise.
    pub(crate) fn advice(&self) -> &'static str {
        if self.by_descriptors {
            "raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)"
        } else {
            "raise Limits::connections, if there is memory for more"
        }
    }
}

impl Admission {
    /// Admits a connection from `peer`, or says why not. When all places are taken, `make_room` is
    /// to tell another one to leave, at once or when it likes to; it returns `false` if all have a
    /// request in progress.
    ///
    /// An address that has as many as it may makes room for itself by none of its own and of nobody
    /// else's: the others have done nothing, and who opens too many would lose those that are idle
    /// behind a proxy.
    pub(crate) fn enter(
        &mut self,
        peer: &Peer,
        bounds: &Bounds,
        make_room: impl FnOnce(Leave) -> bool,
    ) -> Admitted {
        let origin = Origin::of(peer);
        let reason = if self.of(origin) >= bounds.by_address {
            CloseReason::TooManyFromAddress
        } else if self.served.saturating_sub(self.leaving) >= bounds.connections
            && !self.make_room(bounds, make_room)
        {
            CloseReason::TooManyConnections
        } else {
            self.served += 1;
            if origin != Origin::Unnamed {
                *self.by_origin.entry(origin).or_default() += 1;
            }
            return Admitted::Served(origin);
        };
        self.refuse(reason, bounds)
    }

    /// Refuses a connection, whoever it comes from.
    pub(crate) fn refuse(&mut self, reason: CloseReason, bounds: &Bounds) -> Admitted {
        if self.refused >= bounds.refused {
            return Admitted::Dropped(reason);
        }
        self.refused += 1;
        Admitted::Refused(reason)
    }

    /// Has another connection leave, unless too many are leaving. `false` if there is none to.
    pub(crate) fn make_room(
        &mut self,
        bounds: &Bounds,
        make_room: impl FnOnce(Leave) -> bool,
    ) -> bool {
        let leave = if self.leaving < bounds.leaving / 2 {
            Leave::Lingering
        } else {
            Leave::AtOnce
        };
        let evicted = self.leaving < bounds.leaving && make_room(leave);
        self.leaving += usize::from(evicted);
        evicted
    }

    fn of(&self, origin: Origin) -> usize {
        self.by_origin.get(&origin).copied().unwrap_or_default()
    }

    /// A connection is gone; `made_room` if it was told to.
    pub(crate) fn leave(&mut self, admitted: Admitted, made_room: bool) {
        self.leaving -= usize::from(made_room);
        match admitted {
            Admitted::Refused(_) => self.refused -= 1,
            Admitted::Dropped(_) => {}
            Admitted::Served(origin) => {
                self.served -= 1;
                if let Some(count) = self.by_origin.get_mut(&origin) {
                    *count -= 1;
                    if *count == 0 {
                        self.by_origin.remove(&origin);
                    }
                }
            }
        }
    }
}

impl Origin {
    fn of(peer: &Peer) -> Self {
        let Peer::Socket(address) = peer else {
            return Origin::Unnamed;
        };
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => Origin::V4(ip.to_bits()),
            IpAddr::V6(ip) => Origin::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer::Socket((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    fn bounds(connections: usize, connections_by_address: usize) -> Bounds {
        let limits = Limits {
            connections,
            connections_by_address,
            ..Limits::default()
        };
        Bounds::new(&limits, None)
    }

    fn nobody(_: Leave) -> bool {
        false
    }

    #[test]
    fn an_address_is_an_ipv4_or_a_64() {
        for (one, other, same) in [
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let mut admission = Admission::default();
            let bounds = bounds(10, 1);
            assert!(matches!(
                admission.enter(&peer(one), &bounds, nobody),
                Admitted::Served(_)
            ));
            let refused = admission.enter(&peer(other), &bounds, nobody)
                == Admitted::Refused(CloseReason::TooManyFromAddress);
            assert_eq!(refused, same, "{one} and {other}");
        }
    }

    #[test]
    fn what_leaves_makes_room_and_nothing_is_left_behind() {
        let (mut admission, bounds) = (Admission::default(), bounds(2, 3));
        let mut inside = Vec::new();
        for _ in 0..3 {
            inside.push(admission.enter(&peer("10.0.0.1"), &bounds, nobody));
        }
        assert_eq!(
            inside[2],
            Admitted::Refused(CloseReason::TooManyConnections)
        );
        // The first one makes room, and is counted until it is gone.
        let fourth = admission.enter(&peer("10.0.0.1"), &bounds, |_| true);
        assert!(matches!(fourth, Admitted::Served(_)), "{fourth:?}");
        assert_eq!((admission.served, admission.leaving), (3, 1));
        admission.leave(inside.remove(0), true);
        assert_eq!((admission.served, admission.leaving), (2, 0));
        inside.push(fourth);
        inside
            .drain(..)
            .for_each(|admitted| admission.leave(admitted, false));
        assert_eq!(
            (
                admission.served,
                admission.refused,
                admission.by_origin.len()
            ),
            (0, 0, 0)
        );
        assert!(matches!(
            admission.enter(&peer("10.0.0.1"), &bounds, nobody),
            Admitted::Served(_)
        ));
    }

    #[test]
    fn an_address_at_its_limit_evicts_nobody() {
        let (mut admission, bounds) = (Admission::default(), bounds(1, 1));
        admission.enter(&peer("10.0.0.1"), &bounds, nobody);
        let second = admission.enter(&peer("10.0.0.1"), &bounds, |_| panic!("nobody is asked"));
        assert_eq!(second, Admitted::Refused(CloseReason::TooManyFromAddress));
    }

    #[test]
    fn refusals_and_evictions_have_a_bound_too() {
        let (mut admission, none) = (Admission::default(), bounds(0, 1));
        let refused = (0..100)
            .filter(|_| {
                matches!(
                    admission.enter(&Peer::Unnamed, &none, nobody),
                    Admitted::Refused(_)
                )
            })
            .count();
        assert_eq!(refused, 8);
        let (mut admission, one) = (Admission::default(), bounds(1, 100));
        let served = (0..100)
            .filter(|_| {
                matches!(
                    admission.enter(&Peer::Unnamed, &one, |_| true),
                    Admitted::Served(_)
                )
            })
            .count();
        assert_eq!(served, 9);
    }
}
