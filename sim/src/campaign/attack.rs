//! The worst case: the scenario that holds the most server seconds for each byte that its client spends.
//!
//! A search by mutation. It begins with generated clients, keeps the worst few, and goes on from them: steps are repeated,
//! left out, exchanged with other clients', slowed down to just before a deadline. What is worst at the end is made small
//! without becoming any better. It runs in generations, so that the result is the same on any number of cores.

use super::exhaust::alphabet;
use super::fuzz::case_seed;
use crate::cell::Cell;
use crate::engine::Engine;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::strategy::{self, DEADLINES, Options};
use hangup_scenario::stream::Stream;
use hangup_scenario::{Client, Network, Scenario, Step, Trickle, minimise};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What a connection costs its client without a byte said: the IP and TCP headers of one SYN.
pub const CONNECT_BYTES: u64 = 40;
/// The generations of a search are so large.
const GENERATION: u64 = 256;
/// So many of the worst are kept to go on from.
const KEPT: usize = 24;
/// Longest clients.
const STEPS_MAX: usize = 160;
const SHRINK_TRIES: usize = 1_500;
const MS: Duration = Duration::from_millis(1);
/// Longer than the keep-alive times that are known.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// A search.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What the whole search follows from.
    pub seed: u64,
    /// How many scenarios are run.
    pub cases: u64,
    /// On how many cores.
    pub jobs: usize,
}

/// What a scenario costs the server and the client.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// From each connection's accept to its release, all connections together. What never ends counts up to the end of the
    /// search for anything that could end it, some two years.
    pub held: Duration,
    /// Bytes that reached the server's host, and [`CONNECT_BYTES`] for each connection.
    pub bytes: u64,
    /// The longest that one connection was held.
    pub longest: Duration,
    /// Something is still held at the end.
    pub unended: bool,
}

impl Cost {
    /// What a run cost.
    pub fn of(cell: &Cell) -> Self {
        let mut cost = Self::default();
        for connection in cell.run.connections.iter().filter(|it| it.of_scenario()) {
            cost.bytes += CONNECT_BYTES + connection.bytes_in;
            let Some(accepted) = connection.accepted else {
                continue;
            };
            let until = connection.released.unwrap_or(cell.run.search.until);
            let held = until.saturating_sub(accepted);
            cost.held += held;
            cost.longest = cost.longest.max(held);
            cost.unended |= connection.released.is_none();
        }
        cost
    }

    /// Server seconds for each byte of the client; 0 for one who spends nothing.
    pub fn seconds_per_byte(&self) -> f64 {
        match self.bytes {
            0 => 0.0,
            bytes => self.held.as_secs_f64() / bytes as f64,
        }
    }
}

/// What a search found.
#[derive(Debug)]
pub struct Worst {
    /// The worst scenario, made small and judged.
    pub cell: Cell,
    /// What it costs.
    pub cost: Cost,
    /// The longest that one connection was held in all of the search.
    pub longest: Duration,
    /// How many scenarios were run, those of the minimiser not counted.
    pub cases: u64,
}

/// One that is kept.
#[derive(Clone, Debug)]
struct Kept {
    scenario: Scenario,
    figure: f64,
}

/// Searches; `progress` is told how many more cases are done.
pub fn attack(engine: Engine, server: &dyn Server, plan: Plan, progress: impl Fn(u64)) -> Worst {
    let mut kept: Vec<Kept> = Vec::new();
    let mut longest = Duration::ZERO;
    let mut done = 0;
    while done < plan.cases {
        let count = GENERATION.min(plan.cases - done);
        // The first generations know nothing yet; later on, now and then somebody new comes.
        let fresh =
            |index: u64| kept.is_empty() || done * 4 < plan.cases || index.is_multiple_of(8);
        let generation: Vec<Scenario> = (done..done + count)
            .map(|index| match fresh(index) {
                true => generated(case_seed(plan.seed, index)),
                false => mutated(&kept, Stream::indexed(plan.seed, "attack", index)),
            })
            .collect();
        let costs = costs(engine, server, &generation, plan.jobs);
        for (scenario, cost) in generation.into_iter().zip(costs) {
            longest = longest.max(cost.longest);
            keep(&mut kept, scenario, cost.seconds_per_byte());
        }
        done += count;
        progress(count);
    }
    let worst = kept.into_iter().next();
    let (scenario, figure) = match worst {
        Some(worst) => (worst.scenario, worst.figure),
        None => (generated(plan.seed), 0.0),
    };
    let judged =
        |scenario: &Scenario, detail| Cell::of(engine, &Arc::new(scenario.clone()), server, detail);
    let as_bad = |scenario: &Scenario| {
        Cost::of(&judged(scenario, Detail::default())).seconds_per_byte() >= figure
    };
    let mut smallest = minimise(scenario, SHRINK_TRIES, as_bad);
    smallest.name = format!("attack-{}", plan.seed);
    smallest.source = format!("hangup attack, seed {}", plan.seed);
    let cell = judged(&smallest, Detail::TOLD);
    let cost = Cost::of(&cell);
    Worst {
        longest: longest.max(cost.longest),
        cell,
        cost,
        cases: done,
    }
}

