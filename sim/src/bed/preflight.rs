//! Before anything else: is the server on the bed at all, and does each route play the part that it
//! is named for?
//!
//! One well-behaved client asks for each part, each of an instance of the server of its own. Where
//! the answer is not what the part is, every incident that needs it would be judged on something
//! else: a mistyped target is answered 404, and nothing that a client does to a body that is being
//! read can be found behind that.

mod part;

use self::part::{BIG, Part, SLOW};
use super::own::Own;
use super::route::Route;
use crate::engine::Engine;
use crate::exchange::Response;
use crate::finding::spell;
use crate::ledger::Connection;
use crate::report::fold::printable;
use crate::run::{Detail, Run};
use crate::server::Server;
use hangup_network::Side;
use hangup_scenario::{Piece, Scenario, Step};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

/// Why nothing was run: a route does not play its part, or the server cannot be put on the bed.
/// Displays as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreflightFailure {
    /// The part that was asked for.
    pub route: Route,
    /// The target at which it was.
    pub target: String,
    /// What was sent, what came, what is expected, and what to look at.
    pub says: String,
}

impl Display for PreflightFailure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            route,
            target,
            says,
        } = self;
        let route = route.name();
        write!(f, "Route::{route} \"{}\" {says}", printable(target))
    }
}

/// Of the first bytes that come, so many are looked at.
const SHOWN: usize = 24;

/// The first route that does not play its part, if one does not.
pub(super) fn failure(engine: Engine, server: &Own) -> Option<PreflightFailure> {
    let routes = server.routes.targets.iter();
    let mut routes = routes.filter(|(route, _)| server.speaks_http() || **route == Route::Plain);
    routes.find_map(|(&route, target)| {
        if let Some(unknown) = target.unknown_placeholder(route) {
            return Some(PreflightFailure {
                route,
                target: server.target(route),
                says: format!(
                    "has {unknown}, for which a scenario has no number; allowed: {{bytes}} for Route::Big, {{ms}} and \
                     {{s}} for Route::Slow and Route::Ticks"
                ),
            });
        }
        asked(engine, server, route)
    })
}

/// Asks for the part, and says why the answer is not it.
fn asked(engine: Engine, server: &Own, route: Route) -> Option<PreflightFailure> {
    let Part {
        steps,
        within,
        expects,
    } = Part::of(route);
    let steps = format!(r#"{{ do = "connect" }}, {steps}, {{ do = "reset" }}"#);
    let text = format!("name = \"preflight\"\n[[client]]\nsteps = [ {steps} ]\n");
    let scenario = Scenario::from_toml("preflight", text);
    let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
    let played = server.fit(&scenario);
    let detail = Detail {
        packets: Some(SHOWN),
        stop_at: Some(within + Duration::from_secs(10)),
        ..Detail::JUDGED
    };
    let run = engine.run(&played, server, detail);
    let connection = run.connections.iter().find(|one| one.of_scenario())?;
    let seen = Seen {
        run: &run,
        connection,
        last: connection.responses.list.last().copied(),
    };
    // One whose accept loop goes on beside the task that has panicked serves its clients, and is
    // not the server that was meant.
    let panic = run.life.panic.as_deref();
    let has_its_io = panic.and_then(missing_io).is_none();
    if has_its_io && seen.plays(server, route) {
        return None;
    }
    let sent = match (server.speaks_http(), route) {
        (false, _) => "was sent its request".to_owned(),
        (true, Route::ReadsBody | Route::LeavesBody) => {
            format!("was sent {} with a body of 1000 bytes", first_line(&played))
        }
        (true, _) => format!("was sent {}", first_line(&played)),
    };
    let expected = match server.speaks_http() {
        true => expects,
        false => "any answer",
    };
    let (came, hint) = seen.what(route, within);
    let hint = hint.map_or_else(String::new, |hint| format!(" ({hint})"));
    Some(PreflightFailure {
        route,
        target: server.target(route),
        says: format!("{sent}: {came}, where {expected} is expected{hint}"),
    })
}

/// Method and target of a scenario's first request.
fn first_line(scenario: &Scenario) -> String {
    let steps = scenario.clients.iter().flat_map(|client| &client.steps);
    let mut heads = steps.filter_map(|step| match step {
        Step::Send(send) => send.what.iter().find_map(|piece| match piece {
            Piece::Head(head) => Some(head),
            _ => None,
        }),
        _ => None,
    });
    let head = heads.next();
    head.map_or_else(String::new, |head| {
        format!("{} {}", head.method, printable(&head.target))
    })
}

/// What came of asking.
struct Seen<'a> {
    run: &'a Run,
    connection: &'a Connection,
    /// Its last status line.
    last: Option<Response>,
}

