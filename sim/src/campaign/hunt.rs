//! From a symptom to a seed: which of the incidents, and which generated scenarios, end in what somebody saw.

mod course;

pub use course::Course;

use super::fuzz;
use super::shard::Shard;
use super::symptom::{Symptom, telling};
use crate::cell::Cell;
use crate::engine::Engine;
use crate::finding::Finding;
use crate::incident;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::{Scenario, minimise};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Cases are handed to the cores in blocks of this size.
const BLOCK: u64 = 64;
/// So many different courses have their stacks looked at, the most frequent first.
const STACKS_MAX: usize = 40;
/// Where many connections are held, each of so many that do the same is.
const COPIES: u32 = 3;
/// Tries of the minimiser.
const SHRINK_TRIES: usize = 2_000;

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What every generated case follows from.
    pub seed: u64,
    /// How many of them.
    pub cases: u64,
    /// On how many cores.
    pub jobs: usize,
    /// Which share of the cases.
    pub shard: Shard,
}

/// Cases of one shape that fit.
#[derive(Debug)]
pub struct Trail {
    /// What they have in common.
    pub course: Course,
    /// The frame that tells most of where the first one's task is stuck.
    pub place: Option<String>,
    /// The first of them; what `hangup replay` takes.
    pub case_seed: u64,
    /// How many there are.
    pub cases: u64,
}

/// What fits.
#[derive(Debug, Default)]
pub struct Hunted {
    /// Incidents of the book, judged.
    pub incidents: Vec<Cell>,
    /// Generated cases by shape, the most frequent first.
    pub trails: Vec<Trail>,
    /// The smallest scenario that still fits, from the first trail, judged.
    pub minimal: Option<Cell>,
    /// Generated cases that fit, as far as can be told without their stacks.
    pub fitting: u64,
    /// Where the stuck tasks wait of those that fit but for the frame that was asked for.
    pub elsewhere: BTreeSet<String>,
}

/// Goes through the incidents and the generated cases; `progress` is told how many more are done.
pub fn hunt(
    engine: Engine,
    server: &dyn Server,
    symptom: &Symptom,
    plan: Plan,
    progress: impl Fn(u64) + Sync,
) -> Hunted {
    let hunt = Hunt {
        engine,
        server,
        symptom,
    };
    let incidents = incident::all()
        .iter()
        .filter(|incident| hunt.quick(incident).is_some())
        .filter_map(|incident| hunt.whole(incident))
        .filter_map(|(cell, fits)| fits.then_some(cell))
        .collect();
    let mut ways: Vec<(Course, (u64, u64))> = hunt.ways(plan, progress).into_iter().collect();
    let fitting = ways.iter().map(|(_, (_, cases))| cases).sum();
    ways.sort_by_key(|(_, (first, cases))| (Reverse(*cases), *first));
    let mut trails: Vec<Trail> = Vec::new();
    let mut elsewhere = BTreeSet::new();
    for (course, (first, cases)) in ways.into_iter().take(STACKS_MAX) {
        let case_seed = fuzz::case_seed(plan.seed, first);
        let scenario = Arc::new(fuzz::scenario(case_seed, server));
        let Some((cell, fits)) = hunt.whole(&scenario) else {
            continue;
        };
        let place = cell.findings.first().and_then(place);
        match fits {
            true => trails.push(Trail {
                course,
                place,
                case_seed,
                cases,
            }),
            false => elsewhere.extend(place),
        }
    }
    let minimal = trails.first().and_then(|trail| hunt.smallest(trail));
    Hunted {
        incidents,
        trails,
        minimal,
        fitting,
        elsewhere,
    }
}

/// Where a stuck task waits.
fn place(finding: &Finding) -> Option<String> {
    telling(&finding.task.as_ref()?.stack).cloned()
}

struct Hunt<'a> {
    engine: Engine,
    server: &'a dyn Server,
    symptom: &'a Symptom,
}

