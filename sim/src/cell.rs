//! One cell of the matrix: a scenario, a server, the run, and what the oracles say of it.

use crate::engine::wire::far::{self, NotRun};
use crate::engine::{Engine, unsealed_source};
use crate::finding::{Finding, StuckTask, verdict};
use crate::honest;
use crate::incident;
use crate::ledger::Ledger;
use crate::metamorphic;
use crate::oracle;
use crate::remote::Remote;
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
    /// The command that runs this again, where that is not `hangup replay` with the origin.
    pub again: Option<String>,
    /// What came back and when, where a matrix tells that.
    pub came: Option<String>,
    /// How long it took on this machine.
    pub wall: Duration,
}

/// The incident that it all began with, on a server that has its timeouts switched on: the one to tell among equals.
const FIRST: (&str, &str) = ("fasthttp-1834", "hyper-timeouts");

/// The gravest cell that holds a connection, since that has a stack to show; among those that hold one for as many
/// hours, the incident that it all began with. Where none holds a connection, the gravest.
pub(crate) fn most_telling(cells: &[Cell]) -> Option<&Cell> {
    let holding = cells.iter().filter_map(|cell| {
        let findings = cell
            .findings
            .iter()
            .filter_map(|finding| Some((finding.kind, finding.alive_for?.as_secs() / 3600)));
        let first = (cell.scenario.name == FIRST.0, cell.server == FIRST.1);
        Some((findings.max()?, first, cell))
    });
    holding
        .max_by_key(|(rank, first, _)| (*rank, *first))
        .map(|(_, _, cell)| cell)
        .or_else(|| {
            cells
                .iter()
                .filter(|cell| cell.verdict() != Verdict::Clean)
                .max_by_key(|cell| cell.verdict())
        })
}

/// Does the finding rest on a task alone, not on a socket?
fn is_about_tasks(run: &Run, finding: &Finding) -> bool {
    let by = match finding.kind {
        Verdict::Hung | Verdict::Leftover => Duration::MAX,
        // It has ended since, and the socket was closed in time.
        Verdict::Late => finding.at,
        _ => return false,
    };
    let closed = |id| {
        let socket = run.connection(id).and_then(|one| one.server_closed);
        socket.is_some_and(|(closed, _)| closed <= by)
    };
    finding.connection.is_none_or(closed)
}

/// How long a server is left alone that is warm: a moment, in which what idles for some minutes is still there, or so long
/// that what it has started for its first clients alone is gone.
const WARM: [Duration; 2] = [Duration::from_secs(10 * 60), Duration::from_secs(1)];

/// Does nothing come of it that rests on tasks alone when the server has served clients before?
fn is_clear_when_warm(engine: Engine, played: &Arc<Scenario>, server: &dyn Server) -> bool {
    WARM.into_iter().any(|idle| {
        let warm = engine.run_warm(played, server, idle);
        warm.is_some_and(|warm| {
            let findings = oracle::judge(&warm);
            !findings.iter().any(|finding| {
                let connection = finding.connection.and_then(|id| warm.connection(id));
                let of_visitor = connection.is_some_and(|one| one.visit);
                is_about_tasks(&warm, finding) && !of_visitor
            })
        })
    })
}

/// What is said of a run that differs from a second one in nothing that any client minds.
const CONTENTS_DIFFER: &str = "what responses carry, or when within an instant, differs in a second run of this seed; their statuses, the \
     names of their fields, and who ended which connection when are the same, and only those were compared";

/// So many findings of a run are looked at again for the stacks of what has ended.
const STACKS_AT_BREACH_MAX: usize = 4;

