//! **protocol**: what RFC 9110 and 9112 forbid whatever the client does.
//!
//! One final response a request, none without one, none for what follows a `close`; at most one `100 Continue`
//! a request, never to HTTP/1.0, never after the final response; and a whole request that the server had read is
//! not dropped in silence. Behind a malformed request nothing is judged, since there servers may rightly differ.

use crate::finding::{Finding, spell};
use crate::ledger::Connection;
use crate::run::Run;
use hangup_scenario::Verdict;
use std::time::Duration;

/// A request that arrives this close to the server's close may cross it on the way.
const CROSSING: Duration = Duration::from_secs(1);
/// Who closes so long after a whole request did not drop it: its deadline for the handler was over (§9.5).
const GIVEN_UP: Duration = Duration::from_secs(10);

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    if !run.speaks_http {
        return;
    }
    for connection in &run.connections {
        let broken = garbage(connection)
            .or_else(|| continues(connection))
            .or_else(|| smuggled(connection))
            .or_else(|| too_many(connection))
            .or_else(|| not_closed(run, connection))
            .or_else(|| unanswered(run, connection));
        if let Some((at, says)) = broken {
            findings.push(Finding {
                kind: Verdict::Protocol,
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

type Broken = Option<(Duration, String)>;

fn garbage(connection: &Connection) -> Broken {
    (connection.responses.broken && !connection.requests.broken).then(|| {
        (
            connection.last_progress,
            "the server sent bytes that are no HTTP/1.1 response".to_owned(),
        )
    })
}

/// At most one 100 a request, none to HTTP/1.0, none when every request is answered (RFC 9110 §10.1.1, §15.2).
fn continues(connection: &Connection) -> Broken {
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
                "a 100 Continue came after the final response, with no request open".to_owned(),
            ));
        };
        if request.old {
            return Some((
                hundred.at,
                format!("request {which} is HTTP/1.0 and got a 100 Continue"),
            ));
        }
        if hundreds()
            .filter(|other| other.answers == hundred.answers)
            .count()
            > 1
        {
            return Some((
                hundred.at,
                format!("request {which} got more than one 100 Continue"),
            ));
        }
    }
    None
}

/// The requests that are hidden in bodies betray a server that reads a body as a request: its application is given one.
fn smuggled(connection: &Connection) -> Broken {
    let requests = &connection.requests;
    let asked = requests.list.iter().filter(|one| one.smuggled).count();
    (!requests.broken && connection.smuggled as usize > asked).then(|| {
        (
            connection.last_progress,
            "a request that was hidden in a body reached the application: body bytes were read as a request".to_owned(),
        )
    })
}

/// Behind the last response, that to a request with `close` or one that says so itself, the server closes (RFC 9112 §9.6). It has
/// the time for that which it claims for a client that is gone.
fn not_closed(run: &Run, connection: &Connection) -> Broken {
    let (requests, responses) = (&connection.requests, &connection.responses);
    let last = responses
        .list
        .iter()
        .filter(|response| response.is_final())
        .find(|response| {
            let request = requests.list.get(response.answers);
            response.close || request.is_some_and(|request| request.close)
        })?;
    let complete = last.complete_at?;
    // What it still reads of the request's body it may wait for; that has a clock of its own.
    let asked = requests.list.get(last.answers)?.complete_at?;
    let due = complete.max(asked) + run.contract.drain.max(CROSSING);
    let began = [
        connection.server_shutdown,
        connection.server_closed.map(|(at, _)| at),
    ];
    let began = began.into_iter().flatten().min();
    let excused = connection.disturbed || connection.panicked.is_some() || requests.broken;
    if excused || began.unwrap_or(run.search.from) <= due {
        return None;
    }
    Some((
        due,
        format!(
            "response {} was the last, since {} said close, and was whole at {}; {}",
            last.answers + 1,
            if last.close { "it" } else { "its request" },
            spell(complete),
            match began {
                Some(at) => format!("the server began to close at {}", spell(at)),
                None => "the server did not begin to close".to_owned(),
            }
        ),
    ))
}

