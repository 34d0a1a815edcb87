//! **protocol**: what RFC 9110 and 9112 forbid whatever the client does.
//!
//! | rule | file |
//! |---|---|
//! | what the server says is HTTP/1.1 | `garbage` |
//! | at most one `100 Continue` a request, none to HTTP/1.0, none behind the final response | `continues` |
//! | no Transfer-Encoding to HTTP/1.0, nor where a response has no body | `coded` |
//! | a body byte is never read as a request | `smuggled` |
//! | behind a framing error the server closes, and reads nothing more as a request | `framing` |
//! | a request without a Host, or with two, is refused | `host` |
//! | no response carries what another connection sent or asked for | `crosstalk` |
//! | responses come in the order of their requests | `order` |
//! | one final response a request, none without one, none for what follows a `close` | `too_many` |
//! | behind the last response the server closes | `not_closed` |
//! | the plainest request is not refused, however its bytes are cut | `refused` |
//! | a whole request that the server had read is not dropped in silence | `unanswered` |
//!
//! Behind a request that does not parse little else is judged, since there servers may rightly differ.

mod coded;
mod continues;
mod crosstalk;
mod framing;
mod garbage;
mod host;
mod not_closed;
mod order;
mod refused;
mod smuggled;
mod too_many;
mod unanswered;

use crate::finding::Finding;
use crate::ledger::Connection;
use crate::run::Run;
use hangup_scenario::Verdict;
use std::time::Duration;

/// A request that arrives this close to the server's close may cross it on the way.
const CROSSING: Duration = Duration::from_secs(1);

/// When a rule was broken, and how.
type Broken = Option<(Duration, String)>;

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    if !run.speaks_http {
        return;
    }
    for connection in run.connections.iter().filter(|one| !one.own) {
        if let Some((part, (at, says))) = broken(run, connection) {
            findings.push(Finding {
                kind: Verdict::Protocol,
                part: Some(part),
                client: connection.client,
                connection: Some(connection.id),
                at,
                alive_for: None,
                never_ends: false,
                phase: None,
                task: None,
                says: format!("connection {}: {says}", connection.id),
            });
        }
    }
}

/// The first rule that a connection breaks, by its name.
fn broken(run: &Run, connection: &Connection) -> Option<(&'static str, (Duration, String))> {
    let named = |part, broken: Broken| broken.map(|broken| (part, broken));
    named("garbage", garbage::judge(connection))
        .or_else(|| named("continue", continues::judge(connection)))
        .or_else(|| named("coded", coded::judge(connection)))
        .or_else(|| named("smuggled", smuggled::judge(connection)))
        .or_else(|| named("framing", framing::judge(run, connection)))
        .or_else(|| named("host", host::judge(connection)))
        .or_else(|| named("crosstalk", crosstalk::judge(run, connection)))
        .or_else(|| named("order", order::judge(connection)))
        .or_else(|| named("too-many", too_many::judge(connection)))
        .or_else(|| named("not-closed", not_closed::judge(run, connection)))
        .or_else(|| named("refused", refused::judge(run, connection)))
        .or_else(|| named("unanswered", unanswered::judge(run, connection)))
}
