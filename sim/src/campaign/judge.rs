//! How many runs a case needs: one shows every finding but those that two runs show together: they differ though the seed is one, or though
//! only what must not matter was changed.

use crate::cell::Cell;
use crate::engine::Engine;
use crate::finding::Finding;
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

/// How often a conviction is looked for that does not come again at once.
const TRIES: usize = 16;

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

/// Judges a case that was convicted as `found` until it is convicted so again. A server that is not deterministic may be guilty in
/// one run of many: what was found in that one is found. The last run then has the finding, which says so.
pub(crate) fn again_as(
    engine: Engine,
    scenario: &Arc<Scenario>,
    server: &dyn Server,
    detail: Detail,
    found: &Finding,
) -> Cell {
    let is_found = |cell: &Cell| cell.findings.iter().any(|one| one.is_like(found));
    let mut cell = Cell::of(engine, scenario, server, detail);
    for _ in 0..TRIES {
        if is_found(&cell) {
            return cell;
        }
        cell = Cell::twice(engine, scenario, server, detail);
    }
    if !is_found(&cell) {
        let says = format!(
            "{}; it was found once and not in {TRIES} more runs of this seed, so that this server is not deterministic",
            found.says
        );
        cell.findings.insert(
            0,
            Finding {
                says,
                ..found.clone()
            },
        );
    }
    cell
}
