//! `hangup probe`: the incidents and the healthy clients over real TCP against a server that is running.

use super::remote::{RemoteFlags, runtime};
use super::{CLEAN, Common, FOUND, println_json};
use crate::campaign::probe::{self, Bounds, Course, Probed};
use crate::finding::spell;
use crate::healthy;
use crate::incident;
use crate::remote::Remote;
use crate::remote::count::{Count, CountUrl, SETTLES};
use crate::remote::survey::{self, Survey};
use crate::report::Results;
use crate::report::fold::{self, printable};
use crate::report::probe::{Matrix, json, left_json, told};
use crate::run::Detail;
use anyhow::{Context, bail};
use clap::Args;
use hangup_scenario::Verdict;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// Only these incidents and healthy clients; all of them where none is named
    #[arg(value_name = "INCIDENT")]
    only: Vec<String>,
    /// Where the server listens, as HOST:PORT
    #[arg(long, value_name = "ADDR")]
    addr: String,
    #[command(flatten)]
    remote: RemoteFlags,
    /// A page of the server with the number of its open connections: a bare number, a Prometheus metric behind #, or a
    /// JSON pointer behind #
    #[arg(long, value_name = "URL")]
    count_url: Option<String>,
    /// Connections at one time, at most
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_connections: u32,
    /// Real time in all, at most; incidents that take longer are left out
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    max_time: Duration,
    /// Of an incident's crowd come so many clients, at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    crowd: u32,
}

/// What the server counts itself.
struct Counted {
    name: String,
    before: f64,
    most: f64,
    after: f64,
    back_in: Duration,
}

impl Counted {
    fn is_back(&self) -> bool {
        self.after <= self.before
    }
}

/// How often, and in what steps, a count is looked at before it is taken for the one that the server starts from.
const BASELINE_LOOKS: u32 = 12;
const BASELINE_LOOK: Duration = Duration::from_millis(500);

impl Probe {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        if !common.server.is_empty() {
            bail!("--server: not allowed with --addr, where the server is whoever listens there");
        }
        if self.max_connections == 0 || self.crowd == 0 {
            bail!("--max-connections, --crowd: allowed: 1 or more");
        }
        self.known()?;
        let mut remote = self.remote.remote(&self.addr)?;
        remote.crowd = self.crowd.min(self.max_connections);
        let survey = runtime()?
            .block_on(Survey::of(&mut remote, self.remote.pid))
            .context("--addr")?;
        let mut counts = self.counts(&remote)?;
        let before = baseline(&mut counts)?;
        let mut course = Course::of(&remote, &survey, self.max_time, &self.only);
        let affordable = probe::affordable(course.jobs.len());
        if affordable < remote.crowd {
            bail!(
                "this process may have too few open files for {} runs at once: ulimit -n, or name fewer incidents",
                course.jobs.len()
            );
        }
        let connections = self.max_connections.min(affordable);
        let expected = course.lasts(connections);
        eprintln!(
            "probing {}: {} runs, up to {} connections at once, at most {}",
            remote.name(),
            course.jobs.len(),
            course.connections().min(connections),
            spell(Duration::from_secs(expected.as_secs() + 1))
        );
        let start = Instant::now();
        let over = AtomicBool::new(false);
        let bounds = Bounds {
            connections,
            time: self.max_time,
        };
        let (mut probed, counts, most) = thread::scope(|scope| {
            let sampling = scope.spawn(|| sample(counts, &over));
            let bar = bar(course.jobs.len(), expected);
            let detail = match common.files.detail() {
                // What a known timer explains is seen in the phases.
                Detail {
                    timeline: false, ..
                } => Detail::TOLD,
                detail => detail,
            };
            let probed = probe::probe(&remote, &mut course, bounds, detail, || bar.inc(1));
            bar.finish_and_clear();
            over.store(true, Ordering::Relaxed);
            let (counts, most) = sampling.join().unwrap_or_default();
            (probed, counts, most)
        });
        let counted = settle(&remote, counts, &before, &most)?;
        let serves = runtime()?.block_on(survey::answers(&remote));
        for one in &mut probed {
            let (name, second) = (
                &one.cell.scenario.name,
                one.ordinal == probe::Ordinal::Second,
            );
            one.cell.again = Some(self.remote.again(name, remote.address, second));
            one.cell.came = Some(told(one));
        }
        let took = start.elapsed();
        self.tell(common, &remote, &course, &probed, &counted, serves, took)
    }

    /// Every name is one of the book's.
    fn known(&self) -> anyhow::Result<()> {
        for name in &self.only {
            let healthy = healthy::all().any(|one| one.scenario.name == *name);
            if !healthy && incident::named(name).is_none() {
                bail!(
                    "\"{name}\" is no incident and no healthy client; `hangup list` has the names"
                );
            }
        }
        Ok(())
    }

    fn counts(&self, remote: &Remote) -> anyhow::Result<Vec<Count>> {
        let mut counts = Vec::new();
        if let Some(url) = &self.count_url {
            counts.push(Count::Page(CountUrl::parse(url).context("--count-url")?));
        }
        if let Some(process) = self.remote.pid {
            counts.extend(Count::of_process(remote, process));
        }
        Ok(counts)
    }

    #[expect(clippy::too_many_arguments, reason = "all there is to tell, once")]
    fn tell(
        &self,
        common: &Common,
        remote: &Remote,
        course: &Course,
        probed: &[Probed],
        counted: &[Counted],
        serves: bool,
        took: Duration,
    ) -> anyhow::Result<u8> {
        let found = probed
            .iter()
            .filter(|one| one.cell.verdict() != Verdict::Clean)
            .count();
        let summary = format!(
            "{} runs in {:.1} s; {found} with findings, {} not applicable",
            probed.len(),
            took.as_secs_f64(),
            course.left.len()
        );
        common.files.write(&Results {
            title: format!("hangup probe --addr {}", remote.name()),
            summary: summary.clone(),
            cells: probed.iter().map(|one| &one.cell).collect(),
            coverage: None,
        })?;
        if common.json {
            println_json(&json!({
                "cells": probed.iter().map(json).collect::<Vec<_>>(),
                "not_applicable": course.left.iter().map(left_json).collect::<Vec<_>>(),
                "counts": counted.iter().map(|one| json!({
                    "what": one.name, "before": one.before, "most": one.most, "after": one.after,
                    "back": one.is_back(), "back_in_s": one.back_in.as_secs_f64(),
                })).collect::<Vec<_>>(),
                "sockets_seen": remote.census.is_some(),
                "serves_afterwards": serves,
                "wall_s": took.as_secs_f64(),
            }))?;
        } else {
            say!(
                "{}",
                Matrix {
                    probed,
                    left: &course.left
                }
            );
            for one in counted {
                say!("{}", fold::under(2, &one.to_string()));
            }
            if remote.census.is_none() {
                say!(
                    "{}",
                    fold::under(
                        2,
                        "the server's sockets are not to be seen from here: its FIN counts as the release"
                    )
                );
            }
            if !serves {
                say!("deaf: afterwards a plain request is not answered");
            }
            say!("{summary}");
            let gravest = probed.iter().max_by_key(|one| one.cell.verdict());
            if let Some(one) = gravest.filter(|_| found > 0) {
                say!("the story of one: {}", one.cell.replay());
            }
        }
        let well = found == 0 && serves && counted.iter().all(Counted::is_back);
        Ok(if well { CLEAN } else { FOUND })
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            before,
            most,
            after,
            back_in,
        } = self;
        let name = printable(name);
        write!(
            f,
            "{name} counts {before} connections before, {most} at most, "
        )?;
        match self.is_back() {
            true => write!(
                f,
                "and {after} when all clients had been gone for {:.1} s",
                back_in.as_secs_f64()
            ),
            false => write!(
                f,
                "and still {after} when all clients had been gone for {}: leftover",
                spell(*back_in)
            ),
        }
    }
}

