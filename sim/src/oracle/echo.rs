//! **lost**, where it is what a request carried, or what its answer did: the probe app tells what it got, so that what came back
//! shows whether every byte was there, in its order and once.

use crate::exchange::asks::{Asks, Fit};
use crate::finding::spell;
use crate::ledger::Connection;
use crate::run::Run;
use std::time::Duration;

/// A server that has what came with the head of a request, and says nothing of it for so long, has lost it.
const SILENT: Duration = Duration::from_secs(10);

/// The first success that a route which reads bodies to their end has given for a body of which the end had not come.
pub(super) fn halved(connection: &Connection) -> Option<(Duration, String)> {
    let requests = &connection.requests;
    let finals = connection.responses.list.iter();
    let mut successes = finals.filter(|response| (200..300).contains(&response.status));
    successes.find_map(|response| {
        let request = requests.list.get(response.answers)?;
        let at = response.complete_at?;
        // A final status in place of `100 Continue` needs nothing of the body (RFC 9110 section 10.1.1). How long it takes, such as
        // behind a slow request, says nothing.
        let continued = || {
            let mut interim = connection.responses.list.iter();
            interim.any(|one| one.status == 100 && one.answers == response.answers)
        };
        let unseen = request.expects && !continued();
        // A success at once behind the head may be legal. One that waits for the end of the stream is not.
        let waited = connection
            .late_fin
            .is_some_and(|fin| connection.said_at >= fin && response.at >= fin);
        let early = request.complete_at.is_none() && waited;
        let faulty = requests.broken && response.answers + 1 >= requests.list.len();
        (request.asks == Asks::Whole && request.has_body && early && !unseen && !faulty).then(|| {
            (
                at,
                format!(
                    "request {} was answered {} at {}, as if all of its body had come (an incomplete message: RFC 9112 section 8)",
                    response.answers + 1,
                    response.status,
                    spell(at)
                ),
            )
        })
    })
}

/// The first response that came whole and is not what the probe app answers, and how it differs.
pub(super) fn changed(connection: &Connection) -> Option<(Duration, String)> {
    let finals = connection.responses.list.iter();
    let mut finals = finals.filter(|response| response.is_final());
    let wrong = finals.find(|response| connection.fit(response, response.answers) == Fit::Wrong)?;
    let which = wrong.answers;
    let request = connection.requests.list.get(which)?;
    let at = wrong.complete_at?;
    let length = connection.responses.contents.get(which)?.length;
    let back = matches!(request.asks, Asks::Echo | Asks::Stream);
    let sent = connection.requests.contents.get(which);
    let says = match (back, request.complete_at) {
        (true, None) => format!(
            "request {} was answered {} at {}, as if all of its body had come",
            which + 1,
            wrong.status,
            spell(at)
        ),
        (true, Some(_)) => format!(
            "request {} sent {} bytes, and what came back of them at {} is not the same",
            which + 1,
            sent.map_or(0, |sent| sent.length),
            spell(at)
        ),
        (false, _) => format!(
            "response {} was whole at {}, with status {} and {length} bytes, and is not what the application gave",
            which + 1,
            spell(at),
            wrong.status
        ),
    };
    Some((at, says))
}

/// What stood behind a request in the segment of its head did not come back behind the 101. The application may say more
/// than what it sends back, so that it is looked for anywhere.
pub(super) fn tunnelled(run: &Run, connection: &Connection) -> Option<(Duration, String)> {
    let sent = connection.requests.tunnel.as_ref()?;
    let back = connection.responses.tunnel.as_ref()?;
    let switched = connection.responses.list.last()?.at;
    let (early, later) = sent.bytes().split_at(sent.with_head);
    let came = |bytes: &[u8]| memchr::memmem::find(back.bytes(), bytes).is_some();
    if early.is_empty() || came(early) || back.cut {
        return None;
    }
    let ends = [
        connection.client_closed,
        connection.client_shutdown,
        connection.client_gone,
        connection.server_shutdown,
        connection.server_closed.map(|(at, _)| at),
        connection.killed,
    ];
    let end = ends
        .into_iter()
        .flatten()
        .fold(run.search.from, Duration::min);
    let waited =
        end >= switched.saturating_add(SILENT) && connection.bytes_out == connection.server_wrote;
    let overtaken = !later.is_empty() && came(later);
    let excused = connection.disturbed || connection.lossy || connection.panicked.is_some();
    (!excused && (waited || overtaken)).then(|| {
        (
            switched,
            format!(
                "{} bytes came with the head of the request that was answered 101 at {}, and did not come back: {}",
                early.len(),
                spell(switched),
                match overtaken {
                    true => "what was sent behind them did".to_owned(),
                    false => format!("in {} nothing did that has them", spell(SILENT)),
                }
            ),
        )
    })
}
