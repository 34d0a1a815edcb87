//! Going through the cases of a campaign, on one core or on several.
//!
//! What a case is follows from its index alone, so the result is the same on any number of cores, and all shards
//! together find what the whole finds.

use super::judge;
use super::shape::{Look, Shape};
use super::shard::Shard;
use crate::coverage::Coverage;
use crate::engine::Engine;
use crate::finding::Finding;
use crate::panics;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::{Scenario, Verdict};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Cases are handed to the cores in blocks of this size.
const BLOCK: u64 = 64;
/// Of the convictions that look alike, so many are run again for their stacks. If those agree, the others are taken to.
const STACKS_OF_A_LOOK: usize = 8;

/// The cases of a campaign, by index.
pub trait Cases: Sync {
    /// How many there are.
    fn count(&self) -> u64;

    /// The scenario of a case; `index` is below the count.
    fn scenario(&self, index: u64) -> Scenario;
}

/// How to go through them.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// On how many cores.
    pub jobs: usize,
    /// Which share of the cases.
    pub shard: Shard,
    /// Go on after the first conviction.
    pub keep_going: bool,
}

/// What a campaign did.
#[derive(Debug, Default)]
pub struct Totals {
    /// Cases that were run.
    pub cases: u64,
    /// Cases that were convicted, by verdict.
    pub by_kind: BTreeMap<String, u64>,
    /// Simulated time in all.
    pub simulated: Duration,
    /// How many cases have reached which cell of a connection's life.
    pub coverage: Coverage,
    /// Panics of the server's tasks, by their place.
    pub panics: BTreeMap<String, Panicked>,
}

/// Cases in which the server panicked at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// The index of the first of them.
    pub first: u64,
    /// Place and message there.
    pub says: String,
    /// How many there are.
    pub cases: u64,
}

impl Panicked {
    /// Enters what was met elsewhere.
    fn enter(self, panics: &mut BTreeMap<String, Self>) {
        match panics.get_mut(panics::place(&self.says)) {
            None => {
                panics.insert(panics::place(&self.says).to_owned(), self);
            }
            Some(known) => {
                let cases = known.cases + self.cases;
                if self.first < known.first {
                    *known = self;
                }
                known.cases = cases;
            }
        }
    }
}

/// Cases that were convicted alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub shape: Shape,
    /// The index of the first of them.
    pub first: u64,
    /// What was found in it, or in one that looks like it.
    pub found: Finding,
    /// How many there are.
    pub cases: u64,
}

