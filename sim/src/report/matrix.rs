//! Incidents x servers, on a terminal.

use crate::cell::Cell;
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
        let first = self
            .cells
            .iter()
            .map(|cell| cell.scenario.name.len())
            .max()
            .unwrap_or(0);
        write!(f, "{:first$}", "")?;
        for server in &self.servers {
            write!(f, "  {server}")?;
        }
        writeln!(f)?;
        for row in self.cells.chunks(self.servers.len().max(1)) {
            let name = row.first().map_or("", |cell| cell.scenario.name.as_str());
            write!(f, "{name:first$}")?;
            for (cell, server) in row.iter().zip(&self.servers) {
                let verdict = cell.verdict();
                let surprise = cell.pinned().is_some_and(|pinned| pinned != verdict);
                let mark = if surprise { "!" } else { "" };
                // The colours take no room on the terminal, so the padding is counted by hand.
                let room = server
                    .len()
                    .max(1)
                    .saturating_sub(verdict.to_string().len() + mark.len());
                write!(f, "  {}{mark}{:room$}", text::verdict(verdict), "")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
