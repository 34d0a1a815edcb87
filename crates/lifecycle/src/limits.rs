//! A value for every phase, the defaults with their reasons, and the two configurations of the incident.

use crate::{Rate, Span};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// The clocks of bytes that move: a minimum rate, a longest gap, and a cap on the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// The least average rate. Its clock runs only while the peer is what is waited for.
    pub rate: Rate,
    /// The longest wait between two bytes.
    pub gap: Span,
    /// The longest for the whole. For a request's body, the time that its length takes at the minimum
    /// rate is added, so that a large body has its time. For a response whose rate and gap are both
    /// bounded, the time in which bytes wait for the peer does not count, because they bound it: a
    /// large response has its time, too.
    pub total: Span,
}

impl Transfer {
    /// Whether rate and gap bound every wait for the peer.
    pub(crate) fn is_paced(&self) -> bool {
        self.rate.per_second().is_some() && self.gap.finite().is_some()
    }
}

/// Both bounds of what is read only to be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drain {
    /// The most bytes of an unread body that are read to keep the connection.
    pub bytes: u64,
    /// The longest that this may take.
    pub total: Span,
}

/// Both clocks of the lingering close (RFC 9112 section 9.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Linger {
    /// The longest wait between two bytes of a client that is still sending.
    pub gap: Span,
    /// The longest for the whole.
    pub total: Span,
}

/// How long a connection may be in each phase, and how much it may ask for.
///
/// Every field has a value; [`Span`] and [`Rate`] have no value that means "off", except through a constructor
/// that takes a name. [`Limits::default`] is what the server runs with unless told otherwise. Change one by
///
/// ```
/// use hangup_lifecycle::{Limits, Span};
///
/// let limits = Limits { idle: Span::seconds(5), ..Limits::default() };
/// assert_eq!(limits.bound().silence, Span::seconds(1232));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From accept to the end of the TLS handshake.
    pub handshake: Span,
    /// From accept (or the end of the handshake) to the first byte of the first request.
    pub opening: Span,
    /// From a request's first byte to the end of its head: every request's, not only the first one's.
    pub head: Span,
    /// From our `100 Continue` to the first byte of the body.
    pub expect: Span,
    /// A request's body. The rate's clock starts when the 100 is sent and pauses while the application does not read.
    pub body: Transfer,
    /// A request as a whole, from its first byte (the first one's from accept) to the end of its body: what Go and fasthttp
    /// call `ReadTimeout`.
    pub read: Span,
    /// What the application may take for a response's head, not counting the time in which it waits for the body.
    pub handler: Span,
    /// A response, to its last byte *acknowledged* by the peer's system where the stream can tell, else accepted by the stream.
    /// Rate and gap run only while bytes wait for the peer. See
    /// [`choosing_limits`](crate::choosing_limits#progress-of-a-response) for what this promises to a slow reader.
    pub response: Transfer,
    /// From the client's FIN to the end of a response in which the application gives nothing: the longest pause of the
    /// application towards a client that has closed its side and may be gone.
    pub half_close: Span,
    /// The longest that the client's host can be gone without a trace (no FIN, no RST) before the connection ends, while no
    /// byte waits for it: the kernel's keepalive probes. Bytes that wait have the clocks of `response`.
    pub vanished: Span,
    /// An unread body.
    pub drain: Drain,
    /// The close after a last response.
    pub linger: Linger,
    /// From the end of a response to the first byte of the next request.
    pub idle: Span,
    /// From `101 Switching Protocols` to the end.
    pub upgrade: Span,
    /// From the request to shut down to the cut of what is still open.
    pub shutdown: Span,
    /// From the request to shut down to the close of a connection without a request: a request that is on its way then is
    /// still answered.
    pub shutdown_grace: Span,
    /// The whole connection, except its lingering close, what it was upgraded to, and the time in which
    /// bytes of its last response wait for a client that keeps `response.rate` and `response.gap`.
    pub age: Span,
    /// The most requests on one connection.
    pub requests: u32,
    /// The most bytes of a request's head, and of the trailers of its body.
    pub head_bytes: usize,
    /// The most fields of a head, and of trailers.
    pub head_fields: usize,
    /// The most bytes of a request's body, also of one that the application streams.
    pub body_bytes: u64,
    /// The most bytes that all connections together may have in the kernel's send queues. When they are reached, a
    /// connection is given more only once less than [`Limits::QUEUED_SHARE`] of its own bytes wait there.
    pub queued_bytes: u64,
    /// The most connections at once.
    pub connections: usize,
    /// The most connections at once from one address; the addresses of an IPv6 /64 are one.
    pub connections_by_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let rate = Rate::at_least(240, Duration::from_secs(5));
        Limits {
            handshake: Span::seconds(10),
            opening: Span::seconds(10),
            head: Span::seconds(10),
            expect: Span::seconds(5),
            body: Transfer {
                rate,
                gap: Span::seconds(30),
                total: Span::seconds(5 * 60),
            },
            read: Span::seconds(60 * 60),
            handler: Span::seconds(30),
            response: Transfer {
                rate,
                // An honest reader acknowledges in steps as large as its system's window updates:
                // 130 KB with Linux's default buffer on loopback, which 300 B/s take 7 min for, and
                // 335 KB with the largest that a stock Linux lets a program set, which take 19 min.
                gap: Span::seconds(20 * 60),
                total: Span::seconds(60 * 60),
            },
            half_close: Span::seconds(5),
            vanished: Span::seconds(60),
            drain: Drain {
                bytes: 64 * 1024,
                total: Span::seconds(2),
            },
            linger: Linger {
                gap: Span::seconds(2),
                total: Span::seconds(5),
            },
            // Longer than the 60 s after which the usual load balancer gives up an idle connection, so that it closes first
            // and never sends a request into our close.
            idle: Span::seconds(75),
            upgrade: Span::seconds(60 * 60),
            shutdown: Span::seconds(10),
            shutdown_grace: Span::of(Duration::from_millis(500)),
            age: Span::seconds(60 * 60),
            requests: 1000,
            head_bytes: 64 * 1024,
            head_fields: 100,
            body_bytes: 4 * 1024 * 1024,
            queued_bytes: 256 * 1024 * 1024,
            connections: 16 * 1024,
            // Room for a proxy in front, through which everybody comes.
            connections_by_address: 4 * 1024,
        }
    }
}

