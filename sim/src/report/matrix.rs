//! Incidents x servers, on a terminal.

use crate::cell::Cell;
use crate::report::fold::COLUMNS_MAX;
use crate::report::text;
use std::fmt::{self, Display, Formatter};

/// A row an incident, a column a server.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// Column heads.
    pub servers: Vec<&'a str>,
    /// The cells, row by row, as many in each as there are servers.
    pub cells: &'a [Cell],
}

impl Display for Matrix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows: Vec<&[Cell]> = self.cells.chunks(self.servers.len().max(1)).collect();
        let first = self
            .cells
            .iter()
            .map(|cell| cell.scenario.name.len())
            .max()
            .unwrap_or(0);
        let widths: Vec<usize> = (0..self.servers.len())
            .map(|column| {
                let cells = rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| word(cell).len());
                cells.max().unwrap_or(0).max(self.servers[column].len())
            })
            .collect();
        // What does not fit beside the rest comes below it.
        let mut from = 0;
        while from < widths.len() {
            let mut to = from + 1;
            let width = |to: usize| {
                first
                    + widths[from..to]
                        .iter()
                        .map(|width| width + 2)
                        .sum::<usize>()
            };
            while to < widths.len() && width(to + 1) <= COLUMNS_MAX {
                to += 1;
            }
            if from > 0 {
                writeln!(f)?;
            }
            write!(f, "{:first$}", "")?;
            for (server, width) in self.servers[from..to].iter().zip(&widths[from..]) {
                write!(f, "  {server:width$}")?;
            }
            writeln!(f)?;
            for row in &rows {
                write!(
                    f,
                    "{:first$}",
                    row.first().map_or("", |cell| cell.scenario.name.as_str())
                )?;
                for (cell, width) in row.iter().zip(&widths).take(to).skip(from) {
                    // The colours take no room on the terminal, so the padding is counted by hand.
                    let room = width - word(cell).len();
                    let mark = if surprising(cell) { "!" } else { "" };
                    write!(f, "  {}{mark}{:room$}", text::verdict(cell.verdict()), "")?;
                }
                writeln!(f)?;
            }
            from = to;
        }
        Ok(())
    }
}

/// Another verdict than the one that is pinned.
fn surprising(cell: &Cell) -> bool {
    cell.pinned().is_some_and(|pinned| pinned != cell.verdict())
}

fn word(cell: &Cell) -> String {
    format!(
        "{}{}",
        cell.verdict(),
        if surprising(cell) { "!" } else { "" }
    )
}
