//! One cell of the matrix: a scenario, a server, the run, and what the oracles say of it.

use crate::engine::Engine;
use crate::finding::{Finding, verdict};
use crate::oracle;
use crate::run::{Detail, Run};
use crate::server::Server;
use hangup_scenario::{Scenario, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A judged run.
#[derive(Debug)]
pub struct Cell {
    /// What was run.
    pub scenario: Arc<Scenario>,
    /// The server's name.
    pub server: String,
    /// The run.
    pub run: Run,
    /// The gravest first.
    pub findings: Vec<Finding>,
    /// What `hangup replay` takes to run this again: a name, a file, a case seed.
    pub origin: String,
    /// How long it took on this machine.
    pub wall: Duration,
}

/// Does the finding rest on a task alone, not on a socket?
fn is_about_tasks(run: &Run, finding: &Finding) -> bool {
    let closed = |id| {
        run.connections
            .iter()
            .any(|connection| connection.id == id && connection.server_closed.is_some())
    };
    matches!(finding.kind, Verdict::Hung | Verdict::Leftover)
        && finding.connection.is_none_or(closed)
}

impl Cell {
    /// Runs a scenario against a server and judges it.
    pub fn of(
        engine: Engine,
        scenario: &Arc<Scenario>,
        server: &dyn Server,
        detail: Detail,
    ) -> Self {
        let start = Instant::now();
        let run = engine.run(scenario, server, detail);
        let mut findings = oracle::judge(&run);
        // One task that stays may be a leak of every connection, or the server's own, started at its first connection. If it
        // does not come back for a server that has had its first connection, it is the latter.
        if findings.iter().any(|finding| is_about_tasks(&run, finding))
            && let Some(warm) = engine.run_warm(scenario, server)
            && !oracle::judge(&warm)
                .iter()
                .any(|finding| is_about_tasks(&warm, finding))
        {
            findings.retain(|finding| !is_about_tasks(&run, finding));
        }
        Self {
            origin: scenario.name.clone(),
            scenario: Arc::clone(scenario),
            server: server.name().to_owned(),
            run,
            findings,
            wall: start.elapsed(),
        }
    }

    /// The same, twice: a second run that differs from the first is a finding of its own.
    pub fn twice(
        engine: Engine,
        scenario: &Arc<Scenario>,
        server: &dyn Server,
        detail: Detail,
    ) -> Self {
        let mut cell = Self::of(engine, scenario, server, detail);
        // Real time is never the same twice.
        if engine == Engine::Wire {
            return cell;
        }
        let again = engine.run(scenario, server, Detail::default());
        if again.hash != cell.run.hash {
            // Two more, which keep their timelines, to show where they part.
            let timeline = Detail {
                timeline: true,
                ..Detail::default()
            };
            let [one, other] = [0; 2].map(|_| engine.run(scenario, server, timeline));
            let (one, other) = if one.hash == other.hash {
                (&cell.run, &again)
            } else {
                (&one, &other)
            };
            cell.findings
                .push(oracle::nondeterministic::finding(one, other));
            cell.findings
                .sort_by_key(|finding| std::cmp::Reverse(finding.kind));
        }
        cell
    }

    /// The gravest finding's kind, or clean.
    pub fn verdict(&self) -> Verdict {
        verdict(&self.findings)
    }

    /// The verdict that the scenario pins for this server.
    pub fn pinned(&self) -> Option<Verdict> {
        self.scenario.expect.get(&self.server).copied()
    }

    /// The command that runs this again.
    pub fn replay(&self) -> String {
        let engine = match self.run.engine {
            "leap" if self.run.sealed => " --seal".to_owned(),
            "leap" => String::new(),
            other => format!(" --engine {other}"),
        };
        format!(
            "hangup replay {} --server {}{engine}",
            self.origin, self.server
        )
    }
}
