//! Transfer-Encoding is for HTTP/1.1 only, and for responses that can have a body (RFC 9112 section 6.1).

use super::Broken;
use crate::ledger::Connection;

pub(super) fn judge(connection: &Connection) -> Broken {
    let requests = &connection.requests;
    let mut coded = connection.responses.list.iter().filter(|one| one.coded);
    coded.find_map(|response| {
        let request = requests.list.get(response.answers)?;
        let why = match response.status {
            _ if request.old => "its request is HTTP/1.0, which does not know it".to_owned(),
            status @ (..200 | 204) => format!("a {status} has no body"),
            _ => return None,
        };
        Some((
            response.at,
            format!(
                "response {} has a Transfer-Encoding, and {why} (a MUST NOT of RFC 9112 section 6.1)",
                response.answers + 1
            ),
        ))
    })
}
