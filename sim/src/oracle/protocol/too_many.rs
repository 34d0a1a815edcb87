//! One final response a request, none without one.

use super::Broken;
use crate::ledger::Connection;

/// No final response that no request was there for. A request of which only a part came may be refused, too. A 408 may
/// come for no request at all (RFC 9110 §15.5.9), and so may the refusal of a connection on which none was made, if it is
/// the last thing that the server says.
pub(super) fn judge(connection: &Connection) -> Broken {
    if connection.requests.broken || connection.requests.lax {
        return None;
    }
    let list = &connection.responses.list;
    let excess = list
        .iter()
        .find(|response| response.is_final() && response.answers >= response.requests)?;
    let is_last = list.last().is_some_and(|last| last == excess);
    // The first request may come when the refusal is under way.
    let refuses = excess.status == 408 || (excess.status >= 400 && excess.requests == 0);
    if is_last && refuses {
        return None;
    }
    let closed = connection.requests.list.iter().any(|request| request.close);
    Some((
        excess.at,
        format!(
            "{} final responses to {} requests{}: body bytes were read as a request, a request was answered twice, or the bytes of \
             responses came out of order (RFC 9112 section 9.2)",
            connection.responses.finals,
            connection.requests.list.len(),
            if closed {
                ", the last of which said close"
            } else {
                ""
            },
        ),
    ))
}
