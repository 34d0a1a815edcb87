//! `hangup check`: every incident against every server.

use super::{CLEAN, Common, FOUND, println_json};
use crate::campaign;
use crate::cell::Cell;
use crate::finding::spell_days;
use crate::report::Results;
use crate::report::json::CellJson;
use crate::report::matrix::Matrix;
use crate::run::Detail;
use crate::server::Server;
use crate::{engine::Engine, incident};
use anyhow::{Context, bail};
use clap::Args;
use hangup_scenario::nearest::did_you_mean;
use hangup_scenario::{Scenario, Verdict};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Only these incidents (all of the book, unless said otherwise)
    #[arg(value_name = "INCIDENT")]
    incidents: Vec<String>,
}

/// The incidents with these names, or all.
fn named(names: &[String]) -> anyhow::Result<Vec<Arc<Scenario>>> {
    if names.is_empty() {
        return Ok(incident::all().to_vec());
    }
    let find = |name: &String| {
        incident::named(name).with_context(|| {
            let all = incident::all().iter().map(|one| one.name.as_str());
            let program = super::program();
            format!(
                "\"{name}\" is no incident (see `{program} list`){}",
                did_you_mean(name, all)
            )
        })
    };
    let mut found = names.iter().map(find).collect::<anyhow::Result<Vec<_>>>()?;
    // Who is named twice is tried once, in the order of the book.
    let place = |one: &Arc<Scenario>| incident::all().iter().position(|it| it.name == one.name);
    found.sort_by_key(place);
    found.dedup_by_key(|one| one.name.clone());
    Ok(found)
}

impl Check {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let incidents = named(&self.incidents)?;
        let mut servers = common.servers_or(&[])?;
        if servers.is_empty() {
            servers = common.all_servers();
        }
        let start = Instant::now();
        let applying = applying(&incidents, &servers);
        if applying.is_empty()
            && let Some((incident, server, why)) = left_out(&incidents, &servers).pop()
        {
            bail!("nothing was run: {incident} says nothing of {server}, since {why}");
        }
        let cells = cells(
            common.engine.into(),
            &applying,
            &servers,
            common.files.detail(),
        );
        let found = cells
            .iter()
            .filter(|cell| cell.verdict() != Verdict::Clean)
            .count();
        common.files.write(&Results {
            title: "hangup check".to_owned(),
            summary: summary(&cells, found, start.elapsed()),
            cells: cells.iter().collect(),
            coverage: None,
        })?;
        if common.json {
            let cells: Vec<CellJson<'_>> = cells.iter().map(CellJson::from).collect();
            println_json(&serde_json::json!({ "cells": cells }))?;
        } else {
            let names = servers.iter().map(|server| server.name()).collect();
            say!(
                "{}",
                Matrix {
                    servers: names,
                    cells: &cells
                }
            );
            say!("{}", summary(&cells, found, start.elapsed()));
            if found > 0 {
                say!(
                    "the story of a cell: {} run INCIDENT --server NAME",
                    super::program()
                );
            }
            for (incident, server, why) in left_out(&incidents, &servers) {
                say!("left out: {incident}, since {why} ({server})");
            }
        }
        Ok(if found == 0 { CLEAN } else { FOUND })
    }
}

/// What was run, in one line.
pub(super) fn summary(cells: &[Cell], found: usize, wall: Duration) -> String {
    let simulated: Duration = cells.iter().map(|cell| cell.run.end()).sum();
    format!(
        "{} runs, each twice; {found} with findings; {} of simulated time in {:.2} s",
        cells.len(),
        spell_days(simulated),
        wall.as_secs_f64()
    )
}

/// The incidents that do not apply to one of these servers, with that server and the reason.
fn left_out<'a>(
    incidents: &'a [Arc<Scenario>],
    servers: &'a [Arc<dyn Server>],
) -> Vec<(&'a str, &'a str, String)> {
    incidents
        .iter()
        .filter_map(|incident| {
            let mut reasons = servers
                .iter()
                .filter_map(|server| Some((server.name(), server.inapplicable(incident)?)));
            let (server, why) = reasons.next()?;
            Some((incident.name.as_str(), server, why))
        })
        .collect()
}

/// Those of the incidents that apply to every one of these servers.
pub(super) fn applying(
    incidents: &[Arc<Scenario>],
    servers: &[Arc<dyn Server>],
) -> Vec<Arc<Scenario>> {
    let apply = |incident: &&Arc<Scenario>| {
        servers
            .iter()
            .all(|server| server.inapplicable(incident).is_none())
    };
    incidents.iter().filter(apply).cloned().collect()
}

/// The cells of these incidents and servers, with a progress bar when it takes over a second.
pub(super) fn cells(
    engine: Engine,
    incidents: &[Arc<Scenario>],
    servers: &[Arc<dyn Server>],
    detail: Detail,
) -> Vec<Cell> {
    let bar = ProgressBar::hidden().with_style(
        ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}")
            .expect("the template is a constant"),
    );
    bar.set_length((incidents.len() * servers.len()) as u64);
    let start = Instant::now();
    let cells = campaign::check::check(engine, incidents, servers, detail, |cell| {
        if bar.is_hidden() && start.elapsed() > Duration::from_secs(1) {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        bar.inc(1);
        bar.set_message(cell.scenario.name.clone());
    });
    bar.finish_and_clear();
    cells
}
