//! The command line: one file a command. [`cli`] gives all of it for a server of one's own.

/// Prints a line on stdout; a reader that has gone away ends the command (see `main`).
macro_rules! say {
    ($($what:tt)*) => {
        std::io::Write::write_fmt(&mut anstream::stdout(), format_args!("{}\n", format_args!($($what)*)))?
    };
}

mod attack;
mod campaign;
mod check;
mod exhaust;
mod files;
mod fuzz;
mod hunt;
mod import;
mod list;
mod probe;
mod program;
mod remote;
mod replay;
mod run;
mod serve;
mod sweep;
mod tour;

pub(crate) use program::program;
pub use program::{Program, cli};

use crate::engine::Engine;
use crate::report::Results;
use crate::server::{self, Server};
use crate::{cell::Cell, healthy, incident};
use anyhow::{Context, bail};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use hangup_scenario::nearest::did_you_mean;
use hangup_scenario::{Scenario, Verdict};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// Is there anything a client can do that keeps a connection alive past its deadline?
#[derive(Debug, Parser)]
#[command(name = "hangup", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every incident against every server: a matrix
    Check(check::Check),
    /// One scenario against one server: verdict, timeline, findings
    Run(run::RunCommand),
    /// Generated scenarios from a seed; stops at the first finding, makes it small and saves it
    Fuzz(fuzz::Fuzz),
    /// An exchange, broken off at every byte in every way
    Sweep(sweep::SweepCommand),
    /// Every sequence of up to so many steps: all of it, no seeds
    Exhaust(exhaust::ExhaustCommand),
    /// Worst case: the most server seconds held for each byte of the client
    Attack(attack::AttackCommand),
    /// From a symptom (a phase, an age, a frame of a stack, a pasted dump) to a seed and a minimal scenario
    Hunt(hunt::Hunt),
    /// A capture (pcap, pcapng) or a flight record becomes a scenario file
    Import(import::Import),
    /// The same run again: a case seed from fuzz, a saved file, or an incident
    Replay(replay::Replay),
    /// The incidents over real TCP against a server that is running: a matrix with what came back, and when
    Probe(probe::Probe),
    /// Our server on real TCP with the probe app, its ledger and metrics
    Serve(serve::Serve),
    /// Incidents, servers, engines, exchanges
    List(list::List),
}

/// Flags of every command.
#[derive(Debug, Args, Clone)]
struct Common {
    /// Server under test, by name (repeatable, and canary-* is every server whose name begins like that; see `hangup list`)
    #[arg(long, global = true, value_name = "NAME")]
    server: Vec<String>,
    /// What carries the bytes and the clock
    #[arg(long, global = true, value_enum, default_value_t)]
    engine: EngineName,
    #[command(flatten)]
    files: files::Files,
    /// std's clocks and hash seeds follow the scenario too (leap engine, Linux)
    #[arg(long, global = true)]
    seal: bool,
    /// JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Colours
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Color,
    /// Servers that this program brings along.
    #[arg(skip)]
    own: program::Own,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum EngineName {
    #[default]
    Leap,
    Turmoil,
    /// What `--seal` makes of leap.
    #[value(skip)]
    Sealed,
    Wire,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Leap => Self::Leap,
            EngineName::Turmoil => Self::Turmoil,
            EngineName::Sealed => Self::Sealed,
            EngineName::Wire => Self::Wire,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// Nothing was found.
const CLEAN: u8 = 0;
/// There are findings.
const FOUND: u8 = 1;
/// Wrong use or unreadable input.
const WRONG: u8 = 2;

/// Runs the command line of this process over the built-in servers.
pub fn main() -> ExitCode {
    run_with(program::Own::default())
}

fn parse() -> Result<Cli, clap::Error> {
    let matches = Cli::command().bin_name(program()).try_get_matches()?;
    Cli::from_arg_matches(&matches)
}

fn run_with(own: program::Own) -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            complain(format_args!(
                "hangup: {}",
                one_line(&error.render().to_string())
            ));
            return ExitCode::from(WRONG);
        }
        // Help and version go to stdout, and a closed stdout is no reason to fail.
        Err(error) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    if let Some(name) = own.taken() {
        eprintln!(
            "hangup: a server of this program is called \"{name}\", as a built-in one is; give it another name"
        );
        return ExitCode::from(WRONG);
    }
    match cli.common.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let mut common = Common { own, ..cli.common };
    if let Err(error) = common.sealed().and_then(|()| {
        common
            .files
            .prepare(cli.command.as_ref(), common.engine.into())
    }) {
        complain(format_args!("hangup: {error:#}"));
        return ExitCode::from(WRONG);
    }
    let done = match cli.command {
        None => tour::tour(&common),
        Some(Command::Check(command)) => command.execute(&common),
        Some(Command::Run(command)) => command.execute(&common),
        Some(Command::Fuzz(command)) => command.execute(&common),
        Some(Command::Sweep(command)) => command.execute(&common),
        Some(Command::Exhaust(command)) => command.execute(&common),
        Some(Command::Attack(command)) => command.execute(&common),
        Some(Command::Hunt(command)) => command.execute(&common),
        Some(Command::Import(command)) => command.execute(&common),
        Some(Command::Replay(command)) => command.execute(&common),
        Some(Command::Probe(command)) => command.execute(&common),
        Some(Command::Serve(command)) => command.execute(&common),
        Some(Command::List(command)) => command.execute(&common),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        // `hangup list | head` has got what it wanted.
        Err(error)
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("hangup: {error:#}"));
            ExitCode::from(WRONG)
        }
    }
}

