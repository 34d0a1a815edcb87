//! Behind a framing error nobody knows where the next request begins. So the server reads nothing more as one, and closes; what it may not
//! process at all it refuses (RFC 9112 sections 2.2, 6.1, 6.3 and 7.1).

use super::{Broken, CROSSING};
use crate::exchange::Response;
use crate::finding::spell;
use crate::ledger::Connection;
use crate::run::Run;

/// From here on a status is a refusal.
const REFUSAL: u16 = 400;

pub(super) fn judge(run: &Run, connection: &Connection) -> Broken {
    let faulty = connection.requests.fault?;
    let which = faulty.request + 1;
    let what = faulty.fault.describe();
    let finals = || {
        let responses = connection.responses.list.iter();
        responses.filter(|response| response.is_final())
    };
    let own = finals().find(|response| response.answers == faulty.request);
    if let Some(own) = own
        && faulty.fault.must_be_refused()
        && own.status < REFUSAL
    {
        return Some((
            own.at,
            format!("request {which} {what} and was answered {}", own.status),
        ));
    }
    // What was answered early may still be followed by the refusal.
    let behind = || finals().filter(|response| response.answers > faulty.request);
    let last = finals().next_back();
    let refuses = |response: &Response| response.status >= REFUSAL && last == Some(response);
    if let Some(next) = behind().find(|response| !refuses(response)) {
        return Some((
            next.at,
            format!(
                "request {which} {what}, and what came behind it was read as a request and answered {}",
                next.status
            ),
        ));
    }
    let hidden = connection.requests.list.iter();
    let asked = hidden.filter(|request| request.smuggled).count();
    if connection.smuggled as usize > asked {
        return Some((
            faulty.at,
            format!(
                "request {which} {what}, and bytes behind it reached the application as a request"
            ),
        ));
    }
    not_closed(run, connection, own.or_else(|| behind().next_back())?)
}

/// It has the time for that which it claims for a client that is gone.
fn not_closed(run: &Run, connection: &Connection, answer: &Response) -> Broken {
    let faulty = connection.requests.fault?;
    let due = answer.complete_at?.max(faulty.at) + run.contract.drain.max(CROSSING);
    let began = [
        connection.server_shutdown,
        connection.server_closed.map(|(at, _)| at),
    ];
    let began = began.into_iter().flatten().min();
    let excused = connection.disturbed || connection.panicked.is_some();
    if excused || began.unwrap_or(run.search.from) <= due {
        return None;
    }
    Some((
        due,
        format!(
            "request {} {}, was answered {} at {}, and {}",
            faulty.request + 1,
            faulty.fault.describe(),
            answer.status,
            spell(answer.at),
            match began {
                Some(at) => format!("the server began to close only at {}", spell(at)),
                None => "the server did not begin to close".to_owned(),
            }
        ),
    ))
}
