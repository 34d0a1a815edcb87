//! `hangup fuzz`: generated scenarios from a seed.

mod many;

use super::campaign::{Found, Progress, Spread, totals};
use super::{Common, FOUND, count};
use crate::campaign::fuzz::{Plan, fuzz};
use crate::coverage::Coverage;
use crate::engine::Engine;
use crate::report::coverage::Table;
use crate::server::Server;
use anyhow::bail;
use clap::Args;
use std::sync::Arc;

/// A case takes up to a minute of real time on the wire.
const WIRE_CASES_MAX: u64 = 100;

#[derive(Debug, Args)]
pub(super) struct Fuzz {
    /// Seed of the campaign
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many scenarios
    #[arg(long, default_value_t = 10_000, value_parser = count)]
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
        self.spread.ready()?;
        let mut servers = common.servers_or(&["hangup"])?;
        if Engine::from(common.engine) == Engine::Wire && self.cases > WIRE_CASES_MAX {
            bail!(
                "--cases {}: --engine wire runs in real time, and takes at most {WIRE_CASES_MAX} cases",
                self.cases
            );
        }
        if self.coverage || self.require_coverage {
            self.can_be_covered(common, &servers)?;
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
        // What a campaign has reached that stopped at its first finding hangs on the number of cores.
        let whole = convicted.is_empty() || self.keep_going;
        let table = ((self.coverage || self.require_coverage) && whole)
            .then(|| Table::of(&sums.coverage, &*server));
        let status = totals(
            common,
            &*server,
            &sums,
            wall,
            &convicted,
            table.as_ref(),
            more,
        )?;
        let lacks = table.is_some_and(|table| !table.is_covered());
        Ok(if self.require_coverage && lacks {
            if !common.json {
                say!(
                    "not covered: a cell of a connection's life was never reached, or cannot be and was"
                );
            }
            FOUND
        } else {
            status
        })
    }

    /// Can the cells be told that this campaign reaches?
    fn can_be_covered(&self, common: &Common, servers: &[Arc<dyn Server>]) -> anyhow::Result<()> {
        let [server] = servers else {
            bail!("--coverage: of one server at a time; allowed: one --server");
        };
        if Engine::from(common.engine) != Engine::Leap {
            bail!(
                "--coverage: which task waits where is told on one engine; allowed: --engine leap"
            );
        }
        match Table::of(&Coverage::default(), &**server).unknown() {
            Some(why) if self.require_coverage => bail!(
                "--require-coverage: {}: {why}; allowed: hangup, hangup-axum",
                server.name()
            ),
            _ => Ok(()),
        }
    }
}
