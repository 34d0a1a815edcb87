//! An extension of a chunk that a server does not know is ignored (a MUST of RFC 9112 section 7.1.1).
//!
//! An application may refuse any upload, so a refusal counts only if the same upload is taken without its extensions.

use crate::cell::Cell;
use crate::engine::Engine;
use crate::finding::Finding;
use crate::ledger::Connection;
use crate::run::Run;
use crate::server::Server;
use hangup_scenario::send::Piece;
use hangup_scenario::{Scenario, Step, Verdict};
use std::sync::Arc;

/// A server may refuse longer extensions.
const LENGTH_MAX: usize = 64;
/// What a server says that does not understand a request: it is malformed, or not implemented.
const REFUSALS: [u16; 2] = [400, 501];

/// A whole request whose chunks have extensions is refused, and is not without them.
pub(super) fn finding(engine: Engine, cell: &Cell, server: &dyn Server) -> Option<Finding> {
    let fair = cell.base.server_events.is_empty() && cell.run.speaks_http;
    let other = without_extensions(&cell.base).filter(|_| fair)?;
    let other = engine.run(&server.fit(&Arc::new(other)), server, cell.as_run());
    let mut refused = cell.run.connections.iter().filter_map(refusal);
    let (connection, which, status) = refused.find(|(connection, which, _)| {
        let taken = other.connections.iter();
        let mut taken = taken.filter(|one| same(&cell.run, connection, &other, one));
        taken.any(|one| status_of(one, *which).is_some_and(is_understood))
    })?;
    let at = connection.responses.list.last()?.at;
    Some(Finding {
        kind: Verdict::Protocol,
        part: Some("extension"),
        client: connection.client,
        connection: Some(connection.id),
        at,
        alive_for: None,
        never_ends: false,
        phase: None,
        task: None,
        says: format!(
            "connection {}: request {} has a chunk with an extension and was refused with {status}; without the extension it is \
             understood: what a recipient does not know there it ignores (a MUST of RFC 9112 section 7.1.1)",
            connection.id,
            which + 1
        ),
    })
}

/// The request that a connection ends with, if it came whole and was refused.
fn refusal(connection: &Connection) -> Option<(&Connection, usize, u16)> {
    let requests = &connection.requests;
    let last = connection
        .responses
        .list
        .iter()
        .rfind(|one| one.is_final())?;
    let request = requests.list.get(last.answers)?;
    let sound = !requests.broken && request.has_body && request.complete_at.is_some();
    let counts = connection.client.is_some() && sound && REFUSALS.contains(&last.status);
    counts.then_some((connection, last.answers, last.status))
}

/// The request was read to its end, whatever the application makes of it.
fn is_understood(status: u16) -> bool {
    status < 500 && status != 408 && !REFUSALS.contains(&status)
}

fn status_of(connection: &Connection, which: usize) -> Option<u16> {
    let mut finals = connection
        .responses
        .list
        .iter()
        .filter(|one| one.is_final());
    Some(finals.find(|one| one.answers == which)?.status)
}

/// Are they the same connection of the same client in two runs?
fn same(base: &Run, one: &Connection, other: &Run, twin: &Connection) -> bool {
    let nth = |run: &Run, id: u32, client| {
        let of_client = run.connections.iter().filter(|one| one.client == client);
        of_client.take_while(|one| one.id < id).count()
    };
    one.client == twin.client && nth(base, one.id, one.client) == nth(other, twin.id, twin.client)
}

/// The same scenario without the extensions in what its clients send byte by byte; none if there are none.
fn without_extensions(scenario: &Scenario) -> Option<Scenario> {
    let mut other = scenario.clone();
    let mut changed = false;
    let clients = other.clients.iter_mut();
    for step in clients.flat_map(|client| &mut client.steps) {
        let Step::Send(send) = step else { continue };
        for piece in send.what.iter_mut().filter(|_| send.part.is_none()) {
            if let Piece::Bytes(bytes) = piece
                && let Some(without) = without_extension(bytes)
            {
                *bytes = without;
                changed = true;
            }
        }
    }
    changed.then_some(other)
}

/// These bytes without what stands behind a semicolon in the lines of chunk sizes; none if nothing does, or too much.
fn without_extension(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut without = Vec::with_capacity(bytes.len());
    let mut changed = false;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let digits = digits.count();
        let is_named = matches!(line[digits..], [b';', name, ..] if name.is_ascii_alphanumeric());
        let is_extended = digits > 0 && is_named && line.ends_with(b"\r\n");
        if !is_extended {
            without.extend_from_slice(line);
            continue;
        }
        if line.len() > LENGTH_MAX {
            return None;
        }
        without.extend_from_slice(&line[..digits]);
        without.extend_from_slice(b"\r\n");
        changed = true;
    }
    changed.then_some(without)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_extensions_of_chunk_sizes_are_left_out() {
        let whole = |text: &str| without_extension(text.as_bytes());
        assert_eq!(
            whole("5;a=b\r\nhello\r\n0;c\r\n\r\n").as_deref(),
            Some(&b"5\r\nhello\r\n0\r\n\r\n"[..])
        );
        assert_eq!(whole("5\r\nhe;lo\r\n0\r\n\r\n"), None);
        // An extension has a name: without one the line is malformed.
        assert_eq!(whole("5;\r\nhello\r\n0\r\n\r\n"), None);
        assert_eq!(whole(&format!("5;{}\r\nhello\r\n", "x".repeat(100))), None);
    }
}
