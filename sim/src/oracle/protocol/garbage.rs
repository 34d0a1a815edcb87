//! What the server says is HTTP/1.1.

use super::Broken;
use crate::ledger::Connection;

pub(super) fn judge(connection: &Connection) -> Broken {
    (connection.responses.broken && !connection.requests.broken
        && !connection.requests.lax).then(|| {
        (
            connection.last_progress,
            "the server sent bytes that are no HTTP/1.1 response where one was to begin or go on, or bytes of responses out of order \
             (RFC 9112 section 4)"
                .to_owned(),
        )
    })
}
