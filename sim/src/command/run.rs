//! `hangup run`: one scenario against one server.

use super::{Common, find_scenario, show};
use crate::cell::Cell;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct RunCommand {
    /// An incident's name, or a scenario file
    #[arg(value_name = "INCIDENT_OR_FILE")]
    origin: String,
    /// Seed of the run, in place of the scenario's own
    #[arg(long)]
    seed: Option<u64>,
}

impl RunCommand {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let server = common.one_server("hangup")?;
        let mut scenario = find_scenario(&self.origin)?;
        if let Some(seed) = self.seed {
            std::sync::Arc::make_mut(&mut scenario).seed = seed;
        }
        let detail = common.files.detail_of_one();
        let mut cell = Cell::twice(common.engine.into(), &scenario, &*server, detail);
        cell.origin = match self.seed {
            Some(seed) => format!("{} --seed {seed}", self.origin),
            None => self.origin,
        };
        show(&cell, common)
    }
}
