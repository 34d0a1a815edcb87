//! The parts that a server's routes play in scenarios.
//!
//! Scenarios are written for the probe app, see [`app`](crate::server::app). A server of one's own has other routes; it
//! says which of them play the same parts, and requests are made to those. Nothing else of a scenario changes, so a
//! file that was found on one server runs against any other.

use super::dialogue::Dialogue;
use super::target::Target;
use hangup_scenario::{Head, Piece, Scenario, Send, Step, Text};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A part that a route can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Answers a GET at once. It is `/` unless another is named.
    Plain,
    /// Takes a POST and reads its body to the end (`/echo` and `/stream` of the probe app). The
    /// body is no form and no JSON: a route that reads all of it and then answers 400, 415 or 422
    /// plays the part, too.
    ReadsBody,
    /// Answers a POST without reading its body (`/reject`).
    LeavesBody,
    /// Answers a GET with more than sockets hold, some MiB (`/big/N`). A target that can give as
    /// much as it is asked for has a place for that: `/file?size={bytes}`.
    Big,
    /// Answers a GET only after some time (`/slow/MS`). A target that waits as long as it is told
    /// has a place for that: `/wait/{ms}`, or `{s}` for seconds.
    Slow,
    /// Never answers a GET (`/never`).
    Never,
    /// Panics at a GET (`/panic`).
    Panics,
    /// Answers a GET with a stream that has no end, in which nothing more comes after the first bytes (`/events`): server-sent events
    /// of an application that has nothing to say.
    Events,
    /// Answers a GET with a stream that has no end, with something to say from time to time
    /// (`/events/MS`; `{ms}` or `{s}` of a target is the time between two events).
    Ticks,
    /// Answers a GET with bytes that have no end, as fast as they are taken (`/endless`).
    Endless,
    /// Answers a GET that asks for `Upgrade: echo` with 101, and sends back whatever comes then (`/upgrade`).
    Upgrade,
}

impl Route {
    /// Every part, and its name in messages.
    const NAMES: [(Route, &str); 11] = [
        (Route::Plain, "Plain"),
        (Route::ReadsBody, "ReadsBody"),
        (Route::LeavesBody, "LeavesBody"),
        (Route::Big, "Big"),
        (Route::Slow, "Slow"),
        (Route::Never, "Never"),
        (Route::Panics, "Panics"),
        (Route::Events, "Events"),
        (Route::Ticks, "Ticks"),
        (Route::Endless, "Endless"),
        (Route::Upgrade, "Upgrade"),
    ];

    /// The name, as it stands in code.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(route, _)| *route == self)
            .map_or("Plain", |(_, name)| name)
    }

    /// Does a scenario choose how many bytes or how much time it is?
    pub(super) fn has_number(self) -> bool {
        matches!(self, Self::Big | Self::Slow | Self::Ticks)
    }

    /// The part that a target of the probe app plays; none for targets that are not the probe app's.
    fn of(target: &str) -> Option<Self> {
        Some(match target {
            "/" => Self::Plain,
            "/echo" | "/stream" => Self::ReadsBody,
            "/reject" => Self::LeavesBody,
            "/never" => Self::Never,
            "/panic" => Self::Panics,
            "/events" => Self::Events,
            "/endless" => Self::Endless,
            "/upgrade" => Self::Upgrade,
            _ if target.starts_with("/events/") => Self::Ticks,
            _ if target.starts_with("/big/") => Self::Big,
            _ if target.starts_with("/slow/") => Self::Slow,
            _ => return None,
        })
    }
}

/// How scenarios are fitted to a server.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    pub(super) targets: BTreeMap<Route, Target>,
    /// Fields that every request head gets.
    pub(super) headers: Vec<(Text, Text)>,
    /// What it speaks where that is not HTTP.
    pub(super) dialogue: Option<Dialogue>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            targets: BTreeMap::from([(Route::Plain, Target::Text("/".to_owned()))]),
            headers: Vec::new(),
            dialogue: None,
        }
    }
}

impl Routes {
    /// One whole request to the plain route, the last of its connection.
    pub(super) fn fresh_request(&self) -> Vec<u8> {
        let mut send = Send::from(Head {
            connection: Some("close".into()),
            ..Head::default()
        });
        self.fit_send(&mut send);
        let mut bytes = Vec::new();
        send.render(&mut bytes);
        bytes
    }

    /// The parts that a scenario needs, each as often as it asks for it.
    pub(super) fn needed(scenario: &Scenario) -> impl Iterator<Item = Route> {
        let pieces = sends(scenario).flat_map(|send| &send.what);
        pieces.filter_map(|piece| match piece {
            Piece::Head(head) => Route::of(&head.target),
            _ => None,
        })
    }

