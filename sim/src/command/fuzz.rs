//! `hangup fuzz`: generated scenarios from a seed.

mod many;

use super::Common;
use super::campaign::{Found, Progress, Spread, totals};
use crate::campaign::fuzz::{Plan, fuzz};
use crate::engine::Engine;
use crate::report::coverage::Table;
use anyhow::bail;
use clap::Args;

/// A case takes up to a minute of real time on the wire.
const WIRE_CASES_MAX: u64 = 100;

#[derive(Debug, Args)]
pub(super) struct Fuzz {
    /// Seed of the campaign
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many scenarios
    #[arg(long, default_value_t = 10_000)]
    cases: u64,
    /// Go on after the first finding, and group findings by kind, phase and stack
    #[arg(long)]
    keep_going: bool,
    /// Show which cells of a connection's life were reached: phase, clock, and what the client did
    #[arg(long)]
    coverage: bool,
    /// The same, and a cell that can be reached and never was is a failure (exit status 1)
    #[arg(long)]
    require_coverage: bool,
    #[command(flatten)]
    spread: Spread,
}

impl Fuzz {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let mut servers = common.servers_or(&["hangup"])?;
        if Engine::from(common.engine) == Engine::Wire && self.cases > WIRE_CASES_MAX {
            bail!(
                "--cases {}: --engine wire runs in real time, and takes at most {WIRE_CASES_MAX} cases",
                self.cases
            );
        }
        let plan = Plan {
            seed: self.seed,
            cases: self.cases,
            jobs: self.spread.jobs(),
            shard: self.spread.shard,
            keep_going: self.keep_going,
        };
        if !common.server.is_empty() && servers.len() > 1 {
            return many::fuzz_each(common, &servers, plan, &self.spread);
        }
        let server = servers.swap_remove(0);
        if !common.json {
            say!(
                "fuzz {} with seed {}: {} cases{}",
                server.name(),
                self.seed,
                self.cases,
                self.spread.told()
            );
        }
        let progress = Progress::of(plan.shard.share(plan.cases));
        let (sums, convictions) = fuzz(common.engine.into(), &*server, plan, |done| {
            progress.more(done);
        });
        let wall = progress.finish();
        let mut convicted = Vec::new();
        for conviction in convictions {
            let found = Found {
                cell: conviction.minimal,
                case_seed: Some(conviction.case_seed),
                cases: conviction.cases,
            };
            convicted.push(found.tell(
                common.engine.into(),
                &*server,
                &self.spread.out,
                common.json,
            )?);
        }
        let more = [("seed", self.seed.into())];
        let table = Table::of(&sums.coverage, &*server);
        if self.coverage { say!("\n{table}"); }
        totals(common, &*server, &sums, wall, &convicted, more)
    }
}
