//! A bare `hangup`: what a newcomer runs first. The matrix, then the gravest finding explained.

use super::{CLEAN, Common, FOUND, check};
use crate::cell::Cell;
use crate::report::Results;
use crate::report::matrix::Matrix;
use crate::report::text::Report;
use crate::run::Detail;
use crate::server;
use hangup_scenario::Verdict;
use std::time::Instant;

/// The tour. The exit status says whether every cell is what is pinned for it.
pub(super) fn tour(common: &Common) -> anyhow::Result<u8> {
    let servers = if common.server.is_empty() {
        server::built_in()
    } else {
        common.servers_or(&[])?
    };
    let start = Instant::now();
    let cells = check::cells(common.engine.into(), &servers, common.files.detail());
    let found = cells
        .iter()
        .filter(|cell| cell.verdict() != Verdict::Clean)
        .count();
    let surprises: Vec<&Cell> = cells
        .iter()
        .filter(|cell| cell.pinned().is_some_and(|pinned| pinned != cell.verdict()))
        .collect();
    common.files.write(&Results {
        title: "hangup".to_owned(),
        summary: check::summary(&cells, found, start.elapsed()),
        cells: cells.iter().collect(),
    })?;
    if common.json {
        let cells: Vec<_> = cells
            .iter()
            .map(crate::report::json::CellJson::from)
            .collect();
        super::println_json(&serde_json::json!({ "cells": cells }))?;
        return Ok(if surprises.is_empty() { CLEAN } else { FOUND });
    }
    say!("What can a client do to keep a connection for ever? Incidents x servers:\n");
    let names = servers.iter().map(|server| server.name()).collect();
    say!(
        "{}",
        Matrix {
            servers: names,
            cells: &cells
        }
    );
    say!("{}\n", check::summary(&cells, found, start.elapsed()));

    if let Some(gravest) = gravest(&cells) {
        say!("The gravest of them:\n");
        let server = super::find_server(&gravest.server)?;
        let told = Cell::of(
            common.engine.into(),
            &gravest.scenario,
            &*server,
            Detail::TOLD,
        );
        say!("{}\n", Report(&told));
        say!(
            "the same client against our server: hangup run {} --server hangup",
            told.scenario.name
        );
    }
    for cell in &surprises {
        let pinned = cell.pinned().unwrap_or(Verdict::Clean);
        say!(
            "not what is pinned: {} on {}: {}, pinned {pinned}",
            cell.scenario.name,
            cell.server,
            cell.verdict()
        );
    }
    Ok(if surprises.is_empty() { CLEAN } else { FOUND })
}

/// The incident that it all began with, on a server that has its timeouts switched on: the one to tell among equals.
const FIRST: (&str, &str) = ("fasthttp-1834", "hyper-timeouts");

/// The gravest cell that holds a connection, since that has a stack to show; among those that hold one for as many
/// hours, the incident that it all began with.
fn gravest(cells: &[Cell]) -> Option<&Cell> {
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
}
