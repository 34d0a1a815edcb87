//! `hangup fuzz`: generated scenarios from a seed.

use super::{CLEAN, Common, FOUND, println_json};
use crate::campaign::fuzz::{Conviction, Plan, fuzz};
use crate::finding::spell_days;
use crate::report::json::FindingJson;
use crate::report::text::{self, Report};
use crate::server::Server;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(super) struct Fuzz {
    /// Seed of the campaign
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many scenarios
    #[arg(long, default_value_t = 10_000)]
    cases: u64,
    /// On how many cores (all, unless said otherwise)
    #[arg(long)]
    jobs: Option<usize>,
    /// Go on after the first finding, and group findings by kind, phase and stack
    #[arg(long)]
    keep_going: bool,
    /// Folder for the scenarios that were found
    #[arg(long, value_name = "DIR", default_value = "hangup-findings")]
    out: PathBuf,
}

/// A finding with what it takes to see it again.
#[derive(Serialize)]
struct FoundJson<'a> {
    #[serde(flatten)]
    finding: FindingJson<'a>,
    case_seed: u64,
    file: String,
    replay: String,
}

impl Fuzz {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let server = common.one_server("hangup")?;
        let jobs = match self.jobs {
            Some(jobs) => jobs.max(1),
            None => std::thread::available_parallelism().map_or(1, Into::into),
        };
        let plan = Plan {
            seed: self.seed,
            cases: self.cases,
            jobs,
            keep_going: self.keep_going,
        };
        if !common.json {
            say!(
                "fuzz {} with seed {}: {} cases on {jobs} cores",
                server.name(),
                self.seed,
                self.cases
            );
        }
        let bar = progress_bar(self.cases);
        let start = Instant::now();
        let (totals, mut convictions) = fuzz(common.engine.into(), &*server, plan, |done| {
            if bar.is_hidden() && start.elapsed() > Duration::from_secs(1) {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.inc(done);
        });
        bar.finish_and_clear();
        let wall = start.elapsed().as_secs_f64();
        if !convictions.is_empty() {
            fs::create_dir_all(&self.out)
                .with_context(|| format!("--out: {}", self.out.display()))?;
        }
        for conviction in &mut convictions {
            let file = save(&self.out, &*server, conviction)?;
            conviction.minimal.origin = file.display().to_string();
            if common.json {
                for finding in conviction.minimal.findings.iter().take(1) {
                    println_json(&FoundJson {
                        finding: finding.into(),
                        case_seed: conviction.case_seed,
                        file: file.display().to_string(),
                        replay: conviction.minimal.replay(),
                    })?;
                }
                continue;
            }
            say!("\n{}", Report(&conviction.minimal));
            say!(
                "saved: {} (and by its seed: hangup replay {})",
                file.display(),
                conviction.case_seed
            );
            if conviction.cases > 1 {
                say!("and {} more cases of this shape", conviction.cases - 1);
            }
        }
        let found: u64 = totals.by_kind.values().sum();
        let per_second = totals.cases as f64 / wall;
        if common.json {
            println_json(&serde_json::json!({ "totals": {
                "server": server.name(), "engine": crate::engine::Engine::from(common.engine).name(),
                "seed": self.seed, "cases": totals.cases, "findings": found, "by_kind": totals.by_kind,
                "sim_s": totals.simulated.as_secs_f64(), "wall_s": wall, "cases_per_s": per_second.round(),
            }}))?;
        } else {
            let verdict = if found == 0 {
                text::verdict(hangup_scenario::Verdict::Clean)
            } else {
                format!("{found} found")
            };
            say!(
                "\n{verdict}: {} cases, {} of simulated time, {wall:.2} s, {per_second:.0} cases a second",
                totals.cases,
                spell_days(totals.simulated)
            );
        }
        Ok(if found == 0 { CLEAN } else { FOUND })
    }
}

fn progress_bar(cases: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} cases, {per_sec}, {eta} left");
    let bar = ProgressBar::hidden().with_style(style.expect("the template is a constant"));
    bar.set_length(cases);
    bar
}

/// Saves the small scenario; its first line says how to see it again.
fn save(folder: &Path, server: &dyn Server, conviction: &Conviction) -> anyhow::Result<PathBuf> {
    let file = folder.join(format!("{}-{}.toml", server.name(), conviction.case_seed));
    let text = format!(
        "# hangup replay {} --server {}\n{}",
        file.display(),
        server.name(),
        conviction.minimal.scenario.to_toml()
    );
    fs::write(&file, text).with_context(|| format!("--out: {}", file.display()))?;
    Ok(file)
}
