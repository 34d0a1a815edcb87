//! Lifecycle coverage as a table: a row for each phase and clock, a column for each thing that a client may do.

use crate::coverage::possible::{is_rare, possible};
use crate::coverage::{Action, Coverage, Place};
use crate::ledger::Seen;
use crate::server::Server;
use hangup_lifecycle::Limits;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use std::fmt;

/// What a campaign has reached of what there is.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Row>,
    told: Told,
}

/// What is known of the server's phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It tells none.
    Nothing,
    /// It tells its phases and clocks, but not under the limits for which it is written down which cells there are.
    Phases,
    /// It is known which cells there are.
    Everything,
}

#[derive(Clone, Debug)]
struct Row {
    place: Place,
    cells: [Cell; Action::ALL.len()],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    /// So many cases reached it.
    cases: u64,
    /// Whether it can be reached at all, if that is known.
    possible: Option<bool>,
}

impl Cell {
    fn is_missing(&self) -> bool {
        self.possible == Some(true) && self.cases == 0
    }
}

impl Row {
    /// The phase, and the clock that is the next to end it.
    fn names(&self) -> (&'static str, &'static str) {
        match self.place {
            Place::Told(phase, Some(clock)) => (phase.name(), clock.name()),
            Place::Told(phase, None) => (phase.name(), "none"),
            // Its name for people is a sentence.
            Place::Seen(Seen::Malformed) => ("malformed", ""),
            Place::Seen(seen) => (seen.name(), ""),
        }
    }
}

impl Table {
    /// The table of a campaign against this server.
    pub fn of(coverage: &Coverage, server: &dyn Server) -> Self {
        let told = match server.limits() {
            None => Told::Nothing,
            Some(limits) if *limits == Limits::default() => Told::Everything,
            Some(_) => Told::Phases,
        };
        let cell = |place, action| Cell {
            cases: coverage.count(place, action),
            possible: match place {
                _ if told != Told::Everything => None,
                Place::Told(phase, Some(clock)) if is_rare(phase, clock) => None,
                Place::Told(phase, Some(clock)) => Some(possible(phase, clock, action).is_ok()),
                // Each of its limits is finite.
                Place::Told(_, None) | Place::Seen(_) => Some(false),
            },
        };
        let is_told = |place: &Place| matches!(place, Place::Told(..));
        let rows = Place::all()
            .filter(|place| is_told(place) == (told != Told::Nothing))
            .map(|place| Row {
                place,
                cells: Action::ALL.map(|action| cell(place, action)),
            })
            .filter(|row| {
                let cells = row.cells.iter();
                cells.clone().any(|cell| cell.cases > 0)
                    || cells.clone().any(|cell| cell.possible == Some(true))
            })
            .collect();
        Self { rows, told }
    }

