//! A run, for people and for programs. Reports read runs and findings; they know no engine.

pub mod aspect;
pub mod coverage;
pub mod fold;
pub mod html;
pub mod json;
pub mod junit;
pub mod matrix;
pub mod pcap;
pub mod probe;
mod story;
pub mod text;
pub mod wording;

use crate::cell::Cell;

/// What a command has to tell in files: its cells, row by row.
#[derive(Clone, Debug)]
pub struct Results<'a> {
    /// What was done: `hangup check`, `hangup fuzz --server hyper --seed 1`.
    pub title: String,
    /// How much was done, in one line.
    pub summary: String,
    /// What was found; of a campaign, the convictions only.
    pub cells: Vec<&'a Cell>,
    /// Which cells of a connection's life were reached, if that was asked for.
    pub coverage: Option<&'a coverage::Table>,
}
