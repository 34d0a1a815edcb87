//! Every incident and every healthy client against a server that is running, all at once.
//!
//! Each incident comes twice: with its request as the first and as the second one of its connections, since some servers have
//! their clocks only there. What does not fit the server, or could not be done to it, is told with its reason.

use crate::cell::Cell;
use crate::finding::{Finding, spell};
use crate::healthy;
use crate::incident;
use crate::remote::routes::needed;
use crate::remote::survey::Survey;
use crate::remote::timer;
use crate::remote::{NotRun, Remote};
use crate::run::Detail;
use hangup_scenario::{Scenario, Step, Verdict};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// Descriptors that a run has beside its connections, and those that a connection has.
const DESCRIPTORS: (u64, u64) = (4, 2);
/// Descriptors of the process itself.
const RESERVE: u64 = 64;

/// Which request of a connection an incident's first one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ordinal {
    /// The first.
    First,
    /// Another one was answered before.
    Second,
}

/// A run that is going to be made.
#[derive(Clone, Debug)]
pub struct Job {
    /// The scenario, as it fits the server.
    pub scenario: Arc<Scenario>,
    /// Its first request is this one of its connection.
    pub ordinal: Ordinal,
    /// It does nothing wrong, and must not be cut off.
    pub healthy: bool,
    /// How long it takes at most.
    lasts: Duration,
}

/// What is not run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The incident.
    pub name: String,
    /// None: in both places.
    pub ordinal: Option<Ordinal>,
    /// Why.
    pub why: String,
}

/// What is going to be run.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// The runs.
    pub jobs: Vec<Job>,
    /// What is left out.
    pub left: Vec<Left>,
}

/// Bounds of a probe.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at one time.
    pub connections: u32,
    /// Real time in all.
    pub time: Duration,
}

/// A run that was made.
#[derive(Debug)]
pub struct Probed {
    /// The judged run.
    pub cell: Cell,
    /// Its first request is this one of its connection.
    pub ordinal: Ordinal,
    /// It does nothing wrong.
    pub healthy: bool,
    /// What known timers explain.
    pub excused: Vec<String>,
}

impl Course {
    /// Every incident, or those named in `only`, that fit the server within `time`.
    pub fn of(remote: &Remote, survey: &Survey, time: Duration, only: &[String]) -> Self {
        let mut course = Self::default();
        let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
        for scenario in incident::all().iter().filter(|one| wanted(&one.name)) {
            course.enter(remote, survey, time, scenario, false);
        }
        for client in healthy::all().filter(|one| wanted(&one.scenario.name)) {
            course.enter(remote, survey, time, &client.scenario, true);
        }
        course
    }

    fn enter(
        &mut self,
        remote: &Remote,
        survey: &Survey,
        time: Duration,
        scenario: &Scenario,
        healthy: bool,
    ) {
        let leave = |ordinal, why: String| Left {
            name: scenario.name.clone(),
            ordinal,
            why,
        };
        if let Err(why) = fits(remote, survey, scenario) {
            self.left.push(leave(None, why));
            return;
        }
        let fitted = remote.fitted(scenario);
        let second = match (healthy, &survey.second) {
            (true, _) => None,
            (false, Ok(())) => remote.second(&fitted),
            (false, Err(why)) => {
                self.left.push(leave(Some(Ordinal::Second), why.clone()));
                None
            }
        };
        let both = [(Ordinal::First, Some(fitted)), (Ordinal::Second, second)];
        for (ordinal, scenario) in both {
            let Some(scenario) = scenario.map(Arc::new) else {
                continue;
            };
            let lasts = remote.lasts(&scenario);
            if lasts > time {
                let why = format!(
                    "may take longer than {}: a shorter residence in --contract, or a longer --max-time",
                    spell(time)
                );
                self.left.push(leave(Some(ordinal), why));
                continue;
            }
            self.jobs.push(Job {
                scenario,
                ordinal,
                healthy,
                lasts,
            });
        }
    }

