//! One host's socket: who has it, what the host knows, who waits.

use super::Connection;
use super::keepalive::Watch;
use crate::medium::Medium;
use crate::observer::Side;
use crate::readiness::{Place, Waiters};
use std::io::ErrorKind;
use std::task::Context;
use std::time::Duration;

/// One host's socket.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) holder: Holder,
    pub(crate) life: Life,
    /// An error that the application has not been told. Linux tells it once, to whichever call comes first.
    pub(crate) fault: Option<ErrorKind>,
    /// The write buffer was full, and not enough of it is free again.
    pub(super) blocked: bool,
    /// The application has closed it, and the observer was told that the host still holds bytes.
    pub(super) orphan: bool,
    /// The peer's FIN had come when ours was asked for (LAST_ACK, not CLOSING).
    pub(super) passive: bool,
    /// SO_LINGER; with zero time a close is a reset.
    pub(crate) linger: Option<Duration>,
    /// TCP_NODELAY, which changes nothing here.
    pub(crate) nodelay: bool,
    /// `TCP_NOTSENT_LOWAT`: the socket is writable only while fewer bytes than this are unsent.
    pub(super) unsent_most: usize,
    /// `TCP_USER_TIMEOUT`.
    pub(super) user_timeout: Option<Duration>,
    pub(crate) watch: Watch,
    /// The task that has polled it last, if the observer was told.
    pub(super) user: Option<tokio::task::Id>,
    pub(super) readers: Waiters,
    pub(super) writers: Waiters,
}

/// Who has the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Application,
    /// The accept queue of a listener.
    Queue,
    /// Only the host: the application never had it, or has closed it.
    Host,
}

/// What a host knows of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Nothing yet.
    Unborn,
    SynSent,
    SynReceived,
    /// The server's host keeps nothing: what it has to know is in the sequence number of its answer (a SYN cookie).
    Cookie,
    /// The handshake is over. The closing states follow from the lanes' FINs.
    Open,
    /// It has no such socket any more: reset, timed out, or refused. What arrives is answered with a reset.
    Gone,
}

impl Life {
    /// Whether the host has a socket of the connection. If not, it answers what comes with a reset.
    pub(crate) fn has_socket(self) -> bool {
        !matches!(self, Life::Unborn | Life::Cookie | Life::Gone)
    }
}

impl End {
    pub(super) fn new(holder: Holder, life: Life) -> End {
        End {
            holder,
            life,
            fault: None,
            blocked: false,
            orphan: false,
            passive: false,
            linger: None,
            nodelay: false,
            unsent_most: usize::MAX,
            user_timeout: None,
            watch: Watch::default(),
            user: None,
            readers: Waiters::default(),
            writers: Waiters::default(),
        }
    }

    /// The application has it no longer. Who waited for it was the application.
    pub(crate) fn let_go(&mut self, medium: &mut Medium) {
        self.holder = Holder::Host;
        self.readers.drain(&mut medium.discarded);
        self.writers.drain(&mut medium.discarded);
    }

    pub(crate) fn wake_reader(&mut self, medium: &mut Medium) {
        self.readers.drain(&mut medium.woken);
    }

    pub(crate) fn wake_writer(&mut self, medium: &mut Medium) {
        self.writers.drain(&mut medium.woken);
    }

    pub(crate) fn wake(&mut self, medium: &mut Medium) {
        self.wake_reader(medium);
        self.wake_writer(medium);
    }
}

/// What is ready at one end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) read_closed: bool,
    pub(crate) writable: bool,
    pub(crate) write_closed: bool,
    pub(crate) error: bool,
}

impl Connection {
    /// What can be said about readiness without trying.
    pub(crate) fn readiness(&self, side: Side) -> Readiness {
        let (end, back) = (self.end_ref(side), self.lane_ref(side.peer()));
        let gone = end.life == Life::Gone;
        let shut = gone || self.lane_ref(side).fin.asked;
        Readiness {
            readable: back.unread() > 0 || back.fin.arrived || gone,
            read_closed: back.fin.arrived || gone,
            writable: shut || !end.blocked,
            write_closed: gone || (shut && back.fin.arrived),
            error: end.fault.is_some(),
        }
    }

    pub(crate) fn wait_readable(
        &mut self,
        side: Side,
        place: Place,
        cx: &Context<'_>,
        medium: &mut Medium,
    ) {
        self.end(side).readers.add(place, cx, &mut medium.discarded);
    }

    pub(crate) fn wait_writable(
        &mut self,
        side: Side,
        place: Place,
        cx: &Context<'_>,
        medium: &mut Medium,
    ) {
        self.end(side).writers.add(place, cx, &mut medium.discarded);
    }
}
