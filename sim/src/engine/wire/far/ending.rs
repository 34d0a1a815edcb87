//! How the other end of a connection has ended it, as this end's socket shows without anything being taken out of it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::TcpStream;

/// What the socket shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::wire) enum Ending {
    /// It is open.
    None,
    /// The peer's FIN has come, also where data lies unread before it.
    Fin,
    /// An RST has come.
    Reset,
}

/// What a FIN of the peer's raises.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FIN: PollFlags = PollFlags::RDHUP;
/// Elsewhere it shows only when both sides are done.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const FIN: PollFlags = PollFlags::HUP;

/// Looks at `socket`, whose own end is `shut` down for writing or not.
pub(in crate::engine::wire) fn ending(socket: &TcpStream, shut: bool) -> Ending {
    let mut looked = [PollFd::new(socket, FIN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // An interrupted look is repeated at the next one.
    if poll(&mut looked, Some(&now)).is_err() {
        return Ending::None;
    }
    let shown = looked[0].revents();
    // A socket of which only the peer has said FIN still writes; if it is dead altogether, that was an RST whose error somebody has
    // taken.
    if shown.contains(PollFlags::ERR) || (shown.contains(PollFlags::HUP) && !shut) {
        Ending::Reset
    } else if shown.contains(FIN) {
        Ending::Fin
    } else {
        Ending::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener};
    use std::time::{Duration, Instant};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (server, _) = listener.accept().expect("one has connected");
        (client, server)
    }

    /// Loopback delivers at once, but in another thread of the kernel.
    fn becomes(socket: &TcpStream, shut: bool, due: Ending) {
        let patience = Instant::now() + Duration::from_secs(5);
        while ending(socket, shut) != due {
            assert!(Instant::now() < patience, "{:?}", ending(socket, shut));
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_fin_is_seen_behind_unread_data_and_is_no_reset() {
        let (client, mut server) = pair();
        assert_eq!(ending(&client, false), Ending::None);
        server.write_all(b"unread").expect("it is open");
        server.shutdown(Shutdown::Write).expect("it is open");
        becomes(&client, false, Ending::Fin);
        client.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(ending(&client, true), Ending::Fin);
    }

    #[test]
    fn a_reset_is_seen_behind_unread_data_and_when_its_error_was_taken() {
        let (mut client, mut server) = pair();
        server.write_all(b"unread").expect("it is open");
        SockRef::from(&server)
            .set_linger(Some(Duration::ZERO))
            .expect("it is open");
        drop(server);
        becomes(&client, false, Ending::Reset);
        // Linux hands out what had come before it.
        let mut read = [0; 6];
        client
            .read_exact(&mut read)
            .expect("the queue outlives the reset");
        assert_eq!(&read, b"unread");
        assert!(client.read(&mut read).is_err());
        assert_eq!(ending(&client, false), Ending::Reset);
    }
}
