//! Orphans: sockets whose application has closed them, and whose host still holds what was written.

use super::{Connection, Holder, Life};
use crate::medium::Medium;
use crate::observer::{Event, Side};

impl Connection {
    /// Tells of a closed socket whose bytes do not go out by themselves: the window is closed before the last of
    /// them, or they may be lost. What is merely under way makes no orphan, since its acknowledgement is certain.
    pub(super) fn becomes_orphan(&mut self, side: Side, medium: &mut Medium) {
        let (end, lane) = (self.end_ref(side), self.lane_ref(side));
        let uncertain = self.unreliable || self.vanished;
        let stuck = lane.unsent() > 0 || (lane.buffered() > 0 && uncertain);
        let away = side == Side::Client && self.vanished;
        if end.orphan || end.holder != Holder::Host || end.life != Life::Open || away || !stuck {
            return;
        }
        let bytes = lane.buffered();
        self.end(side).orphan = true;
        medium.tell(self.id, Event::Orphaned { side, bytes });
    }

    /// Tells that nothing of an orphan is left, if that is so.
    pub(super) fn settle_orphan(&mut self, side: Side, medium: &mut Medium) {
        let gone = self.end_ref(side).life == Life::Gone || self.lane_ref(side).buffered() == 0;
        if gone && std::mem::take(&mut self.end(side).orphan) {
            medium.tell(self.id, Event::OrphanGone { side });
        }
    }
}
