//! Incidents x servers, on a terminal.

use crate::cell::Cell;
use crate::incident;
use crate::report::fold::COLUMNS_MAX;
use crate::report::text;
use hangup_scenario::Verdict;
use std::fmt::{self, Display, Formatter};
use std::ops::Range;

/// A row an incident, a column a server. The rows stand under the headings of their parts of the book; the last one counts
/// the convictions.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// Column heads.
    pub servers: Vec<&'a str>,
    /// The cells, row by row, as many in each as there are servers.
    pub cells: &'a [Cell],
}

/// What stands in front of the counts.
const CONVICTED: &str = "convicted";

impl Display for Matrix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows: Vec<&[Cell]> = self.cells.chunks(self.servers.len().max(1)).collect();
        let names = rows.iter().filter_map(|row| row.first());
        let first = names
            .map(|cell| cell.scenario.name.len())
            .fold(CONVICTED.len(), usize::max);
        let columns: Vec<Column> = self
            .servers
            .iter()
            .enumerate()
            .map(|(index, server)| {
                Column::new(server, rows.iter().filter_map(|row| row.get(index)))
            })
            .collect();
        // What does not fit beside the rest comes below it.
        let mut from = 0;
        while from < columns.len() {
            let mut to = from;
            let mut width = first;
            while to < columns.len() && (to == from || width + 2 + columns[to].width <= COLUMNS_MAX)
            {
                width += 2 + columns[to].width;
                to += 1;
            }
            if from > 0 {
                writeln!(f)?;
            }
            block(f, first, &rows, &columns, from..to)?;
            from = to;
        }
        Ok(())
    }
}

/// A server: its name, broken at its dashes, and how wide it is.
struct Column {
    head: Vec<String>,
    width: usize,
    convicted: usize,
}

impl Column {
    fn new<'a>(server: &str, cells: impl Iterator<Item = &'a Cell>) -> Self {
        let (mut width, mut convicted) = (0, 0);
        for cell in cells {
            width = width.max(word(cell).len());
            convicted += usize::from(cell.verdict() != Verdict::Clean);
        }
        let words = server.split('-');
        width = words.clone().map(str::len).fold(width, usize::max);
        let mut head: Vec<String> = Vec::new();
        for word in words {
            match head.last_mut() {
                Some(line) if line.len() + 1 + word.len() <= width => {
                    line.push('-');
                    line.push_str(word);
                }
                _ => head.push(word.to_owned()),
            }
        }
        Self {
            head,
            width,
            convicted,
        }
    }
}

fn block(
    f: &mut Formatter<'_>,
    first: usize,
    rows: &[&[Cell]],
    columns: &[Column],
    shown: Range<usize>,
) -> fmt::Result {
    let shown_columns = &columns[shown.clone()];
    let height = shown_columns.iter().map(|column| column.head.len()).max();
    for line in 0..height.unwrap_or(0) {
        let heads = shown_columns
            .iter()
            .map(|column| (column.head.get(line).map_or("", String::as_str), column));
        let line: String = heads
            .map(|(head, column)| format!("  {head:width$}", width = column.width))
            .collect();
        writeln!(f, "{:first$}{}", "", line.trim_end())?;
    }
    let mut part = "";
    for row in rows {
        let Some(scenario) = row.first().map(|cell| &cell.scenario) else {
            continue;
        };
        if scenario.story.theme != part {
            part = &scenario.story.theme;
            let heading = incident::heading(part).unwrap_or(part);
            writeln!(f, "{}", text::dim(heading))?;
        }
        write!(f, "{:first$}", scenario.name)?;
        let mut room = 0;
        for (cell, column) in row.iter().zip(columns).take(shown.end).skip(shown.start) {
            // The colours take no room on the terminal, so the padding is counted by hand.
            let mark = if surprising(cell) { "!" } else { "" };
            let verdict = cell.verdict();
            let coloured = match cell.untold().is_some() {
                true => text::dim(NOT_TOLD),
                false => text::verdict(verdict).replace(verdict.name(), short(verdict)),
            };
            write!(f, "{:room$}  {coloured}{mark}", "")?;
            room = column.width - word(cell).len();
        }
        writeln!(f)?;
    }
    let counts: String = shown_columns
        .iter()
        .map(|column| format!("  {:<width$}", column.convicted, width = column.width))
        .collect();
    writeln!(f, "{CONVICTED:first$}{}", counts.trim_end())
}

/// Another verdict than the one that is pinned.
fn surprising(cell: &Cell) -> bool {
    cell.pinned().is_some_and(|pinned| pinned != cell.verdict())
}

/// A verdict in a word that leaves room for others.
fn short(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::StuckShutdown => "stuck",
        Verdict::Nondeterministic => "differs",
        other => other.name(),
    }
}

/// Stands where a run says nothing of the server.
const NOT_TOLD: &str = "not told";

fn word(cell: &Cell) -> String {
    let mark = if surprising(cell) { "!" } else { "" };
    let word = match cell.untold().is_some() {
        true => NOT_TOLD,
        false => short(cell.verdict()),
    };
    format!("{word}{mark}")
}
