//! How many runs a case needs: one shows every finding but those that two runs show together: they differ though the seed is one, or though
//! only what must not matter was changed.

use crate::cell::Cell;
use crate::engine::Engine;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::Scenario;
use std::sync::Arc;

/// One way to judge a scenario.
pub(crate) type Judge = fn(Engine, &Arc<Scenario>, &dyn Server, Detail) -> Cell;

/// Every so many-th case of a campaign is run twice. Who is not deterministic is hardly so in one case alone.
const TWICE_EVERY: u64 = 64;
/// Every so many-th case, if it says anything, is also run with what must not matter changed.
const VARIED_EVERY: u64 = 8;

/// How the case with this index is judged.
pub(super) fn of_case(index: u64) -> Judge {
    if index.is_multiple_of(TWICE_EVERY) {
        Cell::twice
    } else if index.is_multiple_of(VARIED_EVERY) {
        Cell::varied
    } else {
        Cell::of
    }
}

/// Judges a case that was convicted, in one run if that is enough; and how it was judged.
pub(crate) fn again(
    engine: Engine,
    scenario: &Arc<Scenario>,
    server: &dyn Server,
    detail: Detail,
) -> (Cell, Judge) {
    let cell = Cell::of(engine, scenario, server, detail);
    if cell.findings.is_empty() {
        (
            Cell::twice(engine, scenario, server, detail),
            Cell::twice as Judge,
        )
    } else {
        (cell, Cell::of as Judge)
    }
}
