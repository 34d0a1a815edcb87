//! The server over a pipe in memory, on a paused clock: every rule with the instant at which it acts.

#[path = "connection/client.rs"]
mod client;
#[path = "connection/closing.rs"]
mod closing;
#[path = "connection/deadlines.rs"]
mod deadlines;
#[path = "connection/expect.rs"]
mod expect;
#[path = "connection/faults.rs"]
mod faults;
#[path = "connection/full.rs"]
mod full;
#[path = "connection/heads.rs"]
mod heads;
#[path = "connection/limits.rs"]
mod limits;
#[path = "connection/persistence.rs"]
mod persistence;
#[path = "connection/probe.rs"]
mod probe;
#[path = "connection/responses.rs"]
mod responses;
#[path = "connection/shutdown.rs"]
mod shutdown;
#[path = "connection/upgrade.rs"]
mod upgrade;
