//! One cell of the matrix: a scenario, a server, the run, and what the oracles say of it.

use crate::contract::Promise;
use crate::engine::wire::far::{self, NotRun};
use crate::engine::{Engine, quiet, unsealed_source};
use crate::exchange::asks::Asks;
use crate::finding::{Finding, StuckTask, spell, verdict};
use crate::honest;
use crate::incident;
use crate::ledger::Ledger;
use crate::metamorphic;
use crate::oracle;
use crate::remote::Remote;
use crate::run::{Detail, Run};
use crate::server::Server;
use hangup_scenario::{Scenario, ServerAction, Verdict};
use std::cmp::Reverse;
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
    /// Why the run says nothing of the server, where nothing was found in it: a request whose body
    /// was to be read was answered 404, say. It is not clean then.
    pub not_told: Option<String>,
    /// What came back and when, where a matrix tells that.
    pub came: Option<String>,
    /// How long it took on this machine.
    pub wall: Duration,
    /// What the run is of: the scenario, or that with shorter pauses.
    pub(crate) base: Arc<Scenario>,
    /// Tasks that repeat themselves were let doze.
    pub(crate) dozes: bool,
}

/// The incident that it all began with, on a server that has its timeouts switched on: the one to tell among equals.
const FIRST: (&str, &str) = ("fasthttp-1834", "hyper-timeouts");

/// The simplest of the gravest cells: one that holds a connection, since that has a stack to show,
/// where any does; the incident that it all began with, and else the one with the fewest clients,
/// and of these with the fewest steps. Of equal ones it is the one that holds a connection longest.
pub(crate) fn most_telling(cells: &[Cell]) -> Option<&Cell> {
    let ranked = cells.iter().filter_map(|cell| {
        let held = |finding: &&Finding| finding.alive_for.is_some();
        let holding = cell.findings.iter().filter(held);
        let gravest = holding.map(|finding| (finding.kind, finding.alive_for));
        let gravest = gravest.max();
        let (kind, alive_for) = gravest.unwrap_or((cell.verdict(), None));
        let (name, server) = FIRST;
        let simplest = (
            cell.scenario.name != name,
            cell.server != server,
            size(&cell.scenario),
        );
        let rank = (
            Reverse((gravest.is_some(), kind)),
            simplest,
            Reverse(alive_for),
        );
        (kind != Verdict::Clean).then_some((rank, cell))
    });
    let first = ranked.min_by_key(|(rank, _)| *rank);
    first.map(|(_, cell)| cell)
}

/// How many clients a scenario has, and how many steps they do.
fn size(scenario: &Scenario) -> (u64, u64) {
    let clients = scenario.clients.iter();
    clients.fold((0, 0), |(count, steps), client| {
        let more = u64::from(client.count);
        (count + more, steps + more * client.steps.len() as u64)
    })
}

/// Why an incident says nothing of this server.
fn not_made_for(scenario: &Scenario, server: &dyn Server) -> Option<String> {
    incident::named(&scenario.name)?;
    let why = server.inapplicable(scenario)?;
    let name = server.name();
    Some(format!("this scenario was not made for {name}: {why}"))
}

/// Why nothing is found in a run that says nothing of the server.
fn not_told(engine: Engine, scenario: &Scenario, run: &Run, server: &dyn Server) -> Option<String> {
    incident::named(&scenario.name)?;
    if let Some(why) = not_made_for(scenario, server) {
        return Some(why);
    }
    if !run.speaks_http {
        return None;
    }
    let mut events = scenario.server_events.iter();
    let sees_panics = matches!(engine, Engine::Leap | Engine::Sealed);
    if sees_panics
        && events.any(|event| event.action == ServerAction::HandlerPanic)
        && run.life.panic.is_none()
    {
        let why = "none of its handlers panics when it is to (`hangup::server::app::panic_if_asked` does)";
        return Some(why.to_owned());
    }
    if server.runs_on_any_engine() {
        // The built-in ones have all the routes there are.
        return None;
    }
    let connections = run.connections.iter().filter(|one| one.of_scenario());
    let mut refused = connections.filter_map(|one| {
        let requests = &one.requests.list;
        let mut finals = one.responses.list.iter().filter(|it| it.is_final());
        let refused = finals.find(|response| {
            let request = requests.get(response.answers);
            matches!(response.status, 401 | 404 | 405)
                && request.is_some_and(|request| request.has_body && request.asks == Asks::Whole)
        });
        refused.map(|response| response.status)
    });
    refused
        .next()
        .map(|status| format!("a request whose body was to be read was answered {status}"))
}