/// The counts as they are when the first questions are forgotten, which a server may linger over for a while.
fn baseline(counts: &mut [Count]) -> anyhow::Result<Vec<f64>> {
    let mut read = || {
        let all = counts.iter_mut().map(Count::now);
        all.collect::<Result<Vec<f64>, _>>().context("--count-url")
    };
    let mut last = read()?;
    for _ in 0..BASELINE_LOOKS {
        if last.iter().all(|count| *count == 0.0) {
            break;
        }
        thread::park_timeout(BASELINE_LOOK);
        let now = read()?;
        last = last
            .iter()
            .zip(now)
            .map(|(one, other)| one.min(other))
            .collect();
    }
    Ok(last)
}

/// Reads the counts until it is over; gives the highest of each.
fn sample(mut counts: Vec<Count>, over: &AtomicBool) -> (Vec<Count>, Vec<f64>) {
    let mut most = vec![0.0_f64; counts.len()];
    while !over.load(Ordering::Relaxed) {
        for (count, most) in counts.iter_mut().zip(&mut most) {
            // A page that fails once is asked again; in the end it must not.
            if let Ok(now) = count.now() {
                *most = most.max(now);
            }
        }
        thread::park_timeout(Duration::from_millis(250));
    }
    (counts, most)
}

/// Waits until the counts are where they were, but no longer than the server has for that.
fn settle(
    remote: &Remote,
    mut counts: Vec<Count>,
    before: &[f64],
    most: &[f64],
) -> anyhow::Result<Vec<Counted>> {
    let start = Instant::now();
    let patience = remote.drains() + SETTLES;
    let mut all = Vec::new();
    for ((count, before), most) in counts.iter_mut().zip(before).zip(most) {
        let after = loop {
            let now = count.now().context("--count-url")?;
            if now <= *before || start.elapsed() > patience {
                break now;
            }
            thread::park_timeout(Duration::from_millis(100));
        };
        all.push(Counted {
            name: count.name(),
            before: *before,
            most: most.max(after),
            after,
            back_in: start.elapsed(),
        });
    }
    Ok(all)
}

fn bar(runs: usize, expected: Duration) -> ProgressBar {
    let template = format!(
        "{{wide_bar}} {{pos}}/{{len}} runs, {{elapsed}} of at most {}",
        spell(Duration::from_secs(expected.as_secs() + 1))
    );
    let style = ProgressStyle::with_template(&template).expect("a time is no placeholder");
    let bar = ProgressBar::new(runs as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
