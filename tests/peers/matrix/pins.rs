//! Verdicts that are to stay: a line an incident and a place, with every server once.

use crate::cell::Cell;
use crate::page::runs_of;
use crate::peer::{PEERS, Peer};
use crate::told::Told;
use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;

/// By incident (` 2nd` behind its name: as the second request), by verdict: the servers.
type Pins = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// Holds what was seen to the pins.
pub(crate) fn hold(text: &str, all: &[(&Peer, Vec<Told>)]) -> anyhow::Result<()> {
    let pins: Pins = toml::from_str(text).context("pins.toml")?;
    let (mut news, mut held) = (Vec::new(), 0);
    for (incident, verdicts) in &pins {
        for peer in &PEERS {
            let named = verdicts
                .values()
                .flatten()
                .filter(|name| *name == peer.name);
            ensure!(
                named.count() == 1,
                "pins.toml: {incident}: {} is to be there once",
                peer.name
            );
        }
        let (scenario, request) = match incident.strip_suffix(" 2nd") {
            Some(scenario) => (scenario, 2),
            None => (incident.as_str(), 1),
        };
        for (peer, told) in all {
            let due = verdicts
                .iter()
                .find(|(_, names)| names.iter().any(|name| name == peer.name));
            let due = due.map_or("", |(verdict, _)| verdict.as_str());
            for run in runs_of(told, scenario, request) {
                held += 1;
                if run.verdict() != due {
                    let cell = Cell::of(&[run]).map(|cell| cell.to_string());
                    news.push(format!(
                        "{}: {incident}: {due} is due: {}: {}",
                        peer.name,
                        run.verdict(),
                        cell.unwrap_or_default()
                    ));
                }
            }
        }
    }
    let due: usize = all.iter().map(|(_, told)| told.len() * pins.len()).sum();
    ensure!(
        held == due,
        "{held} verdicts were to be seen of {due}: an incident was left out"
    );
    if !news.is_empty() {
        bail!("not as pinned:\n  {}", news.join("\n  "));
    }
    println!("{held} verdicts are as pinned");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of it when the first server's only run has this verdict, and "hung" is due.
    fn held(scenario: &str, verdict: &str, pinned: &[&str]) -> anyhow::Result<()> {
        let told = format!(
            r#"{{"not_applicable": [], "counts": [], "sockets_seen": true, "serves_afterwards": true, "wall_s": 1.0, "cells": [
                {{"scenario": "{scenario}", "request": 1, "verdict": "{verdict}", "open_because": [], "came": []}}]}}"#
        );
        let told: Told = serde_json::from_str(&told).expect("it is a probe");
        hold(
            &format!("[x]\nhung = {pinned:?}"),
            &[(&PEERS[0], vec![told])],
        )
    }

    #[test]
    fn another_verdict_a_run_left_out_and_a_server_left_out_are_told() {
        let names = PEERS.map(|peer| peer.name);
        assert!(held("x", "hung", &names).is_ok());
        for (scenario, verdict, pinned, says) in [
            ("x", "clean", &names[..], "hung is due: clean"),
            ("y", "hung", &names[..], "an incident was left out"),
            ("x", "hung", &names[1..], "is to be there once"),
        ] {
            let error = held(scenario, verdict, pinned).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
