//! What the kernel knows of a TCP socket, and what it is told: how many bytes wait in it for the peer, how many may, and
//! when a peer that says nothing is gone.
//!
//! What waits is asked of the kernel about one socket by its addresses ([`hangup_sockdiag`]). The answer is made while the
//! question is asked, so that nothing waits. On other systems than Linux nothing is known.

use hangup_lifecycle::Limits;
use std::io;
use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

/// Whether the kernel can be asked what waits in a socket.
pub(crate) const TELLS: bool = hangup_sockdiag::TELLS;

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
    match hangup_sockdiag::socket(own, peer) {
        Ok(socket) => Ok(socket.map(|socket| socket.unacknowledged.into())),
        Err(error) => {
            if TELLS {
                NOT_ASKED.call_once(|| {
                    tracing::warn!(
                        %error,
                        "the kernel cannot be asked what clients have acknowledged (netlink sock_diag): \
                         what it has accepted is taken for that, and slow readers may be cut early"
                    );
                });
            }
            Ok(None)
        }
    }
}

/// Said once.
static NOT_ASKED: Once = Once::new();

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
