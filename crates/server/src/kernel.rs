//! What the kernel knows of a TCP socket, and what it is told: how many bytes wait in it for the peer, how many may, and
//! when a peer that says nothing is gone.
//!
//! Linux is asked through `sock_diag` (netlink), about one socket by its addresses: what `SIOCOUTQ` would say, by safe means.
//! The answer is made while the question is sent, so that nothing waits. On other systems nothing is known.

use hangup_lifecycle::Limits;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Whether the kernel can be asked what waits in a socket.
pub(crate) const TELLS: bool = cfg!(target_os = "linux");

/// How many bytes of what was written to a socket the peer has not acknowledged, a FIN included. `None` if the kernel cannot
/// be asked: another system, no permission, a socket of another network namespace than the thread's.
///
/// # Errors
/// If the socket is no longer connected: a reset has come. So nothing waits in it.
pub(crate) fn unacknowledged(
    own: io::Result<SocketAddr>,
    peer: io::Result<SocketAddr>,
) -> io::Result<Option<u64>> {
    let (own, peer) = (own?, peer?);
    #[cfg(target_os = "linux")]
    return Ok(linux::unacknowledged(own, peer));
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (own, peer);
        Ok(None)
    }
}

/// What the server sets on each TCP socket that it accepts. A listener of one's own does it in
/// [`Listener::accept`](crate::Listener::accept), with the limits that
/// [`Listener::prepare`](crate::Listener::prepare) is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// How many bytes the kernel keeps that it has not sent yet (`TCP_NOTSENT_LOWAT`).
    pub not_sent_max: u32,
    /// Keepalive probes, which end a connection whose client has [vanished](Limits::vanished);
    /// `None` if nothing is to.
    pub keepalive: Option<Keepalive>,
}

/// Keepalive probes of a TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// The first is sent after so long without a byte from the peer (`TCP_KEEPIDLE`), in whole seconds.
    pub idle: Duration,
    /// The next ones so long after each other (`TCP_KEEPINTVL`), in whole seconds.
    pub interval: Duration,
    /// So many without an answer end the connection (`TCP_KEEPCNT`).
    pub count: u32,
}

impl From<&Limits> for SocketOptions {
    fn from(limits: &Limits) -> Self {
        let vanished = limits.vanished.finite();
        SocketOptions {
            not_sent_max: NOT_SENT,
            keepalive: vanished.map(|vanished| Keepalive::within(vanished.as_secs())),
        }
    }
}

/// So much is kept in the kernel that it has not sent yet. More would be memory for nothing: what it may send is sent from
/// this, and it asks for more before it is used up.
const NOT_SENT: u32 = 128 * 1024;

/// Sets a listener up. What it accepts has the same options, on every system that has these.
#[cfg(unix)]
pub(crate) fn prepare(listener: &tokio::net::TcpListener, limits: &Limits) {
    let (socket, options) = (
        socket2::SockRef::from(listener),
        SocketOptions::from(limits),
    );
    // What a system does not know, it does without: the clocks are the same.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    let _ = socket.set_tcp_notsent_lowat(options.not_sent_max);
    if let Some(probes) = options.keepalive {
        let keepalive = socket2::TcpKeepalive::new().with_time(probes.idle);
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
        let keepalive = keepalive
            .with_interval(probes.interval)
            .with_retries(probes.count);
        let _ = socket.set_tcp_keepalive(&keepalive);
    }
}

impl Keepalive {
    /// Three probes, the last one unanswered when so many seconds are over; the kernel's grain is a second, so that it takes
    /// two at least.
    fn within(seconds: u64) -> Self {
        let seconds = seconds.clamp(2, i16::MAX as u64);
        let every = (seconds / 6).max(1);
        let count = (seconds - 1).min(3);
        Keepalive {
            idle: Duration::from_secs(seconds - every * count),
            interval: Duration::from_secs(every),
            count: count as u32,
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
        socket_with,
    };
    use std::cell::{Cell, OnceCell};
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::OwnedFd;

    /// `SOCK_DIAG_BY_FAMILY`, the only type of question here.
    const BY_FAMILY: u16 = 20;
    /// `NLM_F_REQUEST`.
    const REQUEST: u16 = 1;
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    const IPPROTO_TCP: u8 = 6;
    /// `struct nlmsghdr`.
    const HEADER: usize = 16;
    /// `nlmsg_seq` in it.
    const SEQUENCE_AT: usize = 8;
    /// `struct inet_diag_req_v2`.
    const QUESTION: usize = 56;
    /// `idiag_wqueue` in `struct inet_diag_msg`, behind the header: what was written and not acknowledged.
    const WRITE_QUEUE: usize = HEADER + 60;

    thread_local! {
        /// A thread asks through a socket of its own.
        static SOCKET: OnceCell<Option<OwnedFd>> = const { OnceCell::new() };
        /// The number of the last question, by which its answer is known.
        static SEQUENCE: Cell<u32> = const { Cell::new(0) };
    }

    /// So many answers to earlier questions are skipped, which were not read then.
    const STALE_MAX: usize = 16;

    pub(super) fn unacknowledged(own: SocketAddr, peer: SocketAddr) -> Option<u64> {
        SOCKET.with(|socket| {
            let socket = socket.get_or_init(open).as_ref()?;
            let sequence = SEQUENCE.get().wrapping_add(1);
            SEQUENCE.set(sequence);
            let question = question(own, peer, sequence);
            let kernel = netlink::SocketAddrNetlink::new(0, 0);
            sendto(socket, &question, SendFlags::empty(), &kernel).ok()?;
            let mut answer = [0; 512];
            for _ in 0..=STALE_MAX {
                let (_, length) = recv(socket, &mut answer, RecvFlags::DONTWAIT).ok()?;
                let answer = answer.get(..length)?;
                if answer.get(SEQUENCE_AT..SEQUENCE_AT + 4)? == sequence.to_ne_bytes() {
                    return waiting(answer);
                }
            }
            None
        })
    }

    fn open() -> Option<OwnedFd> {
        let (kind, protocol) = (SocketType::DGRAM, Some(netlink::SOCK_DIAG));
        let socket = socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, protocol);
        if let Err(error) = &socket {
            tracing::warn!(
                %error,
                "the kernel cannot be asked what clients have acknowledged (netlink sock_diag): \
                 what it has accepted is taken for that, and slow readers may be cut early"
            );
        }
        socket.ok()
    }

