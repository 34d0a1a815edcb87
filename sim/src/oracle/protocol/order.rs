//! Responses come in the order of their requests (RFC 9112 section 9.3.2). Which request one answers is known of the probe app.

use super::Broken;
use crate::exchange::asks::Fit;
use crate::ledger::Connection;

pub(super) fn judge(connection: &Connection) -> Broken {
    let finals = connection.responses.list.iter();
    for response in finals.filter(|response| response.is_final()) {
        let which = response.answers;
        if connection.fit(response, which) != Fit::Wrong {
            continue;
        }
        let mut others = 0..connection.requests.list.len();
        let other = others.find(|&other| connection.fit(response, other) == Fit::Right);
        if let Some(other) = other {
            return Some((
                response.at,
                format!(
                    "response {} answers request {}: responses come in the order of their requests (a MUST of RFC 9112 section 9.3.2)",
                    which + 1,
                    other + 1
                ),
            ));
        }
    }
    None
}
