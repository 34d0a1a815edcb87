//! The question and its answer, as `linux/inet_diag.h` has them.

use super::Socket;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with,
};
use std::cell::{Cell, OnceCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

/// `SOCK_DIAG_BY_FAMILY`, the only type of question here.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// `TCP_LISTEN`.
const LISTEN: u8 = 10;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `nlmsg_type` and `nlmsg_seq` in it.
const TYPE_AT: usize = 4;
const SEQUENCE_AT: usize = 8;
/// `struct inet_diag_req_v2`.
const QUESTION: usize = 56;
/// `idiag_state`, `idiag_wqueue` and `idiag_inode` in `struct inet_diag_msg`, behind the header.
const STATE_AT: usize = HEADER + 1;
const WRITE_QUEUE_AT: usize = HEADER + 60;
const INODE_AT: usize = HEADER + 68;

thread_local! {
    /// A thread asks through a socket of its own.
    static SOCKET: OnceCell<Result<OwnedFd, Errno>> = const { OnceCell::new() };
    /// The number of the last question, by which its answer is known.
    static SEQUENCE: Cell<u32> = const { Cell::new(0) };
}

/// So many answers to earlier questions are skipped, which were not read then.
const STALE_MAX: usize = 16;

pub(super) fn socket(own: SocketAddr, peer: SocketAddr) -> io::Result<Option<Socket>> {
    SOCKET.with(|socket| {
        let socket = socket.get_or_init(open).as_ref().map_err(|error| *error)?;
        let sequence = SEQUENCE.get().wrapping_add(1);
        SEQUENCE.set(sequence);
        let question = question(own, peer, sequence);
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        sendto(socket, &question, SendFlags::empty(), &kernel)?;
        let mut answer = [0; 512];
        for _ in 0..=STALE_MAX {
            let (_, length) = recv(socket, &mut answer, RecvFlags::DONTWAIT)?;
            let answer = answer.get(..length).unwrap_or(&answer);
            if word(answer, SEQUENCE_AT) == Some(sequence) {
                return read(answer);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    })
}

fn open() -> Result<OwnedFd, Errno> {
    let (kind, protocol) = (SocketType::DGRAM, Some(netlink::SOCK_DIAG));
    socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, protocol)
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

fn word(answer: &[u8], at: usize) -> Option<u32> {
    let bytes = answer.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// What an answer says.
fn read(answer: &[u8]) -> io::Result<Option<Socket>> {
    let short = || io::Error::from(io::ErrorKind::InvalidData);
    let kind = answer.get(TYPE_AT..TYPE_AT + 2).ok_or_else(short)?;
    if kind == ERROR.to_ne_bytes() {
        // The number is negative.
        let error = word(answer, HEADER).ok_or_else(short)?.wrapping_neg() as i32;
        return match error == Errno::NOENT.raw_os_error() {
            true => Ok(None),
            false => Err(io::Error::from_raw_os_error(error)),
        };
    }
    if kind != BY_FAMILY.to_ne_bytes() {
        return Err(short());
    }
    let state = *answer.get(STATE_AT).ok_or_else(short)?;
    let found = Socket {
        state,
        unacknowledged: word(answer, WRITE_QUEUE_AT).ok_or_else(short)?,
        inode: word(answer, INODE_AT).ok_or_else(short)?,
    };
    // Where there is no such connection, a listener at its own address is found.
    Ok((state != LISTEN).then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    const ESTABLISHED: u8 = 1;

    /// Both ends of a connection, and what listens.
    fn pair(listens: &str, connects: &str) -> (TcpListener, TcpStream, TcpStream) {
        let listener = TcpListener::bind(listens).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(format!("{connects}:{port}")).unwrap();
        let (server, _) = listener.accept().unwrap();
        (listener, client, server)
    }

    fn ends(stream: &TcpStream) -> (SocketAddr, SocketAddr) {
        (stream.local_addr().unwrap(), stream.peer_addr().unwrap())
    }

    #[test]
    fn a_socket_is_found_in_each_family_and_what_waits_in_it_is_known() {
        for (listens, connects) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "[::1]"),
            ("[::]:0", "127.0.0.1"),
        ] {
            let (_listener, _client, mut server) = pair(listens, connects);
            server.set_nonblocking(true).unwrap();
            let (own, peer) = ends(&server);
            let found = socket(own, peer).unwrap().unwrap();
            assert_eq!((found.state, found.unacknowledged), (ESTABLISHED, 0));
            assert_ne!(found.inode, 0);
            let mut sent = 0;
            while let Ok(length) = server.write(&[0; 65536]) {
                sent += length;
            }
            let canonical =
                |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            let found = socket(canonical(own), canonical(peer)).unwrap().unwrap();
            let waiting = found.unacknowledged as usize;
            assert!(0 < waiting && waiting < sent, "{waiting} of {sent}");
        }
    }

    #[test]
    fn what_no_process_holds_is_found_until_it_is_delivered_and_a_listener_is_no_connection() {
        let (_listener, client, mut server) = pair("127.0.0.1:0", "127.0.0.1");
        server.set_nonblocking(true).unwrap();
        while server.write(&[0; 65536]).is_ok() {}
        let (own, peer) = ends(&server);
        drop(server);
        let orphan = socket(own, peer).unwrap().unwrap();
        assert_eq!(orphan.inode, 0);
        assert!(orphan.unacknowledged > 0);
        // Unread bytes make it a reset.
        drop(client);
        while socket(own, peer).unwrap().is_some() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_answer_to_an_earlier_question_is_skipped() {
        let (_listener, mut client, server) = pair("127.0.0.1:0", "127.0.0.1");
        client.set_nonblocking(true).unwrap();
        while client.write(&[0; 65536]).is_ok() {}
        let (own, peer) = ends(&server);
        let waits = |own, peer| socket(own, peer).unwrap().unwrap().unacknowledged;
        assert_eq!(waits(own, peer), 0);
        // The answer to this one is left.
        SOCKET.with(|socket| {
            let socket = socket.get().unwrap().as_ref().unwrap();
            let kernel = netlink::SocketAddrNetlink::new(0, 0);
            let question = question(peer, own, 0);
            sendto(socket, &question, SendFlags::empty(), &kernel).unwrap();
        });
        assert_eq!(waits(own, peer), 0);
        assert!(waits(peer, own) > 0);
    }

    #[test]
    fn an_answer_that_is_none_is_an_error_or_no_socket() {
        let mut answer = [0; HEADER + 72];
        answer[TYPE_AT..TYPE_AT + 2].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer[STATE_AT] = ESTABLISHED;
        answer[WRITE_QUEUE_AT..WRITE_QUEUE_AT + 4].copy_from_slice(&77_u32.to_ne_bytes());
        let found = read(&answer).unwrap().unwrap();
        assert_eq!((found.unacknowledged, found.inode), (77, 0));
        for length in 0..INODE_AT + 4 {
            assert!(read(&answer[..length]).is_err(), "{length}");
        }
        answer[STATE_AT] = LISTEN;
        assert_eq!(read(&answer).unwrap(), None);
        answer[TYPE_AT..TYPE_AT + 2].copy_from_slice(&ERROR.to_ne_bytes());
        for (errno, none) in [(Errno::NOENT, true), (Errno::PERM, false)] {
            let number = (-errno.raw_os_error()).to_ne_bytes();
            answer[HEADER..HEADER + 4].copy_from_slice(&number);
            match read(&answer) {
                Ok(found) => assert!(none && found.is_none()),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
            }
        }
        answer[TYPE_AT..TYPE_AT + 2].copy_from_slice(&99_u16.to_ne_bytes());
        assert!(read(&answer).is_err());
    }
}
