//! **lost**: a response that the server had, and that the client would have got, did not reach it.
//!
//! | what | when |
//! |---|---|
//! | erased | the response was there, and a reset of the server's that came right behind it erased it (RFC 9112 §9.6) |
//! | cut | the server closed right behind the head of a response whose rest never came |
//! | slow | the server cut a response whose client took it at the rate that the contract promises to serve |
//! | changed | what a request carried, or what its answer did, is not what came (the probe app tells) |
//! | halved | an upload of which the end never came was acknowledged as if it were whole |
//! | tunnel | what came with the head of a request that was answered 101 did not come back |
//! | truncated | a response that needs nothing more ended before its announced length, and its connection lived on |
//! | dropped | a graceful shutdown was over at once, and a request was left that had come well before it began |
//!
//! A client that closed or reset, a path that was changed, a process that died and a handler that panicked are reasons of
//! their own, and so is a client that does not read: where a server waited before it closed, or closed when a deadline had
//! passed, nothing is found. The end of a shutdown, and of the time that any client may have, cut whatever is under way.

use super::echo;
use crate::exchange::asks::Asks;
use crate::finding::{Finding, spell};
use crate::ledger::Connection;
use crate::run::Run;
use crate::server::UNCLAIMED;
use hangup_scenario::Verdict;
use std::time::Duration;

/// Right behind: no deadline is as short, and no staged close.
const AT_ONCE: Duration = Duration::from_secs(1);

