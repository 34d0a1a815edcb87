//! What is known of each connection of the run on this thread, and the facts that follow from it.
//!
//! Both ends report what they do. What has arrived at a client shows in the receive queue of its socket, which is looked at
//! without taking anything out of it: after the server wrote, before the client reads, and every few milliseconds.

use super::descriptor::Descriptor;
use super::far::{self, Ending, Far};
use super::stream::has_unread;
use super::table;
use crate::trace::record;
use hangup_network::{ConnectionId, Event, Side};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tokio::time::Instant;

/// More than the receive queue of any socket holds at first; it grows.
const QUEUE: usize = 256 * 1024;

/// One connection.
#[derive(Default)]
struct Known {
    /// A second handle of the client's socket, to look into its receive queue.
    client: Option<TcpStream>,
    /// The server's socket, once it has accepted.
    server: Option<Descriptor<tokio::net::TcpStream>>,
    /// Bytes that the client has read.
    read: u64,
    /// Bytes that have been reported as arrived at the client.
    arrived: u64,
    /// Bytes that the server's socket has taken.
    written: u64,
    /// The server will write nothing more.
    server_done: bool,
    /// The server has let go of it.
    server_closed: bool,
    /// The client has been reported to know about that, or about a reset.
    told: bool,
    /// The client will write nothing more.
    client_done: bool,
    /// The listening socket was closed while nobody had accepted it.
    cut: bool,
    /// The server is not of this process.
    far: Option<Far>,
    /// The server, which is of this process, has closed it.
    kernel: Option<Closed>,
}

/// A connection whose server has closed it: its kernel may hold what was written.
struct Closed {
    /// The server's address and the client's.
    ends: (SocketAddr, SocketAddr),
    /// It has been reported that it does.
    orphan: bool,
}

#[derive(Default)]
struct Book {
    list: Vec<Known>,
    /// Connections by the client's end, until they are accepted.
    coming: BTreeMap<SocketAddr, u32>,
    queue: Vec<u8>,
    /// What has vanished.
    kept: Vec<super::TcpStream>,
    /// The run's server is not of this process; its sockets are here, if they are of this machine.
    far: Option<Option<Arc<far::Census>>>,
    /// What this machine itself refused.
    refused: Option<String>,
}

thread_local! {
    static BOOK: RefCell<Book> = RefCell::default();
}

fn with<R>(id: u32, work: impl FnOnce(&mut Known) -> R) -> Option<R> {
    BOOK.with_borrow_mut(|book| book.list.get_mut(id as usize - 1).map(work))
}

fn note(id: u32, event: &Event<'_>) {
    record(|recorder| recorder.network(Instant::now(), ConnectionId(id), event));
}

/// The server of the run on this thread is not of this process.
pub(super) fn begin_far(census: Option<Arc<far::Census>>) {
    BOOK.with_borrow_mut(|book| book.far = Some(census));
}

/// This machine has refused something that a client needs: that is not the server's doing.
pub(super) fn refused(what: String) {
    BOOK.with_borrow_mut(|book| {
        book.refused.get_or_insert(what);
    });
}

/// What this machine refused.
pub(super) fn take_refused() -> Option<String> {
    BOOK.with_borrow_mut(|book| book.refused.take())
}

/// The run on this thread is over.
pub(super) fn clear() {
    // Its streams look into the book when they are dropped.
    let book = BOOK.take();
    drop(book.kept);
}

/// Keeps a stream until the run is over.
pub(super) fn keep(stream: super::TcpStream) {
    BOOK.with_borrow_mut(|book| book.kept.push(stream));
}

/// A client calls connect, from here if the server is of this process; gives the number of the connection.
pub(super) fn connecting(from: Option<SocketAddr>) -> u32 {
    let id = BOOK.with_borrow_mut(|book| {
        book.list.push(Known::default());
        let id = book.list.len() as u32;
        book.coming.extend(from.map(|from| (from, id)));
        id
    });
    note(id, &Event::Connecting);
    id
}

/// Its connect has come to nothing.
pub(super) fn failed(id: u32, kind: ErrorKind) {
    note(
        id,
        &match kind {
            ErrorKind::ConnectionRefused => Event::Refused,
            _ => Event::TimedOut { side: Side::Client },
        },
    );
}

/// Its client gave up.
pub(super) fn abandoned(id: u32) {
    note(id, &Event::Abandoned);
}