impl Limits {
    /// So many bytes of a connection may always wait in the kernel's send queue, whatever waits there for others.
    pub const QUEUED_SHARE: u64 = 16 * 1024;

    /// Every phase unbounded, as fasthttp's defaults have it: the server of the incident (fasthttp #1834), to reproduce it.
    ///
    /// Drain and linger are zero, not unbounded: fasthttp has neither, it closes at once.
    pub fn unbounded() -> Self {
        Self::without_clocks("as fasthttp's defaults")
    }

    /// Only the article's remedy against the incident: read 60 s, write 60 s, idle 300 s, and nothing else.
    pub fn article() -> Self {
        let limits = Self::without_clocks("not in the article's remedy");
        Limits {
            handshake: Span::seconds(60),
            opening: Span::seconds(60),
            read: Span::seconds(60),
            response: Transfer {
                total: Span::seconds(60),
                ..limits.response
            },
            idle: Span::seconds(300),
            ..limits
        }
    }

    /// The same limits on a clock that runs so many times faster: every time is shorter, every rate higher, and what is
    /// counted or unbounded stays. So that a server can show in seconds of real time what takes it minutes.
    #[must_use]
    pub fn hastened(&self, times: NonZeroU32) -> Self {
        let span = |span: Span| span.hastened(times);
        let transfer = |transfer: Transfer| Transfer {
            rate: transfer.rate.hastened(times),
            gap: span(transfer.gap),
            total: span(transfer.total),
        };
        // Field by field, so that a new clock cannot be forgotten.
        Limits {
            handshake: span(self.handshake),
            opening: span(self.opening),
            head: span(self.head),
            expect: span(self.expect),
            body: transfer(self.body),
            read: span(self.read),
            handler: span(self.handler),
            response: transfer(self.response),
            half_close: span(self.half_close),
            vanished: span(self.vanished),
            drain: Drain {
                bytes: self.drain.bytes,
                total: span(self.drain.total),
            },
            linger: Linger {
                gap: span(self.linger.gap),
                total: span(self.linger.total),
            },
            idle: span(self.idle),
            upgrade: span(self.upgrade),
            shutdown: span(self.shutdown),
            shutdown_grace: span(self.shutdown_grace),
            age: span(self.age),
            requests: self.requests,
            head_bytes: self.head_bytes,
            head_fields: self.head_fields,
            body_bytes: self.body_bytes,
            queued_bytes: self.queued_bytes,
            connections: self.connections,
            connections_by_address: self.connections_by_address,
        }
    }

