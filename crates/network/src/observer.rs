//! What a network tells about itself while it runs.

use crate::packet::Packet;
use std::fmt;
use tokio::time::Instant;

/// The number of a connection: 1, 2, 3 ... in the order of the connect calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the two hosts of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one that called connect.
    Client,
    /// The one that listened.
    Server,
}

impl Side {
    /// The other host.
    pub fn peer(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// Is told everything that happens on a network, in order.
pub trait Observer {
    /// `event` happened to `connection` at simulated time `at`.
    ///
    /// The network is in use during the call: an observer that calls any operation of it panics.
    fn event(&mut self, at: Instant, connection: ConnectionId, event: &Event<'_>);

    /// The application of one side took so many bytes out of its socket.
    fn took(&mut self, connection: ConnectionId, by: Side, bytes: usize) {
        let _ = (connection, by, bytes);
    }

    /// The application of one side put so many bytes into its socket.
    fn put(&mut self, connection: ConnectionId, by: Side, bytes: usize) {
        let _ = (connection, by, bytes);
    }

    /// The task that is running polls one end of `connection`, and it is not the task that was told of last for this
    /// end. Told of the server's end, and of both ends of a connection that the process that serves has made.
    fn used(&mut self, connection: ConnectionId, by: Side) {
        let _ = (connection, by);
    }

    /// Who calls the connect that is being called.
    fn caller(&mut self) -> Caller {
        Caller::Client
    }

    /// Whether the task that is running belongs to a process that was killed. It is asked at connects.
    fn is_called_by_dead(&mut self) -> bool {
        false
    }

    /// Whether it wants to be shown every packet. It is asked once, when the world is entered; to show packets costs
    /// more than to tell events, and changes nothing of what happens.
    fn wants_packets(&self) -> bool {
        false
    }

    /// A host of `connection` puts `packet` on the wire, now or, where it is sent again, later. The network is in use
    /// during the call, as during [`Observer::event`].
    fn packet(&mut self, connection: ConnectionId, packet: &Packet<'_>) {
        let _ = (connection, packet);
    }
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A client of the process that serves.
    Client,
    /// The process that serves, such as to a database: this end of the connection dies with that process.
    Tested,
    /// Another host, such as that database to a third one.
    Beside,
}

/// An observer that looks away.
impl Observer for () {
    fn event(&mut self, _: Instant, _: ConnectionId, _: &Event<'_>) {}
}

/// One thing that happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The client's application called connect.
    Connecting,
    /// The client learnt that nobody listens there.
    Refused,
    /// The client's application gave up while its connect was under way.
    Abandoned,
    /// The handshake is complete at the server's host; the connection waits in the accept queue.
    Opened,
    /// The handshake is complete at the client's host; connect returns.
    Connected,
    /// The server's application took the connection from the accept queue.
    Accepted {
        /// The task that did.
        task: Option<tokio::task::Id>,
    },
    /// Payload reached the receive queue of a host. What arrives in one direction at one instant is one
    /// event, also if the mtu cuts it into several segments.
    Arrived {
        /// The host that it reached.
        to: Side,
        /// The payload.
        bytes: &'a [u8],
    },
    /// Payload reached a host whose application had closed the socket; it is answered with a reset.
    Discarded {
        /// The host that it reached.
        to: Side,
        /// The payload.
        bytes: &'a [u8],
    },
    /// A host learnt how much of its stream has reached its peer. Told only of connections whose link loses segments or was
    /// changed: elsewhere it follows a latency behind the arrival.
    Acknowledged {
        /// The host that learnt it.
        to: Side,
        /// Bytes from the start of its stream.
        bytes: u64,
    },
    /// The peer's end of stream reached a host.
    FinArrived {
        /// The host that it reached.
        to: Side,
    },
    /// A reset reached a host, and was accepted there.
    ResetArrived {
        /// The host that it reached.
        to: Side,
    },
    /// An application shut down the write half of its socket.
    Shutdown {
        /// Whose application.
        by: Side,
    },
    /// An application let go of its socket, or of the listener while the connection was not accepted.
    Closed {
        /// Whose application.
        by: Side,
        /// Whether the host answered with a reset: unread data, a zero linger, a closed listener.
        reset: bool,
    },
    /// An application has closed its socket, or let go of it earlier, and its host still holds bytes that do not go out by
    /// themselves: the peer's window is closed before the last of them, or the link may lose them. The socket lives on
    /// without an application, as an orphan, until [`Event::OrphanGone`].
    Orphaned {
        /// Which host.
        side: Side,
        /// What it holds: bytes that were written and not acknowledged.
        bytes: usize,
    },
    /// A host holds nothing of an orphan any more: all was acknowledged, or it was reset, or given up.
    OrphanGone {
        /// Which host.
        side: Side,
    },
    /// A host gave up: its peer had not acknowledged anything for 924.6 s, or did not answer a connect
    /// for 131 s.
    TimedOut {
        /// Which host.
        side: Side,
    },
    /// The client's host is gone, see [`World::vanish`](crate::World::vanish).
    Vanished,
}
