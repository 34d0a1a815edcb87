//! What can be taken from a scenario.

use std::{ops::Range, time::Duration};

use super::{round, simpler};
use crate::{
    file::bounds::DURATION_MAX,
    scenario::{Addresses, Network, Resources, Scenario},
    send::Send,
    server_event::ServerAction,
    step::Step,
};

/// How far shrinking goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Things go or stay.
    Coarse,
    /// Times and numbers become simpler, too.
    Fine,
}

/// A smaller scenario, as the difference to a larger one.
///
/// Each makes the scenario smaller by a measure that cannot fall for ever: fewer clients, fewer steps, fewer things
/// that are not the default, simpler times and numbers. So a walk along reductions ends.
#[derive(Clone, Debug)]
pub(super) enum Reduction {
    DropClient(usize),
    Count {
        client: usize,
        count: u32,
    },
    DropSteps {
        client: usize,
        steps: Range<usize>,
    },
    Network(Network),
    Start {
        client: usize,
        start: Duration,
    },
    Stagger {
        client: usize,
        stagger: Duration,
    },
    /// The client is at the address that others have, too.
    SharedAddress(usize),
    /// This step and the next become one.
    Merge {
        client: usize,
        step: usize,
        merged: Step,
    },
    Step {
        client: usize,
        step: usize,
        simpler: Step,
    },
    DropEvents(Range<usize>),
    EventAt {
        event: usize,
        at: Duration,
    },
    /// What happens to the server is shorter.
    EventAction {
        event: usize,
        action: ServerAction,
    },
    /// The server's process has no limit.
    Unlimited,
    Seed,
}

/// All reductions of a scenario: those first that take the most.
pub(super) fn all(scenario: &Scenario, depth: Depth) -> Vec<Reduction> {
    let mut out = Vec::new();
    let clients = || scenario.clients.iter().enumerate();
    if scenario.clients.len() > 1 {
        out.extend(clients().map(|(client, _)| Reduction::DropClient(client)));
    }
    out.extend(ranges(scenario.server_events.len()).map(Reduction::DropEvents));
    for (client, data) in clients() {
        let counts = [1, data.count / 2, data.count - 1];
        let fewer = counts
            .into_iter()
            .filter(|count| (1..data.count).contains(count));
        out.extend(fewer.map(|count| Reduction::Count { client, count }));
    }
    for (client, data) in clients() {
        let ranges = ranges(data.steps.len());
        out.extend(ranges.map(|steps| Reduction::DropSteps { client, steps }));
    }
    out.extend(networks(&scenario.network).map(Reduction::Network));
    for (client, data) in clients() {
        let starts = round::durations(data.start, depth);
        out.extend(
            starts
                .into_iter()
                .map(|start| Reduction::Start { client, start }),
        );
        let staggers = round::durations(data.stagger, depth);
        out.extend(
            staggers
                .into_iter()
                .map(|stagger| Reduction::Stagger { client, stagger }),
        );
    }
    let own = clients().filter(|(_, data)| data.addresses == Addresses::Own);
    out.extend(own.map(|(client, _)| Reduction::SharedAddress(client)));
    for (event, data) in scenario.server_events.iter().enumerate() {
        let times = round::durations(data.at, depth);
        out.extend(times.into_iter().map(|at| Reduction::EventAt { event, at }));
        let actions = simpler::actions(data.action, depth).into_iter();
        out.extend(actions.map(|action| Reduction::EventAction { event, action }));
    }
    if scenario.server != Resources::default() {
        out.push(Reduction::Unlimited);
    }
    for (client, data) in clients() {
        for (step, pair) in data.steps.windows(2).enumerate() {
            if let Some(merged) = merged(&pair[0], &pair[1]) {
                out.push(Reduction::Merge {
                    client,
                    step,
                    merged,
                });
            }
        }
        for (step, original) in data.steps.iter().enumerate() {
            let simpler = simpler::steps(original, depth).into_iter();
            out.extend(simpler.map(|simpler| Reduction::Step {
                client,
                step,
                simpler,
            }));
        }
    }
    if depth == Depth::Fine && scenario.seed != 1 {
        out.push(Reduction::Seed);
    }
    out
}

impl Reduction {
    pub(super) fn apply(&self, to: &Scenario) -> Scenario {
        let mut scenario = to.clone();
        let clients = &mut scenario.clients;
        match self.clone() {
            Self::DropClient(client) => drop(clients.remove(client)),
            Self::Count { client, count } => clients[client].count = count,
            Self::DropSteps { client, steps } => drop(clients[client].steps.drain(steps)),
            Self::Network(network) => scenario.network = network,
            Self::Start { client, start } => clients[client].start = start,
            Self::Stagger { client, stagger } => clients[client].stagger = stagger,
            Self::SharedAddress(client) => clients[client].addresses = Addresses::Shared,
            Self::Merge {
                client,
                step,
                merged,
            } => drop(clients[client].steps.splice(step..step + 2, [merged])),
            Self::Step {
                client,
                step,
                simpler,
            } => clients[client].steps[step] = simpler,
            Self::DropEvents(events) => drop(scenario.server_events.drain(events)),
            Self::EventAt { event, at } => scenario.server_events[event].at = at,
            Self::EventAction { event, action } => scenario.server_events[event].action = action,
            Self::Unlimited => scenario.server = Resources::default(),
            Self::Seed => scenario.seed = 1,
        }
        scenario
    }
}

