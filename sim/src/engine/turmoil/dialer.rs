//! The clients' host: connecting.
//!
//! The SYN is turmoil's own. turmoil's answer to it takes no time, so the client waits until an answer would have been
//! here, and sends the third segment, which opens the connection at the server's host one latency later.

use super::endpoint::Endpoint;
use super::frame::Frame;
use super::journal::{self, note};
use super::link::Link;
use super::listener::PORT;
use super::path;
use super::stream::{Arrivals, End, TcpStream, pump, send};
use crate::trace::record;
use hangup_network::{ConnectionId, Event, Side};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The server's host.
pub(super) const SERVER: &str = "server";
/// The ports that a client's host gives to its connections. turmoil panics when there are no more.
pub(super) const PORTS: RangeInclusive<u16> = 1024..=65535;

/// Where clients connect to on the turmoil engine.
#[derive(Clone, Copy, Debug)]
pub struct Dialer {
    link: Link,
}

/// Says so when the application gives its connect up.
struct Attempt {
    id: ConnectionId,
    over: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.over {
            note(self.id, Event::Abandoned, &[]);
        }
    }
}

impl Dialer {
    pub(super) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Opens a connection, from this address or that of the clients' host. Clients share a host, so the server learns
    /// another address from the third segment.
    pub async fn connect(&self, from: Option<IpAddr>) -> io::Result<TcpStream> {
        let start = journal::now().ok_or(ErrorKind::NetworkDown)?;
        if turmoil::established_tcp_stream_count() >= PORTS.len() {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let mut attempt = Attempt {
            id: journal::number(),
            over: false,
        };
        // Not by way of the journal: the ledger has to know whose call this is.
        record(|recorder| recorder.network_at(start, attempt.id, &Event::Connecting));
        let connected = turmoil::net::TcpStream::connect((SERVER, PORT)).await;
        let answer = start + 2 * self.link.latency;
        sleep(answer.saturating_sub(journal::now().unwrap_or(Duration::MAX))).await;
        attempt.over = true;
        let Ok(stream) = connected else {
            note(attempt.id, Event::Refused, &[]);
            return Err(ErrorKind::ConnectionRefused.into());
        };
        note(attempt.id, Event::Connected, &[]);
        let (read, mut write) = stream.into_split();
        let hello = Frame::Hello {
            id: attempt.id.0,
            from: from.and_then(|from| match from {
                IpAddr::V4(from) => Some(from),
                IpAddr::V6(_) => None,
            }),
        };
        send(&mut write, &hello, |at| {
            path::departure(attempt.id, Side::Client, at)
        });
        let end = End::new(Endpoint::new(attempt.id, Side::Client, self.link), write);
        let arrivals = Arrivals::new(read, self.link).of(attempt.id, Side::Server);
        tokio::spawn(pump(arrivals, Arc::clone(&end)));
        Ok(TcpStream::new(end))
    }
}
