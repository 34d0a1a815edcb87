//! How many runs a case needs: one shows every finding but that two runs of one seed differ.

use crate::cell::Cell;
use crate::engine::Engine;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::{Scenario, Verdict};
use std::sync::Arc;

/// One way to judge a scenario.
pub(super) type Judge = fn(Engine, &Arc<Scenario>, &dyn Server, Detail) -> Cell;

/// Every so many-th case of a campaign is run twice. Who is not deterministic is hardly so in one case alone.
const TWICE_EVERY: u64 = 64;

/// How the case with this index is judged.
pub(super) fn of_case(index: u64) -> Judge {
    if index.is_multiple_of(TWICE_EVERY) {
        Cell::twice
    } else {
        Cell::of
    }
}

/// How a finding of this kind is seen again.
pub(super) fn of_kind(kind: Verdict) -> Judge {
    if kind == Verdict::Nondeterministic {
        Cell::twice
    } else {
        Cell::of
    }
}

/// Judges a case that was convicted, in one run if that is enough.
pub(super) fn again(
    engine: Engine,
    scenario: &Arc<Scenario>,
    server: &dyn Server,
    detail: Detail,
) -> Cell {
    let cell = Cell::of(engine, scenario, server, detail);
    if cell.findings.is_empty() {
        Cell::twice(engine, scenario, server, detail)
    } else {
        cell
    }
}
