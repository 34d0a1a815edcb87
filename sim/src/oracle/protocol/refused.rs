//! The plainest request (a GET of the plain target with a Host and nothing else) is answered, however its bytes are cut. A server that
//! takes one read for a whole head refuses it, or loses a part of it and waits for more.

use super::Broken;
use crate::finding::spell;
use crate::ledger::Connection;
use crate::run::Run;
use std::time::Duration;

/// These say that something is wrong with the request, not that it comes too slowly or that there is too much to do.
const REFUSALS: [u16; 3] = [400, 501, 505];
/// No server's patience with a head is shorter, so this early it is the bytes that are refused, not their pace. Later it is
/// so if the server had read all of them.
const PROMPT: Duration = Duration::from_millis(1500);
/// So long the plainest request needs nowhere.
const IGNORED: Duration = Duration::from_secs(10);

pub(super) fn judge(run: &Run, connection: &Connection) -> Broken {
    let (requests, responses) = (&connection.requests, &connection.responses);
    let excused = requests.broken
        || requests.lax
        || responses.broken
        || connection.panicked.is_some()
        || connection.disturbed
        || connection.lossy
        || connection.killed.is_some();
    if excused {
        return None;
    }
    let finals = responses.list.iter().filter(|response| response.is_final());
    // Who was refused something, or told that there will be no more, may be refused the rest.
    let mut earlier = finals.clone().take(responses.finals.saturating_sub(1));
    if earlier.any(|response| response.close || response.status >= 400) {
        return None;
    }
    let last = finals.clone().next_back();
    match last.filter(|last| REFUSALS.contains(&last.status)) {
        Some(refusal) => {
            let which = refusal.answers;
            let began = match requests.list.get(which) {
                Some(request) if request.plain => request.began,
                Some(_) => return None,
                None if which == requests.list.len() => requests.plain_part()?,
                None => return None,
            };
            let left = connection.client_shutdown.or(connection.client_closed);
            let prompt = refusal.at >= began && refusal.at <= began + PROMPT;
            (refusal.at >= began && (prompt || was_read(connection, which)) && left.is_none_or(|left| left > refusal.at)).then(|| {
                (
                    refusal.at,
                    format!(
                        "request {} is a plain GET, which began at {}, and was refused with {} at {}: a head may come in any pieces \
                         (TCP is a stream of bytes: RFC 9112 section 2)",
                        which + 1,
                        spell(began),
                        refusal.status,
                        spell(refusal.at)
                    ),
                )
            })
        }
        None => ignored(run, connection),
    }
}

/// The server had read the request to its end before it refused it: what it refused was not the pace of its bytes.
fn was_read(connection: &Connection, which: usize) -> bool {
    let request = connection.requests.list.get(which);
    let end = request.and_then(|request| request.end);
    end.is_some_and(|end| connection.read_before_last_write >= end)
}

/// The server has read a plain request, of the only client there is, and says nothing.
fn ignored(run: &Run, connection: &Connection) -> Broken {
    let (requests, responses) = (&connection.requests, &connection.responses);
    let last = responses.list.iter().rfind(|response| response.is_final());
    if last.is_some_and(|last| last.close || last.status >= 400) {
        return None;
    }
    // While the client does not take what was said before, the server cannot say more.
    if responses.inside() || connection.server_wrote > connection.bytes_out {
        return None;
    }
    // Who is not answered when all is over is the fresh client, of which `deaf` speaks.
    connection.client?;
    let clients = run.connections.iter().filter(|one| one.client.is_some());
    let request = requests
        .list
        .get(responses.finals)
        .filter(|one| one.plain)?;
    let (complete_at, end) = (request.complete_at?, request.end?);
    if clients.count() != 1 || connection.server_read < end {
        return None;
    }
    let ready = last.map_or(Some(complete_at), |last| last.complete_at)?;
    let ready = ready.max(complete_at).max(connection.accepted?);
    let ends = [
        connection.client_closed,
        connection.client_gone,
        connection.server_shutdown,
        connection.server_closed.map(|(at, _)| at),
        run.life.shutdowns.first().map(|shutdown| shutdown.asked),
    ];
    let until = ends
        .into_iter()
        .flatten()
        .fold(run.search.from, Duration::min);
    (until >= ready.saturating_add(IGNORED)).then(|| {
        (
            ready + IGNORED,
            format!(
                "request {} is a plain GET, was whole at {} and read by the server, which had no other client, and had no answer {} later",
                responses.finals + 1,
                spell(complete_at),
                spell(IGNORED)
            ),
        )
    })
}