/// It stands. On loopback the server's end stands first, and may have been accepted before the client looks.
pub(super) fn connected(id: u32, client: TcpStream) {
    with(id, |known| known.client = Some(client));
    opened(id);
    note(id, &Event::Connected);
    look(id);
    if with(id, |known| known.cut) == Some(true) {
        closed(id, Side::Server, true);
    }
}

/// It stands, with a server that is not of this process.
pub(super) fn connected_far(id: u32, client: TcpStream, from: SocketAddr) {
    let seen = BOOK.with_borrow(|book| matches!(book.far, Some(Some(_))));
    with(id, |known| known.far = Some(Far::connected(from, seen)));
    opened(id);
    if !seen {
        note(id, &Event::Accepted { task: None });
    }
    with(id, |known| known.client = Some(client));
    note(id, &Event::Connected);
    look(id);
}

fn opened(id: u32) {
    let known = record(|recorder| {
        let connection = recorder.ledger.get(id);
        connection.is_some_and(|connection| connection.opened.is_some())
    });
    if known == Some(false) {
        note(id, &Event::Opened);
    }
}

/// Has a client of this run connected from there, and not been accepted?
pub(super) fn expects(peer: SocketAddr) -> bool {
    BOOK.with_borrow(|book| book.coming.contains_key(&peer))
}

/// The server has accepted what comes from there; none if no client of this run does.
pub(super) fn accepted(peer: SocketAddr, server: Descriptor<tokio::net::TcpStream>) -> Option<u32> {
    let id = BOOK.with_borrow_mut(|book| book.coming.remove(&peer))?;
    with(id, |known| known.server = Some(server));
    opened(id);
    note(
        id,
        &Event::Accepted {
            task: tokio::task::try_id(),
        },
    );
    Some(id)
}

/// The listening socket is closed, and the kernel resets what nobody has accepted.
pub(super) fn unlistened() {
    let waiting = BOOK.with_borrow_mut(|book| std::mem::take(&mut book.coming));
    for id in waiting.into_values() {
        let stands = |known: &mut Known| {
            known.cut = true;
            known.client.is_some()
        };
        if with(id, stands) == Some(true) {
            closed(id, Side::Server, true);
        }
    }
}

/// The server's process is dead, and the kernel closes its sockets.
pub(super) fn killed() {
    let held: Vec<_> = BOOK.with_borrow_mut(|book| {
        let list = book.list.iter_mut().zip(1..);
        let held = list.filter_map(|(known, id)| Some((id, known.server.take()?)));
        held.collect()
    });
    for (id, server) in held {
        if let Some(socket) = server.close() {
            let unread = has_unread(&socket);
            drop(socket);
            closed(id, Side::Server, unread);
        }
    }
}

/// Its socket has taken these bytes.
pub(super) fn wrote(id: u32, by: Side, bytes: &[u8]) {
    match by {
        Side::Server => {
            with(id, |known| known.written += bytes.len() as u64);
            look(id);
        }
        Side::Client => {
            let gone = with(id, |known| known.server_closed) == Some(true);
            let to = Side::Server;
            note(
                id,
                &if gone {
                    Event::Discarded { to, bytes }
                } else {
                    Event::Arrived { to, bytes }
                },
            );
            // What a server that is not of this process says to that, its socket will show.
            if gone && with(id, |known| known.far.is_none()) == Some(true) {
                tell(id, Event::ResetArrived { to: Side::Client });
            }
        }
    }
}

/// The client's application took these bytes from its socket. What came between the last look and that is told of now.
pub(super) fn took(id: u32, bytes: &[u8]) {
    let fresh = with(id, |known| {
        known.read += bytes.len() as u64;
        let fresh = known.read.saturating_sub(known.arrived) as usize;
        known.arrived = known.arrived.max(known.read);
        fresh
    });
    let Some(fresh) = fresh.filter(|fresh| *fresh > 0) else {
        return;
    };
    accepted_far(id);
    note(
        id,
        &Event::Arrived {
            to: Side::Client,
            bytes: &bytes[bytes.len().saturating_sub(fresh)..],
        },
    );
}

/// Has a server that is not of this process said more than any scenario is about? It may never end.
pub(super) fn has_enough(id: u32) -> bool {
    with(id, |known| {
        known.far.is_some() && known.read > far::BYTES_MAX
    }) == Some(true)
}

