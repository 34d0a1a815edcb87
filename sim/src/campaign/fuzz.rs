//! Generated scenarios, from a seed.
//!
//! Case `i` of a campaign has a case seed that follows from the campaign's seed and `i` alone, and the scenario
//! follows from the case seed, and from the deadlines that the server claims. So the first finding is the same on any
//! number of cores, and a case seed can be replayed by itself.

use super::judge;
use super::shard::Shard;
use super::walk::{Cases, Totals, Walk, walk};
use crate::cell::Cell;
use crate::engine::Engine;
use crate::finding::Finding;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::strategy::{self, DEADLINES, Options};
use hangup_scenario::{Scenario, minimise};
use proptest::strategy::ValueTree;
use std::borrow::Cow;
use std::sync::Arc;

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
    /// Which share of the cases.
    pub shard: Shard,
    /// Go on after the first finding.
    pub keep_going: bool,
}

/// Cases that were convicted alike, see [`Shape`](super::shape::Shape).
#[derive(Debug)]
pub struct Conviction {
    /// The first of them; what `hangup replay` takes.
    pub case_seed: u64,
    /// The smallest scenario with a finding of the same rule and part, judged. If the finding does not come again, which happens on a
    /// server that is not deterministic, it is the case as it was generated, with a finding that says so.
    pub minimal: Cell,
    /// How many cases there are of this shape.
    pub cases: u64,
}

/// What is generated against a server.
struct Generator {
    seed: u64,
    cases: u64,
    options: Options,
}

impl Cases for Generator {
    fn count(&self) -> u64 {
        self.cases
    }

    fn scenario(&self, index: u64) -> Scenario {
        strategy::generate(case_seed(self.seed, index), &self.options)
    }
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
    let cases = Generator {
        seed: plan.seed,
        cases: plan.cases,
        options: options(server),
    };
    let how = Walk {
        jobs: plan.jobs,
        shard: plan.shard,
        keep_going: plan.keep_going,
    };
    let (totals, groups) = walk(engine, server, &cases, how, progress);
    let convictions = groups.into_iter().map(|group| {
        let case_seed = case_seed(plan.seed, group.first);
        Conviction {
            case_seed,
            minimal: smallest(engine, server, case_seed, &group.found),
            cases: group.cases,
        }
    });
    (totals, convictions.collect())
}

/// Everything that can be generated; half of the delays sit at the deadlines that servers are known to have, and at those
/// that this one claims.
fn options(server: &dyn Server) -> Options {
    let contract = server.contract();
    let claimed = [contract.stall, contract.drain];
    let mut deadlines = DEADLINES.to_vec();
    deadlines.extend(claimed.into_iter().filter(|it| !DEADLINES.contains(it)));
    Options {
        deadlines: Cow::Owned(deadlines),
        vanish: true,
        network: true,
        server_events: true,
        last_seconds: true,
        // An empty line may be a request of another protocol, and who goes on asking may stay.
        abuse: server.speaks_http(),
        rare: server.speaks_http(),
        addresses: true,
        ..Options::default()
    }
}

/// The scenario of a case seed against this server.
pub fn scenario(case_seed: u64, server: &dyn Server) -> Scenario {
    strategy::generate(case_seed, &options(server))
}

/// Runs a case again and, if it is guilty, looks for the smallest scenario with a finding of the rule and part of the gravest. None if
/// the case is innocent.
pub fn explain(engine: Engine, server: &dyn Server, case_seed: u64) -> Option<Cell> {
    let case = Arc::new(scenario(case_seed, server));
    let (cell, _) = judge::again(engine, &case, server, Detail::default());
    let gravest = cell.findings.iter().max_by_key(|finding| finding.kind)?;
    Some(smallest(engine, server, case_seed, gravest))
}

/// The smallest scenario with a finding like `found`, which this case was convicted of: first by proptest's shrinking, then by the
/// minimiser.
fn smallest(engine: Engine, server: &dyn Server, case_seed: u64, found: &Finding) -> Cell {
    let mut tree = strategy::case(case_seed, &options(server));
    let case = Arc::new(tree.current());
    let alone = Cell::of(engine, &case, server, Detail::default());
    let judge = match alone.findings.iter().any(|one| one.is_like(found)) {
        true => Cell::of as judge::Judge,
        false => Cell::twice as judge::Judge,
    };
    let guilty = |scenario: &Scenario| {
        let scenario = Arc::new(scenario.clone());
        let cell = judge(engine, &scenario, server, Detail::default());
        let mut findings = cell.findings.iter();
        findings.any(|finding| finding.is_like(found))
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
    let smallest = Arc::new(smallest);
    judge::again_as(engine, &smallest, server, Detail::WHOLE, found)
}