/// One line on stderr; where there is no stderr, the exit status says enough.
fn complain(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// clap's message without its headings and its advice to ask for help.
fn one_line(message: &str) -> String {
    let lines = message
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("For more information"));
    let text: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with("Usage:"))
        .collect();
    text.join(" ").trim_start_matches("error: ").to_owned()
}

impl Common {
    /// Takes the sealed engine in place of leap, if that is asked for.
    fn sealed(&mut self) -> anyhow::Result<()> {
        if !self.seal {
            return Ok(());
        }
        if !matches!(self.engine, EngineName::Leap) {
            bail!(
                "--seal: only the leap engine can be sealed, not {}",
                Engine::from(self.engine).name()
            );
        }
        self.engine = EngineName::Sealed;
        Engine::Sealed.available().context("--seal: not available")
    }

    /// The servers that were named, or else those that this program brings along, or else `default`.
    fn servers_or(&self, default: &[&str]) -> anyhow::Result<Vec<Arc<dyn Server>>> {
        let servers: Vec<Arc<dyn Server>> = if !self.server.is_empty() {
            // Who is named twice is tried once.
            let mut seen = BTreeSet::new();
            let mut found = Vec::new();
            for name in &self.server {
                match name.split_once('*') {
                    Some((start, end)) => found.extend(self.matching(name, start, end)?),
                    None => found.push(self.find_server(name)?),
                }
            }
            found.retain(|server| seen.insert(server.name().to_owned()));
            found
        } else if !self.own.is_empty() {
            self.own.0.clone()
        } else {
            let named = default.iter().map(|name| self.find_server(name));
            named.collect::<anyhow::Result<_>>()?
        };
        let leap_only = servers.iter().find(|server| self.own.has(server.name()));
        if let Some(server) = leap_only
            && !matches!(self.engine.into(), Engine::Leap | Engine::Sealed)
        {
            bail!(
                "--engine: \"{}\" is written against hangup::net, which leap alone carries; allowed: leap",
                server.name()
            );
        }
        for server in servers.iter().filter(|one| self.own.has(one.name())) {
            if let Err(why) = server.preflight(self.seal) {
                bail!("{}: nothing was run: {why}", server.name());
            }
        }
        Ok(servers)
    }

    /// Every server whose name begins and ends like this.
    fn matching(&self, name: &str, start: &str, end: &str) -> anyhow::Result<Vec<Arc<dyn Server>>> {
        let mut all = self.all_servers();
        all.retain(|server| {
            let rest = server.name().strip_prefix(start);
            rest.is_some_and(|rest| rest.ends_with(end))
        });
        if all.is_empty() {
            bail!(
                "--server: no server is named like \"{name}\" (see `{} list`)",
                program()
            );
        }
        Ok(all)
    }

