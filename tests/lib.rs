//! The regression suite: one test file a theme, the incidents in `incidents/`, what they come to in `snapshots/`.
//!
//! | test | what it shows |
//! |---|---|
//! | `incidents` | every incident's timeline and verdict, and the verdict that its file pins for each server |
//! | `canaries` | every oracle convicts its canary and acquits the healthy twin |
//! | `company` | nobody is shut out by clients that stall, and nobody gets what another one sent |
//! | `whole` | requests are taken whole, and responses given whole |
//! | `tunnel` | behind a 101 nothing is lost, and nobody stays for ever |
//! | `memory` | memory that grows by each request is found |
//! | `acquittals` | honest clients, and servers that keep their contract, are never convicted |
//! | `knowledge` | what a server cannot know, since its link loses segments, is not asked of it |
//! | `tasks` | tasks that are no client's are nobody's fault: handed back, shared, upstream, background, dead |
//! | `makeups` | servers put together in other ways are acquitted, other defects are convicted |
//! | `reported` | what was reported of other servers: convicted with the right sentence, and habits acquitted |
//! | `sentences` | what a finding says, and what a promise of a contract covers |
//! | `mistakes` | what other servers got wrong, each against ours: statuses, reason and time of each end |
//! | `regressions` | what the fuzzer found in our server once stays mended |
//! | `determinism` | the same seed gives the same trace, in this process and in a fresh one |
//! | `sealed` | what depends on hash order or on the time of day is convicted, and acquitted where both are sealed |
//! | `engines` | two network models, one verdict |
//! | `strangers` | servers that others wrote: each is judged rightly, or stands on a list |
//! | `truth` | the simulation and kernel TCP, one verdict |

use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::report::text::Report;
use hangup::run::Detail;
use hangup::server;
use hangup_scenario::Scenario;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs a scenario against the built-in server with this name, on the default engine, twice, with its timeline.
///
/// # Panics
/// When there is no such server.
pub fn judged(scenario: &Arc<Scenario>, server: &str) -> Cell {
    let server = server::named(server).unwrap_or_else(|| panic!("no server {server}"));
    Cell::twice(
        Engine::Leap,
        scenario,
        &*server,
        Detail {
            timeline: true,
            ..Detail::default()
        },
    )
}

/// The report on a cell as plain text.
pub fn plain(cell: &Cell) -> String {
    anstream::adapter::strip_str(&Report(cell).to_string()).to_string()
}

/// A scenario from the text of a file.
///
/// # Panics
/// When it is none; the message says why.
pub fn scenario(text: &str) -> Arc<Scenario> {
    Arc::new(Scenario::from_toml("test", text).unwrap_or_else(|error| panic!("{error}")))
}

/// Works on every item, with one thread for each core. The results are in the order of the items.
///
/// # Panics
/// When the work on an item does.
pub fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    at_once(cores, items, work)
}

/// Works on every item, with so many threads. The results are in the order of the items.
///
/// # Panics
/// When the work on an item does.
pub fn at_once<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let take = || Some(next.fetch_add(1, Ordering::Relaxed));
        let taken = std::iter::from_fn(|| take().filter(|index| *index < items.len()));
        taken
            .map(|index| (index, work(&items[index])))
            .collect::<Vec<_>>()
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(items.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        let parts =
            joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        parts.flatten().collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
