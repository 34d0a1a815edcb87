//! **hoard**: the server kept more bytes of one connection for itself than it claims to.
//!
//! What a server has in memory cannot be seen from outside, but a part of it can: bytes that it has taken from the socket and
//! cannot have done anything with yet, because they are behind the request that it still works on, or belong to a head whose
//! end has not come. Bodies are left out, which an application may be reading. So what is found here is true, and
//! what a server keeps may be more. A server that claims no limit is not judged.

use crate::finding::Finding;
use crate::run::Run;
use hangup_scenario::Verdict;

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    let Some(limit) = run.contract.buffer else {
        return;
    };
    for connection in run.connections.iter().filter(|one| !one.own) {
        let Some((at, kept)) = connection.hoarded else {
            continue;
        };
        findings.push(Finding {
            kind: Verdict::Hoard,
            part: None,
            client: connection.client,
            connection: Some(connection.id),
            at,
            alive_for: None,
            never_ends: false,
            phase: Some(connection.phase()),
            task: None,
            says: format!(
                "connection {}: the server keeps {kept} bytes that it can have no use for yet; its contract allows {limit}",
                connection.id
            ),
        });
    }
}
