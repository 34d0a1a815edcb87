//! Whether two runs of one seed behave alike, where their traces differ.
//!
//! What a response carries may differ from run to run: a request id that is drawn, a date, a time that was measured with std's
//! clocks. Nobody's connection ends sooner or later for that. So responses are compared by their shape, which is their statuses, the names
//! of their fields and their ends; and connections by who ended them, and when.
//!
//! | what differs | is |
//! |---|---|
//! | the value of a field, the bytes of a body, how many they are | content |
//! | a status, the names of fields or their order, how many responses came, and whether whole | behaviour |
//! | who closed or reset, how often was connected, whether the server returned, and the time of any of that | behaviour |
//!
//! Where contents are of other lengths they come in other segments, so that times may differ by a round trip for each response, or for each window that
//! one of them has more. If clients count bytes then, or the
//! network draws for each segment, two runs say nothing about each other.

use crate::finding::spell;
use crate::ledger::{Connection, Ledger};
use crate::run::Run;
use hangup_scenario::{Read, Scenario, Step, Until};
use std::time::Duration;

/// A difference in behaviour, of the first connection that has one.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The connection.
    pub(crate) connection: Option<u32>,
    /// What differs, for people.
    pub(crate) says: String,
}

/// The first difference in behaviour between two runs of a scenario; none if there is none, or none that is anybody's doing.
pub(crate) fn difference(scenario: &Scenario, one: &Run, other: &Run) -> Option<Difference> {
    let whole = |says| {
        Some(Difference {
            connection: None,
            says,
        })
    };
    let pairs = || one.connections.iter().zip(&other.connections);
    let resized = pairs().any(|(one, other)| one.bytes_out != other.bytes_out);
    if resized && hangs_on_lengths(scenario) {
        return None;
    }
    let within = match resized {
        true => Ledger::slack(&scenario.network) * more_round_trips(scenario, one, other),
        false => Duration::ZERO,
    };
    let of_connection = pairs().find_map(|(one, other)| {
        Some(Difference {
            connection: Some(one.id),
            says: format!("connection {}: {}", one.id, unlike(one, other, within)?),
        })
    });
    if of_connection.is_some() {
        return of_connection;
    }
    let (count, again) = (one.connections.len(), other.connections.len());
    if count != again {
        return whole(format!(
            "there are {count} connections, the second time {again}"
        ));
    }
    if one.probe_served != other.probe_served {
        return whole("the fresh client is served only once".to_owned());
    }
    let spins = |run: &Run| run.tasks.spin().is_some();
    if spins(one) != spins(other) {
        return whole("the server spins only once".to_owned());
    }
    let ends = |run: &Run| {
        let shutdowns = run.life.shutdowns.iter().map(|shutdown| shutdown.ended);
        shutdowns.chain([run.life.returned]).collect::<Vec<_>>()
    };
    let (ended, again) = (ends(one), ends(other));
    let mut both = ended.iter().zip(&again);
    if ended.len() != again.len() || both.any(|(one, other)| !near(*one, *other, within)) {
        return whole("the server itself ends at another time".to_owned());
    }
    None
}

/// Does it change what happens that a response has some bytes more?
fn hangs_on_lengths(scenario: &Scenario) -> bool {
    let network = &scenario.network;
    let mut steps = scenario.clients.iter().flat_map(|client| &client.steps);
    let counts = steps.any(|step| match step {
        Step::Read(read) => matches!(read, Read::Bytes(_)),
        Step::Await(what) => matches!(what.until, Until::Bytes(_)),
        Step::Network(_) => true,
        _ => false,
    });
    counts || network.loss > 0.0 || !network.jitter.is_zero()
}

/// What a client's window is at least at its begin, where the scenario says nothing of it.
const WINDOW: usize = 64 << 10;

/// Where a window ends shifts with each length before it. Of so many windows in a row, one may need a round trip more for that.
const WINDOWS_IN_STEP: u64 = 64;

