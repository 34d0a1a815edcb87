//! `close` is honoured.

use super::{Broken, CROSSING};
use crate::finding::spell;
use crate::ledger::Connection;
use crate::run::Run;

/// Behind the last response, that to a request with `close` or one that says so itself, the server closes (RFC 9112 §9.6). It has
/// the time for that which it claims for a client that is gone.
pub(super) fn judge(run: &Run, connection: &Connection) -> Broken {
    let (requests, responses) = (&connection.requests, &connection.responses);
    let last = responses
        .list
        .iter()
        .filter(|response| response.is_final())
        .find(|response| {
            let request = requests.list.get(response.answers);
            response.close || request.is_some_and(|request| request.close)
        })?;
    let complete = last.complete_at?;
    // What it still reads of the request's body it may wait for; that has a clock of its own.
    let asked = requests.list.get(last.answers)?.complete_at?;
    let due = complete.max(asked) + run.contract.drain.max(CROSSING);
    let began = [
        connection.server_shutdown,
        connection.server_closed.map(|(at, _)| at),
    ];
    let began = began.into_iter().flatten().min();
    let excused = connection.disturbed || connection.panicked.is_some() || requests.broken;
    if excused || began.unwrap_or(run.search.from) <= due {
        return None;
    }
    Some((
        due,
        format!(
            "response {} was the last, since {} said close (a MUST of RFC 9112 section 9.6), and was whole at {}; {}",
            last.answers + 1,
            if last.close { "it" } else { "its request" },
            spell(complete),
            match began {
                Some(at) => format!("the server began to close at {}", spell(at)),
                None => "the server did not begin to close".to_owned(),
            }
        ),
    ))
}
