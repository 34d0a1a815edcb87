//! A body byte is never read as a request.

use super::Broken;
use crate::ledger::Connection;

/// The requests that are hidden in bodies betray a server that reads a body as a request: its application is given one.
pub(super) fn judge(connection: &Connection) -> Broken {
    let requests = &connection.requests;
    let asked = requests.list.iter().filter(|one| one.smuggled).count();
    (!requests.broken && connection.smuggled as usize > asked).then(|| {
        (
            connection.last_progress,
            "a request that was hidden in a body reached the application: body bytes were read as a request (RFC 9112 section 6.3)".to_owned(),
        )
    })
}