/// How many round trips more the connection may take whose lengths differ most: one for each response that came in another number of
/// windows, one for each window that one of them has more, and some for windows that end elsewhere.
fn more_round_trips(scenario: &Scenario, one: &Run, other: &Run) -> u32 {
    let window = scenario.network.receive_buffer.unwrap_or(WINDOW).max(1) as u64;
    let pairs = one.connections.iter().zip(&other.connections);
    let most = pairs.map(|(one, other)| {
        let responses = one.responses.list.len().max(other.responses.list.len());
        let (least, most) = (
            one.bytes_out.min(other.bytes_out),
            one.bytes_out.max(other.bytes_out),
        );
        let (more, shifted) = ((most - least) / window, most / window / WINDOWS_IN_STEP);
        1 + responses as u64 + more + shifted
    });
    most.max()
        .map_or(1, |most| u32::try_from(most).unwrap_or(u32::MAX))
}

fn near(one: Option<Duration>, other: Option<Duration>, within: Duration) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) <= within,
        (one, other) => one == other,
    }
}

/// What differs between two runs of a connection.
fn unlike(one: &Connection, other: &Connection, within: Duration) -> Option<String> {
    // What is no HTTP has no shape but its length.
    let shapeless =
        |one: &Connection| one.opaque || one.responses.broken || one.responses.tunnel.is_some();
    if (shapeless(one) || shapeless(other)) && one.bytes_out != other.bytes_out {
        return Some(format!(
            "{} bytes came back, the second time {}",
            one.bytes_out, other.bytes_out
        ));
    }
    let closed = |one: &Connection| one.server_closed.map(|(at, _)| at);
    // Where both ends close within one instant, it hangs on the order within it, in which threads have a part, what came before
    // the close, and who heard of the other first.
    let at_once = |one: &Connection| closed(one).filter(|at| one.client_closed == Some(*at));
    let together = at_once(one).zip(at_once(other));
    let until = together.map_or(Duration::MAX, |(one, other)| one.min(other));
    let responses = |one: &Connection| one.responses.list.partition_point(|it| it.at < until);
    let (came, again) = (responses(one), responses(other));
    let pairs = one.responses.list[..came]
        .iter()
        .zip(&other.responses.list[..again]);
    for (nth, (one, other)) in pairs.enumerate() {
        let nth = nth + 1;
        if one.status != other.status {
            let (one, other) = (one.status, other.status);
            return Some(format!("response {nth} is {one}, the second time {other}"));
        }
        if one.names != other.names {
            return Some(format!("response {nth} has other fields the second time"));
        }
        if (one.close, one.coded) != (other.close, other.coded) {
            return Some(format!(
                "response {nth} is framed otherwise the second time"
            ));
        }
        let times = (Some(one.at), Some(other.at));
        let ends = (one.complete_at, other.complete_at);
        let ended =
            near(ends.0, ends.1, within) || together.is_some() && ends.0.or(ends.1) >= Some(until);
        if !near(times.0, times.1, within) || !ended {
            return Some(format!(
                "response {nth} came at {}, the second time at {}, or ended at another time",
                spell(one.at),
                spell(other.at)
            ));
        }
    }
    if came != again {
        return Some(format!("{came} responses came, the second time {again}"));
    }
    let reset = |one: &Connection| one.client_reset.map(|(at, _)| at);
    type At = fn(&Connection) -> Option<Duration>;
    let times: [(&str, At); 9] = [
        ("opened", |one| one.opened),
        ("accepted", |one| one.accepted),
        ("shut down by the server", |one| one.server_shutdown),
        ("closed by the client", |one| one.client_closed),
        ("half-closed by the client", |one| one.client_shutdown),
        ("known to be left by its client", |one| one.client_gone),
        ("let go of", |one| one.released),
        ("dead with its process", |one| one.killed),
        ("met by a panic", |one| one.panicked),
    ];
    let of_order = |way: &str| {
        matches!(
            way,
            "shut down by the server" | "known to be left by its client" | "reset"
        )
    };
    let mut ways = times.iter().map(|(way, at)| (*way, at(one), at(other)));
    let more = [
        ("closed by the server", closed(one), closed(other)),
        ("reset", reset(one), reset(other)),
    ];
    let differs = |(way, one, other): &(&str, Option<Duration>, Option<Duration>)| {
        !(near(*one, *other, within) || together.is_some() && of_order(way))
    };
    let (way, one, other) = ways
        .find(differs)
        .or_else(|| more.into_iter().find(differs))?;
    let at =
        |time: Option<Duration>| time.map_or("never".to_owned(), |at| format!("at {}", spell(at)));
    Some(format!(
        "it is {way} {}, the second time {}",
        at(one),
        at(other)
    ))
}