pub(super) fn judge(run: &Run, findings: &mut Vec<Finding>) {
    if !run.speaks_http {
        return;
    }
    for connection in run.connections.iter().filter(|one| !one.own) {
        let named = |part, lost: Lost| lost.map(|lost| (part, lost));
        let lost = named("changed", echo::changed(connection))
            .or_else(|| named("halved", echo::halved(connection)))
            .or_else(|| named("tunnel", echo::tunnelled(run, connection)))
            .or_else(|| named("truncated", truncated(run, connection)))
            .or_else(|| named("erased", erased(run, connection)))
            .or_else(|| named("cut", cut(run, connection)))
            .or_else(|| named("slow", slow(run, connection)))
            .or_else(|| named("dropped", dropped(run, connection)));
        if let Some((part, (at, says))) = lost {
            findings.push(Finding {
                kind: Verdict::Lost,
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

type Lost = Option<(Duration, String)>;

/// A server that waits so long before its reset gives a client that reads the time to take what has arrived. Go's net/http
/// waits 500 ms.
const LINGERED: Duration = Duration::from_millis(450);

/// A staged close takes so long at most, and a server that claims an end for any connection begins it so long before.
const STAGED: Duration = UNCLAIMED.drain;

/// The longest grace of a rate that a residence has on top of the age.
const RATE_GRACE: Duration = Duration::from_secs(5);

/// The server was at a bound at which it cuts what is under way, and which has nothing to do with what that is: its shutdown's, or
/// the longest that any client may hold a connection.
fn at_its_bound(run: &Run, connection: &Connection, at: Duration) -> bool {
    let mut shutdowns = run.life.shutdowns.iter();
    let ends = connection
        .accepted
        .map(|from| from.saturating_add(run.contract.residence));
    // The residence has the rate's grace on top of the age, which ends a response that nobody waits for.
    let grace = run
        .contract
        .residence_rate
        .map_or(Duration::ZERO, |_| RATE_GRACE);
    shutdowns.any(|shutdown| shutdown.at_least <= at)
        || ends.is_some_and(|ends| ends <= at.saturating_add(STAGED + grace))
}

/// The server had more to send all the time, and the path brought less than the rate: the server
/// cannot tell that from a slow client.
fn path_is_slower(connection: &Connection, rate: u64, until: Duration) -> bool {
    let carried = (connection.bytes_out, connection.server_wrote);
    connection.path.is_slower(rate, carried, until)
}

/// The client sent something behind the server's close, and the reset that answered it erased what
/// the server had left to its kernel. A server that gave its client time behind its FIN has done
/// what it should against that (RFC 9112 section 9.6).
fn client_spoke_on(connection: &Connection, closed_at: Duration) -> bool {
    let Some(sent) = connection.sent_behind_close else {
        return false;
    };
    let delivering = connection
        .kernel
        .is_some_and(|kernel| kernel.until.is_none_or(|until| until >= sent));
    let reset = connection.client_reset.is_some_and(|(at, _)| at >= sent);
    reset && delivering && lingered(connection, closed_at)
}

/// The client sent more than the server reads behind its FIN, such as the rest of a body that was refused, and what the
/// server did not want of it ended in a reset. RFC 9112 section 9.6 has a server read on for a while; how much is its own choice,
/// and Go's net/http leaves off at 256 KiB.
fn client_sent_too_much(connection: &Connection, closed_at: Duration, reset: bool) -> bool {
    let read = connection.read_before_close.unwrap_or_default();
    reset && connection.bytes_in > read && lingered(connection, closed_at)
}

/// The server gave its client time behind its FIN.
fn lingered(connection: &Connection, closed_at: Duration) -> bool {
    connection
        .server_shutdown
        .is_some_and(|shut| closed_at >= shut + LINGERED)
}

/// The longest that a client may hold a connection does not end this response: by the contract its bytes
/// have their time, and some of them waited for the client.
fn has_time(run: &Run, connection: &Connection, at: Duration) -> bool {
    let shuts_down = run
        .life
        .shutdowns
        .iter()
        .any(|shutdown| shutdown.at_least <= at);
    let waits = connection.client_read < connection.bytes_out;
    run.contract.residence_rate.is_some() && waits && !shuts_down
}

/// The server closed by itself, while its client was there and the path was as ever.
fn closed(connection: &Connection) -> Option<(Duration, bool)> {
    let excused = connection.disturbed
        || connection.killed.is_some()
        || connection.panicked.is_some()
        || connection.responses.broken;
    if excused {
        return None;
    }
    let (at, reset) = connection.server_closed?;
    if client_spoke_on(connection, at) || client_sent_too_much(connection, at, reset) {
        return None;
    }
    let stays = |left: Option<Duration>| left.is_none_or(|left| left > at);
    (stays(connection.client_closed) && stays(connection.client_gone)).then_some((at, reset))
}

/// It closed without giving the client any time: no while behind its FIN, and none behind the last that it said. Where segments are lost, a
/// response may come only after a server has waited as long as it should.
fn at_once(connection: &Connection, closed_at: Duration) -> bool {
    let shut = connection.server_shutdown.unwrap_or(closed_at);
    let from = shut.min(connection.said_at);
    !connection.lossy && closed_at <= from + AT_ONCE
}

/// So long a server has nothing to wait for, and says nothing: the rest will not come.
const SILENT: Duration = Duration::from_secs(10);

/// The server has said less than it announced, and goes on as if that were all: it is silent, though its client has taken everything, and
/// its application has given the response at once.
fn truncated(run: &Run, connection: &Connection) -> Lost {
    let responses = &connection.responses;
    let last = responses.list.last()?;
    let request = connection.requests.list.get(last.answers)?;
    let asks = matches!(
        request.asks,
        Asks::Ok | Asks::Echo | Asks::Reject | Asks::Big(_) | Asks::Missing
    );
    let at_once = request.plain || (connection.probe_app > 0 && asks);
    let whole = request.complete_at?;
    let inside = last.is_final() && last.complete_at.is_none() && responses.inside();
    let taken = connection.client_read == connection.bytes_out
        && connection.bytes_out == connection.server_wrote;
    let excused = connection.disturbed
        || connection.lossy
        || connection.panicked.is_some()
        || responses.broken
        || connection.requests.broken;
    if !at_once || !inside || !taken || excused {
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
    let since = connection
        .said_at
        .max(connection.last_progress.min(end))
        .max(whole);
    if end < since.saturating_add(SILENT) {
        return None;
    }
    Some((
        since + SILENT,
        format!(
            "response {} began at {} and never came to its end: the server said nothing more after {}, though its client had taken all that \
             it had said, and did not close (RFC 9112 section 8)",
            last.answers + 1,
            spell(last.at),
            spell(since),
        ),
    ))
}

fn erased(run: &Run, connection: &Connection) -> Lost {
    let (closed_at, _) = closed(connection)?;
    let (at, bytes) = connection.client_reset?;
    let stays = connection.client_closed.is_none_or(|left| left > at);
    let last = connection.responses.list.last()?;
    let complete = last.complete_at.filter(|_| last.is_final())?;
    // A bound cuts the wait short.
    let waited = lingered(connection, closed_at)
        || !at_once(connection, closed_at)
        || at_its_bound(run, connection, closed_at);
    // The network may bring a response long after a server that did wait has closed.
    let late = complete > closed_at + AT_ONCE;
    let inside = connection.responses.inside();
    if bytes == 0 || !stays || waited || late || inside || at > complete + AT_ONCE {
        return None;
    }
    Some((
        at,
        format!(
            "response {} reached the client's host at {}, and the server's reset erased {bytes} unread bytes of it at {}: it closed at \
             {}, while the client could still send, and did not wait (RFC 9112 section 9.6)",
            last.answers + 1,
            spell(complete),
            spell(at),
            spell(closed_at)
        ),
    ))
}

fn cut(run: &Run, connection: &Connection) -> Lost {
    let (at, reset) = closed(connection)?;
    let last = connection.responses.list.last()?;
    let request = connection.requests.list.get(last.answers)?;
    let ended = connection.server_fin_arrived || connection.client_reset.is_some();
    let whole = request.complete_at.is_some_and(|whole| whole <= at);
    if !ended
        || at_its_bound(run, connection, at)
        || !at_once(connection, at)
        // The server's host gave a client up that takes nothing.
        || connection.client_reset.is_some_and(|(reset, _)| reset > at + AT_ONCE)
        || !whole
        || !last.is_final()
        || !connection.responses.inside()
        || at > last.at + AT_ONCE
        // The network brought it long after the server had written it.
        || last.at > at + AT_ONCE
    {
        return None;
    }
    Some((
        at,
        format!(
            "response {} began at {} and never came to its end: the server closed at {}{}",
            last.answers + 1,
            spell(last.at),
            spell(at),
            if reset {
                " with a reset, since it had not read all that was sent to it"
            } else {
                ""
            }
        ),
    ))
}

/// The server, or its kernel behind it, cut a response whose client had kept the contract's rate all the time.
fn slow(run: &Run, connection: &Connection) -> Lost {
    let rate = run.contract.rate?;
    let (at, _) = closed(connection)?;
    let last = connection.responses.list.last()?;
    let request = connection.requests.list.get(last.answers)?;
    let ended = connection.client_reset.is_some() || connection.server_fin_arrived;
    let stays = connection
        .client_reset
        .is_none_or(|(reset, _)| connection.client_closed.is_none_or(|left| left > reset));
    let inside = last.is_final() && last.complete_at.is_none() && connection.responses.inside();
    let began = connection.server_shutdown.map_or(at, |shut| shut.min(at));
    let whole = request.complete_at.is_some_and(|whole| whole < began);
    if !ended
        || !stays
        || !inside
        || !whole
        || !connection.pace.is_kept(began, rate)
        || path_is_slower(connection, rate, began)
        // The FIN of a client that closed looks the same as this one's.
        || (connection.client_shutdown.is_some() && request.asks == Asks::Paced)
        || (at_its_bound(run, connection, at) && !has_time(run, connection, at))
        || connection.lossy
    {
        return None;
    }
    Some((
        at,
        format!(
            "response {} began at {} and never came to its end: the server closed at {}, when the client had read {} of {} bytes that had \
             arrived and had never been slower than {rate} B/s, which the contract promises to serve",
            last.answers + 1,
            spell(last.at),
            spell(at),
            connection.client_read,
            connection.bytes_out,
        ),
    ))
}

/// The client has left what arrived of a response unread for so long that a server may give it up by a deadline of its own, at the
/// end of its process or before.
fn leaves_unread(connection: &Connection, at: Duration) -> bool {
    let waits = connection.client_read < connection.bytes_out;
    connection.responses.inside() && waits && connection.last_progress + SILENT <= at
}

fn dropped(run: &Run, connection: &Connection) -> Lost {
    let killed = connection.killed?;
    let shutdown = run
        .life
        .shutdowns
        .iter()
        .find(|shutdown| shutdown.ended == Some(killed) && killed < shutdown.at_least)?;
    let answered = connection.responses.complete;
    let request = connection.requests.list.get(answered)?;
    let whole = request.complete_at?;
    // What the application has not read it may leave unanswered, if it has said that it will.
    let said_close = connection
        .responses
        .list
        .iter()
        .any(|response| response.close);
    let unread = request.end.is_some_and(|end| connection.server_read < end);
    let excused = connection.disturbed
        || connection.panicked.is_some()
        || connection.accepted.is_none()
        || connection.requests.broken
        || connection.responses.broken
        || connection.server_shutdown.is_some()
        // It has closed by a deadline of its own.
        || connection.server_closed.is_some_and(|(at, _)| at < killed)
        || (said_close && unread)
        || leaves_unread(connection, killed)
        || [connection.client_closed, connection.client_gone]
            .into_iter()
            .flatten()
            .any(|left| left <= killed);
    if excused || whole + AT_ONCE > shutdown.asked {
        return None;
    }
    Some((
        killed,
        format!(
            "request {} was whole at {}; the server was told to shut down at {} and returned at {}, without having answered it, \
             though it has {} for that",
            answered + 1,
            spell(whole),
            spell(shutdown.asked),
            spell(killed),
            run.contract.shutdown.map_or_else(String::new, spell),
        ),
    ))
}
