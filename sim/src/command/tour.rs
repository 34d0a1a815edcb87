//! A bare `hangup`: what a newcomer runs first. The matrix, then the gravest finding explained.

use super::{CLEAN, Common, FOUND, check};
use crate::cell::{Cell, most_telling};
use crate::report::Results;
use crate::report::matrix::Matrix;
use crate::report::text::Report;
use crate::run::Detail;
use crate::server;
use hangup_scenario::Verdict;
use std::time::Instant;

/// The tour. The exit status says whether every cell is what is pinned for it.
pub(super) fn tour(common: &Common) -> anyhow::Result<u8> {
    let mut servers = common.servers_or(&[])?;
    if servers.is_empty() {
        servers = server::built_in();
    }
    let start = Instant::now();
    let cells = check::cells(
        common.engine.into(),
        &check::applying(crate::incident::all(), &servers),
        &servers,
        common.files.detail(),
    );
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
        coverage: None,
    })?;
    if common.json {
        let cells: Vec<_> = cells
            .iter()
            .map(crate::report::json::CellJson::from)
            .collect();
        super::println_json(&serde_json::json!({ "cells": cells }))?;
        return Ok(status(common, found, surprises.len()));
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

    if let Some(gravest) = most_telling(&cells) {
        say!("The gravest of them:\n");
        let server = common.find_server(&gravest.server)?;
        let told = Cell::of(
            common.engine.into(),
            &gravest.scenario,
            &*server,
            Detail::TOLD,
        );
        say!("{}\n", Report(&told));
        say!(
            "the same client against our server: {} run {} --server hangup",
            super::program(),
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
    Ok(status(common, found, surprises.len()))
}

/// What is pinned for the built-in servers is no news; for a server of one's own every finding is.
fn status(common: &Common, found: usize, surprises: usize) -> u8 {
    let news = if common.own.is_empty() {
        surprises
    } else {
        found
    };
    if news == 0 { CLEAN } else { FOUND }
}
