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
use clap::Args;
use hangup_scenario::{Scenario, Verdict};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(super) struct Check {}

impl Check {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let mut servers = common.servers_or(&[])?;
        if servers.is_empty() {
            servers = common.all_servers();
        }
        let start = Instant::now();
        let cells = cells(common.engine.into(), &servers, common.files.detail());
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
            for (incident, server, why) in left_out(&servers) {
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
fn left_out(servers: &[Arc<dyn Server>]) -> Vec<(&'static str, &str, String)> {
    incident::all()
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

/// The cells of all incidents that apply to every one of these servers, with a progress bar when it takes over a second.
pub(super) fn cells(engine: Engine, servers: &[Arc<dyn Server>], detail: Detail) -> Vec<Cell> {
    let apply = |incident: &&Arc<Scenario>| {
        servers
            .iter()
            .all(|server| server.inapplicable(incident).is_none())
    };
    let incidents: Vec<Arc<Scenario>> = incident::all().iter().filter(apply).cloned().collect();
    let bar = ProgressBar::hidden().with_style(
        ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}")
            .expect("the template is a constant"),
    );
    bar.set_length((incidents.len() * servers.len()) as u64);
    let start = Instant::now();
    let cells = campaign::check::check(engine, &incidents, servers, detail, |cell| {
        if bar.is_hidden() && start.elapsed() > Duration::from_secs(1) {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        bar.inc(1);
        bar.set_message(cell.scenario.name.clone());
    });
    bar.finish_and_clear();
    cells
}
