//! Every incident x every server.

use crate::cell::Cell;
use crate::engine::Engine;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::Scenario;
use std::sync::Arc;

/// Runs every scenario against every server, each twice, keeping of each what `detail` says; `done` is told of each cell. Row by row.
pub fn check(
    engine: Engine,
    scenarios: &[Arc<Scenario>],
    servers: &[Arc<dyn Server>],
    detail: Detail,
    mut done: impl FnMut(&Cell),
) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(scenarios.len() * servers.len());
    for scenario in scenarios {
        for server in servers {
            let cell = Cell::twice(engine, scenario, &**server, detail);
            done(&cell);
            cells.push(cell);
        }
    }
    cells
}
