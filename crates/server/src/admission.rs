//! How many connections there may be, in all and from one address.

use crate::Peer;
use hangup_lifecycle::{CloseReason, Limits};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Counts those that are served, and those that are being told that they are not.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    served: usize,
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

impl Admission {
    pub(crate) fn enter(&mut self, peer: &Peer, limits: &Limits) -> Admitted {
        let origin = Origin::of(peer);
        let reason = if self.served >= limits.connections {
            CloseReason::TooManyConnections
        } else if self.of(origin) >= limits.connections_by_address {
            CloseReason::TooManyFromAddress
        } else {
            self.served += 1;
            if origin != Origin::Unnamed {
                *self.by_origin.entry(origin).or_default() += 1;
            }
            return Admitted::Served(origin);
        };
        // A refusal lingers too; those who are refused must not be many more than those who are served.
        if self.refused >= (limits.connections / 8).max(8) {
            return Admitted::Dropped(reason);
        }
        self.refused += 1;
        Admitted::Refused(reason)
    }

    fn of(&self, origin: Origin) -> usize {
        self.by_origin.get(&origin).copied().unwrap_or_default()
    }

    pub(crate) fn leave(&mut self, admitted: Admitted) {
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

    fn limits(connections: usize, connections_by_address: usize) -> Limits {
        Limits {
            connections,
            connections_by_address,
            ..Limits::default()
        }
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
            let limits = limits(10, 1);
            assert!(matches!(
                admission.enter(&peer(one), &limits),
                Admitted::Served(_)
            ));
            let refused = admission.enter(&peer(other), &limits)
                == Admitted::Refused(CloseReason::TooManyFromAddress);
            assert_eq!(refused, same, "{one} and {other}");
        }
    }

    #[test]
    fn what_leaves_makes_room_and_nothing_is_left_behind() {
        let (mut admission, limits) = (Admission::default(), limits(2, 2));
        let mut inside = Vec::new();
        for _ in 0..3 {
            inside.push(admission.enter(&peer("10.0.0.1"), &limits));
        }
        assert_eq!(
            inside[2],
            Admitted::Refused(CloseReason::TooManyConnections)
        );
        inside
            .drain(..)
            .for_each(|admitted| admission.leave(admitted));
        assert_eq!(
            (
                admission.served,
                admission.refused,
                admission.by_origin.len()
            ),
            (0, 0, 0)
        );
        assert!(matches!(
            admission.enter(&peer("10.0.0.1"), &limits),
            Admitted::Served(_)
        ));
    }

    #[test]
    fn refusals_have_a_bound_too() {
        let (mut admission, limits) = (Admission::default(), limits(0, 0));
        let refused = (0..100)
            .filter(|_| {
                matches!(
                    admission.enter(&Peer::Unnamed, &limits),
                    Admitted::Refused(_)
                )
            })
            .count();
        assert_eq!(refused, 8);
    }
}
