//! `hangup hunt`: from a symptom to a seed and a minimal scenario.

use super::campaign::{Found, Progress, Spread};
use super::{CLEAN, Common, FOUND, count, println_json};
use crate::campaign::hunt::{Hunted, Plan, hunt};
use crate::campaign::symptom::{PHASES, Seen, Sign, Symptom};
use crate::cell::Cell;
use crate::engine::Engine;
use crate::report::Results;
use crate::report::fold::printable;
use crate::server::Server;
use anyhow::{Context, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use humantime::Duration;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More of a dump than this is not read.
const DUMP_MAX: u64 = 64 << 20;

/// Shapes that are told of.
const TRAILS_MAX: usize = 8;

#[derive(Debug, Args)]
pub(super) struct Hunt {
    /// Stacks to take the symptom from: a goroutine dump or profile, a task dump, or /debug/connections of our server (-: standard input)
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// Where the connection is
    #[arg(long, value_parser = PossibleValuesParser::new(PHASES))]
    phase: Option<String>,
    /// What is seen of the server: sockets in CLOSE-WAIT, a shutdown that does not end, a response that did not arrive, a busy core
    #[arg(long, value_parser = PossibleValuesParser::new(Sign::NAMES))]
    symptom: Option<String>,
    /// How old it is at least
    #[arg(long, value_name = "TIME")]
    age: Option<Duration>,
    /// The last status that it got
    #[arg(long)]
    status: Option<u16>,
    /// A part of a frame of its stack: Decoder; some of Go's stand for a phase: ContinueReadBody
    #[arg(long, value_name = "FRAME")]
    stack: Option<String>,
    /// Roughly how many bytes reached the server (half to twice as many)
    #[arg(long, value_name = "N", value_parser = count)]
    bytes_in: Option<u64>,
    /// Roughly how many bytes reached the client
    #[arg(long, value_name = "N", value_parser = count)]
    bytes_out: Option<u64>,
    /// How many there are like it: with 1 no other is held, with more each of several that do the same is
    #[arg(long, value_name = "N", value_parser = count)]
    connections: Option<u64>,
    /// Seed of the generated scenarios
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many scenarios are generated
    #[arg(long, default_value_t = 10_000, value_parser = count)]
    cases: u64,
    #[command(flatten)]
    spread: Spread,
}

impl Hunt {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        self.spread.ready()?;
        let engine = Engine::from(common.engine);
        if engine == Engine::Wire {
            bail!("--engine wire: real time is too slow for so many cases; allowed: leap, turmoil");
        }
        let Seen { symptom, others } = self.symptom()?;
        if symptom == Symptom::default() {
            bail!(
                "nothing to look for; allowed: --dump, --symptom, --phase, --age, --status, --stack, --bytes-in, --bytes-out, --connections"
            );
        }
        let server = common.one_server(symptom.server())?;
        let plan = Plan {
            seed: self.seed,
            cases: self.cases,
            jobs: self.spread.jobs(),
            shard: self.spread.shard,
        };
        if !common.json {
            say!(
                "hunt on {}: {}",
                server.name(),
                printable(&symptom.to_string())
            );
            if !others.is_empty() {
                say!(
                    "(not looked for, though it is in the dump: {})",
                    printable(&others.join(", "))
                );
            }
        }
        let progress = Progress::of(plan.shard.share(plan.cases));
        let hunted = hunt(engine, &*server, &symptom, plan, |done| progress.more(done));
        progress.finish();
        let found = !hunted.incidents.is_empty() || !hunted.trails.is_empty();
        let minimal = if common.json {
            println_json(&told(&hunted, server.name(), &symptom, plan))?;
            hunted.minimal
        } else {
            let minimal = tell(hunted, plan, engine, &*server, &self.spread.out)?;
            if !found {
                say!("\n{}", held(&symptom, &others, self.dump.is_some()));
            }
            minimal
        };
        common.files.write(&Results {
            title: format!("hunt on {}", server.name()),
            summary: symptom.to_string(),
            cells: minimal.iter().collect(),
            coverage: None,
        })?;
        Ok(if found { FOUND } else { CLEAN })
    }

    fn symptom(&self) -> anyhow::Result<Seen> {
        let said = Symptom {
            phase: self.phase.clone(),
            age: self.age.map(Into::into),
            status: self.status,
            expects: None,
            sign: self.symptom.as_deref().and_then(Sign::named),
            stack: self.stack.clone().filter(|frame| !frame.is_empty()),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            connections: self.connections,
        };
        let Some(path) = &self.dump else {
            return Ok(Seen {
                symptom: said,
                others: Vec::new(),
            });
        };
        let name = path.display();
        let mut text = Vec::new();
        let read = match path.to_str() {
            Some("-") => std::io::stdin().take(DUMP_MAX).read_to_end(&mut text),
            _ => fs::File::open(path).and_then(|file| file.take(DUMP_MAX).read_to_end(&mut text)),
        };
        read.with_context(|| format!("--dump: {name}"))?;
        let seen = Symptom::from_dump(&String::from_utf8_lossy(&text))
            .with_context(|| format!("--dump: {name}"))?;
        Ok(Seen {
            symptom: said.or(seen.symptom),
            others: seen.others,
        })
    }
}

