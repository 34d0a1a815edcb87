//! One TCP socket of this machine, by its two addresses: its state, its inode, and the bytes that its peer has not
//! acknowledged.
//!
//! Linux is asked through `sock_diag` (netlink, [sock_diag(7)]): what `SIOCOUTQ` would say, by safe means, and also of a
//! socket that no process has any more. The kernel looks the socket up in its hash table, so that the question costs the
//! same however many sockets there are; `/proc/net/tcp` is read from its beginning to its end. The answer is made while
//! the question is sent, so that nothing waits. On other systems nothing is known ([`TELLS`]).
//!
//! [sock_diag(7)]: https://man7.org/linux/man-pages/man7/sock_diag.7.html

use std::io;
use std::net::SocketAddr;

/// Whether this system can be asked at all.
pub const TELLS: bool = cfg!(target_os = "linux");

/// What the kernel knows of a TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Linux's number of its state, as in `/proc/net/tcp`: 1 is ESTABLISHED.
    pub state: u8,
    /// Bytes that were written to it and that its peer has not acknowledged; a FIN counts as one.
    pub unacknowledged: u32,
    /// Its inode; 0 if no process holds it.
    pub inode: u32,
}

/// The socket whose own address is `own` and whose peer's is `peer`; `None` if the kernel has none. A socket of IPv6 that
/// talks to a peer of IPv4 is found by the addresses of both families.
///
/// # Errors
/// When the kernel cannot be asked: another system, no permission, or no netlink (a sandbox). A socket of another network
/// namespace than the thread's is none.
pub fn socket(own: SocketAddr, peer: SocketAddr) -> io::Result<Option<Socket>> {
    #[cfg(target_os = "linux")]
    return linux::socket(own, peer);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (own, peer);
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
mod linux;
