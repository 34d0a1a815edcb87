//! `hangup attack`: the most server seconds for each byte of the client.

use super::campaign::{Progress, save, writable};
use super::{Common, one_or_more, println_json, status};
use crate::campaign::attack::{CONNECT_BYTES, Cost, Plan, attack};
use crate::cell::Cell;
use crate::engine::Engine;
use crate::finding::spell_days;
use crate::incident;
use crate::report::text::Report;
use crate::run::Detail;
use crate::server::Server;
use clap::Args;
use std::path::PathBuf;

/// The incident that every figure is held against.
const INCIDENT: &str = "fasthttp-1834";

#[derive(Debug, Args)]
pub(super) struct AttackCommand {
    /// Seed of the search
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many scenarios
    #[arg(long, default_value_t = 20_000, value_parser = one_or_more)]
    cases: u64,
    /// On how many cores (all, unless said otherwise)
    #[arg(long)]
    jobs: Option<usize>,
    /// Folder for the scenario that was found
    #[arg(long, value_name = "DIR", default_value = "hangup-findings")]
    out: PathBuf,
}

impl AttackCommand {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        writable(&self.out)?;
        let server = common.one_server("hangup")?;
        let engine = common.engine.into();
        let jobs = match self.jobs {
            Some(jobs) => jobs.max(1),
            None => std::thread::available_parallelism().map_or(1, Into::into),
        };
        let plan = Plan {
            seed: self.seed,
            cases: self.cases,
            jobs,
        };
        if !common.json {
            say!(
                "attack {} with seed {}: {} scenarios",
                server.name(),
                self.seed,
                self.cases
            );
        }
        let progress = Progress::of(self.cases);
        let mut worst = attack(engine, &*server, plan, |done| progress.more(done));
        let wall = progress.finish();
        let file = save(&self.out, &worst.cell)?.display().to_string();
        worst.cell.origin = file.clone();
        let known = of_incident(engine, &*server);
        let contract = worst.cell.run.contract;
        let figure = worst.cost.seconds_per_byte();
        if common.json {
            println_json(&serde_json::json!({
                "server": server.name(), "engine": engine.name(), "seed": self.seed, "cases": worst.cases,
                "seconds_per_byte": figure, "held_s": worst.cost.held.as_secs_f64(), "client_bytes": worst.cost.bytes,
                "unended": worst.cost.unended, "verdict": worst.cell.verdict().to_string(),
                "longest_held_s": worst.longest.as_secs_f64(), "residence_s": contract.residence.as_secs_f64(),
                "incident_seconds_per_byte": known.map(|cost| cost.seconds_per_byte()),
                "file": file, "replay": worst.cell.replay(), "wall_s": wall.as_secs_f64(),
            }))?;
            return Ok(status(worst.cell.verdict()));
        }
        say!("\n{}", Report(&worst.cell));
        say!("saved: {file}\n");
        let least = if worst.cost.unended { "at least " } else { "" };
        say!(
            "worst: {least}{figure:.3} server seconds a client byte: {least}{} held for {} bytes ({CONNECT_BYTES} for each connection)",
            spell_days(worst.cost.held),
            worst.cost.bytes
        );
        if let Some(known) = known {
            say!(
                "{INCIDENT} for comparison: {:.3} seconds a byte",
                known.seconds_per_byte()
            );
        }
        say!(
            "the longest that one connection was held in {} scenarios: {least}{}; the contract allows {}",
            worst.cases,
            spell_days(worst.longest),
            spell_days(contract.residence)
        );
        Ok(status(worst.cell.verdict()))
    }
}

/// What the incident costs this server.
fn of_incident(engine: Engine, server: &dyn Server) -> Option<Cost> {
    let scenario = incident::named(INCIDENT)?;
    let cell = Cell::of(engine, &scenario, server, Detail::default());
    Some(Cost::of(&cell))
}
