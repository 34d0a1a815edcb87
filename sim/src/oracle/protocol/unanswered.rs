//! A whole request is not dropped in silence.

use super::{Broken, CROSSING};
use crate::exchange::Request;
use crate::exchange::asks::Asks;
use crate::finding::spell;
use crate::ledger::Connection;
use crate::run::Run;
use std::time::Duration;

/// Who closes so long after a whole request may have waited for its handler until the deadline for that was over
/// (RFC 9112 section 9.5). What is known to be answered at once is not waited for.
const GIVEN_UP: Duration = Duration::from_secs(10);

/// The server closed, though the client still waited and had made a whole request, every earlier response had come
/// whole, and none had announced a close or had been given before its request's body was there, which allows a close too
/// (§9.3). A client that half-closed does wait (RFC 9112 §9.6).
///
/// A request may cross the close of a connection that was idle (RFC 9112 section 9.5). So only a request counts that the server's
/// application had read to its end when it began to close, that was whole well before the close, or that came before any idle
/// clock could have run out: the first one, or one behind which the client half-closed.
///
/// A request may cross the signal to shut down in the same way, but not if the application had read its head before
/// the signal and then read it to its end: it was under way.
pub(super) fn judge(run: &Run, connection: &Connection) -> Broken {
    // `deaf` tells of a fresh client that gets no answer.
    if connection.requests.lax || connection.probe {
        return None;
    }
    // Neither a process that dies nor a handler that panics has a choice.
    if connection.killed.is_some() || connection.panicked.is_some() {
        return None;
    }
    let (closed_at, _) = connection.server_closed?;
    let closed_at = connection
        .server_shutdown
        .map_or(closed_at, |shut| shut.min(closed_at));
    // What the client's full window keeps back is not lost by the server: only behind its FIN nothing more can come.
    let all_arrived = connection.server_fin_arrived && !connection.responses.inside();
    if !connection.client_waited || !all_arrived || connection.responses.broken {
        return None;
    }
    let answered = connection.responses.finals;
    let previous = connection
        .responses
        .list
        .iter()
        .rev()
        .find(|response| response.is_final());
    let finals = connection
        .responses
        .list
        .iter()
        .filter(|response| response.is_final());
    // It may have begun on a request only when the one before was answered.
    let mut before = Duration::ZERO;
    let may_close = connection
        .requests
        .list
        .iter()
        .zip(finals)
        .any(|(request, response)| {
            let begun = std::mem::replace(&mut before, response.at);
            let early = request.has_body
                && request
                    .complete_at
                    .is_none_or(|at| response.at < at.max(begun) + CROSSING);
            request.close || request.old || response.close || early
        });
    let request = connection.requests.list.get(answered)?;
    let complete_at = request.complete_at?;
    // What the server has read does not cross anything.
    let was_read = request
        .end
        .is_some_and(|end| connection.read_before_close.is_some_and(|read| read >= end));
    let head_was_read = connection
        .read_at_signal
        .is_some_and(|read| read >= request.head_end);
    let under_way_at_signal = was_read && head_was_read;
    // When the time for a shutdown is up, what is under way is cut.
    let shut_down = run.life.shutdowns.iter().any(|shutdown| {
        let crosses = shutdown.asked < complete_at + CROSSING && !under_way_at_signal;
        shutdown.asked <= closed_at && (crosses || shutdown.at_least <= closed_at)
    });
    if shut_down {
        return None;
    }
    // Until all of the response before was taken, the server was still at it.
    let taken_at = previous.map_or(Some(Duration::ZERO), |response| response.complete_at)?;
    let under_way = match connection.lossy {
        true => Duration::ZERO,
        false => CROSSING,
    };
    if taken_at > closed_at + under_way {
        return None;
    }
    let ready_at = previous.map_or(connection.opened?, |response| response.at);
    // What comes when the server has begun to close crosses the close however early it is.
    let crosses = complete_at > closed_at || (complete_at == closed_at && !was_read);
    let in_time = (was_read && !crosses)
        || complete_at + CROSSING < closed_at
        || ((answered == 0 || connection.client_shutdown.is_some())
            && !crosses
            && complete_at < ready_at + CROSSING);
    let given_up = complete_at.max(ready_at) + GIVEN_UP <= closed_at;
    let given_up = given_up && !(was_read && is_prompt(connection, request));
    if may_close || given_up || !in_time {
        return None;
    }
    let half_closed = if connection.client_shutdown.is_some() {
        ", after the client's half-close"
    } else {
        ""
    };
    Some((
        closed_at,
        format!(
            "request {} was whole at {} and was never answered: the server {} at {}{half_closed}",
            answered + 1,
            spell(complete_at),
            if was_read {
                "had read it, and closed"
            } else {
                "closed"
            },
            spell(closed_at)
        ),
    ))
}

/// The application answers it as soon as it has come whole.
fn is_prompt(connection: &Connection, request: &Request) -> bool {
    let of_probe_app = matches!(
        request.asks,
        Asks::Ok | Asks::Echo | Asks::Reject | Asks::Big(_) | Asks::Missing
    );
    let by_probe_app = connection.probe_app > 0 && of_probe_app;
    request.plain || by_probe_app || request.asks == Asks::Whole
}