    /// The one server that was named, or that this program brings along first, or else `default`.
    fn one_server(&self, default: &str) -> anyhow::Result<Arc<dyn Server>> {
        let mut servers = self.servers_or(&[default])?;
        if !self.server.is_empty() && servers.len() > 1 {
            bail!(
                "--server: this command takes one server, not {}",
                servers.len()
            );
        }
        Ok(servers.swap_remove(0))
    }

    /// Says on stderr which server a command is about, where none was named and there are several.
    fn say_which(&self, server: &dyn Server) {
        if self.server.is_empty() && self.own.0.len() != 1 {
            complain(format_args!(
                "hangup: no --server is named, so this is about {}; `{} list` has the others",
                server.name(),
                program()
            ));
        }
    }

    /// Every server that can be named.
    fn all_servers(&self) -> Vec<Arc<dyn Server>> {
        let own = self.own.0.iter().cloned();
        own.chain(server::built_in())
            .chain(server::canaries())
            .collect()
    }

    fn find_server(&self, name: &str) -> anyhow::Result<Arc<dyn Server>> {
        let servers = self.all_servers();
        let found = servers.iter().find(|server| server.name() == name).cloned();
        found.with_context(|| {
            let names: Vec<&str> = servers.iter().map(|server| server.name()).collect();
            format!(
                "--server: unknown server \"{name}\"; allowed: {}{}",
                names.join(", "),
                did_you_mean(name, names.iter().copied())
            )
        })
    }
}

/// The incident with this name, or else the scenario in this file.
fn find_scenario(origin: &str) -> anyhow::Result<Arc<Scenario>> {
    if let Some(scenario) = incident::named(origin) {
        return Ok(scenario);
    }
    if let Some(client) = healthy::all().find(|client| client.scenario.name == origin) {
        return Ok(client.scenario);
    }
    let path = std::path::Path::new(origin);
    if !path.exists() && !origin.contains(['/', '.']) {
        bail!(
            "\"{origin}\" is no incident (see `{} list`) and no file{}",
            program(),
            did_you_mean(origin, incident::all().iter().map(|it| it.name.as_str()))
        );
    }
    Ok(Arc::new(Scenario::read(path)?))
}

/// Reads a count, which may have `_` between its digits: `200_000`.
fn count(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let is_count = text.starts_with(|char: char| char.is_ascii_digit()) && !text.ends_with('_');
    let number = is_count.then(|| digits.parse().ok()).flatten();
    number.ok_or_else(|| format!("allowed: an integer from 0 to {}, as 200_000", u64::MAX))
}

/// The same, of which there is at least one.
fn one_or_more(text: &str) -> Result<u64, String> {
    let count = count(text)?;
    match count {
        0 => Err("allowed: 1 or more".to_owned()),
        count => Ok(count),
    }
}

/// The exit status for a verdict.
fn status(verdict: Verdict) -> u8 {
    if verdict == Verdict::Clean {
        CLEAN
    } else {
        FOUND
    }
}

/// Prints a cell as a report or as JSON, writes the files that were asked for, and gives the exit status.
fn show(cell: &Cell, common: &Common) -> anyhow::Result<u8> {
    let simulated = crate::finding::spell_days(cell.run.end());
    common.files.write(&Results {
        title: format!("{} on {}", cell.scenario.name, cell.server),
        summary: format!("{}, {simulated} of simulated time", cell.replay()),
        cells: vec![cell],
        coverage: None,
    })?;
    if common.json {
        println_json(&crate::report::json::CellJson::from(cell))?;
    } else {
        say!("{}", crate::report::text::Report(cell));
    }
    // Whoever asks for one verdict, and gets none, asked for the wrong one.
    match cell.untold() {
        Some(_) => Ok(WRONG),
        None => Ok(status(cell.verdict())),
    }
}

fn println_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string(value)?);
    Ok(())
}