/// The client's host learns of the end, once.
fn tell(id: u32, event: Event<'_>) {
    if with(id, |known| !std::mem::replace(&mut known.told, true)) == Some(true) {
        note(id, &event);
    }
}

/// An end of it was shut down for writing.
pub(super) fn shut_down(id: u32, by: Side) {
    note(id, &Event::Shutdown { by });
    match by {
        Side::Client => {
            with(id, |known| known.client_done = true);
            note(id, &Event::FinArrived { to: Side::Server });
        }
        Side::Server => {
            with(id, |known| known.server_done = true);
            look(id);
        }
    }
}

/// An end of it was let go of, with an RST if something was unread or that was asked for.
pub(super) fn closed(id: u32, by: Side, reset: bool) {
    look(id);
    note(id, &Event::Closed { by, reset });
    match (by, reset) {
        (Side::Client, reset) => {
            // The socket is closed with its last handle.
            with(id, |known| known.client = None);
            let to = Side::Server;
            note(
                id,
                &if reset {
                    Event::ResetArrived { to }
                } else {
                    Event::FinArrived { to }
                },
            );
            if with(id, |known| known.far.as_ref().is_some_and(|far| !far.seen)) == Some(true) {
                // Nobody can see what becomes of it.
                gone(id, false);
            }
        }
        (Side::Server, false) => {
            with(id, |known| {
                known.server_done = true;
                known.server_closed = true;
                let ends = known.client.as_ref().filter(|_| known.far.is_none());
                known.kernel = ends.and_then(|client| {
                    let ends = (client.peer_addr().ok()?, client.local_addr().ok()?);
                    let orphan = false;
                    Some(Closed { ends, orphan })
                });
            });
            look(id);
        }
        (Side::Server, true) => {
            with(id, |known| known.server_closed = true);
            tell(id, Event::ResetArrived { to: Side::Client });
        }
    }
}

/// Reports what has arrived at the client since the last look.
pub(super) fn look(id: u32) {
    let seen = BOOK.with_borrow_mut(|book| {
        let Book { list, queue, .. } = book;
        let known = list.get_mut(id as usize - 1)?;
        if let Some(client) = &known.client {
            let (count, failed) = peek(client, queue);
            if let Some(far) = known.far.as_mut() {
                far.reset |= failed;
            }
            let fresh = (known.read + count as u64).saturating_sub(known.arrived) as usize;
            known.arrived += fresh as u64;
            if fresh > 0 {
                // Taken out, since whoever is told may look, too.
                return Some((std::mem::take(queue), count - fresh..count));
            }
        }
        None
    });
    if let Some((queue, fresh)) = seen {
        accepted_far(id);
        note(
            id,
            &Event::Arrived {
                to: Side::Client,
                bytes: &queue[fresh],
            },
        );
        BOOK.with_borrow_mut(|book| book.queue = queue);
    }
    if with(id, |known| known.far.is_some()) == Some(true) {
        return ends(id);
    }
    let all = with(id, |known| {
        known.server_done && known.arrived >= known.written
    });
    if all == Some(true) {
        tell(id, Event::FinArrived { to: Side::Client });
    }
}

/// Reports how a server that is not of this process has ended it, as far as the client's socket shows.
fn ends(id: u32) {
    let shown = with(id, |known| {
        let client = known.client.as_ref()?;
        if known.far.as_ref().is_some_and(|far| far.reset) {
            return Some(Ending::Reset);
        }
        Some(far::ending(client, known.client_done))
    });
    let unseen = with(id, |known| known.far.as_ref().is_some_and(|far| !far.seen)) == Some(true);
    match shown.flatten() {
        Some(Ending::Fin) => {
            if with(id, |known| !std::mem::replace(&mut known.server_done, true)) == Some(true) {
                accepted_far(id);
                note(id, &Event::Shutdown { by: Side::Server });
                note(id, &Event::FinArrived { to: Side::Client });
                if unseen {
                    gone(id, false);
                }
            }
        }
        Some(Ending::Reset) => {
            accepted_far(id);
            gone(id, true);
            tell(id, Event::ResetArrived { to: Side::Client });
        }
        Some(Ending::None) | None => {}
    }
}

/// A call on the client's end has failed with this; true if that is an RST of a server that is not of this process.
pub(super) fn told_by(id: u32, kind: ErrorKind) -> bool {
    let far = with(id, |known| {
        let far = known.far.as_mut()?;
        far.reset |= is_reset(kind);
        Some(far.reset)
    });
    let reset = far.flatten() == Some(true);
    if reset {
        look(id);
    }
    reset
}