/// Runs the cases; `progress` is told how many more are done. Groups come in the order of their first cases; without
/// `keep_going` there is one of one case, the first that is convicted.
pub fn walk(
    engine: Engine,
    server: &dyn Server,
    cases: &dyn Cases,
    plan: Walk,
    progress: impl Fn(u64) + Sync,
) -> (Totals, Vec<Group>) {
    let share = plan.shard.share(cases.count());
    let (next, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let worker = || {
        let mut part = Part::default();
        while !done.load(Ordering::Relaxed) {
            let start = next.fetch_add(BLOCK, Ordering::Relaxed);
            if start >= share {
                break;
            }
            let end = share.min(start + BLOCK);
            for index in (start..end).map(|nth| plan.shard.index(nth)) {
                part.run(engine, server, cases, index);
                if !plan.keep_going && !part.guilty.is_empty() {
                    break;
                }
            }
            // Blocks before this one are all handed out, and a core finishes the block it has: so the first
            // conviction of the campaign is always among what the cores bring home.
            if !plan.keep_going && !part.guilty.is_empty() {
                done.store(true, Ordering::Relaxed);
            }
            progress(end - start);
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
    let mut found = BTreeMap::new();
    for part in parts {
        totals.cases += part.cases;
        totals.simulated += part.simulated;
        totals.coverage.merge(&part.coverage);
        guilty.extend(part.guilty);
        for (look, finding) in part.found {
            found.entry(look).or_insert(finding);
        }
        for panicked in part.panics.into_values() {
            panicked.enter(&mut totals.panics);
        }
    }
    guilty.sort_unstable();
    if !plan.keep_going {
        guilty.truncate(1);
    }
    for Guilty { kind, .. } in guilty.iter().filter(|guilty| guilty.finding == 0) {
        *totals.by_kind.entry(kind.to_string()).or_default() += 1;
    }
    let groups = groups(&guilty, &found, |guilty| {
        shape(engine, server, cases, guilty, &found[&guilty.look])
    });
    (totals, groups)
}

/// The shape of a finding that is known, with its stack.
fn shape(
    engine: Engine,
    server: &dyn Server,
    cases: &dyn Cases,
    guilty: Guilty,
    found: &Finding,
) -> Shape {
    let detail = Detail {
        stacks: true,
        ..Detail::default()
    };
    let scenario = Arc::new(cases.scenario(guilty.index));
    let cell = judge::again_as(engine, &scenario, server, detail, found);
    let same = cell.findings.get(guilty.finding);
    let same = same.filter(|one| one.is_like(found));
    let alike = || cell.findings.iter().find(|one| one.is_like(found));
    match same.or_else(alike) {
        Some(finding) => Shape::of(&cell, finding),
        None => unreachable!("a run with such a finding was asked for"),
    }
}

/// A finding of a case: one for each look that the case's findings have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Guilty {
    index: u64,
    /// Its place among the findings of the case.
    finding: usize,
    look: Look,
    kind: Verdict,
}

/// What one core did.
#[derive(Default)]
struct Part {
    cases: u64,
    simulated: Duration,
    coverage: Coverage,
    panics: BTreeMap<String, Panicked>,
    guilty: Vec<Guilty>,
    /// What was found, for each look.
    found: BTreeMap<Look, Finding>,
}

impl Part {
    fn run(&mut self, engine: Engine, server: &dyn Server, cases: &dyn Cases, index: u64) {
        let scenario = Arc::new(cases.scenario(index));
        let cell = judge::of_case(index)(engine, &scenario, server, Detail::JUDGED);
        self.cases += 1;
        self.simulated += cell.run.end();
        self.coverage.add(&cell.run.reached);
        if let Some(says) = cell.run.life.panic.clone() {
            let met = Panicked {
                first: index,
                says,
                cases: 1,
            };
            met.enter(&mut self.panics);
        }
        let before = self.guilty.len();
        for (nth, finding) in cell.findings.iter().enumerate() {
            let look = Look::of(&cell, finding);
            if self.guilty[before..].iter().all(|known| known.look != look) {
                self.found.entry(look).or_insert_with(|| finding.clone());
                self.guilty.push(Guilty {
                    index,
                    finding: nth,
                    look,
                    kind: finding.kind,
                });
            }
        }
    }
}

/// The guilty, who come in order, by their shapes. A stack takes a hundred times as long as a run, so not everybody's is
/// asked for: see [`STACKS_OF_A_LOOK`].
fn groups(
    guilty: &[Guilty],
    found: &BTreeMap<Look, Finding>,
    mut shape: impl FnMut(Guilty) -> Shape,
) -> Vec<Group> {
    let mut looks: BTreeMap<Look, Vec<Guilty>> = BTreeMap::new();
    for &one in guilty {
        looks.entry(one.look).or_default().push(one);
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |shape: Shape, first: Guilty, cases: u64| match groups
        .iter_mut()
        .find(|group| group.shape == shape)
    {
        Some(group) => {
            group.first = group.first.min(first.index);
            group.cases += cases;
        }
        None => groups.push(Group {
            shape,
            first: first.index,
            found: found[&first.look].clone(),
            cases,
        }),
    };
    for alike in looks.into_values() {
        let asked = alike.len().min(STACKS_OF_A_LOOK);
        let known: Vec<_> = alike[..asked].iter().map(|&one| shape(one)).collect();
        let agreed = known.windows(2).all(|pair| pair[0] == pair[1]);
        match known.first() {
            Some(same) if agreed => add(same.clone(), alike[0], alike.len() as u64),
            _ => {
                let rest = alike[asked..].iter().map(|&one| shape(one));
                for (shape, one) in known.into_iter().chain(rest).zip(&alike) {
                    add(shape, *one, 1);
                }
            }
        }
    }
    groups.sort_by_key(|group| group.first);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: &str) -> Shape {
        Shape {
            kind: Verdict::Hung,
            part: None,
            phase: Some("body"),
            ended: None,
            place: Some(place.to_owned()),
        }
    }

    fn found() -> BTreeMap<Look, Finding> {
        let finding = Finding {
            kind: Verdict::Hung,
            part: None,
            client: None,
            connection: None,
            at: Duration::ZERO,
            alive_for: None,
            never_ends: true,
            phase: Some("body"),
            task: None,
            says: String::new(),
        };
        BTreeMap::from([(Look::default(), finding)])
    }

    fn guilty(count: u64) -> Vec<Guilty> {
        let alike = Look::default();
        (0..count)
            .map(|index| Guilty {
                index: index * 3,
                finding: 0,
                look: alike,
                kind: Verdict::Hung,
            })
            .collect()
    }

    #[test]
    fn convictions_that_look_alike_are_one_shape_if_their_first_stacks_agree() {
        let mut asked = 0;
        let found = groups(&guilty(100), &found(), |_| {
            asked += 1;
            at("decode")
        });
        assert_eq!(
            (found.len(), found[0].cases, asked),
            (1, 100, STACKS_OF_A_LOOK)
        );
    }

    #[test]
    fn convictions_that_look_alike_are_told_apart_by_their_stacks() {
        let found = groups(&guilty(100), &found(), |one| {
            at(if one.index % 2 == 0 {
                "decode"
            } else {
                "flush"
            })
        });
        let seen: Vec<_> = found
            .iter()
            .map(|group| (group.first, group.cases))
            .collect();
        assert_eq!(seen, [(0, 50), (3, 50)]);
    }
}
