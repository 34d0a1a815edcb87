//! Beside a finding, the smallest change of its scenario with which nothing is found: what it hangs on.

use hangup_scenario::{Await, Network, Piece, Read, Scenario, Send, Step, Until};
use std::time::Duration;

/// A scenario that passes, and how it differs from the one that fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// The scenario.
    pub scenario: Scenario,
    /// The difference, for people.
    pub says: String,
}

const MS: Duration = Duration::from_millis(1);
/// A client that waits for its answer waits so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The nearest variant of a scenario for which `passes` holds. Small changes are tried before large ones: a pause that is
/// shorter, a step more at the end, two steps in the other order, a step less, an event or a client less, a plain network.
pub fn nearest(scenario: &Scenario, mut passes: impl FnMut(&Scenario) -> bool) -> Option<Variant> {
    if let Some(shorter) = shorter_pause(scenario, &mut passes) {
        return Some(shorter);
    }
    candidates(scenario)
        .into_iter()
        .find(|variant| passes(&variant.scenario))
}

/// The same with one pause as short as it must be, and not shorter.
fn shorter_pause(
    scenario: &Scenario,
    passes: &mut impl FnMut(&Scenario) -> bool,
) -> Option<Variant> {
    for (client, step, original) in pauses(scenario) {
        let with = |duration| {
            let mut scenario = scenario.clone();
            scenario.clients[client].steps[step] = Step::Stall { duration };
            scenario
        };
        if !passes(&with(Duration::ZERO)) {
            continue;
        }
        // Between one that passes and one that does not.
        let (mut good, mut bad) = (Duration::ZERO, original);
        while bad.saturating_sub(good) > MS {
            let middle = Duration::from_millis(((good + bad) / 2).as_millis() as u64);
            if passes(&with(middle)) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        let times = [good, original].map(|time| humantime::format_duration(time).to_string());
        return Some(Variant {
            scenario: with(good),
            says: format!(
                "client {client} stalls for {} instead of {} (step {step})",
                times[0], times[1]
            ),
        });
    }
    None
}

fn pauses(scenario: &Scenario) -> Vec<(usize, usize, Duration)> {
    let mut pauses = Vec::new();
    for (client, data) in scenario.clients.iter().enumerate() {
        for (step, what) in data.steps.iter().enumerate() {
            if let Step::Stall { duration } = what
                && *duration > MS
            {
                pauses.push((client, step, *duration));
            }
        }
    }
    pauses
}

fn candidates(scenario: &Scenario) -> Vec<Variant> {
    let mut out = Vec::new();
    let mut with = |says: String, change: &dyn Fn(&mut Scenario)| {
        let mut changed = scenario.clone();
        change(&mut changed);
        if changed != *scenario {
            out.push(Variant {
                scenario: changed,
                says,
            });
        }
    };
    let clients = || scenario.clients.iter().enumerate();
    for (client, data) in clients() {
        for step in endings(&data.steps) {
            let says = format!(
                "client {client} does one thing more at its end: {}",
                crate::report::wording::step(&step)
            );
            with(says, &|scenario| {
                scenario.clients[client].steps.push(step.clone());
            });
        }
    }
    for (client, data) in clients() {
        for step in 2..data.steps.len() {
            let says = format!(
                "client {client} does steps {} and {step} in the other order",
                step - 1
            );
            with(says, &|scenario| {
                scenario.clients[client].steps.swap(step - 1, step);
            });
        }
    }
    for (client, data) in clients() {
        // Without its first step it would have no connection, which explains nothing.
        for (step, what) in data.steps.iter().enumerate().skip(1).rev() {
            let says = format!(
                "client {client} leaves out step {step}: {}",
                crate::report::wording::step(what)
            );
            with(says, &|scenario| {
                scenario.clients[client].steps.remove(step);
            });
        }
    }
    for (index, event) in scenario.server_events.iter().enumerate() {
        with(
            format!("there is no {} of the server", event.action.name()),
            &|scenario| {
                scenario.server_events.remove(index);
            },
        );
    }
    with("the network is a plain one".to_owned(), &|scenario| {
        scenario.network = Network::default();
    });
    if scenario.clients.len() > 1 {
        for (client, _) in clients() {
            with(format!("there is no client {client}"), &|scenario| {
                scenario.clients.remove(client);
            });
        }
    }
    for (client, data) in clients() {
        if data.count > 1 {
            let fewer = data.count - 1;
            with(
                format!(
                    "client {client} is there {fewer} times instead of {}",
                    data.count
                ),
                &|scenario| {
                    scenario.clients[client].count = fewer;
                },
            );
        }
    }
    out
}

/// What a client could do in the end: what it owes, then what reads, then the ways to go.
fn endings(steps: &[Step]) -> Vec<Step> {
    let heads = steps.iter().filter_map(|step| match step {
        Step::Send(send) => Some(&send.what),
        _ => None,
    });
    let mut owed = Vec::new();
    for piece in heads.flatten() {
        if let Piece::Head(head) = piece {
            owed.extend(head.length.filter(|length| *length > 0).map(Piece::Body));
            owed.extend(head.chunked.then_some(Piece::LastChunk));
        }
    }
    owed.dedup();
    let mut endings: Vec<Step> = owed
        .into_iter()
        .map(|piece| Step::Send(Send::from(piece)))
        .collect();
    endings.extend([
        Step::Await(Await {
            until: Until::Final,
            within: PATIENCE,
        }),
        Step::Read(Read::All),
        Step::Close,
        Step::Reset,
    ]);
    endings
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangup_scenario::Head;

    fn stall(seconds: u64) -> Step {
        Step::Stall {
            duration: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_pause_is_shortened_to_the_millisecond() {
        let scenario = Scenario::of("case", vec![Step::Connect, stall(100), Step::HalfClose]);
        let short = |scenario: &Scenario| {
            let pause: Duration = pauses(scenario).iter().map(|(_, _, pause)| *pause).sum();
            pause <= Duration::from_millis(74_999)
        };
        let near = nearest(&scenario, short).expect("there is one");
        assert_eq!(
            pauses(&near.scenario),
            [(0, 1, Duration::from_millis(74_999))]
        );
        assert!(
            near.says.contains("1m 14s 999ms instead of 1m 40s"),
            "{}",
            near.says
        );
    }

    #[test]
    fn what_a_client_owes_comes_before_leaving_something_out() {
        let head = Head {
            length: Some(7),
            ..Head::new("POST", "/echo")
        };
        let steps = vec![Step::Connect, Step::Send(Send::from(Piece::Head(head)))];
        let scenario = Scenario::of("case", steps);
        let is_longer_or_empty = |scenario: &Scenario| scenario.clients[0].steps.len() != 2;
        let near = nearest(&scenario, is_longer_or_empty).expect("there is one");
        let body = Step::Send(Send::from(Piece::Body(7)));
        assert_eq!(near.scenario.clients[0].steps.last(), Some(&body));
        assert_eq!(nearest(&scenario, |_| false), None);
    }
}