    fn question(own: SocketAddr, peer: SocketAddr, sequence: u32) -> [u8; HEADER + QUESTION] {
        let mut question = [0; HEADER + QUESTION];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            question[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&((HEADER + QUESTION) as u32).to_ne_bytes());
        put(&BY_FAMILY.to_ne_bytes());
        put(&REQUEST.to_ne_bytes());
        put(&sequence.to_ne_bytes());
        // The kernel knows the socket that asks.
        put(&[0; 4]);
        put(&[
            if own.is_ipv4() { AF_INET } else { AF_INET6 },
            IPPROTO_TCP,
            0,
            0,
        ]);
        // In any state.
        put(&u32::MAX.to_ne_bytes());
        put(&own.port().to_be_bytes());
        put(&peer.port().to_be_bytes());
        put(&octets(own.ip()));
        put(&octets(peer.ip()));
        let interface = match peer {
            SocketAddr::V6(peer) => peer.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        put(&interface.to_ne_bytes());
        // No cookie.
        put(&[0xff; 8]);
        question
    }

    fn octets(ip: IpAddr) -> [u8; 16] {
        let mut octets = [0; 16];
        match ip {
            IpAddr::V4(ip) => octets[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => octets = ip.octets(),
        }
        octets
    }

    /// What an answer says; an error is one of another type.
    fn waiting(answer: &[u8]) -> Option<u64> {
        let kind = answer.get(4..6)?;
        let bytes = answer.get(WRITE_QUEUE..WRITE_QUEUE + 4)?;
        let bytes = u32::from_ne_bytes(bytes.try_into().ok()?);
        (kind == BY_FAMILY.to_ne_bytes()).then_some(bytes.into())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_answer_to_an_earlier_question_is_skipped() {
            use std::io::Write;
            use std::net::{TcpListener, TcpStream};
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            client.set_nonblocking(true).unwrap();
            while client.write(&[0; 65536]).is_ok() {}
            let (own, peer) = (server.local_addr().unwrap(), server.peer_addr().unwrap());
            assert_eq!(unacknowledged(own, peer), Some(0));
            // The answer to this one is left.
            SOCKET.with(|socket| {
                let socket = socket.get().unwrap().as_ref().unwrap();
                let kernel = netlink::SocketAddrNetlink::new(0, 0);
                let question = question(peer, own, 0);
                sendto(socket, &question, SendFlags::empty(), &kernel).unwrap();
            });
            assert_eq!(unacknowledged(own, peer), Some(0));
            assert!(unacknowledged(peer, own).unwrap() > 0);
        }

        #[test]
        fn an_answer_that_is_none_says_nothing() {
            let mut answer = [0; HEADER + 72];
            answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
            answer[WRITE_QUEUE..WRITE_QUEUE + 4].copy_from_slice(&77_u32.to_ne_bytes());
            assert_eq!(waiting(&answer), Some(77));
            for length in 0..WRITE_QUEUE + 4 {
                assert_eq!(waiting(&answer[..length]), None);
            }
            // NLMSG_ERROR.
            answer[4..6].copy_from_slice(&2_u16.to_ne_bytes());
            assert_eq!(waiting(&answer), None);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    fn waits(stream: &TcpStream) -> io::Result<Option<u64>> {
        unacknowledged(stream.local_addr(), stream.peer_addr())
    }

    #[test]
    fn probes_end_within_the_time() {
        for (seconds, probes) in [
            (60, (30, 10, 3)),
            (0, (1, 1, 1)),
            (4, (1, 1, 3)),
            (5, (2, 1, 3)),
        ] {
            let Keepalive {
                idle,
                interval,
                count,
            } = Keepalive::within(seconds);
            let found = (idle.as_secs(), interval.as_secs(), count);
            assert_eq!(found, probes, "{seconds}");
        }
        for seconds in 2..1000 {
            let probes = Keepalive::within(seconds);
            let all = probes.idle + probes.interval * probes.count;
            assert_eq!((all.as_secs(), !probes.idle.is_zero()), (seconds, true));
        }
    }

    #[test]
    fn what_waits_in_a_socket_is_known() {
        for (listens, connects) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "[::1]"),
            ("[::]:0", "127.0.0.1"),
        ] {
            let listener = TcpListener::bind(listens).unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect(format!("{connects}:{port}")).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            server.set_nonblocking(true).unwrap();
            assert_eq!(waits(&server).unwrap(), Some(0), "{listens}");
            let mut sent = 0;
            while let Ok(length) = server.write(&[0; 65536]) {
                sent += length as u64;
            }
            let waiting = waits(&server).unwrap().unwrap();
            assert!(
                0 < waiting && waiting < sent,
                "{waiting} of {sent}, {listens}"
            );
            // Unread bytes make it a reset.
            drop(client);
            while waits(&server).is_ok() {
                std::thread::yield_now();
            }
        }
    }
}