    /// The parts that a scenario needs and no route plays.
    pub(super) fn missing(&self, scenario: &Scenario) -> Vec<Route> {
        let needed = Self::needed(scenario);
        let mut missing: Vec<Route> = needed
            .filter(|route| !self.targets.contains_key(route))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The scenario, with every request made to this server's routes. A part that none of them plays falls to the plain one.
    pub(super) fn fit(&self, scenario: &Arc<Scenario>) -> Arc<Scenario> {
        let mut fitted = Scenario::clone(scenario);
        let steps = fitted
            .clients
            .iter_mut()
            .flat_map(|client| &mut client.steps);
        for step in steps {
            match (step, &self.dialogue) {
                (Step::Send(send), _) => self.fit_send(send),
                (Step::Await(wait), Some(dialogue)) => dialogue.fit_await(wait),
                _ => {}
            }
        }
        Arc::new(fitted)
    }

    fn fit_send(&self, send: &mut Send) {
        let before: Vec<u64> = send.what.iter().map(Piece::len).collect();
        for piece in &mut send.what {
            match &self.dialogue {
                Some(dialogue) => dialogue.fit_piece(piece),
                None => self.fit_piece(piece),
            }
        }
        if let Some((from, to)) = &mut send.part {
            let after: Vec<u64> = send.what.iter().map(Piece::len).collect();
            *from = moved(*from, &before, &after);
            *to = moved(*to, &before, &after);
        }
    }

    fn fit_piece(&self, piece: &mut Piece) {
        let Piece::Head(head) = piece else { return };
        if let Some(route) = Route::of(&head.target)
            && let Some(target) = self
                .targets
                .get(&route)
                .or_else(|| self.targets.get(&Route::Plain))
        {
            let number = head.target.rsplit('/').next();
            let number = number.and_then(|number| number.parse().ok());
            target.fit(head, number.filter(|_| route.has_number()));
        }
        head.headers.extend(self.headers.iter().cloned());
    }
}

fn sends(scenario: &Scenario) -> impl Iterator<Item = &Send> {
    let steps = scenario.clients.iter().flat_map(|client| &client.steps);
    steps.filter_map(|step| match step {
        Step::Send(send) => Some(send),
        _ => None,
    })
}

/// Where an offset into pieces of these lengths is when they have those: in the same piece, as far in it. The end of a piece
/// stays its end, and what was before its end stays before it: half a head is half a head.
fn moved(offset: u64, before: &[u64], after: &[u64]) -> u64 {
    let (mut from, mut to) = (0, 0);
    for (&before, &after) in before.iter().zip(after) {
        if offset < from + before {
            let within = u128::from(offset - from) * u128::from(after) / u128::from(before);
            return to + u64::try_from(within).unwrap_or(after);
        }
        from += before;
        to += after;
    }
    to + (offset - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let mut routes = Routes::default();
        routes.targets.insert(
            Route::ReadsBody,
            Target::Text("/a/much/longer/upload".to_owned()),
        );
        routes
    }

    fn scenario(steps: &str) -> Arc<Scenario> {
        let text = format!("name = \"x\"\n[[client]]\nsteps = [ {steps} ]\n");
        Arc::new(Scenario::from_toml("x", text).unwrap_or_else(|error| panic!("{error}")))
    }

    fn rendered(scenario: &Scenario) -> Vec<String> {
        sends(scenario)
            .map(|send| {
                let mut bytes = Vec::new();
                send.render(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
            .collect()
    }

    #[test]
    fn a_request_goes_to_the_route_that_plays_its_part() {
        let asked = scenario(
            r#"{ do = "send", head = { method = "POST", target = "/echo", length = 5 } }, { do = "send", body = 5 },
            { do = "send", head = { target = "/" } }, { do = "send", head = { target = "/own" } }"#,
        );
        let fitted = rendered(&routes().fit(&asked));
        assert!(
            fitted[0].starts_with("POST /a/much/longer/upload HTTP/1.1\r\n"),
            "{fitted:?}"
        );
        assert_eq!(fitted[1].len(), 5);
        assert!(fitted[2].starts_with("GET / HTTP/1.1"), "{fitted:?}");
        assert!(fitted[3].starts_with("GET /own HTTP/1.1"), "{fitted:?}");
        assert_eq!(routes().missing(&asked), []);
    }

    #[test]
    fn what_nobody_plays_is_missing_and_falls_to_the_plain_route() {
        let asked = scenario(
            r#"{ do = "send", head = { target = "/big/9" } }, { do = "send", head = { method = "POST", target = "/reject" } }"#,
        );
        assert_eq!(routes().missing(&asked), [Route::LeavesBody, Route::Big]);
        let fitted = rendered(&routes().fit(&asked));
        assert!(fitted[0].starts_with("GET / HTTP/1.1"), "{fitted:?}");
    }

    #[test]
    fn a_cut_message_is_cut_at_the_same_place_and_nothing_of_it_is_lost() {
        let asked = scenario(
            r#"{ do = "send", all = [ { head = { method = "POST", target = "/echo", length = 5 } }, { body = 5 } ], part = [0, 30] },
            { do = "send", all = [ { head = { method = "POST", target = "/echo", length = 5 } }, { body = 5 } ], part = [30, 10000] }"#,
        );
        let whole = scenario(
            r#"{ do = "send", all = [ { head = { method = "POST", target = "/echo", length = 5 } }, { body = 5 } ] }"#,
        );
        let [cut, whole] = [asked, whole].map(|scenario| rendered(&routes().fit(&scenario)));
        assert_eq!(cut.concat(), whole.concat());
        assert!(!cut[0].ends_with("\r\n\r\n") && !cut[0].is_empty());
    }
}
