//! No response carries what another connection sent, or is the answer to another connection's request.
//!
//! The bodies of each connection have a mark of their own, so that bytes that come back on another one are
//! recognised in any server. An application may keep what one client uploads and give it to the next, so a mark
//! counts only in a response that cannot be such a gift: that of the probe app, which keeps nothing; that to a
//! request with a body whose own mark is not in it; and one that carries a body of which the end had not come.
//! `/echo` of the probe app answers with a digest and no mark: its answer is compared with the requests of the others.

use super::Broken;
use crate::exchange::asks::{Asks, Fit};
use crate::exchange::{Request, Response};
use crate::finding::spell;
use crate::ledger::Connection;
use crate::run::Run;
use hangup_scenario::render::{Mark, Marks};

pub(super) fn judge(run: &Run, connection: &Connection) -> Broken {
    // Behind bytes that are no request nobody knows what a connection has sent.
    if connection.requests.broken {
        return None;
    }
    let others = || {
        let all = run.connections.iter();
        all.filter(|other| other.id != connection.id && !other.requests.list.is_empty())
    };
    let foreign = others().fold(Marks::default(), |marks, other| marks.and(sent(other)));
    let own = sent(connection).and(Mark::of(connection.id).into());
    let foreign = foreign.without(own);
    let finals = connection.responses.list.iter();
    for response in finals.filter(|response| response.is_final()) {
        let found = others().find_map(|other| {
            let request = marked(connection, response, other, foreign)
                .or_else(|| answered(connection, response, other))?;
            Some((other, request))
        });
        if let Some((other, request)) = found {
            return Some((
                response.at,
                format!(
                    "crosstalk: response {} carries what connection {} sent as the body of its request {} or asked for with it, at {} \
                     (a response answers a request of its own connection: RFC 9112 section 9.2)",
                    response.answers + 1,
                    other.id,
                    request + 1,
                    spell(response.at)
                ),
            ));
        }
    }
    None
}

/// The marks of the bodies that a connection has sent.
fn sent(connection: &Connection) -> Marks {
    let requests = connection.requests.list.iter();
    requests.fold(Marks::default(), |marks, request| marks.and(request.marks))
}

/// The request of `other` whose body is in this response, and cannot have been given to its client on purpose.
fn marked(
    connection: &Connection,
    response: &Response,
    other: &Connection,
    foreign: Marks,
) -> Option<usize> {
    if foreign.is_empty() {
        return None;
    }
    let content = connection.responses.contents.get(response.answers)?.bytes?;
    let there = Marks::within(content);
    let strange = there.among(foreign);
    if strange.is_empty() {
        return None;
    }
    let own = connection.requests.list.get(response.answers);
    let own = own.map(|request| request.marks).unwrap_or_default();
    let before = |request: &Request| !request.marks.among(strange).is_empty();
    let which = other.requests.list.iter().position(before)?;
    let unfinished = other.requests.list[which]
        .complete_at
        .is_none_or(|whole| whole > response.at);
    let swapped = !own.is_empty() && there.among(own).is_empty();
    (connection.probe_app > 0 || swapped || unfinished).then_some(which)
}

/// The request of `other` that this response answers, where it does not answer its own.
fn answered(connection: &Connection, response: &Response, other: &Connection) -> Option<usize> {
    if connection.fit(response, response.answers) != Fit::Wrong {
        return None;
    }
    let requests = other.requests.list.iter().enumerate();
    let mut telling = requests.filter(|(_, request)| match request.asks {
        // Others have the same answer as many.
        Asks::Echo | Asks::Stream => request.has_body,
        Asks::Big(length) => length > 0,
        _ => false,
    });
    let found = telling.find(|(which, _)| connection.fit_of(response, other, *which) == Fit::Right);
    found.map(|(which, _)| which)
}
