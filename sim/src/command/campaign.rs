//! What the commands of many runs have in common: cores, shards, the progress bar, the files, the last line.

use super::{CLEAN, Common, FOUND, println_json};
use crate::campaign::judge::{again, again_as};
use crate::campaign::nearest::nearest;
use crate::campaign::shard::Shard;
use crate::campaign::walk::{Cases, Group, Totals, Walk, walk};
use crate::cell::Cell;
use crate::engine::Engine;
use crate::finding::spell_days;
use crate::report::Results;
use crate::report::coverage::Table;
use crate::report::json::FindingJson;
use crate::report::text::{self, Report};
use crate::run::Detail;
use crate::server::Server;
use anyhow::{Context, bail};
use clap::Args;
use hangup_scenario::Verdict;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More threads than this on a core make nothing faster.
const THREADS_A_CORE: usize = 4;

/// On how many cores and machines, and where to.
#[derive(Clone, Debug, Args)]
pub(super) struct Spread {
    /// On how many cores (all, unless said otherwise)
    #[arg(long)]
    pub(super) jobs: Option<usize>,
    /// The I-th of N shares of the cases, for a campaign on N machines
    #[arg(long, value_name = "I/N", default_value_t)]
    pub(super) shard: Shard,
    /// Folder for the scenarios that were found
    #[arg(long, value_name = "DIR", default_value = "hangup-findings")]
    pub(super) out: PathBuf,
}

impl Spread {
    pub(super) fn jobs(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        match self.jobs {
            Some(jobs) => jobs.clamp(1, cores * THREADS_A_CORE),
            None => cores,
        }
    }

    /// Fails where nothing could be saved.
    pub(super) fn ready(&self) -> anyhow::Result<()> {
        writable(&self.out)
    }

    /// What the first line says of it: ` on 2 cores, shard 1/4`.
    pub(super) fn told(&self) -> String {
        let cores = match self.jobs() {
            1 => " on 1 core".to_owned(),
            jobs => format!(" on {jobs} cores"),
        };
        match self.shard.is_whole() {
            true => cores,
            false => format!("{cores}, shard {}", self.shard),
        }
    }
}

/// A bar that appears when a campaign takes longer than a second.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    start: Instant,
}

impl Progress {
    pub(super) fn of(cases: u64) -> Self {
        let style =
            ProgressStyle::with_template("{wide_bar} {pos}/{len} cases, {per_sec}, {eta} left");
        let bar = ProgressBar::hidden().with_style(style.expect("the template is a constant"));
        bar.set_length(cases);
        Self {
            bar,
            start: Instant::now(),
        }
    }

    pub(super) fn more(&self, done: u64) {
        if self.bar.is_hidden() && self.start.elapsed() > Duration::from_secs(1) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(done);
    }

    /// How long it took.
    pub(super) fn finish(self) -> Duration {
        self.bar.finish_and_clear();
        self.start.elapsed()
    }
}

/// A finding with what it takes to see it again.
#[derive(Serialize)]
struct FoundJson<'a> {
    #[serde(flatten)]
    finding: FindingJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    case_seed: Option<u64>,
    /// How many cases there are of this shape.
    cases: u64,
    file: String,
    replay: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest_passing: Option<NearestJson>,
}

/// The smallest change with which nothing is found.
#[derive(Serialize)]
struct NearestJson {
    change: String,
    /// A scenario file.
    scenario: String,
}

/// What was found, judged, with what is said of it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) cell: Cell,
    pub(super) case_seed: Option<u64>,
    pub(super) cases: u64,
}

impl Found {
    /// Saves the scenario, and tells of it; gives the cell back, which can now be replayed by its file.
    pub(super) fn tell(
        mut self,
        engine: Engine,
        server: &dyn Server,
        out: &Path,
        json: bool,
    ) -> anyhow::Result<Cell> {
        // Who is clean in one run may not be in two.
        let (_, judge) = again(engine, &self.cell.scenario, server, Detail::default());
        let nearest = nearest(&self.cell.scenario, |scenario| {
            let scenario = Arc::new(scenario.clone());
            judge(engine, &scenario, server, Detail::default()).verdict() == Verdict::Clean
        });
        let file = save(out, &self.cell)?.display().to_string();
        self.cell.origin = file.clone();
        if json {
            let nearest = nearest.map(|variant| NearestJson {
                scenario: variant.scenario.to_toml(),
                change: variant.says,
            });
            if let Some(finding) = self.cell.findings.first() {
                println_json(&FoundJson {
                    finding: finding.into(),
                    case_seed: self.case_seed,
                    cases: self.cases,
                    file: file.clone(),
                    replay: self.cell.replay(),
                    nearest_passing: nearest,
                })?;
            }
            return Ok(self.cell);
        }
        say!("\n{}", Report(&self.cell));
        if let Some(variant) = nearest {
            say!("nothing is found if {}", variant.says);
        }
        match self.case_seed {
            Some(seed) => say!(
                "saved: {file} (and by its seed: {} replay {seed} --server {})",
                super::program(),
                self.cell.server
            ),
            None => say!("saved: {file}"),
        }
        match self.cases - 1 {
            0 => {}
            1 => say!("and 1 more case of this shape"),
            more => say!("and {more} more cases of this shape"),
        }
        Ok(self.cell)
    }
}

/// Fails where nothing could be saved in this folder: before a campaign, not behind it. Nothing is left there.
pub(super) fn writable(folder: &Path) -> anyhow::Result<()> {
    let folders = folder.ancestors().map(|one| match one == Path::new("") {
        true => Path::new("."),
        false => one,
    });
    let there = folders.into_iter().find(|one| one.exists());
    let file = there
        .unwrap_or(folder)
        .join(format!(".hangup-{}", std::process::id()));
    fs::write(&file, "")
        .and_then(|()| fs::remove_file(&file))
        .with_context(|| format!("--out: nothing can be written in {}", folder.display()))
}

