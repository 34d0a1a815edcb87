//! What came of a test of one's own server.

use super::preflight::PreflightFailure;
use super::route::{Route, Routes};
use crate::cell::Cell;
use crate::panics;
use crate::report::fold::printable;
use crate::report::text::Report;
use hangup_scenario::{Scenario, ServerAction};
use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::PathBuf;

/// Other convictions than the one that is told are listed up to this many.
const LISTED_MAX: usize = 30;

/// What came of a run of a [`Bed`](super::Bed). It displays as its report.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The server's name.
    pub server: String,
    /// Why nothing was run: a route does not play its part, or the server cannot be put on the bed.
    /// Nothing is judged then, and nothing saved.
    pub preflight: Option<PreflightFailure>,
    /// How many scenarios of the regressions' folder were replayed.
    pub regressions: usize,
    /// How many incidents of the book were run.
    pub incidents: usize,
    /// How many generated scenarios were run.
    pub cases: u64,
    /// Incidents that do not apply, by name, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// Incidents in which nothing was found, but which say nothing of this server either, by name,
    /// each with the reason: a request whose body was to be read was answered 401, 404 or 405.
    pub not_told: Vec<(String, String)>,
    /// Panics of the server's own code that no scenario asked for, by their place. They are no
    /// findings.
    pub panics: Vec<Panicked>,
    /// Every scenario that found something.
    pub convicted: Vec<Cell>,
    /// What the fuzzer found, and where it is.
    pub(super) saved: Vec<Saved>,
    /// The one to explain, with its timeline and its stacks.
    pub(super) told: Option<Cell>,
}

/// Scenarios in which the server's own code panicked at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Panicked {
    /// Where, and the message of the first of them.
    pub says: String,
    /// The first of them, as `hangup replay` takes it.
    pub first: String,
    /// How many there are.
    pub scenarios: u64,
}

/// A scenario that the fuzzer found.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) scenario: String,
    pub(super) file: io::Result<PathBuf>,
}

impl Outcome {
    /// Everything was run, and nothing was found.
    pub fn is_clean(&self) -> bool {
        self.preflight.is_none() && self.convicted.is_empty()
    }

    /// Takes in an incident that was judged.
    pub(super) fn incident(&mut self, cell: Cell) {
        self.note_panic(&cell);
        let name = || cell.scenario.name.clone();
        match cell.untold() {
            None => self.incidents += 1,
            Some(why) if wants_panic(&cell.scenario) => {
                self.left_out.push((name(), why.to_owned()))
            }
            Some(why) => self.not_told.push((name(), why.to_owned())),
        }
        if !cell.findings.is_empty() {
            self.convicted.push(cell);
        }
    }

    /// Notes a panic that the scenario did not ask for.
    pub(super) fn note_panic(&mut self, cell: &Cell) {
        let panic = cell.run.life.panic.clone();
        if let Some(says) = panic.filter(|_| !wants_panic(&cell.scenario)) {
            self.panicked(Panicked {
                says,
                first: cell.scenario.name.clone(),
                scenarios: 1,
            });
        }
    }

    /// Enters a panic that no scenario asked for.
    pub(super) fn panicked(&mut self, one: Panicked) {
        let place = panics::place(&one.says);
        let mut known = self.panics.iter_mut();
        match known.find(|known| panics::place(&known.says) == place) {
            Some(known) => known.scenarios += one.scenarios,
            None => self.panics.push(one),
        }
    }

    fn ran(&self) -> String {
        let mut parts = Vec::new();
        if self.regressions > 0 {
            parts.push(format!("{} kept", self.regressions));
        }
        parts.push(format!("{} incidents", self.incidents));
        parts.push(format!("{} generated", self.cases));
        parts.join(", ")
    }
}

/// Does a scenario ask for a panic?
pub(super) fn wants_panic(scenario: &Scenario) -> bool {
    let events = scenario.server_events.iter();
    let mut actions = events.map(|event| event.action);
    actions.any(|action| action == ServerAction::HandlerPanic)
        || Routes::needed(scenario).any(|route| route == Route::Panics)
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(failure) = &self.preflight {
            return write!(f, "{}: nothing was run: {failure}", self.server);
        }
        match &self.told {
            None => write!(f, "{}: clean in all scenarios: {}", self.server, self.ran())?,
            Some(told) => {
                writeln!(
                    f,
                    "{} breaks its contract in {} of {} scenarios ({})\n",
                    self.server,
                    self.convicted.len(),
                    self.regressions as u64 + self.incidents as u64 + self.cases,
                    self.ran()
                )?;
                let report = Report(told).to_string();
                writeln!(f, "{}", anstream::adapter::strip_str(&report))?;
                self.others(f, told)?;
            }
        }
        for saved in &self.saved {
            let scenario = &saved.scenario;
            match &saved.file {
                Ok(file) => writeln!(
                    f,
                    "the fuzzer's {scenario} is saved in {}, and is replayed first from now on",
                    file.display()
                )?,
                Err(error) => writeln!(f, "the fuzzer's {scenario} could not be saved: {error}")?,
            }
        }
        self.beside(f)
    }
}

impl Outcome {
    fn others(&self, f: &mut Formatter<'_>, told: &Cell) -> fmt::Result {
        let others = || {
            self.convicted
                .iter()
                .filter(|cell| cell.scenario.name != told.scenario.name)
        };
        let width = others().map(|cell| cell.scenario.name.len()).max();
        let Some(width) = width else { return Ok(()) };
        writeln!(f, "\nfound guilty as well by")?;
        for cell in others().take(LISTED_MAX) {
            let name = &cell.scenario.name;
            let verdict = cell.verdict().to_string();
            let line = format!("  {name:width$}  {verdict:14}  {}", cell.scenario.title);
            writeln!(f, "{}", line.trim_end())?;
        }
        let more = others().skip(LISTED_MAX).count();
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        Ok(())
    }

    /// What there is to say beside the verdict, a line each.
    fn beside(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.panics.iter().map(Panicked::to_string).collect();
        lines.extend(reasons(&self.not_told).map(|why| format!("incidents not told: {why}")));
        lines.extend(reasons(&self.left_out).map(|why| format!("incidents left out: {why}")));
        if self.told.is_none() && !lines.is_empty() {
            writeln!(f)?;
        }
        write!(f, "{}", lines.join("\n"))
    }
}

impl Display for Panicked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let says = printable(&self.says);
        write!(f, "no finding by itself, but {says} (in {}", self.first)?;
        match self.scenarios {
            1 => write!(f, ")"),
            more => write!(f, " and {} scenarios more)", more - 1),
        }
    }
}

/// How many incidents there are for each reason; none if there is no incident.
fn reasons(incidents: &[(String, String)]) -> Option<String> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for (_, why) in incidents {
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, count)) => *count += 1,
            None => reasons.push((why, 1)),
        }
    }
    let reasons = reasons.into_iter();
    let reasons: Vec<String> = reasons
        .map(|(why, count)| format!("{count} since {why}"))
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
