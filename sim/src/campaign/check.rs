//! Every incident x every server.

use crate::cell::Cell;
use crate::engine::Engine;
use crate::run::Detail;
use crate::server::Server;
use hangup_scenario::Scenario;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

/// So many runs go on at once on an engine that mostly waits.
const AT_ONCE: usize = 64;

/// How many runs go on at once: on an engine that computes, one on each core.
fn at_once(engine: Engine) -> usize {
    match engine {
        Engine::Wire => AT_ONCE,
        _ => thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Runs every scenario against every server, each twice where a run can be repeated, keeping of each what `detail` says; `done`
/// is told of each cell as soon as it is there. The result is row by row.
///
/// # Panics
/// When a run does.
pub fn check(
    engine: Engine,
    scenarios: &[Arc<Scenario>],
    servers: &[Arc<dyn Server>],
    detail: Detail,
    mut done: impl FnMut(&Cell),
) -> Vec<Cell> {
    let pairs = scenarios
        .iter()
        .flat_map(|scenario| servers.iter().map(move |server| (scenario, server)));
    let judged = |(scenario, server): (&Arc<Scenario>, &Arc<dyn Server>)| {
        Cell::twice(engine, scenario, &**server, detail)
    };
    let pairs: Vec<_> = pairs.collect();
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    let mut cells: Vec<(usize, Cell)> = thread::scope(|scope| {
        for _ in 0..at_once(engine).min(pairs.len()) {
            let (tell, next, pairs) = (tell.clone(), &next, &pairs);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(pair) = pairs.get(index) else { break };
                    // Whoever listens stays until every worker has ended.
                    let _ = tell.send((index, judged(*pair)));
                }
            });
        }
        drop(tell);
        told.iter().inspect(|(_, cell)| done(cell)).collect()
    });
    cells.sort_by_key(|(index, _)| *index);
    cells.into_iter().map(|(_, cell)| cell).collect()
}