/// Saves a scenario; its first line says how to see it again.
pub(super) fn save(folder: &Path, cell: &Cell) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("--out: {}", folder.display()))?;
    let name = cell.scenario.name.trim_start_matches("case-");
    let file = folder.join(format!("{}-{name}.toml", cell.server));
    let text = format!(
        "# {} replay {} --server {}\n{}",
        super::program(),
        file.display(),
        cell.server,
        cell.scenario.to_toml()
    );
    fs::write(&file, text).with_context(|| format!("--out: {}", file.display()))?;
    Ok(file)
}

/// The files that were asked for, and the last line: what was done in all. Gives the exit status.
pub(super) fn totals(
    common: &Common,
    server: &dyn Server,
    totals: &Totals,
    wall: Duration,
    convicted: &[Cell],
    coverage: Option<&Table>,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> anyhow::Result<u8> {
    let more: Vec<_> = more.into_iter().collect();
    let told: Vec<String> = more
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    common.files.write(&Results {
        title: format!("{}: {}", server.name(), told.join(", ")),
        summary: format!(
            "{} cases, {} of simulated time in {:.2} s",
            totals.cases,
            spell_days(totals.simulated),
            wall.as_secs_f64()
        ),
        cells: convicted.iter().collect(),
        coverage,
    })?;
    let found: u64 = totals.by_kind.values().sum();
    let per_second = totals.cases as f64 / wall.as_secs_f64();
    if common.json {
        let coverage = coverage.map(|table| ("coverage", table.json()));
        totals_json(
            common,
            server,
            totals,
            wall,
            more.into_iter().chain(coverage),
        )?;
    } else {
        if let Some(table) = coverage {
            say!("\n{table}");
        }
        let verdict = if found == 0 {
            text::verdict(Verdict::Clean)
        } else {
            let kinds = totals.by_kind.iter();
            let kinds: Vec<String> = kinds
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            format!("{found} found ({})", kinds.join(", "))
        };
        say!(
            "\n{verdict}: {} cases, {} of simulated time, {:.2} s, {per_second:.0} cases a second",
            totals.cases,
            spell_days(totals.simulated),
            wall.as_secs_f64()
        );
    }
    Ok(if found == 0 { CLEAN } else { FOUND })
}

/// The last line as JSON.
pub(super) fn totals_json(
    common: &Common,
    server: &dyn Server,
    totals: &Totals,
    wall: Duration,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> anyhow::Result<()> {
    let wall = wall.as_secs_f64();
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
    put("server", server.name().into());
    put("engine", Engine::from(common.engine).name().into());
    more.into_iter().for_each(|(name, value)| {
        put(name, value);
    });
    put("cases", totals.cases.into());
    put("findings", totals.by_kind.values().sum::<u64>().into());
    put("by_kind", serde_json::to_value(&totals.by_kind)?);
    put("sim_s", totals.simulated.as_secs_f64().into());
    put("wall_s", wall.into());
    put("cases_per_s", (totals.cases as f64 / wall).round().into());
    println_json(&serde_json::json!({ "totals": line }))
}

/// Groups that are told of with their whole report; of the others there is a line.
const REPORTS_MAX: usize = 3;

/// Runs all cases, and tells of a first case of every shape.
pub(super) fn all_of(
    common: &Common,
    server: &Arc<dyn Server>,
    cases: &dyn Cases,
    spread: &Spread,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> anyhow::Result<u8> {
    let engine = common.engine.into();
    if engine == Engine::Wire {
        bail!("--engine wire: real time is too slow for so many cases; allowed: leap, turmoil");
    }
    let plan = Walk {
        jobs: spread.jobs(),
        shard: spread.shard,
        keep_going: true,
    };
    let progress = Progress::of(spread.shard.share(cases.count()));
    let (sums, groups) = walk(engine, &**server, cases, plan, |done| progress.more(done));
    let wall = progress.finish();
    if !common.json && !groups.is_empty() {
        table(&groups, cases)?;
    }
    let mut convicted = Vec::new();
    for (nth, group) in groups.iter().enumerate() {
        let scenario = Arc::new(cases.scenario(group.first));
        let found = Found {
            cell: again_as(engine, &scenario, &**server, Detail::WHOLE, &group.found),
            case_seed: None,
            cases: group.cases,
        };
        if common.json || nth < REPORTS_MAX {
            convicted.push(found.tell(engine, &**server, &spread.out, common.json)?);
        } else {
            let mut cell = found.cell;
            cell.origin = save(&spread.out, &cell)?.display().to_string();
            convicted.push(cell);
        }
    }
    if !common.json && groups.len() > REPORTS_MAX {
        say!(
            "\nthe first case of each of the other {} shapes is in {}",
            groups.len() - REPORTS_MAX,
            spread.out.display()
        );
    }
    totals(common, &**server, &sums, wall, &convicted, None, more)
}

/// A line for each shape.
fn table(groups: &[Group], cases: &dyn Cases) -> anyhow::Result<()> {
    let shapes = match groups.len() {
        1 => "1 shape".to_owned(),
        count => format!("{count} shapes"),
    };
    say!("\n{shapes} of findings:\n");
    let width = groups
        .iter()
        .map(|group| group.cases.to_string().len())
        .max();
    let width = width.unwrap_or(0).max("cases".len());
    say!("{:>width$}  what", "cases");
    for group in groups {
        say!("{:>width$}  {}", group.cases, group.shape);
        say!(
            "{:>width$}  first: {}",
            "",
            cases.scenario(group.first).name
        );
    }
    Ok(())
}
