//! 100 Continue: at most once a request, never to HTTP/1.0, never behind the final response.

use super::Broken;
use crate::ledger::Connection;

/// At most one 100 a request, none to HTTP/1.0, none when every request is answered (RFC 9110 §10.1.1, §15.2).
pub(super) fn judge(connection: &Connection) -> Broken {
    let hundreds = || {
        connection
            .responses
            .list
            .iter()
            .filter(|response| response.status == 100)
    };
    for hundred in hundreds() {
        let which = hundred.answers + 1;
        let Some(request) = connection
            .requests
            .list
            .get(hundred.answers)
            .filter(|_| hundred.answers < hundred.requests)
        else {
            if connection.requests.broken || connection.requests.in_head() {
                return None;
            }
            return Some((
                hundred.at,
                "a 100 Continue came after the final response, with no request open (RFC 9110 section 15.2)".to_owned(),
            ));
        };
        if request.old {
            return Some((
                hundred.at,
                format!(
                    "request {which} is HTTP/1.0 and got a 100 Continue (a MUST NOT of RFC 9110 section 15.2)"
                ),
            ));
        }
        if hundreds()
            .filter(|other| other.answers == hundred.answers)
            .count()
            > 1
        {
            return Some((
                hundred.at,
                format!(
                    "request {which} got more than one 100 Continue (no MUST of an RFC: clients take the second for an answer to their next request)"
                ),
            ));
        }
    }
    None
}