    fn without_clocks(named: &'static str) -> Self {
        let never = Span::unbounded(named);
        let transfer = Transfer {
            rate: Rate::unbounded(named),
            gap: never,
            total: never,
        };
        Limits {
            handshake: never,
            opening: never,
            head: never,
            expect: never,
            body: transfer,
            read: never,
            handler: never,
            response: transfer,
            half_close: never,
            vanished: never,
            drain: Drain {
                bytes: 0,
                total: Span::seconds(0),
            },
            linger: Linger {
                gap: Span::seconds(0),
                total: Span::seconds(0),
            },
            idle: never,
            upgrade: never,
            shutdown: never,
            shutdown_grace: Span::seconds(0),
            age: never,
            requests: u32::MAX,
            queued_bytes: u64::MAX,
            connections: 256 * 1024,
            connections_by_address: 256 * 1024,
            ..Limits::default()
        }
    }
}

impl fmt::Display for Limits {
    /// A line for each phase, then the bound that follows from them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits {
            handshake,
            opening,
            head,
            expect,
            body,
            read,
            handler,
            response,
            drain,
            linger,
            idle,
            ..
        } = self;
        writeln!(f, "handshake  {handshake}")?;
        writeln!(f, "opening    {opening}")?;
        writeln!(
            f,
            "head       {head}; {} bytes, {} fields",
            self.head_bytes, self.head_fields
        )?;
        writeln!(f, "expect     {expect}")?;
        writeln!(
            f,
            "body       rate {}, gap {}, total {} + length / rate; {} bytes",
            body.rate, body.gap, body.total, self.body_bytes
        )?;
        writeln!(f, "read       {read} (head and body)")?;
        writeln!(f, "handler    {handler}")?;
        writeln!(
            f,
            "response   rate {}, gap {}, total {}",
            response.rate, response.gap, response.total
        )?;
        writeln!(f, "half-close {}", self.half_close)?;
        writeln!(f, "vanished   {}", self.vanished)?;
        writeln!(f, "drain      {}; {} bytes", drain.total, drain.bytes)?;
        writeln!(f, "linger     gap {}, total {}", linger.gap, linger.total)?;
        writeln!(f, "idle       {idle}")?;
        writeln!(f, "upgrade    {}", self.upgrade)?;
        writeln!(
            f,
            "shutdown   {}; {} for a request on its way",
            self.shutdown, self.shutdown_grace
        )?;
        writeln!(f, "age        {}; {} requests", self.age, self.requests)?;
        let (all, by_address) = (self.connections, self.connections_by_address);
        writeln!(
            f,
            "at once    {all} connections; {by_address} from one address"
        )?;
        match self.queued_bytes {
            u64::MAX => writeln!(f, "queued     any number of bytes in the kernel")?,
            bytes => writeln!(f, "queued     {bytes} bytes in the kernel")?,
        }
        self.bound().fmt(f)
    }
}