impl Seen<'_> {
    /// The status of a response that is no 1xx.
    fn status(&self) -> Option<u16> {
        let last = self.last.filter(Response::is_final);
        last.map(|response| response.status)
    }

    /// When the request was whole at the server's host.
    fn asked_at(&self) -> Option<Duration> {
        self.connection.requests.list.first()?.complete_at
    }

    /// How long behind the whole request the server's answer began; none if it began before.
    fn took(&self, latency: Duration) -> Option<Duration> {
        let said = self.last?.at.checked_sub(latency)?;
        said.checked_sub(self.asked_at()?)
    }

    /// Did the server end the connection before its client did?
    fn is_left(&self) -> bool {
        let connection = self.connection;
        let closed = connection.server_closed.map(|(at, _)| at);
        let closed = closed.into_iter().chain(connection.server_shutdown).min();
        closed.is_some_and(|closed| connection.client_closed.is_none_or(|gone| closed < gone))
    }

    fn plays(&self, server: &Own, route: Route) -> bool {
        let connection = self.connection;
        if !server.speaks_http() {
            return connection.bytes_out > 0;
        }
        let latency = hangup_scenario::Network::default().latency;
        let is = |class: u16| self.status().is_some_and(|status| status / 100 == class);
        let goes_on = self.last.is_some_and(|last| last.complete_at.is_none()) && !self.is_left();
        match route {
            Route::Plain => is(2) || is(3),
            Route::ReadsBody => {
                let requests = &connection.requests.list;
                let end = requests.first().and_then(|request| request.end);
                let took_all = end.is_some_and(|end| connection.server_read >= end);
                // Whoever refuses what the body says has read it.
                let is_refusal = matches!(self.status(), Some(400 | 415 | 422));
                took_all && (is(2) || (is_refusal && self.took(latency).is_some()))
            }
            Route::LeavesBody => self.status().is_some_and(|it| it < 500 && it != 404),
            Route::Big => is(2) && connection.client_read >= BIG,
            Route::Slow => (is(2) || is(3)) && self.took(latency).is_some_and(|took| took >= SLOW),
            Route::Never => {
                let is_answered = self.last.is_some_and(|last| last.is_final());
                connection.accepted.is_some() && !is_answered && !self.is_left()
            }
            Route::Panics => self.run.life.panic.is_some() || self.status() == Some(500),
            Route::Events => is(2) && goes_on,
            Route::Ticks => {
                let begun = self.last.map(|last| last.at);
                is(2)
                    && goes_on
                    && begun.is_some_and(|begun| connection.last_progress > begun + latency)
            }
            Route::Endless => is(2) && goes_on && connection.client_read >= BIG,
            Route::Upgrade => {
                let tunnel = connection.responses.tunnel.as_ref();
                tunnel.is_some_and(|tunnel| tunnel.bytes().starts_with(b"hello"))
            }
        }
    }

    /// What came, and what may be the reason.
    fn what(&self, route: Route, within: Duration) -> (String, Option<String>) {
        let (run, connection) = (self.run, self.connection);
        let life = &run.life;
        if let (Some(panic), true) = (&life.panic, route != Route::Panics) {
            return (printable(panic).into_owned(), missing_io(panic));
        }
        if let Some(response) = self.last {
            return (
                self.answered(response, route),
                advice(response.status, route),
            );
        }
        if life.returned.is_some() {
            let with = life.ended_with.as_ref();
            let with = with.map_or_else(String::new, |with| format!(" with {}", printable(with)));
            return (
                format!("the server's future ended by itself{with}"),
                Some("it is to serve until it is told to shut down".to_owned()),
            );
        }
        if run.tasks.spin().is_some() {
            let came = "the server polls itself again and again, and the clock never moves";
            return (came.to_owned(), None);
        }
        let listener = || Some("it must accept from the listener that it is given".to_owned());
        if connection.opened.is_none() {
            return ("the connection was refused".to_owned(), listener());
        }
        if connection.accepted.is_none() {
            let came = format!("the connection was not accepted in {}", spell(within));
            return (came, listener());
        }
        if connection.bytes_out > 0 {
            return self.not_http();
        }
        if self.is_left() {
            let end = match connection.server_closed {
                Some((_, true)) => "a reset",
                _ => "a FIN",
            };
            return (format!("{end} came, and no answer"), None);
        }
        (format!("nothing came in {}", spell(within)), None)
    }

    fn answered(&self, response: Response, route: Route) -> String {
        let (status, connection) = (response.status, self.connection);
        let took = self.took(hangup_scenario::Network::default().latency);
        match route {
            Route::ReadsBody if status / 100 == 2 => {
                let of = connection.bytes_in;
                let read = connection.server_read;
                format!("{status} came, and {read} of {of} bytes were read")
            }
            Route::Big | Route::Endless if status / 100 == 2 => {
                format!("{status} came with {} bytes in all", connection.client_read)
            }
            Route::Slow if status < 400 => {
                let took = took.unwrap_or_default();
                format!("{status} came {} behind the request", spell(took))
            }
            Route::Events | Route::Ticks if status / 100 == 2 => {
                let end = match response.complete_at {
                    Some(_) => "its body ended",
                    None if self.is_left() => "the server closed",
                    None => "nothing came behind its head",
                };
                format!("{status} came, and {end}")
            }
            Route::Upgrade if status == 101 => {
                let tunnel = connection.responses.tunnel.as_ref();
                let count = tunnel.map_or(0, |tunnel| tunnel.bytes().len());
                format!("101 came, and {count} of 5 bytes came back")
            }
            _ => format!("{status} came"),
        }
    }

    /// Bytes came that are no HTTP/1.
    fn not_http(&self) -> (String, Option<String>) {
        let mut packets = self.run.packets.iter();
        let first = packets.find(|packet| {
            packet.connection == self.connection.id
                && packet.wire.from == Side::Server
                && packet.length > 0
        });
        let bytes = first.map_or(&[][..], |packet| &packet.wire.payload);
        let hint = match bytes {
            [0x15 | 0x16, 3, ..] => "that is TLS: give the bed what is behind it",
            [0, 0, _, 4, ..] => "that is HTTP/2: the clients of the bed speak HTTP/1.1",
            _ => "another protocol than HTTP/1.1 is named with Bed::not_http",
        };
        let count = self.connection.bytes_out;
        (
            format!(
                "{count} bytes came that are no HTTP/1.1 response, \"{}\"",
                bytes.escape_ascii()
            ),
            Some(hint.to_owned()),
        )
    }
}

/// What a status says of the request.
fn advice(status: u16, route: Route) -> Option<String> {
    let advice = match status {
        401 | 403 | 407 => "Bed::header gives every request what lets it in, such as Authorization",
        404 | 410 if route == Route::Plain => {
            "Bed::route names another target for Route::Plain, which is \"/\" where it is not named"
        }
        404 | 410 => "is the target spelt as the server spells it?",
        405 | 501 => "the target takes another method: Bed::route_with can change it",
        300..400 if route != Route::Plain => "name the target that it points to",
        400 | 411 | 413 | 415 | 421 | 422 | 426 => {
            "Bed::route_with can change the request, and add fields to it"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

/// What a panic is about where the server wants I/O that simulated time does not have.
fn missing_io(panic: &str) -> Option<String> {
    let is_missing = ["IO is disabled", "no reactor", "signal driver"]
        .iter()
        .any(|known| panic.contains(known));
    is_missing.then(|| {
        "there are no real sockets, signals and processes in simulated time: use hangup::net, and give the server a \
         stand-in for the rest"
            .to_owned()
    })
}
