//! `hangup replay`: the same run again.

use super::{Common, complain, find_scenario, show};
use crate::campaign::fuzz;
use crate::cell::Cell;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// A case seed from `hangup fuzz`, a scenario file, or an incident's name
    #[arg(value_name = "SEED_OR_FILE")]
    origin: String,
    /// Seed of the run, in place of the scenario's own
    #[arg(long)]
    seed: Option<u64>,
}

/// Of the case seeds that a campaign draws, one in four thousand million is smaller.
const CASE_SEED_SMALL: u64 = 1 << 32;

impl Replay {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let server = common.one_server("hangup")?;
        common.say_which(&*server);
        let engine = common.engine.into();
        let detail = common.files.detail_of_one();
        if let Ok(case_seed) = self.origin.parse() {
            if case_seed < CASE_SEED_SMALL {
                complain(format_args!(
                    "hangup: {case_seed} is hardly a case seed that fuzz has printed: those are drawn from 64 bits; this case is made up from it"
                ));
            }
            // A guilty case is shown as fuzz showed it: made small.
            let mut cell = match fuzz::explain(engine, &*server, case_seed) {
                Some(minimal) => minimal,
                None => Cell::of(
                    engine,
                    &fuzz::scenario(case_seed, &*server).into(),
                    &*server,
                    detail,
                ),
            };
            cell.origin = self.origin;
            return show(&cell, common);
        }
        let mut scenario = find_scenario(&self.origin)?;
        if let Some(seed) = self.seed {
            std::sync::Arc::make_mut(&mut scenario).seed = seed;
        }
        let mut cell = Cell::twice(engine, &scenario, &*server, detail);
        cell.origin = match self.seed {
            Some(seed) => format!("{} --seed {seed}", self.origin),
            None => self.origin,
        };
        show(&cell, common)
    }
}
