//! The hosts of a world: the one that is tested, where clients come to, and others that it calls.

use super::Network;
use crate::agenda::Key;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::task::Waker;

/// Whose a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// The process that is tested.
    Tested,
    /// Another host: what it has does not end with that process.
    Other,
}

/// The address that clients come to where the tested process binds one of its own.
#[derive(Debug)]
struct Front {
    address: SocketAddr,
    /// Only a listener with this port will do.
    port: Option<u16>,
}

/// What is known of hosts.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    pub(crate) names: BTreeMap<String, IpAddr>,
    front: Option<Front>,
    /// Who waits for a listener behind the front.
    waiting: Vec<Waker>,
}

impl Network {
    /// Connects to `address` go to the first listener that the tested process has bound, or to the first with
    /// this port.
    pub(crate) fn front(&mut self, address: SocketAddr, port: Option<u16>) {
        self.hosts.front = Some(Front { address, port });
    }

    /// Where a connect to `to` goes.
    pub(crate) fn behind_front(&self, to: SocketAddr) -> SocketAddr {
        let front = self
            .hosts
            .front
            .as_ref()
            .filter(|front| front.address == to);
        let bound = front.and_then(|front| self.first_bound(front.port));
        bound.map_or(to, |bound| match bound.ip().is_unspecified() {
            true => SocketAddr::new(to.ip(), bound.port()),
            false => bound,
        })
    }

    fn first_bound(&self, port: Option<u16>) -> Option<SocketAddr> {
        let open = self.listeners.iter().filter(|one| one.host == Host::Tested);
        let open = open.filter_map(|one| Some((one.serial, one.address?)));
        let fitting = open.filter(|(_, address)| port.is_none_or(|port| address.port() == port));
        fitting
            .min_by_key(|(serial, _)| *serial)
            .map(|(_, address)| address)
    }

    /// Whether clients that come to the front find a listener; `waker` is woken when one is bound.
    pub(crate) fn is_front_open(&mut self, waker: &Waker) -> bool {
        let port = self.hosts.front.as_ref().and_then(|front| front.port);
        let open = self.first_bound(port).is_some();
        if !open {
            self.hosts.waiting.push(waker.clone());
        }
        open
    }

    /// A listener was bound.
    pub(super) fn bound(&mut self) {
        self.medium.woken.append(&mut self.hosts.waiting);
    }

    /// Does this listener belong to the process that is tested?
    pub(crate) fn is_tested(&self, listener: Key) -> bool {
        let listener = self.listeners.get(listener.slot as usize);
        listener.is_none_or(|listener| listener.host == Host::Tested)
    }
}