/// What was held and has ended has no stack at the end of the run: it is taken from a second run, which stops at the breach.
fn at_breach(engine: Engine, played: &Arc<Scenario>, server: &dyn Server, finding: &mut Finding) {
    let leaps = matches!(engine, Engine::Leap | Engine::Sealed);
    if !leaps || finding.task.is_some() || finding.kind != Verdict::Late {
        return;
    }
    let Some(connection) = finding.connection else {
        return;
    };
    let stop_at = finding.at + Ledger::slack(&played.network) + Duration::from_millis(1);
    let detail = Detail {
        stacks: true,
        stop_at: Some(stop_at),
        ..Detail::JUDGED
    };
    finding.task = StuckTask::of(&engine.run(played, server, detail), connection);
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
        let played = server.fit(scenario);
        let mut run = engine.run(&played, server, detail);
        if detail.timeline
            && incident::named(&scenario.name).is_some()
            && let Some(why) = server.inapplicable(scenario)
        {
            let name = server.name();
            run.caveats
                .push(format!("this scenario was not made for {name}: {why}"));
        }
        let mut findings = oracle::judge(&run);
        // A task that stays may be a leak of every connection, or the server's own, started at its first connections. If it
        // does not come back for a server that has had those, it is the latter.
        if findings.iter().any(|finding| is_about_tasks(&run, finding))
            && is_clear_when_warm(engine, &played, server)
        {
            findings.retain(|finding| !is_about_tasks(&run, finding));
        }
        findings.retain(|finding| !server.tolerates(finding.kind));
        if detail.stacks {
            for finding in findings.iter_mut().take(STACKS_AT_BREACH_MAX) {
                at_breach(engine, &played, server, finding);
            }
        }
        Self {
            origin: scenario.name.clone(),
            again: None,
            came: None,
            scenario: Arc::clone(scenario),
            server: server.name().to_owned(),
            run,
            findings,
            wall: start.elapsed(),
        }
    }

    /// Runs a scenario against a server that is running at `remote`, by `until` at the latest, and judges it. With `ask`, a fresh
    /// client comes in the end.
    ///
    /// # Errors
    /// When the run says nothing about the server.
    pub fn remote(
        scenario: &Arc<Scenario>,
        remote: &Remote,
        detail: Detail,
        ask: bool,
        until: Option<tokio::time::Instant>,
    ) -> Result<Self, NotRun> {
        let start = Instant::now();
        let run = far::run(scenario, remote, detail, ask, until)?;
        Ok(Self {
            findings: oracle::judge(&run),
            origin: scenario.name.clone(),
            scenario: Arc::clone(scenario),
            server: remote.name(),
            run,
            wall: start.elapsed(),
            again: None,
            came: None,
        })
    }

    /// The same, and where nothing is found, with what must not matter changed (see `metamorphic`) and with
    /// honest clients beside its own (see [`honest`]): if it does, or one of those is shut out, that is a finding.
    pub fn varied(
        engine: Engine,
        scenario: &Arc<Scenario>,
        server: &dyn Server,
        detail: Detail,
    ) -> Self {
        let mut cell = Self::of(engine, scenario, server, detail);
        let varied = metamorphic::finding(engine, &cell, server)
            .or_else(|| honest::finding(engine, &cell, server));
        cell.findings
            .extend(varied.filter(|finding| !server.tolerates(finding.kind)));
        cell
    }

    /// The same, twice: a second run that differs from the first is a finding of its own. And as [`varied`](Self::varied).
    pub fn twice(
        engine: Engine,
        scenario: &Arc<Scenario>,
        server: &dyn Server,
        detail: Detail,
    ) -> Self {
        let hashed = Detail {
            unhashed: false,
            ..detail
        };
        let mut cell = Self::varied(engine, scenario, server, hashed);
        // Real time is never the same twice.
        if engine == Engine::Wire {
            return cell;
        }
        let by_gravity = |finding: &Finding| std::cmp::Reverse(finding.kind);
        cell.findings.sort_by_key(by_gravity);
        let played = server.fit(scenario);
        let again = engine.run(&played, server, Detail::default());
        if again.hash == cell.run.hash || server.tolerates(Verdict::Nondeterministic) {
            return cell;
        }
        let Some(unlike) = oracle::behaviour::difference(&played, &cell.run, &again) else {
            cell.run.caveats.push(CONTENTS_DIFFER.to_owned());
            return cell;
        };
        // Two more, which keep their timelines, to show where they part.
        let timeline = Detail {
            timeline: true,
            ..Detail::default()
        };
        let [one, other] = [0; 2].map(|_| engine.run(&played, server, timeline));
        let (one, other) = if one.hash == other.hash {
            (&cell.run, &again)
        } else {
            (&one, &other)
        };
        let source = match engine {
            Engine::Leap => unsealed_source(&played, server),
            _ => None,
        };
        cell.findings.push(oracle::nondeterministic::finding(
            one, other, source, &unlike,
        ));
        cell.findings.sort_by_key(by_gravity);
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
        if let Some(again) = &self.again {
            return again.clone();
        }
        let program = crate::command::program();
        let engine = match self.run.engine {
            "leap" if self.run.sealed => " --seal".to_owned(),
            "leap" => String::new(),
            other => format!(" --engine {other}"),
        };
        format!(
            "{program} replay {} --server {}{engine}",
            self.origin, self.server
        )
    }
}