/// The ranges of `count` things to leave out: all, each half, each quarter, ... each single one; the last first, since
/// what comes last matters least for what came before. At the end every two and every three neighbours, since a
/// request that was sent in two parts can only go as a whole.
pub(super) fn ranges(count: usize) -> impl Iterator<Item = Range<usize>> {
    let sizes = std::iter::successors(Some(count), |size| (*size > 1).then(|| size.div_ceil(2)));
    let pieces = sizes.filter(|size| *size > 0).flat_map(move |size| {
        let starts = (0..count).step_by(size).rev();
        starts.map(move |start| start..count.min(start + size))
    });
    let neighbours = [2, 3].into_iter().flat_map(move |size| {
        let starts = (0..(count + 1).saturating_sub(size)).rev();
        starts.map(move |start| start..start + size)
    });
    pieces.chain(neighbours)
}

/// What two neighbours become if they can be one.
fn merged(first: &Step, second: &Step) -> Option<Step> {
    match (first, second) {
        (Step::Stall { duration }, Step::Stall { duration: more }) => Some(Step::Stall {
            duration: duration
                .checked_add(*more)
                .filter(|sum| *sum <= DURATION_MAX)?,
        }),
        (Step::Send(first), Step::Send(second)) => joined(first, second).map(Step::Send),
        _ => None,
    }
}

/// One write instead of two that are parts of the same and follow one another.
fn joined(first: &Send, second: &Send) -> Option<Send> {
    let ((from, cut), (at, to)) = (first.part?, second.part?);
    let follows = at == cut && second.what.starts_with(&first.what);
    if !follows || first.trickle.is_some() || second.trickle.is_some() {
        return None;
    }
    let whole = from == 0 && to >= second.whole_len();
    Some(Send {
        part: (!whole).then_some((from, to)),
        ..second.clone()
    })
}

/// The network with all, or with one, of its properties as they are by default.
fn networks(network: &Network) -> impl Iterator<Item = Network> {
    let plain = Network::default();
    let with = |change: fn(&mut Network, Network)| {
        let mut network = network.clone();
        change(&mut network, Network::default());
        network
    };
    let candidates = [
        plain,
        with(|network, plain| network.latency = plain.latency),
        with(|network, plain| network.jitter = plain.jitter),
        with(|network, plain| network.mtu = plain.mtu),
        with(|network, plain| network.loss = plain.loss),
        with(|network, plain| network.rst = plain.rst),
        with(|network, plain| network.send_buffer = plain.send_buffer),
        with(|network, plain| network.receive_buffer = plain.receive_buffer),
    ];
    let network = network.clone();
    candidates
        .into_iter()
        .filter(move |candidate| *candidate != network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::{Head, Piece};

    #[test]
    fn ranges_go_from_all_to_each_single_one_and_to_neighbours() {
        let of = |count| ranges(count).collect::<Vec<_>>();
        assert_eq!(of(0), []);
        assert_eq!(of(2), [0..2, 1..2, 0..1, 0..2]);
        let three = [0..3, 2..3, 0..2, 2..3, 1..2, 0..1, 1..3, 0..2, 0..3];
        assert_eq!(of(3), three);
    }

    #[test]
    fn parts_that_follow_one_another_become_one() {
        let head = Piece::Head(Head::default());
        let part = |what: &[Piece], part| {
            Step::Send(Send {
                what: what.to_vec(),
                part,
                trickle: None,
            })
        };
        let both = [head.clone(), Piece::Body(10)];
        let lone = std::slice::from_ref(&head);
        let first = part(lone, Some((0, 5)));
        let whole = part(&both, None);
        assert_eq!(merged(&first, &part(&both, Some((5, 47)))), Some(whole));
        let most = part(&both, Some((0, 40)));
        assert_eq!(merged(&first, &part(&both, Some((5, 40)))), Some(most));
        assert_eq!(merged(&first, &part(&both, Some((6, 47)))), None);
        assert_eq!(merged(&first, &part(&both[1..], Some((5, 10)))), None);
        assert_eq!(merged(&first, &Step::Close), None);
    }

    #[test]
    fn stalls_become_one_as_long_as_a_file_can_hold_it() {
        let stall = |duration| Step::Stall { duration };
        let second = Duration::from_secs(1);
        assert_eq!(
            merged(&stall(second), &stall(second)),
            Some(stall(second * 2))
        );
        assert_eq!(merged(&stall(second), &stall(DURATION_MAX)), None);
    }
}