    /// Why it is not known which cells there are, if so.
    pub fn unknown(&self) -> Option<&'static str> {
        match self.told {
            Told::Everything => None,
            Told::Phases => Some("which there are is known of the default limits only"),
            Told::Nothing => Some("it tells no phases: they are an observer's, without clocks"),
        }
    }

    /// Those cells, a line for each row that has some: `head, age: half, close`.
    fn named(&self, wanted: impl Fn(&Cell) -> bool) -> Vec<String> {
        let rows = self.rows.iter().filter_map(|row| {
            let cells = row.cells.iter().zip(Action::ALL);
            let names: Vec<&str> = cells
                .filter(|(cell, _)| wanted(cell))
                .map(|(_, action)| action.name())
                .collect();
            let (phase, clock) = row.names();
            (!names.is_empty()).then(|| format!("{phase}, {clock}: {}", names.join(", ")))
        });
        rows.collect()
    }

    /// Cells that can be reached and were not, a line for each row that has some: `head, age: half, close`.
    pub fn never(&self) -> Vec<String> {
        self.named(|cell| cell.is_missing())
    }

    /// Cells that were reached although they are held to be impossible.
    pub fn surprises(&self) -> Vec<String> {
        self.named(|cell| cell.possible == Some(false) && cell.cases > 0)
    }

    /// Every cell was reached that can be, and no other.
    pub fn is_covered(&self) -> bool {
        self.never().is_empty() && self.surprises().is_empty()
    }

    /// How many cells were reached, and how many can be if that is known.
    fn counts(&self) -> (usize, Option<usize>) {
        let cells = || self.rows.iter().flat_map(|row| &row.cells);
        let possible = cells().filter(|cell| cell.possible == Some(true)).count();
        let known = self.told == Told::Everything;
        let reached = cells().filter(|cell| cell.cases > 0 && (!known || cell.possible.is_some()));
        (reached.count(), known.then_some(possible))
    }

    /// The same for programs. A cell that was not reached and cannot be is left out.
    pub fn json(&self) -> Value {
        let mut rows = Vec::new();
        for row in &self.rows {
            let (phase, clock) = row.names();
            let cells = row.cells.iter().zip(Action::ALL);
            let cells = cells.filter(|(cell, _)| cell.cases > 0 || cell.possible == Some(true));
            let cells: Map<String, Value> = cells
                .map(|(cell, action)| (action.name().to_owned(), cell.cases.into()))
                .collect();
            let clock = (!clock.is_empty()).then_some(clock);
            rows.push(json!({ "phase": phase, "clock": clock, "cases": cells }));
        }
        let (reached, possible) = self.counts();
        json!({
            "reached": reached,
            "possible": possible,
            "never": self.unknown().is_none().then(|| self.never()),
            "rows": rows,
        })
    }

    /// What it comes to, in a line or two.
    fn sum(&self) -> String {
        let (reached, possible) = self.counts();
        let mut sum = match possible {
            Some(possible) => format!("{reached} of {possible} cells reached"),
            None => format!(
                "{reached} cells reached; {}",
                self.unknown().unwrap_or_default()
            ),
        };
        for row in self.never() {
            sum += &format!("\nnever  {row}");
        }
        for row in self.surprises() {
            sum += &format!("\nheld to be impossible, and reached  {row}");
        }
        sum
    }

    /// The same for a page.
    pub fn markup(&self) -> Markup {
        html! {
            section.coverage {
                h2 { "Lifecycle coverage" }
                p.summary { (HEADING) }
                div.scroll {
                    table {
                        thead { tr {
                            th scope="col" { "phase" }
                            th scope="col" { "clock" }
                            @for action in Action::ALL { th scope="col" { (action.name()) } }
                        } }
                        tbody {
                            @for row in &self.rows { tr {
                                th scope="row" { (row.names().0) }
                                td { (row.names().1) }
                                @for cell in &row.cells { td.poor[cell.is_missing()] { (cell) } }
                            } }
                        }
                    }
                }
                @for line in self.sum().lines() { p.summary { (line) } }
            }
        }
    }
}

const HEADING: &str =
    "where (phase, and the clock that ends it next) a client did what, in how many cases";

/// More than this is told in thousands.
const WHOLE_MAX: u64 = 99_999;

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cases, self.possible) {
            (0, Some(true)) => f.pad("never"),
            (0, _) => f.pad("-"),
            (cases, _) if cases > WHOLE_MAX => f.pad(&format!("{}k", cases / 1000)),
            (cases, _) => f.pad(&cases.to_string()),
        }
    }
}

impl maud::Render for Cell {
    fn render(&self) -> Markup {
        html! { (self.to_string()) }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}:\n")?;
        let widest = self.rows.iter().map(|row| row.names().0.len()).max();
        let width = widest.unwrap_or(0).max("phase".len());
        write!(f, "{:width$} {:8}", "phase", "clock")?;
        for action in Action::ALL {
            write!(f, "{:>7}", action.name())?;
        }
        writeln!(f)?;
        for row in &self.rows {
            let (phase, clock) = row.names();
            write!(f, "{phase:width$} {clock:8}")?;
            for cell in &row.cells {
                write!(f, "{cell:>7}")?;
            }
            writeln!(f)?;
        }
        write!(f, "\n{}", self.sum())
    }
}
