//! The kernel's table of TCP sockets, where the server's end of our own connections stands, too, if it is on this machine.
//!
//! | the server's end | means |
//! |---|---|
//! | is of a process (has an inode) | it was accepted, and is held |
//! | is of none, before it ever was | it waits in the backlog; where accept is deferred until the first byte, it is not even there for it |
//! | is of none any more, or is gone | the process has let go of it |
//!
//! A socket that a reset took out of the table may still be held by its process, as a descriptor that nobody closes: that is
//! seen where the process is known.

use crate::engine::wire::table::{self, CLOSE_WAIT, ESTABLISHED, LISTEN, Row, SYN_RECV, canonical};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// How long after one look the next one begins.
const PAUSE: Duration = Duration::from_millis(50);
/// The sockets of one port, at one time.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// When the look began.
    begun: Instant,
    /// By the address of the other end.
    rows: BTreeMap<SocketAddr, Row>,
    /// The sockets of the process and its descendants, where that is known.
    held: Option<BTreeSet<u64>>,
}

/// What a snapshot shows of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It waits to be accepted.
    Waiting,
    /// It is held by a process, as this inode.
    Held(u64),
    /// No process holds it.
    Free,
    /// It is not in the table.
    Absent,
}

impl Snapshot {
    /// When the look began.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// What is seen of the server's end of the connection from `client`.
    pub(crate) fn sight(&self, client: SocketAddr) -> Sight {
        match self.rows.get(&canonical(client)) {
            Some(Row { inode, .. }) if *inode != 0 => Sight::Held(*inode),
            Some(Row { state, .. }) if [SYN_RECV, ESTABLISHED, CLOSE_WAIT].contains(state) => {
                Sight::Waiting
            }
            Some(_) => Sight::Free,
            None => Sight::Absent,
        }
    }

    /// What the server's kernel holds of the connection from `client`, which the server has closed.
    pub(crate) fn orphaned(&self, client: SocketAddr) -> Option<usize> {
        self.rows.get(&canonical(client))?.orphaned()
    }

    /// Is the server's end of the connection from `client` in the table?
    pub(crate) fn shows(&self, client: SocketAddr) -> bool {
        self.sight(client) != Sight::Absent
    }

    /// Is it held by another process than the one that is known?
    pub(crate) fn is_of_others(&self, client: SocketAddr) -> bool {
        matches!(self.sight(client), Sight::Held(inode) if self.knows_process() && !self.has(inode))
    }

    /// Does the process have a socket with this inode? False where no process is known.
    pub(crate) fn has(&self, inode: u64) -> bool {
        self.held.as_ref().is_some_and(|held| held.contains(&inode))
    }

    /// How many connections the process holds on the port, those included that the kernel knows no more.
    pub(crate) fn count(&self, forgotten: &BTreeSet<u64>) -> usize {
        let held = |inode: &u64| self.held.as_ref().is_none_or(|held| held.contains(inode));
        let rows = self
            .rows
            .values()
            .map(|row| row.inode)
            .filter(|inode| *inode != 0);
        let all: BTreeSet<u64> = rows.chain(forgotten.iter().copied()).filter(held).collect();
        all.len()
    }

    /// Are the descriptors of a process known?
    pub(crate) fn knows_process(&self) -> bool {
        self.held.is_some()
    }

    /// The inodes of all connections on the port.
    pub(crate) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.rows
            .values()
            .map(|row| row.inode)
            .filter(|inode| *inode != 0)
    }
}

/// Looks at the table again and again, in a thread of its own, for as long as somebody has it.
#[derive(Debug)]
pub(crate) struct Census {
    latest: Mutex<Arc<Snapshot>>,
    port: u16,
    process: Option<u32>,
}

impl Census {
    /// Begins to look at the connections to this port; with the descriptors of `process` and its descendants, if that is given.
    ///
    /// # Errors
    /// When this machine has no such table, or the descriptors of the process cannot be read.
    pub(crate) fn begin(port: u16, process: Option<u32>) -> io::Result<Arc<Self>> {
        let census = Arc::new(Self {
            latest: Mutex::new(Arc::new(look(port, process)?)),
            port,
            process,
        });
        let watched = Arc::downgrade(&census);
        thread::Builder::new()
            .name("census".to_owned())
            .spawn(move || {
                while let Some(census) = watched.upgrade() {
                    census.look();
                    drop(census);
                    thread::sleep(PAUSE);
                }
            })?;
        Ok(census)
    }

    /// The newest snapshot.
    pub(crate) fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks now.
    pub(crate) fn look(&self) {
        // A table that cannot be read at the moment (no descriptor is free) is read the next time.
        if let Ok(snapshot) = look(self.port, self.process) {
            self.keep(snapshot);
        }
    }

