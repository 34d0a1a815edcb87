//! The largest and smallest of everything that a file may say.
//!
//! They keep a scenario within what a run can hold in memory and count in nanoseconds of a `u64`. The error
//! that a file gets states them.

use std::time::Duration;

/// Longest file in bytes.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// Longest name of a scenario in characters.
pub const NAME_CHARS_MAX: usize = 100;

/// Longest of any single duration.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Longest that the steps of one client may take, by what they say themselves.
pub const CLIENT_DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Most clients in a scenario, each counted as often as its `count` says.
pub const CLIENTS_MAX: u64 = 10_000;

/// Most server events of a scenario.
pub const SERVER_EVENTS_MAX: u64 = 1_000;

/// Most bytes that a contract may let a server keep for one connection.
pub const HOARD_MAX: u64 = 1 << 40;

/// Most connections that all clients of a scenario open together.
pub const CONNECTIONS_MAX: u64 = 100_000;

/// Most connections that the server's process can be said to hold at once.
pub const DESCRIPTORS_MAX: u64 = 1_000_000;

/// Most steps of one client.
pub const STEPS_MAX: usize = 10_000;

/// Most bytes that all clients of a scenario send together.
pub const SENT_BYTES_MAX: u64 = 64 << 20;

/// Most steps that all clients of a scenario take together.
pub const STEPS_IN_ALL_MAX: u64 = 1_000_000;

/// Most writes, and reads at a rate, that all clients of a scenario do together.
pub const WRITES_MAX: u64 = 1_000_000;

/// Most bytes that one step waits for.
pub const AWAITED_BYTES_MAX: u64 = 1 << 40;

/// Largest segment in bytes.
pub const MTU_MAX: u64 = 65_535;

/// Largest socket buffer in bytes.
pub const BUFFER_MAX: u64 = 64 << 20;