    /// How many runs go on at one time, by connections and descriptors; and how long all of them take at most.
    pub fn lasts(&self, connections: u32) -> Duration {
        let mut running: Vec<(Duration, u32)> = Vec::new();
        let (mut now, mut used) = (Duration::ZERO, 0);
        for (_, job) in self.in_order() {
            while used > 0 && used + job.weight() > connections {
                running.sort();
                let (end, weight) = running.remove(0);
                now = now.max(end);
                used -= weight;
            }
            running.push((now + job.lasts, job.weight()));
            used += job.weight();
        }
        running.iter().map(|(end, _)| *end).max().unwrap_or(now)
    }

    /// Connections at one time, if as many are allowed.
    pub fn connections(&self) -> u32 {
        self.jobs
            .iter()
            .map(Job::weight)
            .fold(0, u32::saturating_add)
    }

    /// The longest first, each with its place.
    fn in_order(&self) -> Vec<(usize, &Job)> {
        let mut jobs: Vec<(usize, &Job)> = self.jobs.iter().enumerate().collect();
        jobs.sort_by_key(|(_, job)| std::cmp::Reverse(job.lasts));
        jobs
    }
}

impl Job {
    /// How many connections it has at one time.
    fn weight(&self) -> u32 {
        u32::try_from(self.scenario.client_count()).unwrap_or(u32::MAX)
    }
}

/// What the server lacks for this scenario.
fn fits(remote: &Remote, survey: &Survey, scenario: &Scenario) -> Result<(), String> {
    if let Some(why) = Remote::impossible(scenario) {
        return Err(why.to_owned());
    }
    for path in needed(scenario) {
        survey
            .has(path)
            .map_err(|why| format!("{why} (--route {path}=PATH)"))?;
    }
    let whole = scenario.clients.iter().flat_map(|client| &client.steps);
    let trickles = whole.filter(|step| matches!(step, Step::Send(send) if send.trickle.is_some()));
    if scenario.contract.residence.is_some()
        && remote.contract.residence.is_none()
        && trickles.count() > 0
    {
        return Err(
            "a trickle breaks no promise of a server that names no residence in --contract"
                .to_owned(),
        );
    }
    Ok(())
}

/// Takes as many descriptors as this process may have, and gives how many connections they are good for beside `runs`.
pub fn affordable(runs: usize) -> u32 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Who may not raise it has what there is.
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let all = limit.current.unwrap_or(u64::MAX);
    let beside = RESERVE + DESCRIPTORS.0 * runs as u64;
    u32::try_from(all.saturating_sub(beside) / DESCRIPTORS.1).unwrap_or(u32::MAX)
}

/// Makes the runs; `done` is told of each. In the order of the course.
///
/// # Panics
/// When a run does.
pub fn probe(
    remote: &Remote,
    course: &mut Course,
    bounds: Bounds,
    detail: Detail,
    mut done: impl FnMut(),
) -> Vec<Probed> {
    let until = Instant::now() + bounds.time;
    let gate = Gate::new(bounds.connections);
    let (tell, told) = mpsc::channel();
    let mut results: Vec<(usize, Result<Cell, NotRun>)> = thread::scope(|scope| {
        for (index, job) in course.in_order() {
            let (tell, gate) = (tell.clone(), &gate);
            scope.spawn(move || {
                let pass = gate.pass(job.weight());
                let cell = Cell::remote(&job.scenario, remote, detail, false, Some(until));
                drop(pass);
                // Whoever listens stays until every run has ended.
                let _ = tell.send((index, cell));
            });
        }
        drop(tell);
        told.iter().inspect(|_| done()).collect()
    });
    results.sort_by_key(|(index, _)| *index);
    let mut all = Vec::new();
    for (index, cell) in results {
        let job = &course.jobs[index];
        match cell {
            Ok(cell) => {
                let first = judged(remote, job, cell);
                all.push(match job.healthy && cut_off(&first.cell).is_some() {
                    true => again(remote, job, detail, until).unwrap_or(first),
                    false => first,
                });
            }
            Err(why) => course.left.push(Left {
                name: job.scenario.name.clone(),
                ordinal: Some(job.ordinal),
                why: why.to_string(),
            }),
        }
    }
    all
}