/// No final response that no request was there for. A request of which only a part came may be refused, too. A 408 may
/// come for no request at all (RFC 9110 §15.5.9), and so may the refusal of a connection on which none was made, if it is
/// the last thing that the server says.
fn too_many(connection: &Connection) -> Broken {
    if connection.requests.broken {
        return None;
    }
    let list = &connection.responses.list;
    let excess = list
        .iter()
        .find(|response| response.is_final() && response.answers >= response.requests)?;
    let is_last = list.last().is_some_and(|last| last == excess);
    // The first request may come when the refusal is under way.
    let refuses = excess.status == 408 || (excess.status >= 400 && excess.requests == 0);
    if is_last && refuses {
        return None;
    }
    let closed = connection.requests.list.iter().any(|request| request.close);
    Some((
        excess.at,
        format!(
            "{} final responses to {} requests{}: body bytes were read as a request, or a request was answered twice",
            connection.responses.finals,
            connection.requests.list.len(),
            if closed {
                ", the last of which said close"
            } else {
                ""
            },
        ),
    ))
}

/// The server closed, though the client still waited and had made a whole request, every earlier response had come
/// whole, and none had announced a close or had been given before its request's body was there, which allows a close too
/// (§9.3). A client that half-closed does wait (RFC 9112 §9.6).
///
/// A request may cross the close of a connection that was idle (§9.5). So only a request counts that was whole well before
/// the close, or that came before any idle clock could have run out: the first one, or one behind which the client half-closed.
fn unanswered(run: &Run, connection: &Connection) -> Broken {
    // Neither a process that dies nor a handler that panics has a choice.
    if connection.killed.is_some() || connection.panicked.is_some() {
        return None;
    }
    let (closed_at, _) = connection.server_closed?;
    let closed_at = connection
        .server_shutdown
        .map_or(closed_at, |shut| shut.min(closed_at));
    // What the client's full window keeps back is not lost by the server: only behind its FIN nothing more can come.
    let all_arrived = connection.server_fin_arrived && !connection.responses.inside();
    if !connection.client_waited || !all_arrived || connection.responses.broken {
        return None;
    }
    let answered = connection.responses.finals;
    let previous = connection
        .responses
        .list
        .iter()
        .rev()
        .find(|response| response.is_final());
    let finals = connection
        .responses
        .list
        .iter()
        .filter(|response| response.is_final());
    // It may have begun on a request only when the one before was answered.
    let mut before = Duration::ZERO;
    let may_close = connection
        .requests
        .list
        .iter()
        .zip(finals)
        .any(|(request, response)| {
            let begun = std::mem::replace(&mut before, response.at);
            let early = request.has_body
                && request
                    .complete_at
                    .is_none_or(|at| response.at < at.max(begun) + CROSSING);
            request.close || request.old || response.close || early
        });
    let complete_at = connection.requests.list.get(answered)?.complete_at?;
    // A request may cross the signal to shut down, too, and when the time for that is up, what is under way is cut.
    let shut_down = run.life.shutdowns.iter().any(|shutdown| {
        let crosses = shutdown.asked < complete_at + CROSSING;
        shutdown.asked <= closed_at && (crosses || shutdown.at_least <= closed_at)
    });
    if shut_down {
        return None;
    }
    // Until all of the response before was taken, the server was still at it.
    let taken_at = previous.map_or(Some(Duration::ZERO), |response| response.complete_at)?;
    let under_way = match connection.lossy {
        true => Duration::ZERO,
        false => CROSSING,
    };
    if taken_at > closed_at + under_way {
        return None;
    }
    let ready_at = previous.map_or(connection.opened?, |response| response.at);
    // What comes when the server has begun to close crosses the close however early it is.
    let crosses = complete_at > closed_at;
    let in_time = complete_at + CROSSING < closed_at
        || ((answered == 0 || connection.client_shutdown.is_some())
            && !crosses
            && complete_at < ready_at + CROSSING);
    let given_up = complete_at.max(ready_at) + GIVEN_UP <= closed_at;
    if may_close || given_up || !in_time {
        return None;
    }
    let half_closed = if connection.client_shutdown.is_some() {
        ", after the client's half-close"
    } else {
        ""
    };
    Some((
        closed_at,
        format!(
            "request {} was whole at {} and was never answered: the server closed at {}{half_closed}",
            answered + 1,
            spell(complete_at),
            spell(closed_at)
        ),
    ))
}
