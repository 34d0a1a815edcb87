//! Servers that are running: what `run --addr` and `probe` make of fakes on loopback, each of which shows one thing that real
//! servers do.

#[path = "remote/fake.rs"]
mod fake;
#[path = "remote/traps.rs"]
mod traps;
#[path = "remote/use_of_it.rs"]
mod use_of_it;
