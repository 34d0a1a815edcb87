//! Where in a connection's life an action of its client is felt.

use super::Recorder;
use crate::coverage::{Action, Place};
use hangup_network::{Event as NetworkEvent, Side};

impl Recorder {
    /// The server says where a connection is, and which clock is the next to end that.
    pub(crate) fn armed(&mut self, connection: u32, place: Place) {
        if let Some(one) = self.ledger.known(connection) {
            one.told = Some(place);
        }
    }

    /// A client begins a step on its open connection. What it does to the link is felt at once; of the rest there is more to come.
    pub(crate) fn does(&mut self, connection: u32, action: Action) {
        if matches!(action, Action::Hole | Action::Link) {
            self.acts(connection, action);
        }
        if let Some(one) = self.ledger.known(connection) {
            one.doing = Some(action);
        }
    }

    /// What a client did is felt.
    pub(crate) fn acts(&mut self, connection: u32, action: Action) {
        if let Some(place) = self.ledger.get(connection).and_then(|one| one.place()) {
            self.reached.add(place, action);
        }
    }

    /// The clock of a wait ended it.
    pub(crate) fn expired(&mut self, connection: u32, place: Place) {
        if self.ledger.get(connection).is_some_and(|one| !one.probe) {
            self.reached.add(place, Action::Silence);
        }
    }

    /// What of the network's facts is an action of a client, and which.
    pub(super) fn action(&self, connection: u32, event: &NetworkEvent<'_>) -> Option<Action> {
        let one = self.ledger.get(connection).filter(|one| !one.own)?;
        // A client that has dropped its socket takes no further step on it.
        let leaving = || one.client_closed.and(one.doing);
        match event {
            NetworkEvent::Arrived {
                to: Side::Server, ..
            } => Some(match one.doing {
                Some(Action::Trickles) => Action::Trickles,
                _ => Action::Says,
            }),
            NetworkEvent::FinArrived { to: Side::Server } if one.client_shutdown.is_some() => {
                Some(Action::HalfClose)
            }
            NetworkEvent::FinArrived { to: Side::Server } => leaving(),
            NetworkEvent::ResetArrived { to: Side::Server } => leaving(),
            NetworkEvent::Vanished => Some(Action::Vanish),
            _ => None,
        }
    }
}
