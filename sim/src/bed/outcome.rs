//! What came of a test of one's own server.

use crate::cell::Cell;
use crate::report::text::Report;
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
    /// How many scenarios of the regressions' folder were replayed.
    pub regressions: usize,
    /// How many incidents of the book were run.
    pub incidents: usize,
    /// How many generated scenarios were run.
    pub cases: u64,
    /// Incidents that do not apply, by name, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// Every scenario that found something.
    pub convicted: Vec<Cell>,
    /// What the fuzzer found, and where it is.
    pub(super) saved: Vec<Saved>,
    /// The one to explain, with its timeline and its stacks.
    pub(super) told: Option<Cell>,
}

/// A scenario that the fuzzer found.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) scenario: String,
    pub(super) file: io::Result<PathBuf>,
}

impl Outcome {
    /// Nothing was found.
    pub fn is_clean(&self) -> bool {
        self.convicted.is_empty()
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

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
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
        self.left_out(f)
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

    fn left_out(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.left_out.is_empty() {
            return Ok(());
        }
        if self.told.is_none() {
            writeln!(f)?;
        }
        let mut reasons: Vec<(&str, usize)> = Vec::new();
        for (_, why) in &self.left_out {
            match reasons.iter_mut().find(|(known, _)| known == why) {
                Some((_, count)) => *count += 1,
                None => reasons.push((why, 1)),
            }
        }
        let reasons: Vec<String> = reasons
            .into_iter()
            .map(|(why, count)| format!("{count} since {why}"))
            .collect();
        write!(f, "incidents left out: {}", reasons.join("; "))
    }
}