    /// Several threads look, and one that began earlier may be done later.
    fn keep(&self, snapshot: Snapshot) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.begun < snapshot.begun {
            *latest = Arc::new(snapshot);
        }
    }
}

fn look(port: u16, process: Option<u32>) -> io::Result<Snapshot> {
    let begun = Instant::now();
    let mut rows = BTreeMap::new();
    table::read(|local, peer, row| {
        if local.port() == port && row.state != LISTEN {
            rows.insert(peer, row);
        }
    })?;
    // After the table: what a process opens in between is held by it, and not free.
    let held = process.map(held_by).transpose()?;
    Ok(Snapshot { begun, rows, held })
}

/// The inodes of every socket of a process and its descendants.
///
/// # Errors
/// When there is no such process, or its descriptors are somebody else's business.
fn held_by(process: u32) -> io::Result<BTreeSet<u64>> {
    let mut held = BTreeSet::new();
    sockets(process, &mut held)?;
    let mut family = BTreeSet::from([process]);
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        parents.extend(parent(id).map(|parent| (id, parent)));
    }
    loop {
        let before = family.len();
        for (id, parent) in &parents {
            if family.contains(parent) && family.insert(*id) {
                // It may end while it is looked at.
                let _ = sockets(*id, &mut held);
            }
        }
        if family.len() == before {
            return Ok(held);
        }
    }
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may have anything in it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn sockets(process: u32, held: &mut BTreeSet<u64>) -> io::Result<()> {
    for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
        let Ok(target) = entry.and_then(|entry| fs::read_link(entry.path())) else {
            continue;
        };
        let inode = target.to_str().and_then(|target| {
            target
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        });
        held.extend::<Option<u64>>(inode);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_backlog_the_process_and_the_release_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = listener.local_addr().expect("it is bound");
        let client = TcpStream::connect(server).expect("somebody listens");
        let from = client.local_addr().expect("it is connected");
        let sight = || {
            let seen = look(server.port(), Some(std::process::id())).expect("Linux has the table");
            (seen.sight(from), seen.count(&BTreeSet::new()))
        };
        assert_eq!(sight(), (Sight::Waiting, 0));
        let (accepted, _) = listener.accept().expect("one has connected");
        let (Sight::Held(inode), 1) = sight() else {
            panic!("{:?}", sight());
        };
        let again = look(server.port(), Some(std::process::id())).expect("Linux has the table");
        assert!(again.has(inode) && !again.has(inode + 1_000_000));
        // Its FIN is no release.
        accepted
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        assert_eq!(sight(), (Sight::Held(inode), 1));
        drop(accepted);
        assert_eq!(sight(), (Sight::Free, 0));
        drop(client);
    }

    #[test]
    fn what_the_kernel_holds_behind_a_close_is_seen_until_the_client_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = listener.local_addr().expect("it is bound");
        let client = TcpStream::connect(server).expect("somebody listens");
        let from = client.local_addr().expect("it is connected");
        let (mut accepted, _) = listener.accept().expect("one has connected");
        let sight = || {
            let seen = look(server.port(), None).expect("Linux has the table");
            (seen.sight(from), seen.orphaned(from))
        };
        accepted.set_nonblocking(true).expect("it is open");
        while accepted.write(&[0; 65_536]).is_ok() {}
        assert!(matches!(sight(), (Sight::Held(_), None)));
        drop(accepted);
        let (Sight::Free, Some(bytes)) = sight() else {
            panic!("{:?}", sight());
        };
        assert!(bytes > 100_000, "{bytes}");
        // Its unread data makes the close of the client a reset.
        drop(client);
        let patience = Instant::now() + Duration::from_secs(5);
        while sight() != (Sight::Absent, None) {
            assert!(Instant::now() < patience, "{:?}", sight());
            thread::yield_now();
        }
    }

    #[test]
    fn a_look_that_took_long_does_not_undo_a_newer_one() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = listener.local_addr().expect("it is bound");
        let client = TcpStream::connect(server).expect("somebody listens");
        let from = client.local_addr().expect("it is connected");
        let census = Census {
            latest: Mutex::new(Arc::new(look(server.port(), None).expect("a table"))),
            port: server.port(),
            process: None,
        };
        let slow = look(server.port(), None).expect("a table");
        let accepted = listener.accept().expect("one has connected");
        census.look();
        census.keep(slow);
        assert!(matches!(census.latest().sight(from), Sight::Held(_)));
        drop(accepted);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(look(1, Some(u32::MAX)).is_err());
    }
}