/// A healthy client that was cut off comes again, with nothing beside it, and what comes of that counts: among hundreds of runs at
/// once it may have been late itself, and have met a timer of the server that it would have been in time for. None if there is no time.
fn again(remote: &Remote, job: &Job, detail: Detail, until: Instant) -> Option<Probed> {
    let cell = Cell::remote(&job.scenario, remote, detail, false, Some(until));
    cell.ok().map(|cell| judged(remote, job, cell))
}

fn judged(remote: &Remote, job: &Job, mut cell: Cell) -> Probed {
    if job.ordinal == Ordinal::Second {
        cell.server = format!("{}, second request", cell.server);
    }
    let tolerance = remote.tolerance * remote.times.get();
    let excused = timer::excuse(&mut cell, &remote.timers, tolerance);
    if job.healthy {
        cell.findings.extend(cut_off(&cell));
        cell.findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.kind));
    }
    Probed {
        cell,
        ordinal: job.ordinal,
        healthy: job.healthy,
        excused,
    }
}

/// A healthy client gets an answer to each of its requests that does not blame it, nor the server: servers whose clock ran out within a
/// body say 408, or 400, or something with a 5.
pub fn cut_off(cell: &Cell) -> Option<Finding> {
    let due = healthy::all().find(|one| one.scenario.name == cell.scenario.name)?;
    let due = due.statuses.iter().filter(|status| **status >= 200).count();
    let connection = cell
        .run
        .connections
        .iter()
        .find(|one| one.client.is_some())?;
    let finals = connection
        .responses
        .list
        .iter()
        .filter(|one| one.is_final());
    let refused = finals
        .clone()
        .find(|one| [400, 408].contains(&one.status) || one.status >= 500);
    // The client would have read on.
    let truncated = connection.responses.inside()
        && (connection.server_fin_arrived || connection.client_reset.is_some());
    if finals.count() == due && refused.is_none() && !truncated {
        return None;
    }
    let opened = connection.opened.unwrap_or_default();
    let end = connection
        .server_shutdown
        .or(connection.server_closed.map(|(at, _)| at));
    let says = match (refused, end) {
        (Some(refused), _) => format!(
            "a healthy client was cut off {} after it had connected, with {}",
            spell(refused.at.saturating_sub(opened)),
            refused.status
        ),
        (None, _) if truncated => format!(
            "a healthy client was cut off inside a response, {} after it had connected, with {} bytes of it",
            spell(connection.last_progress.saturating_sub(opened)),
            connection.bytes_out
        ),
        (None, Some(end)) => format!(
            "a healthy client was cut off {} after it had connected",
            spell(end.saturating_sub(opened))
        ),
        (None, None) => "a healthy client got no answer".to_owned(),
    };
    Some(Finding {
        kind: Verdict::Deaf,
        part: None,
        client: connection.client,
        connection: Some(connection.id),
        at: end.unwrap_or(cell.run.search.from),
        alive_for: None,
        never_ends: false,
        phase: None,
        task: None,
        says,
    })
}

/// Lets so many connections through at a time.
struct Gate {
    free: Mutex<u32>,
    changed: Condvar,
    all: u32,
}

/// So many of them, until it is dropped.
struct Pass<'a> {
    gate: &'a Gate,
    weight: u32,
}

impl Gate {
    fn new(all: u32) -> Self {
        Self {
            free: Mutex::new(all),
            changed: Condvar::new(),
            all,
        }
    }

    /// Waits until so many are free; what is more than all of them takes all.
    fn pass(&self, weight: u32) -> Pass<'_> {
        let weight = weight.min(self.all);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .changed
            .wait_while(free, |free| *free < weight)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= weight;
        Pass { gate: self, weight }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        *self
            .gate
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += self.weight;
        self.gate.changed.notify_all();
    }
}