/// What there was to look for where nothing fits it, and what to try next.
fn held(symptom: &Symptom, others: &[String], is_dump: bool) -> String {
    let where_ = if is_dump {
        "the dump holds"
    } else {
        "looked for"
    };
    let mut text = format!("{where_}: {}", printable(&symptom.to_string()));
    for other in others {
        text += "; ";
        text += &printable(other);
    }
    text + "\nno server does that which was looked at: try --server NAME (hangup list), more --cases, or less of --status, --bytes-in, --connections"
}

fn tell(
    hunted: Hunted,
    plan: Plan,
    engine: Engine,
    server: &dyn Server,
    out: &Path,
) -> anyhow::Result<Option<Cell>> {
    let Plan { seed, cases, .. } = plan;
    match &hunted.incidents[..] {
        [] => say!("no incident of the book fits"),
        incidents => {
            say!("\nincidents of the book that fit:");
            for cell in incidents {
                say!("  {:<24} {}", cell.scenario.name, cell.scenario.title);
            }
            say!("  see them: hangup run NAME --server {}", server.name());
        }
    }
    if hunted.trails.is_empty() {
        say!("\nnone of {cases} generated scenarios fits (seed {seed})");
        if hunted.fitting > 0 {
            let elsewhere: Vec<_> = hunted.elsewhere.iter().map(String::as_str).collect();
            say!(
                "{} fit but for the frame: they wait in {}; another server: --server NAME",
                hunted.fitting,
                elsewhere.join(", ")
            );
        }
        return Ok(None);
    }
    let fit: u64 = hunted.trails.iter().map(|trail| trail.cases).sum();
    let but_for = match hunted.fitting.saturating_sub(fit) {
        0 => String::new(),
        more => format!("; {more} more do but for the frame"),
    };
    let shapes = match hunted.trails.len() {
        1 => "one shape".to_owned(),
        count => format!("{count} shapes"),
    };
    say!("\nof {cases} generated scenarios (seed {seed}) {fit} fit, in {shapes}{but_for}:\n");
    say!("{:>8}  what", "cases");
    for trail in hunted.trails.iter().take(TRAILS_MAX) {
        say!("{:>8}  {}", trail.cases, trail.course);
        if let Some(place) = &trail.place {
            say!("{:>8}  in {place}", "");
        }
        let (seed, server) = (trail.case_seed, server.name());
        say!("{:>8}  first: hangup replay {seed} --server {server}", "");
    }
    if hunted.trails.len() > TRAILS_MAX {
        let more = hunted.trails.len() - TRAILS_MAX;
        say!("{:>8}  and {more} shapes more, which --json has", "");
    }
    let (Some(cell), Some(trail)) = (hunted.minimal, hunted.trails.first()) else {
        return Ok(None);
    };
    say!("\nthe smallest of the first shape:");
    let found = Found {
        cell,
        case_seed: Some(trail.case_seed),
        cases: trail.cases,
    };
    found.tell(engine, server, out, false).map(Some)
}

fn told(hunted: &Hunted, server: &str, symptom: &Symptom, plan: Plan) -> Value {
    let incidents: Vec<Value> = hunted
        .incidents
        .iter()
        .map(|cell| json!({ "scenario": cell.scenario.name, "replay": cell.replay() }))
        .collect();
    let shapes: Vec<Value> = hunted
        .trails
        .iter()
        .map(|trail| {
            json!({
                "says": trail.course.to_string(),
                "kind": trail.course.kind.to_string(),
                "phase": trail.course.phase,
                "status": trail.course.status,
                "place": trail.place,
                "cases": trail.cases,
                "case_seed": trail.case_seed,
            })
        })
        .collect();
    let minimal = hunted.minimal.as_ref().map(|cell| cell.scenario.to_toml());
    json!({
        "symptom": symptom.to_string(),
        "server": server,
        "seed": plan.seed,
        "cases": plan.cases,
        "fitting": hunted.fitting,
        "incidents": incidents,
        "shapes": shapes,
        "scenario": minimal,
    })
}