impl Hunt<'_> {
    /// The course of a run that fits but for its stack.
    fn quick(&self, scenario: &Arc<Scenario>) -> Option<Course> {
        let cell = Cell::of(self.engine, scenario, self.server, Detail::default());
        let finding = self.symptom.fits(&cell).next()?;
        let mut all = cell.run.connections.iter();
        let connection = all.find(|connection| Some(connection.id) == finding.connection);
        let course = Course::of(finding, connection);
        self.as_many(&cell).then_some(course)
    }

    /// Are there as many like it as there should be?
    fn as_many(&self, cell: &Cell) -> bool {
        let held = |cell: &Cell| self.symptom.fits(cell).count();
        match self.symptom.connections {
            None => true,
            Some(0 | 1) => held(cell) == 1,
            Some(_) if held(cell) >= COPIES as usize => true,
            // One client that does it is many where each of several that do the same is held.
            Some(_) => {
                let mut many = Scenario::clone(&cell.scenario);
                for client in &mut many.clients {
                    client.count = client.count.saturating_mul(COPIES);
                }
                let many = Cell::of(self.engine, &Arc::new(many), self.server, Detail::default());
                held(&many) >= COPIES as usize
            }
        }
    }

    /// The run with its stacks if it fits but for them, with the finding that does first; and whether the stack fits too.
    fn whole(&self, scenario: &Arc<Scenario>) -> Option<(Cell, bool)> {
        let mut cell = Cell::of(self.engine, scenario, self.server, Detail::WHOLE);
        let whole =
            |finding: &&Finding| !self.symptom.needs_stack() || self.symptom.fits_stack(finding);
        let found = self.symptom.fits(&cell).find(whole);
        let fits = found.is_some();
        let finding = found.or_else(|| self.symptom.fits(&cell).next())?;
        let place = cell.findings.iter().position(|other| other == finding)?;
        cell.findings.swap(0, place);
        Some((cell, fits))
    }

    /// Index of the first case and number of cases of every course that fits.
    fn ways(&self, plan: Plan, progress: impl Fn(u64) + Sync) -> BTreeMap<Course, (u64, u64)> {
        let share = plan.shard.share(plan.cases);
        let next = AtomicU64::new(0);
        let worker = || {
            let mut part: BTreeMap<Course, (u64, u64)> = BTreeMap::new();
            loop {
                let start = next.fetch_add(BLOCK, Ordering::Relaxed);
                if start >= share {
                    return part;
                }
                let end = share.min(start + BLOCK);
                for index in (start..end).map(|nth| plan.shard.index(nth)) {
                    let scenario = fuzz::scenario(fuzz::case_seed(plan.seed, index), self.server);
                    if let Some(course) = self.quick(&Arc::new(scenario)) {
                        let (first, cases) = part.entry(course).or_insert((index, 0));
                        *first = index.min(*first);
                        *cases += 1;
                    }
                }
                progress(end - start);
            }
        };
        let parts: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..plan.jobs).map(|_| scope.spawn(worker)).collect();
            let done = workers.into_iter().map(|worker| worker.join());
            done.map(|part| part.unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        });
        let mut all: BTreeMap<Course, (u64, u64)> = BTreeMap::new();
        for (course, (first, cases)) in parts.into_iter().flatten() {
            let sum = all.entry(course).or_insert((first, 0));
            *sum = (sum.0.min(first), sum.1 + cases);
        }
        all
    }

    fn smallest(&self, trail: &Trail) -> Option<Cell> {
        let scenario = fuzz::scenario(trail.case_seed, self.server);
        // The stack is looked at once, at the end: it takes a hundred times as long as the run.
        let course = self.quick(&Arc::new(scenario.clone()));
        let mut smallest = minimise(scenario.clone(), SHRINK_TRIES, |smaller| {
            self.quick(&Arc::new(smaller.clone())) == course
        });
        for scenario in [&mut smallest, &mut scenario.clone()] {
            scenario.name = format!("case-{}", trail.case_seed);
            scenario.source = format!("hangup hunt, case seed {}", trail.case_seed);
            // Where the smallest waits in another frame after all, the first is what there is.
            if let Some((cell, true)) = self.whole(&Arc::new(scenario.clone())) {
                return Some(cell);
            }
        }
        None
    }
}
