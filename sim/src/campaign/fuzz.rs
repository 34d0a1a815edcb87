//! Generated scenarios, from a seed.
//!
//! Case `i` of a campaign has a case seed that follows from the campaign's seed and `i` alone, and the scenario
//! follows from the case seed alone. So the first finding is the same on any number of cores, and a case seed can
//! be replayed by itself.

use crate::cell::Cell;
use crate::engine::Engine;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::{Scenario, Verdict, minimise, strategy};
use proptest::strategy::ValueTree;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Cases are handed to the cores in blocks of this size.
const BLOCK: u64 = 64;
/// Tries of proptest's shrinking, and of the minimiser after it.
const SHRINK_TRIES: usize = 2_000;
/// Case seeds fit into the integers that JSON readers keep exact.
const CASE_SEED_BITS: u32 = 52;

/// A campaign.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What every case follows from.
    pub seed: u64,
    /// Which cases, by index.
    pub cases: u64,
    /// On how many cores.
    pub jobs: usize,
    /// Go on after the first finding.
    pub keep_going: bool,
}

/// Cases that were convicted alike: same kind, same phase, same stuck place.
#[derive(Debug)]
pub struct Conviction {
    /// The first of them; what `hangup replay` takes.
    pub case_seed: u64,
    /// The smallest scenario with a finding of the same kind, judged.
    pub minimal: Cell,
    /// How many cases there are of this shape.
    pub cases: u64,
}

/// What findings have in common that are of one shape: kind, phase, and the innermost frame of the await stack.
type Shape = (Verdict, Option<&'static str>, Option<String>);

/// What a campaign did.
#[derive(Debug, Default)]
pub struct Totals {
    /// Cases that were run.
    pub cases: u64,
    /// Cases that were convicted, by verdict.
    pub by_kind: BTreeMap<String, u64>,
    /// Simulated time in all.
    pub simulated: Duration,
}

/// The seed of a case (splitmix64 over the campaign's seed and the index).
pub fn case_seed(seed: u64, index: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ index.wrapping_add(1).wrapping_mul(0xd1b5_4a32_d192_ed03);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) >> (64 - CASE_SEED_BITS)
}

/// Runs the campaign; `progress` is told how many more cases are done. Convictions come in the order of their first
/// cases; without `keep_going` there is the first alone.
pub fn fuzz(
    engine: Engine,
    server: &dyn Server,
    plan: Plan,
    progress: impl Fn(u64) + Sync,
) -> (Totals, Vec<Conviction>) {
    let (next, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let worker = || {
        let mut part = Part::default();
        while !done.load(Ordering::Relaxed) {
            let start = next.fetch_add(BLOCK, Ordering::Relaxed);
            if start >= plan.cases {
                break;
            }
            let block = start..plan.cases.min(start + BLOCK);
            part.run(engine, server, plan, block.clone());
            // Blocks before this one are all handed out, and a core finishes the block it has: so the first
            // conviction of the campaign is always among what the cores bring home.
            if !plan.keep_going && !part.guilty.is_empty() {
                done.store(true, Ordering::Relaxed);
            }
            progress(block.end - block.start);
        }
        part
    };
    let parts: Vec<Part> = if plan.jobs <= 1 {
        vec![worker()]
    } else {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..plan.jobs).map(|_| scope.spawn(worker)).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        })
    };
    let mut totals = Totals::default();
    let mut guilty = Vec::new();
    for part in parts {
        totals.cases += part.cases;
        totals.simulated += part.simulated;
        guilty.extend(part.guilty);
    }
    guilty.sort_unstable();
    if !plan.keep_going {
        guilty.truncate(1);
    }
    let mut shapes: Vec<(Shape, u64, u64)> = Vec::new();
    for (_, case_seed) in guilty {
        let Some(shape) = shape(engine, server, case_seed) else {
            continue;
        };
        *totals.by_kind.entry(shape.0.to_string()).or_default() += 1;
        match shapes.iter_mut().find(|(known, ..)| *known == shape) {
            Some((_, _, cases)) => *cases += 1,
            None => shapes.push((shape, case_seed, 1)),
        }
    }
    let convictions = shapes.into_iter().filter_map(|(_, case_seed, cases)| {
        let minimal = explain(engine, server, case_seed)?;
        Some(Conviction {
            case_seed,
            minimal,
            cases,
        })
    });
    (totals, convictions.collect())
}

/// The shape of a case's gravest finding.
fn shape(engine: Engine, server: &dyn Server, case_seed: u64) -> Option<Shape> {
    let cell = Cell::of(
        engine,
        &Arc::new(scenario(case_seed)),
        server,
        Detail {
            timeline: false,
            stacks: true,
        },
    );
    let finding = cell.findings.into_iter().next()?;
    let place = finding.task.and_then(|task| task.stack.into_iter().next());
    Some((finding.kind, finding.phase, place))
}

/// What one core did.
#[derive(Default)]
struct Part {
    cases: u64,
    simulated: Duration,
    /// Index and case seed.
    guilty: Vec<(u64, u64)>,
}

impl Part {
    fn run(&mut self, engine: Engine, server: &dyn Server, plan: Plan, block: Range<u64>) {
        for index in block {
            let case_seed = case_seed(plan.seed, index);
            let cell = Cell::of(
                engine,
                &Arc::new(scenario(case_seed)),
                server,
                Detail::default(),
            );
            self.cases += 1;
            self.simulated += cell.run.end();
            if !cell.findings.is_empty() {
                self.guilty.push((index, case_seed));
                if !plan.keep_going {
                    return;
                }
            }
        }
    }
}

/// The scenario of a case seed.
pub fn scenario(case_seed: u64) -> Scenario {
    strategy::generate(case_seed, &strategy::Options::default())
}

/// Runs a case again and, if it is guilty, looks for the smallest scenario with a finding of the same kind: first by
/// proptest's shrinking, then by the minimiser. None if the case is innocent.
pub fn explain(engine: Engine, server: &dyn Server, case_seed: u64) -> Option<Cell> {
    let mut tree = strategy::case(case_seed, &strategy::Options::default());
    let kind =
        match Cell::of(engine, &Arc::new(tree.current()), server, Detail::default()).verdict() {
            Verdict::Clean => return None,
            kind => kind,
        };
    let guilty = |scenario: &Scenario| {
        let cell = Cell::of(
            engine,
            &Arc::new(scenario.clone()),
            server,
            Detail::default(),
        );
        cell.verdict() == kind
    };
    let mut smallest = tree.current();
    for _ in 0..SHRINK_TRIES {
        let current = tree.current();
        let moved = if guilty(&current) {
            smallest = current;
            tree.simplify()
        } else {
            tree.complicate()
        };
        if !moved {
            break;
        }
    }
    let mut smallest = minimise(smallest, SHRINK_TRIES, guilty);
    smallest.name = format!("case-{case_seed}");
    smallest.source = format!("hangup fuzz, case seed {case_seed}");
    Some(Cell::of(
        engine,
        &Arc::new(smallest),
        server,
        Detail {
            timeline: true,
            stacks: true,
        },
    ))
}
