//! Servers as strangers write them, each from the description of a defect or of a habit alone.

#[path = "strangers/base.rs"]
mod base;
#[path = "strangers/innocent.rs"]
mod innocent;

use hangup::Bed;
use hangup::bed::Route;
use hangup::campaign::fuzz::{Plan, fuzz};
use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::finding::Finding;
use hangup::incident;
use hangup::net::TcpListener;
use hangup::run::Detail;
use hangup::server::{Server, Serving, Shutdown};
use hangup_scenario::Verdict;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn bed(name: &str, serve: fn(TcpListener, Shutdown) -> Serving, contract: Contract) -> Bed {
    Bed::new(name, serve)
        .contract(contract)
        .route(Route::ReadsBody, "/upload")
        .route(Route::LeavesBody, "/form")
        .route(Route::Big, "/file")
        .route(Route::Slow, "/report")
        .route(Route::Never, "/wait")
        .route(Route::Panics, "/broken")
        .keep_nothing()
}

fn contract() -> Contract {
    Contract {
        shutdown: Some(Duration::from_secs(15)),
        ..Contract::default()
    }
}

#[test]
fn first() {
    let outcome = bed("base", base::run::<base::Plain>, contract()).cases(3000).run();
    println!("{outcome}");
}
