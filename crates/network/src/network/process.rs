//! The process that serves: all listeners and all sockets that they gave are its own, and can be taken from it.

use super::Network;
use super::descriptors::Descriptors;
use crate::connection::Holder;
use crate::observer::Side;

impl Network {
    /// Closes every listener; who waits for an accept waits on.
    pub(crate) fn stop_listening(&mut self) {
        for slot in 0..self.listeners.len() {
            let key = self.listeners[slot].key(slot);
            self.unlisten(key);
        }
    }

    /// The process ends: its listeners and sockets are closed as the kernel does it, and what its tasks still have in
    /// hand is dead.
    pub(crate) fn kill(&mut self) {
        self.stop_listening();
        let held = |connection: &&crate::connection::Connection| {
            connection.end_ref(Side::Server).holder == Holder::Application
        };
        let keys: Vec<_> = self.connections().filter(held).map(|one| one.key).collect();
        for key in keys {
            self.close(key, Side::Server);
        }
        self.process += 1;
        self.descriptors = Descriptors::default();
    }
}
