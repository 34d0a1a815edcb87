//! The kernel's table of TCP sockets, with those that no process holds any more: one of them by its addresses
//! ([`hangup_sockdiag`]), or all (`/proc/net/tcp`).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kernel's tables, one for each address family.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Linux's number of the state ESTABLISHED.
pub(super) const ESTABLISHED: u8 = 1;
/// Linux's number of the state SYN_RECV.
pub(super) const SYN_RECV: u8 = 3;
/// Linux's number of the state CLOSE_WAIT.
pub(super) const CLOSE_WAIT: u8 = 8;
/// Linux's numbers of the states FIN_WAIT1, LAST_ACK and CLOSING: the end of the stream is not acknowledged.
const CLOSED: [u8; 3] = [4, 9, 11];
/// Linux's number of the state LISTEN.
pub(super) const LISTEN: u8 = 10;

/// One socket of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) state: u8,
    /// Bytes that were written and not acknowledged; the end of the stream counts as one.
    pub(super) queued: usize,
    /// The inode of the socket, 0 if no process holds it.
    pub(super) inode: u64,
}

impl Row {
    /// The bytes that the kernel still holds for the peer of a socket that no process has any more: an orphan. None if there are
    /// none.
    pub(super) fn orphaned(&self) -> Option<usize> {
        let closed = self.inode == 0 && CLOSED.contains(&self.state);
        // The end of the stream counts as one.
        (closed && self.queued > 1).then(|| self.queued - 1)
    }
}

/// Gives every socket of the table to `each`: its own address, its peer's, and what it is.
///
/// # Errors
/// When this machine has no such table.
pub(super) fn read(mut each: impl FnMut(SocketAddr, SocketAddr, Row)) -> io::Result<()> {
    for table in TABLES {
        match fs::read_to_string(table) {
            Ok(text) => {
                for (local, peer, row) in text.lines().skip(1).filter_map(row) {
                    each(local, peer, row);
                }
            }
            // A machine without IPv6 has no second one.
            Err(error) if table == TABLES[0] => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

/// The socket with these two addresses, `None` if the kernel has none. Where one cannot be asked for, all are read, which takes the
/// longer the more there may be.
///
/// # Errors
/// When this machine has no such table.
pub(super) fn find(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<Row>> {
    match hangup_sockdiag::socket(local, peer) {
        Ok(found) => Ok(found.map(|socket| Row {
            state: socket.state,
            queued: socket.unacknowledged as usize,
            inode: socket.inode.into(),
        })),
        Err(_) => search(local, peer),
    }
}

fn search(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<Row>> {
    let wanted = (canonical(local), canonical(peer));
    let mut found = None;
    read(|local, peer, row| {
        if (local, peer) == wanted {
            found = Some(row);
        }
    })?;
    Ok(found)
}

/// One line: number, local address, address of the peer, state, queues, timer, retransmissions, user, probes, inode.
fn row(line: &str) -> Option<(SocketAddr, SocketAddr, Row)> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let local = address(columns.next()?)?;
    let peer = address(columns.next()?)?;
    let state = u8::from_str_radix(columns.next()?, 16).ok()?;
    let queued = columns.next()?.split_once(':')?.0;
    let queued = usize::from_str_radix(queued, 16).ok()?;
    let inode = columns.nth(4)?.parse().ok()?;
    let row = Row {
        state,
        queued,
        inode,
    };
    Some((local, peer, row))
}

/// `0100007F:1F90`: words in the machine's own order.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(host.get(at..at + 8)?, 16).ok();
    let host = match host.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (index, to) in bytes.chunks_exact_mut(4).enumerate() {
                to.copy_from_slice(&word(8 * index)?.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(canonical(SocketAddr::new(host, port)))
}

/// The address as IPv4 if it is one of IPv4: a server that listens on both families sees such a
/// client at an address of IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_found_as_among_all() {
        let listener = std::net::TcpListener::bind("[::]:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let (server, _) = listener.accept().expect("it comes");
        for stream in [&client, &server] {
            let own = canonical(stream.local_addr().expect("it is connected"));
            let peer = canonical(stream.peer_addr().expect("it is connected"));
            let found = find(own, peer).expect("a table");
            assert!(found.is_some_and(|row| row.state == ESTABLISHED && row.inode != 0));
            assert_eq!(found, search(own, peer).expect("a table"));
        }
        let (own, peer) = (client.local_addr().expect("it is connected"), "127.0.0.1:1");
        let peer = peer.parse().expect("an address");
        assert_eq!(find(own, peer).expect("a table"), None);
        assert_eq!(search(own, peer).expect("a table"), None);
    }

    #[test]
    fn lines_of_both_families_are_read() {
        let line = "   1: 0100007F:1F90 0100007F:D431 08 00000102:00000001 00:00000000 00000000  1000        0 48213 1 0000000000000000 20 0 0 10 -1";
        let (local, peer, found) = row(line).expect("a line of Linux");
        assert_eq!(local, "127.0.0.1:8080".parse().expect("an address"));
        assert_eq!(peer, "127.0.0.1:54321".parse().expect("an address"));
        assert_eq!((found.state, found.inode), (CLOSE_WAIT, 48213));
        assert_eq!(found.queued, 258);
        let mapped = "0000000000000000FFFF00000100007F:1F90";
        assert_eq!(address(mapped), Some(local));
        let six = "00000000000000000000000001000000:1F90";
        assert_eq!(address(six), "[::1]:8080".parse().ok());
        for broken in [
            "",
            "sl  local_address",
            "0: zz:1 yy:2 01",
            "0: 0100007F:1F90",
        ] {
            assert_eq!(row(broken), None, "{broken}");
        }
    }
}