/// Enters a scenario among those that are kept if it is worse than one of them, and none of them is just as bad.
fn keep(kept: &mut Vec<Kept>, scenario: Scenario, figure: f64) {
    let place = kept.partition_point(|other| other.figure > figure);
    let known = kept.get(place).is_some_and(|other| other.figure == figure);
    if place < KEPT && !known && figure > 0.0 {
        kept.insert(place, Kept { scenario, figure });
        kept.truncate(KEPT);
    }
}

/// The costs of scenarios, in their order.
fn costs(engine: Engine, server: &dyn Server, of: &[Scenario], jobs: usize) -> Vec<Cost> {
    let cost = |scenario: &Scenario| {
        let scenario = Arc::new(scenario.clone());
        Cost::of(&Cell::of(engine, &scenario, server, Detail::default()))
    };
    let share = of.len().div_ceil(jobs.max(1)).max(1);
    if jobs <= 1 {
        return of.iter().map(cost).collect();
    }
    thread::scope(|scope| {
        let workers: Vec<_> = of
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(cost).collect::<Vec<_>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// One client over a plain network, so that what is held is held by what the client does.
fn generated(seed: u64) -> Scenario {
    let options = Options {
        clients_max: 1,
        vanish: true,
        ..Options::default()
    };
    let client = strategy::generate(seed, &options).clients.swap_remove(0);
    plain(client.steps)
}

fn plain(steps: Vec<Step>) -> Scenario {
    let mut scenario = Scenario::of("attack", Vec::new());
    scenario.network = Network::default();
    scenario.clients = vec![Client {
        steps,
        ..Client::default()
    }];
    scenario
}

/// One of those that are kept, with some changes.
fn mutated(kept: &[Kept], mut stream: Stream) -> Scenario {
    // The worst more often than the others.
    let which = stream
        .below(kept.len() as u64)
        .min(stream.below(kept.len() as u64));
    let mut steps = steps_of(&kept[which as usize]).to_vec();
    for _ in 0..stream.between(1, 3) {
        let length = steps.len() as u64;
        let from = stream.below(length) as usize;
        let to = stream.between(from as u64, length.min(from as u64 + 6)) as usize;
        match stream.below(8) {
            0 if length > 1 => drop(steps.drain(from..to.min(steps.len() - 1).max(from))),
            1 | 2 => {
                // What winds a clock up once may do so again and again.
                let times = *stream.pick(&[1, 1, 2, 4, 16, 64]);
                let again = steps[from..to].to_vec();
                let all = (0..times).flat_map(|_| again.iter().cloned());
                steps.splice(to..to, all);
            }
            3 => {
                let other = steps_of(&kept[stream.below(kept.len() as u64) as usize]);
                let first = stream.below(other.len() as u64) as usize;
                steps.truncate(from + 1);
                steps.extend(other[first..].iter().cloned());
            }
            4 => {
                let duration = pause(&mut stream);
                steps.insert(from + 1, Step::Stall { duration });
            }
            5 => {
                let step = stream.pick(&alphabet()).clone();
                steps.insert(from + 1, step);
            }
            _ => retime(&mut steps[from], &mut stream),
        }
        steps.truncate(STEPS_MAX);
    }
    plain(steps)
}

fn steps_of(kept: &Kept) -> &[Step] {
    &kept.scenario.clients[0].steps
}

/// A pause that ends just before a deadline that servers are known to have; a round trip and a timer's step are left.
fn pause(stream: &mut Stream) -> Duration {
    let deadline = *stream.pick(&DEADLINES);
    deadline.saturating_sub(MS * *stream.pick(&[0, 1, 2, 21, 41, 42, 61, 81]))
}

/// The same step, at another pace.
fn retime(step: &mut Step, stream: &mut Stream) {
    match step {
        Step::Stall { duration } => {
            *duration = match stream.below(6) {
                0 => *duration / 2,
                1 => (*duration * 2).min(PAUSE_MAX),
                2 => duration.saturating_sub(MS),
                3 => *duration + MS,
                _ => pause(stream),
            };
        }
        Step::Send(send) => {
            send.trickle = match stream.below(3) {
                0 => None,
                _ => Some(Trickle {
                    size: stream.between(1, send.len().max(1)),
                    every: pause(stream),
                }),
            };
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_are_kept_in_order_and_each_once() {
        let mut kept = Vec::new();
        for figure in [1.0, 3.0, 2.0, 3.0, 0.0] {
            keep(&mut kept, generated(1), figure);
        }
        let figures: Vec<f64> = kept.iter().map(|kept| kept.figure).collect();
        assert_eq!(figures, [3.0, 2.0, 1.0]);
        (0..100).for_each(|figure| keep(&mut kept, generated(1), f64::from(figure)));
        assert_eq!((kept.len(), kept[0].figure), (KEPT, 99.0));
    }

    #[test]
    fn every_mutation_is_a_client_of_bounded_length() {
        let mut kept = Vec::new();
        (1..=20).for_each(|seed| keep(&mut kept, generated(seed), seed as f64));
        for index in 0..5_000 {
            let scenario = mutated(&kept, Stream::indexed(1, "attack", index));
            let steps = &scenario.clients[0].steps;
            assert!((1..=STEPS_MAX).contains(&steps.len()), "{steps:?}");
            if index % 50 == 0 && steps.len() > 2 {
                keep(&mut kept, scenario, 1000.0 + index as f64);
            }
        }
    }
}
