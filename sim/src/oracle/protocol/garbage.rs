//! What the server says is HTTP/1.1.

use super::Broken;
use crate::ledger::Connection;

pub(super) fn judge(connection: &Connection) -> Broken {
    (connection.responses.broken && !connection.requests.broken).then(|| {
        (
            connection.last_progress,
            "the server sent bytes that are no HTTP/1.1 response".to_owned(),
        )
    })
}
