//! The process that is tested: its listeners, all sockets that they gave, and those that it made, can be taken from it.

use super::descriptors::Descriptors;
use super::hosts::Host;
use super::{Listener, Network};
use crate::connection::{Connection, Holder, Life};
use crate::observer::Side;

impl Network {
    /// Closes every listener; who waits for an accept waits on.
    pub(crate) fn stop_listening(&mut self) {
        for slot in 0..self.listeners.len() {
            if self.listeners[slot].host == Host::Tested {
                let key = self.listeners[slot].key(slot);
                self.unlisten(key);
            }
        }
    }

    /// The process ends: its listeners and sockets are closed as the kernel does it, and what its tasks still have in
    /// hand is dead.
    ///
    /// Who waits for any of it is woken, since it may be [buried](crate::World::bury_dead).
    pub(crate) fn kill(&mut self) {
        let tested = |listener: &&mut Listener| listener.host == Host::Tested;
        for listener in self.listeners.iter_mut().filter(tested) {
            listener.waiters.drain(&mut self.medium.woken);
        }
        self.stop_listening();
        let held = |side| {
            move |connection: &&Connection| {
                connection.is_of_tested(side)
                    && connection.end_ref(side).holder == Holder::Application
            }
        };
        for side in [Side::Server, Side::Client] {
            let keys: Vec<_> = self
                .connections()
                .filter(held(side))
                .map(|one| one.key)
                .collect();
            for key in keys {
                let Some((connection, medium)) = self.get(key) else {
                    continue;
                };
                connection.end(side).wake(medium);
                match connection.end_ref(side).life {
                    Life::SynSent => self.abandon(key),
                    _ => self.close(key, side),
                }
            }
        }
        self.process += 1;
        self.descriptors = Descriptors::default();
    }
}