/// Has an RST come from a server that is not of this process?
pub(super) fn is_reset_far(id: u32) -> bool {
    with(id, |known| known.far.is_some() && known.told) == Some(true)
}

fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// The server has accepted it: its end is of a process, or has said something.
fn accepted_far(id: u32) {
    let news = with(id, |known| {
        let far = known.far.as_mut()?;
        Some(far.seen && !std::mem::replace(&mut far.accepted, true))
    });
    if news.flatten() == Some(true) {
        note(id, &Event::Accepted { task: None });
    }
}

/// The server has let go of it.
fn gone(id: u32, reset: bool) {
    if with(id, |known| {
        !std::mem::replace(&mut known.server_closed, true)
    }) == Some(true)
    {
        with(id, |known| known.server_done = true);
        note(
            id,
            &Event::Closed {
                by: Side::Server,
                reset,
            },
        );
    }
}

/// Looks at every connection to a server that is not of this process, and at its own end of it where the kernel shows that.
pub(super) fn look_far() {
    let census = BOOK.with_borrow(|book| book.far.clone().flatten());
    let snapshot = census.map(|census| census.latest());
    let count = BOOK.with_borrow(|book| book.list.len() as u32);
    for id in 1..=count {
        look(id);
        if let Some(snapshot) = &snapshot {
            let known = |known: &mut Known| {
                let far = known.far.as_mut().filter(|_| !known.server_closed)?;
                Some(far.observe(snapshot))
            };
            match with(id, known).flatten() {
                Some(far::State::Held) => accepted_far(id),
                Some(far::State::Released) => {
                    accepted_far(id);
                    gone(id, false);
                }
                Some(far::State::Waiting) | None => {}
            }
            let change = with(id, |known| {
                let far = known.far.as_mut().filter(|_| known.server_closed)?;
                far.look_in_kernel(snapshot)
            });
            if let Some(change) = change.flatten() {
                in_kernel(id, change);
            }
        }
    }
}

/// Reports what the server's kernel holds of a connection that the server has closed.
fn in_kernel(id: u32, change: far::Change) {
    let side = Side::Server;
    note(
        id,
        &match change {
            far::Change::Orphaned(bytes) => Event::Orphaned { side, bytes },
            far::Change::Gone => Event::OrphanGone { side },
        },
    );
}

/// Looks at what the kernel holds of connections that the server of this process has closed.
fn look_at_closed() {
    let mut changes = Vec::new();
    BOOK.with_borrow_mut(|book| {
        for (known, id) in book.list.iter_mut().zip(1..) {
            let Some(kernel) = &mut known.kernel else {
                continue;
            };
            // A table that cannot be read at the moment is read at the next look.
            let Ok(row) = table::find(kernel.ends.0, kernel.ends.1) else {
                continue;
            };
            match row.as_ref().and_then(table::Row::orphaned) {
                Some(bytes) if !std::mem::replace(&mut kernel.orphan, true) => {
                    changes.push((id, far::Change::Orphaned(bytes)));
                }
                Some(_) => {}
                None => {
                    if kernel.orphan {
                        changes.push((id, far::Change::Gone));
                    }
                    known.kernel = None;
                }
            }
        }
    });
    for (id, change) in changes {
        in_kernel(id, change);
    }
}

/// Looks at every connection whose server has written more than has been seen to arrive.
pub(super) fn look_at_all() {
    let behind: Vec<u32> = BOOK.with_borrow(|book| {
        let list = book.list.iter().zip(1..);
        let behind = list.filter(|(known, _)| {
            known.arrived < known.written || (known.server_done && !known.told)
        });
        behind.map(|(_, id)| id).collect()
    });
    behind.into_iter().for_each(look);
    look_at_closed();
}

/// How many bytes lie in the receive queue, which are at the beginning of `queue` then; and whether an RST has come, which a
/// socket tells once.
fn peek(socket: &TcpStream, queue: &mut Vec<u8>) -> (usize, bool) {
    queue.resize(queue.len().max(QUEUE), 0);
    loop {
        match socket.peek(queue) {
            Ok(count) if count == queue.len() => queue.resize(2 * count, 0),
            Ok(count) => return (count, false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Nothing there, or nothing any more.
            Err(error) => return (0, is_reset(error.kind())),
        }
    }
}
