//! A judged run, for people: what was found, what happened, where it is stuck, and how to see it again.

use crate::cell::Cell;
use crate::finding::{Finding, spell};
use crate::report::fold::{self, frame, printable};
use crate::report::story::{self, Line};
use crate::run::Run;
use crate::trace::Actor;
use anstyle::{AnsiColor, Style};
use hangup_scenario::Verdict;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// So many findings are told; the rest is counted.
const FINDINGS_MAX: usize = 3;
/// Frames of a stack that are shown: all, of a stack that a person would read.
const FRAMES_MAX: usize = 100;

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const CLIENT: Style = AnsiColor::Cyan.on_default();
const PLAIN: Style = Style::new();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// A verdict in its colour.
pub fn verdict(verdict: Verdict) -> String {
    let style = if verdict == Verdict::Clean { GOOD } else { BAD };
    format!("{style}{verdict}{style:#}")
}

/// What is there beside the matter.
pub fn dim(text: &str) -> String {
    format!("{DIM}{text}{DIM:#}")
}

/// The whole report on a cell.
#[derive(Debug)]
pub struct Report<'a>(pub &'a Cell);

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(cell) = self;
        let heading = format!(
            "{BOLD}{}{BOLD:#}  {}",
            printable(&cell.scenario.name),
            printable(&cell.scenario.title)
        );
        writeln!(f, "{}", fold::under(2, heading.trim_end()))?;
        if !cell.scenario.source.is_empty() {
            let source = format!("source {}", printable(&cell.scenario.source));
            writeln!(f, "{DIM}{}{DIM:#}", fold::under(2, &source))?;
        }
        let facts = format!(
            "server {} | engine {} | seed {} | trace {:016x} | {} of simulated time",
            printable(&cell.server),
            cell.run.engine,
            cell.scenario.seed,
            cell.run.hash,
            spell(cell.run.end())
        );
        writeln!(f, "{DIM}{}{DIM:#}\n", fold::under(2, &facts))?;
        match cell.untold() {
            Some(why) => {
                let says = format!("{DIM}not told{DIM:#}: {}", printable(why));
                writeln!(f, "{}", fold::under(2, &says))?;
            }
            _ if cell.findings.is_empty() => writeln!(
                f,
                "{}: every connection ended within its contract",
                verdict(Verdict::Clean)
            )?,
            _ => {}
        }
        for finding in cell.findings.iter().take(FINDINGS_MAX) {
            let says = format!("{}: {}", verdict(finding.kind), printable(&finding.says));
            writeln!(f, "{}", fold::under(2, &says))?;
        }
        if let Some(more) = cell.findings.len().checked_sub(FINDINGS_MAX + 1) {
            writeln!(f, "and {} more findings like these", more + 1)?;
        }
        writeln!(f)?;
        timeline(f, &cell.run)?;
        if let Some(finding) = cell.findings.first() {
            stack(f, finding, cell.run.no_stacks)?;
        }
        for caveat in &cell.run.caveats {
            writeln!(f, "{}", fold::under(2, &format!("note: {caveat}")))?;
        }
        write!(f, "{DIM}again:{DIM:#} {}", cell.replay())
    }
}

fn timeline(f: &mut Formatter<'_>, run: &Run) -> fmt::Result {
    for line in story::told(run) {
        let (at, actor, connection, text, more) = match line {
            Line::Said {
                at,
                actor,
                connection,
                text,
                more,
            } => (at, actor, connection, text, more),
            Line::Skipped(count) => {
                writeln!(f, "{:>14}  {DIM}... {count} lines ...{DIM:#}", "")?;
                continue;
            }
        };
        let (style, indent) = match actor {
            Actor::Client(_) | Actor::Probe => (CLIENT, ""),
            Actor::Server => (PLAIN, "  "),
        };
        let who = format!("{indent}{}", story::who(actor, connection));
        let mut text = printable(&text).into_owned();
        if more > 0 {
            text.push_str(&format!(" {DIM}(and {more} times more, alike){DIM:#}"));
        }
        let start = format!("{:>14}  {style}{who:<13}{style:#} ", clock(at));
        writeln!(f, "{}", fold::behind(&start, &text))?;
    }
    writeln!(f)
}

fn clock(at: Duration) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

fn stack(f: &mut Formatter<'_>, finding: &Finding, no_stacks: Option<&str>) -> fmt::Result {
    let Some(task) = &finding.task else {
        return Ok(());
    };
    // Its task is not stuck.
    if finding.kind == Verdict::Nondeterministic {
        return Ok(());
    }
    let place = match finding.kind {
        // It has ended since.
        Verdict::Late => format!(
            "at {} its task, which was spawned at {}, waited in",
            clock(finding.at),
            task.spawned_at
        ),
        _ => format!(
            "the stuck task was spawned at {} and waits in",
            task.spawned_at
        ),
    };
    writeln!(f, "{}", fold::under(2, &place))?;
    match no_stacks {
        Some(why) => writeln!(f, "{}", fold::behind("  ", &format!("({why})")))?,
        None => {
            for name in task.stack.iter().take(FRAMES_MAX) {
                writeln!(f, "{}", frame(name))?;
            }
            if let Some(more @ 1..) = task.stack.len().checked_sub(FRAMES_MAX) {
                writeln!(f, "  {DIM}... {more} outer frames (--json has them){DIM:#}")?;
            }
        }
    }
    writeln!(f)
}
