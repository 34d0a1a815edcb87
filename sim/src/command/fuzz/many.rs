//! Several servers, one after the other: a line each. With the canaries it is the table of what it takes to find each.

use super::super::campaign::{Progress, Spread, save, totals_json};
use super::super::{CLEAN, Common, FOUND};
use crate::campaign::fuzz::{Plan, fuzz};
use crate::cell::Cell;
use crate::report::Results;
use crate::report::text;
use crate::server::Server;
use hangup_scenario::Verdict;
use std::sync::Arc;
use std::time::Instant;

pub(super) fn fuzz_each(
    common: &Common,
    servers: &[Arc<dyn Server>],
    plan: Plan,
    spread: &Spread,
) -> anyhow::Result<u8> {
    let widest = servers.iter().map(|server| server.name().len()).max();
    let width = widest.unwrap_or(0);
    if !common.json {
        say!(
            "fuzz {} servers with seed {}: up to {} cases each{}\n",
            servers.len(),
            plan.seed,
            plan.cases,
            spread.told()
        );
        say!(
            "{:width$}  {:>8}  {:>8}  found",
            "server",
            "cases",
            "seconds"
        );
    }
    let start = Instant::now();
    let mut convicted: Vec<Cell> = Vec::new();
    for server in servers {
        let progress = Progress::of(plan.shard.share(plan.cases));
        let (sums, convictions) = fuzz(common.engine.into(), &**server, plan, |done| {
            progress.more(done);
        });
        let wall = progress.finish();
        let mut found = Vec::new();
        for conviction in convictions {
            let mut cell = conviction.minimal;
            cell.origin = save(&spread.out, &cell)?.display().to_string();
            found.push(cell);
        }
        if common.json {
            let more = [
                ("seed", plan.seed.into()),
                (
                    "files",
                    found.iter().map(|cell| cell.origin.as_str()).collect(),
                ),
            ];
            totals_json(common, &**server, &sums, wall, more)?;
        } else {
            let what = match found.first() {
                Some(cell) => format!("{}, {}", text::verdict(cell.verdict()), cell.origin),
                None => text::verdict(Verdict::Clean).to_string(),
            };
            say!(
                "{:width$}  {:>8}  {:>8.2}  {what}",
                server.name(),
                sums.cases,
                wall.as_secs_f64()
            );
        }
        convicted.extend(found);
    }
    common.files.write(&Results {
        title: format!("fuzz of {} servers: seed {}", servers.len(), plan.seed),
        summary: format!("{:.2} s", start.elapsed().as_secs_f64()),
        cells: convicted.iter().collect(),
        coverage: None,
    })?;
    Ok(if convicted.is_empty() { CLEAN } else { FOUND })
}
