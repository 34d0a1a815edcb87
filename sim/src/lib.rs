//! Is there anything a client can do, or fail to do, that keeps a connection's task alive past its deadline?
//!
//! hangup runs a server over a simulated network and clock, lets clients misbehave, and holds what happened against
//! the deadlines that the server claims. What it convicts comes with a proof, an await stack and a command that
//! shows it again.
//!
//! | module | what it is |
//! |---|---|
//! | [`bed`] | one call in a `#[test]`, for a server of one's own |
//! | [`net`] | `tokio::net` on the simulated network, which such a server is written against |
//! | [`guide`] | how to put a server on the test bed, with four complete examples; how to read what it says |
//! | [`server`] | servers under test, one file each |
//! | [`incident`] | the incident book: scenarios from the real world |
//! | [`import`] | what was recorded in production, as scenarios |
//! | [`healthy`] | clients that do nothing wrong, only slowly: none may be cut off |
//! | [`honest`] | clients that come while a scenario's clients are stalled: none may be shut out |
//! | [`engine`] | what carries the bytes and the clock |
//! | [`transport`] | the stream and listener that servers and clients see |
//! | [`trace`], [`ledger`], [`life`], [`task`], [`exchange`], [`packet`] | what happened: facts, connections, the server itself, tasks, messages, packets |
//! | [`run`] | one finished run |
//! | [`contract`] | what a server claims |
//! | [`coverage`] | where clients did what: which cells of a connection's life were reached |
//! | [`oracle`], [`finding`] | the rules, and what they find |
//! | [`cell`] | scenario, server, run and findings together |
//! | [`report`] | text, JSON, the matrix |
//! | [`remote`] | a server that is running somewhere, and what is known of it |
//! | [`campaign`] | many runs: check, fuzz |
//! | [`command`] | the command line |
//!
//! Data goes one way: scenario, engine, run, oracle, finding, report.
//!
//! ```
//! use hangup::{cell::Cell, engine::Engine, incident, run::Detail, server};
//! use hangup_scenario::Verdict;
//!
//! let incident = incident::named("fasthttp-1834").unwrap();
//! let judged = |name| {
//!     let server = server::named(name).unwrap();
//!     Cell::of(Engine::Leap, &incident, &*server, Detail::default()).verdict()
//! };
//! assert_eq!(judged("hyper-timeouts"), Verdict::Hung);
//! assert_eq!(judged("hangup"), Verdict::Clean);
//! ```

#[cfg(not(tokio_unstable))]
compile_error!(
    "hangup needs tokio's task hooks, seeded select! and task dumps. Add to .cargo/config.toml of your workspace: \
     [build] rustflags = [\"--cfg\", \"tokio_unstable\"], and the same as rustdocflags (variables RUSTFLAGS and \
     RUSTDOCFLAGS in the environment replace these: add --cfg tokio_unstable to them too)"
);

pub mod bed;
pub mod campaign;
pub mod cell;
mod client;
pub mod command;
pub mod contract;
pub mod coverage;
mod digest;
pub mod engine;
pub mod exchange;
pub mod finding;
pub mod guide;
pub mod healthy;
pub mod honest;
pub mod import;
pub mod incident;
pub mod ledger;
pub mod life;
mod metamorphic;
pub mod net;
pub mod oracle;
pub mod packet;
mod panics;
mod probe;
pub mod remote;
pub mod report;
mod residue;
pub mod run;
pub mod server;
pub mod task;
pub mod trace;
pub mod transport;

pub use bed::Bed;
pub use command::cli;
pub use hangup_seal::CountingAllocator;
pub use residue::residue;
