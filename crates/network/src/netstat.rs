//! What netstat would show.

use crate::connection::{Connection, Holder, Life};
use crate::network::Network;
use crate::observer::{ConnectionId, Side};
use std::fmt;
use std::net::SocketAddr;
use tokio::time::Instant;

/// One socket of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its connection.
    pub connection: ConnectionId,
    /// Its host.
    pub side: Side,
    /// Its address.
    pub local: SocketAddr,
    /// The address of the other side.
    pub peer: SocketAddr,
    /// Where it is in the life of a TCP connection.
    pub state: State,
    /// Bytes that arrived and that the application has not read (Recv-Q).
    pub unread: usize,
    /// Bytes that the application has written and the host has not sent, because the peer's window is closed.
    pub unsent: usize,
    /// Bytes that the host has sent and the peer has not acknowledged. With `unsent`: Send-Q.
    pub unacknowledged: usize,
    /// Whether the application holds it: false in the accept queue, and after a close while the host still has
    /// something to do.
    pub held: bool,
}

/// The states of RFC 9293 that a connection can be seen in. A host has no socket in TIME_WAIT here: it holds
/// nothing that a test could wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The client waits for an answer.
    SynSent,
    /// The server's host waits for the end of the handshake.
    SynReceived,
    /// Open both ways.
    Established,
    /// The application shut down or closed; the peer has not acknowledged it.
    FinWait1,
    /// The peer has acknowledged it, and is still open itself.
    FinWait2,
    /// The peer has no more to say; the application has not closed.
    CloseWait,
    /// Both closed at the same time, and the peer has not acknowledged it.
    Closing,
    /// The application closed after its peer, and the peer has not acknowledged it.
    LastAck,
    /// Over, but the application still holds it.
    Closed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::SynSent => "SYN_SENT",
            State::SynReceived => "SYN_RECV",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN_WAIT1",
            State::FinWait2 => "FIN_WAIT2",
            State::CloseWait => "CLOSE_WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST_ACK",
            State::Closed => "CLOSED",
        })
    }
}

impl Socket {
    pub(crate) fn all(network: &mut Network) -> Vec<Socket> {
        let now = network.medium.now();
        let sides = [Side::Client, Side::Server];
        network
            .connections()
            .flat_map(|connection| sides.map(|side| Socket::of(connection, side, now)))
            .flatten()
            .collect()
    }

    fn of(connection: &Connection, side: Side, now: Instant) -> Option<Socket> {
        let end = connection.end_ref(side);
        let (out, back) = (connection.lane_ref(side), connection.lane_ref(side.peer()));
        let held = end.holder == Holder::Application;
        let over = connection.is_closed(side) || connection.is_forgotten(side, now);
        if matches!(end.life, Life::Unborn | Life::Cookie) || (over && end.holder == Holder::Host) {
            return None;
        }
        let state = match end.life {
            Life::SynSent => State::SynSent,
            Life::SynReceived => State::SynReceived,
            _ if over => State::Closed,
            _ => match (out.fin.asked, out.fin.acked, back.fin.arrived) {
                (false, _, false) => State::Established,
                (false, _, true) => State::CloseWait,
                (true, false, false) => State::FinWait1,
                (true, true, false) => State::FinWait2,
                (true, false, true) if connection.is_passive(side) => State::LastAck,
                (true, false, true) => State::Closing,
                (true, true, true) => State::Closed,
            },
        };
        let (local, peer) = match side {
            Side::Client => (connection.client, connection.server),
            Side::Server => (connection.server, connection.client),
        };
        Some(Socket {
            connection: connection.id,
            side,
            local,
            peer,
            state,
            unread: back.unread(),
            unsent: out.unsent(),
            unacknowledged: out.unacknowledged(),
            held,
        })
    }
}
