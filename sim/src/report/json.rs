//! Runs as JSON, in the form that `hangup run --json` promises. Times are seconds.

use crate::cell::Cell;
use crate::finding::Finding;
use crate::ledger::Connection;
use serde::Serialize;
use std::time::Duration;

/// One scenario against one server.
#[derive(Debug, Serialize)]
pub struct CellJson<'a> {
    scenario: &'a str,
    server: &'a str,
    engine: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sealed: bool,
    seed: u64,
    verdict: String,
    /// Why the run says nothing about the server, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_told: Option<&'a str>,
    findings: Vec<FindingJson<'a>>,
    connections: Vec<ConnectionJson>,
    tasks: TasksJson,
    sim_s: f64,
    wall_us: u64,
    trace_hash: String,
    replay: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    caveats: &'a [String],
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct FindingJson<'a> {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a str>,
    client: Option<u32>,
    connection: Option<u32>,
    at_s: f64,
    alive_for_s: Option<f64>,
    never_ends: bool,
    phase: Option<&'a str>,
    task: Option<TaskJson<'a>>,
    says: &'a str,
}

#[derive(Debug, Serialize)]
struct TaskJson<'a> {
    spawned_at: &'a str,
    stack: &'a [String],
}

#[derive(Debug, Serialize)]
struct ConnectionJson {
    id: u32,
    client: Option<u32>,
    opened_s: Option<f64>,
    closed_s: Option<f64>,
    close_reason: Option<&'static str>,
    bytes_in: u64,
    bytes_out: u64,
    statuses: Vec<u16>,
}

#[derive(Debug, Serialize)]
struct TasksJson {
    spawned: usize,
    ended: usize,
    alive: usize,
}

/// Seconds, to the nanosecond where an `f64` can hold that, else to the microsecond. One division is rounded once, so that 60 ms
/// are 0.06.
fn seconds(time: Duration) -> f64 {
    const EXACT_MAX: u128 = 1 << f64::MANTISSA_DIGITS;
    match time.as_nanos() {
        nanos if nanos <= EXACT_MAX => nanos as f64 / 1e9,
        nanos => (nanos / 1000) as f64 / 1e6,
    }
}

impl<'a> From<&'a Finding> for FindingJson<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            kind: finding.kind.to_string(),
            part: finding.part,
            client: finding.client,
            connection: finding.connection,
            at_s: seconds(finding.at),
            alive_for_s: finding.alive_for.map(seconds),
            never_ends: finding.never_ends,
            phase: finding.phase,
            task: finding.task.as_ref().map(|task| TaskJson {
                spawned_at: &task.spawned_at,
                stack: &task.stack,
            }),
            says: &finding.says,
        }
    }
}

impl From<&Connection> for ConnectionJson {
    fn from(connection: &Connection) -> Self {
        Self {
            id: connection.id,
            client: connection.client,
            opened_s: connection.opened.map(seconds),
            closed_s: connection.released.map(seconds),
            close_reason: connection.close_reason,
            bytes_in: connection.bytes_in,
            bytes_out: connection.bytes_out,
            statuses: connection
                .responses
                .list
                .iter()
                .map(|response| response.status)
                .collect(),
        }
    }
}

impl<'a> From<&'a Cell> for CellJson<'a> {
    fn from(cell: &'a Cell) -> Self {
        let (spawned, ended) = cell.run.connection_task_counts();
        let not_told = cell.untold();
        Self {
            scenario: &cell.scenario.name,
            server: &cell.server,
            engine: cell.run.engine,
            sealed: cell.run.sealed,
            seed: cell.scenario.seed,
            verdict: match not_told {
                Some(_) => "not-told".to_owned(),
                None => cell.verdict().to_string(),
            },
            not_told,
            findings: cell.findings.iter().map(FindingJson::from).collect(),
            connections: cell
                .run
                .connections
                .iter()
                .filter(|connection| connection.of_scenario())
                .map(Into::into)
                .collect(),
            tasks: TasksJson {
                spawned,
                ended,
                alive: spawned - ended,
            },
            sim_s: seconds(cell.run.end()),
            wall_us: u64::try_from(cell.wall.as_micros()).unwrap_or(u64::MAX),
            trace_hash: format!("{:016x}", cell.run.hash),
            replay: cell.replay(),
            caveats: &cell.run.caveats,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_below_a_millisecond_are_told() {
        for (time, told) in [
            (Duration::from_nanos(1), 1e-9),
            (Duration::from_micros(500), 0.0005),
            (Duration::from_millis(60), 0.06),
            (Duration::from_millis(105_420_060), 105_420.06),
            (Duration::from_millis(63_072_000_001), 63_072_000.001),
        ] {
            assert_eq!(seconds(time), told);
        }
    }
}