/// What to say of findings that rest on a time which the scenario names, and not the server.
fn whose_figures(
    scenario: &Scenario,
    played: &Scenario,
    server: &dyn Server,
    run: &Run,
) -> Vec<String> {
    let (asked, own) = (&played.contract, server.contract());
    let figures = [
        (Promise::Stall, asked.stall, own.stall),
        (Promise::Residence, asked.residence, own.residence),
        (Promise::Drain, asked.drain, own.drain),
        (Promise::Vanished, asked.vanished, own.vanished),
    ];
    let broken = |promise| {
        let mut breaches = run.connections.iter().filter_map(|one| one.breach);
        breaches.any(|breach| breach.promise == promise)
    };
    let told = figures.into_iter().filter_map(|(promise, asked, own)| {
        let asked = asked.filter(|asked| *asked < own && broken(promise))?;
        Some(format!(
            "{} of {} is this scenario's own figure ({}); the contract of {} says {}",
            promise.name(),
            spell(asked),
            scenario.name,
            server.name(),
            spell(own)
        ))
    });
    told.collect()
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

/// What nothing comes of that rests on tasks alone when the server has served clients before; and whether tasks dozed.
fn is_clear_when_warm(
    engine: Engine,
    played: &Arc<Scenario>,
    server: &dyn Server,
    dozes: bool,
) -> (bool, bool) {
    let detail = Detail {
        dozes,
        ..Detail::JUDGED
    };
    let mut dozed = false;
    let clear = WARM.into_iter().any(|idle| {
        let warm = engine.run_warm(played, server, detail, idle);
        warm.is_some_and(|warm| {
            dozed |= warm.tasks.dozed() > 0;
            let findings = oracle::judge(&warm);
            !findings.iter().any(|finding| {
                let connection = finding.connection.and_then(|id| warm.connection(id));
                let of_visitor = connection.is_some_and(|one| one.visit);
                is_about_tasks(&warm, finding) && !of_visitor
            })
        })
    });
    (clear, dozed)
}

/// One run and what is found in it; and whether tasks dozed in that run, or in another on which the findings rest.
fn judged(
    engine: Engine,
    played: &Arc<Scenario>,
    server: &dyn Server,
    detail: Detail,
) -> (Run, Vec<Finding>, bool) {
    let run = engine.run(played, server, detail);
    let mut dozed = run.tasks.dozed() > 0;
    let mut findings = oracle::judge(&run);
    // A task that stays may be a leak of every connection, or the server's own, started at its first connections. If it
    // does not come back for a server that has had those, it is the latter.
    if findings.iter().any(|finding| is_about_tasks(&run, finding)) {
        let (clear, dozed_when_warm) = is_clear_when_warm(engine, played, server, detail.dozes);
        dozed |= dozed_when_warm;
        if clear {
            findings.retain(|finding| !is_about_tasks(&run, finding));
        }
    }
    findings.retain(|finding| !server.tolerates(finding.kind));
    (run, findings, dozed)
}

/// A server that repeats itself more often than this in the longest pause of a scenario has that pause cut.
const BEATS_DEAR: u128 = 20_000;

/// The scenario for a server whose tasks are not let doze: none of them repeats itself too often in a pause; and what is to
/// be said of it.
fn affordable(scenario: &Arc<Scenario>, run: &Run) -> (Arc<Scenario>, Option<String>) {
    let (quiet, longest) = (quiet::enough(&run.contract), quiet::longest(scenario));
    let dear = run.tasks.shortest_period(run.search.until).zip(longest);
    let dear = dear.filter(|(period, longest)| {
        let beats = longest.as_nanos() / period.as_nanos().max(1);
        *longest > quiet && beats > BEATS_DEAR
    });
    let Some((period, longest)) = dear else {
        return (Arc::clone(scenario), None);
    };
    let mut scenario = Arc::clone(scenario);
    quiet::cut(Arc::make_mut(&mut scenario), quiet);
    let says = format!(
        "the server repeats itself for ever, period {}: {}",
        spell(period),
        quiet::caveat(longest, quiet)
    );
    (scenario, Some(says))
}

/// What a reader is told of what dozed.
fn left_out(run: &Run, dozes: bool) -> Option<String> {
    let period = run
        .tasks
        .shortest_period(run.search.until)
        .filter(|_| run.tasks.dozed() > 0)?;
    let when = match dozes {
        true => "they were run further only where something else woke them",
        false => "they were not run any further in the search at the end",
    };
    Some(format!(
        "tasks repeat themselves for ever, period {}: {when}",
        spell(period)
    ))
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
    ///
    /// On the leap engine, tasks of the server that repeat themselves doze, see [`Detail::dozes`]. Who wakes up periodically may do
    /// its duty only then, so where something is found the scenario is run again, and none of them dozes before the search: that run
    /// counts. Where a task repeats itself too often and must not doze, the pauses are shorter.
    pub fn of(
        engine: Engine,
        scenario: &Arc<Scenario>,
        server: &dyn Server,
        detail: Detail,
    ) -> Self {
        let leaps = matches!(engine, Engine::Leap | Engine::Sealed);
        let dozes = leaps && detail.stop_at.is_none();
        Self::of_all(engine, scenario, server, Detail { dozes, ..detail })
    }

    /// The same, and `detail` says whether tasks may doze.
    fn of_all(
        engine: Engine,
        scenario: &Arc<Scenario>,
        server: &dyn Server,
        detail: Detail,
    ) -> Self {
        let start = Instant::now();
        let (mut base, mut dozes, mut cut) = (Arc::clone(scenario), detail.dozes, None);
        let mut played = server.fit(&base);
        let (mut run, mut findings, mut dozed) = judged(engine, &played, server, detail);
        if run.tasks.is_restless() {
            (base, cut) = affordable(scenario, &run);
            played = server.fit(&base);
            (run, findings, dozed) = judged(engine, &played, server, detail);
        }
        if dozed && !findings.is_empty() || run.tasks.is_restless() {
            dozes = false;
            if cut.is_none() {
                (base, cut) = affordable(scenario, &run);
                played = server.fit(&base);
            }
            let awake = Detail { dozes, ..detail };
            (run, findings, _) = judged(engine, &played, server, awake);
        }
        let not_told = match findings.is_empty() {
            true => not_told(engine, scenario, &run, server),
            false => None,
        };
        run.caveats.extend(cut);
        if detail.timeline {
            run.caveats.extend(left_out(&run, dozes));
        }
        if detail.timeline && !findings.is_empty() && !server.runs_on_any_engine() {
            let figures = whose_figures(scenario, &played, server, &run);
            run.caveats.extend(figures);
            run.caveats.extend(not_made_for(scenario, server));
        }
        if detail.stacks {
            for finding in findings.iter_mut().take(STACKS_AT_BREACH_MAX) {
                at_breach(engine, &played, server, finding);
            }
        }
        Self {
            origin: scenario.name.clone(),
            again: None,
            not_told,
            came: None,
            scenario: Arc::clone(scenario),
            server: server.name().to_owned(),
            run,
            findings,
            wall: start.elapsed(),
            base,
            dozes,
        }
    }

    /// How a run is made that is held against this one.
    pub(crate) fn as_run(&self) -> Detail {
        Detail {
            dozes: self.dozes,
            ..Detail::JUDGED
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
            not_told: None,
            came: None,
            base: Arc::clone(scenario),
            dozes: false,
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
        let varied = |cell: &Self| {
            metamorphic::finding(engine, cell, server)
                .or_else(|| honest::finding(engine, cell, server))
        };
        let mut cell = Self::of(engine, scenario, server, detail);
        let mut found = varied(&cell);
        // A difference may come of what did not wake up.
        if found.is_some() && cell.dozes {
            let awake = Detail {
                dozes: false,
                ..detail
            };
            cell = Self::of_all(engine, scenario, server, awake);
            found = varied(&cell);
        }
        cell.findings
            .extend(found.filter(|finding| !server.tolerates(finding.kind)));
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
        let by_gravity = |finding: &Finding| Reverse(finding.kind);
        cell.findings.sort_by_key(by_gravity);
        let played = server.fit(&cell.base);
        let hashed = Detail {
            dozes: cell.dozes,
            ..Detail::default()
        };
        let again = engine.run(&played, server, hashed);
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
            ..hashed
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

    /// Why nothing can be said of the server, where that is so.
    pub fn untold(&self) -> Option<&str> {
        let why = self.not_told.as_deref();
        why.filter(|_| self.findings.is_empty())
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
