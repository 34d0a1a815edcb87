//! The tables, between two marks of a page.

use crate::cell::Cell;
use crate::peer::Peer;
use crate::told::{Run, Told};
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::process::Command;
use std::time::SystemTime;

const MARKS: [&str; 2] = [
    "<!-- made by tests/peers/matrix.sh -->",
    "<!-- until here -->",
];

/// The runs of an incident as the first or the second request.
pub(crate) fn runs_of<'a>(
    told: &'a [Told],
    scenario: &'a str,
    request: u8,
) -> impl Iterator<Item = &'a Run> {
    let cells = told.iter().flat_map(|told| &told.cells);
    cells.filter(move |run| run.scenario == scenario && run.request == request)
}

/// The page with new tables in it.
pub(crate) fn with_tables(page: &str, all: &[(&Peer, Vec<Told>)]) -> anyhow::Result<String> {
    let (before, rest) = page
        .split_once(MARKS[0])
        .context("the page has no place for tables")?;
    let (_, after) = rest
        .split_once(MARKS[1])
        .context("the page's tables have no end")?;
    Ok(format!(
        "{before}{}\n{}\n{}{after}",
        MARKS[0],
        tables(all)?,
        MARKS[1]
    ))
}

fn tables(all: &[(&Peer, Vec<Told>)]) -> anyhow::Result<String> {
    let mut text = String::new();
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let runs = all.iter().map(|(_, told)| told.len()).max().unwrap_or(0);
    writeln!(
        text,
        "\n{}, {runs} runs of each; {}.\n",
        &date[..10],
        versions()?
    )?;
    overview(&mut text, all)?;
    for (heading, timed) in [("As they come", false), ("With timeouts of 5 s", true)] {
        let some: Vec<_> = all.iter().filter(|(peer, _)| peer.timed == timed).collect();
        if !some.is_empty() {
            writeln!(text, "\n## {heading}\n")?;
            matrix(&mut text, &some)?;
        }
    }
    writeln!(text, "\n## What was not run\n")?;
    left(&mut text, all)?;
    Ok(text)
}

fn overview(text: &mut String, all: &[(&Peer, Vec<Told>)]) -> anyhow::Result<()> {
    writeln!(
        text,
        "| server | how it is set up | verdicts | differ |\n|---|---|---|---|"
    )?;
    for (peer, told) in all {
        let verdicts = told.first().map(Told::verdicts).unwrap_or_default();
        let verdicts = verdicts
            .iter()
            .map(|(verdict, count)| format!("{count} {verdict}"));
        let differ = cells(told).values().filter(|cell| cell.differs).count();
        let verdicts: Vec<String> = verdicts.collect();
        writeln!(
            text,
            "| {} | {} | {} | {differ} |",
            peer.name,
            peer.about,
            verdicts.join(", ")
        )?;
    }
    Ok(())
}

/// By incident and place.
fn cells(told: &[Told]) -> BTreeMap<(&str, u8), Cell> {
    let runs = told.iter().flat_map(|told| &told.cells);
    let keys: BTreeSet<(&str, u8)> = runs
        .map(|run| (run.scenario.as_str(), run.request))
        .collect();
    let cell = |(name, request)| {
        Cell::of(&runs_of(told, name, request).collect::<Vec<_>>())
            .map(|cell| ((name, request), cell))
    };
    keys.into_iter().filter_map(cell).collect()
}

fn matrix(text: &mut String, some: &[&(&Peer, Vec<Told>)]) -> anyhow::Result<()> {
    let names = some.iter().map(|(peer, _)| peer.name);
    writeln!(text, "| | {} |", names.collect::<Vec<_>>().join(" | "))?;
    writeln!(text, "|---|{}", "---|".repeat(some.len()))?;
    // In the order of the book.
    let mut incidents: Vec<&str> = Vec::new();
    for run in some
        .iter()
        .flat_map(|(_, told)| told)
        .flat_map(|told| &told.cells)
    {
        if !incidents.contains(&run.scenario.as_str()) {
            incidents.push(&run.scenario);
        }
    }
    let columns: Vec<_> = some.iter().map(|(_, told)| cells(told)).collect();
    for incident in incidents {
        let row = columns.iter().map(|cells| {
            let (first, second) = (cells.get(&(incident, 1)), cells.get(&(incident, 2)));
            match (first, second) {
                (Some(first), Some(second)) if second.says_no_more_than(first) => first.to_string(),
                (Some(first), Some(second)) => format!("{first}<br>2nd: {second}"),
                (Some(one), None) => one.to_string(),
                (None, Some(second)) => format!("2nd: {second}"),
                (None, None) => "-".to_owned(),
            }
        });
        writeln!(
            text,
            "| `{incident}` | {} |",
            row.collect::<Vec<_>>().join(" | ")
        )?;
    }
    Ok(())
}

/// By reason: incidents, and which servers, where it is not all.
fn left(text: &mut String, all: &[(&Peer, Vec<Told>)]) -> anyhow::Result<()> {
    let mut reasons: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for (peer, told) in all {
        for left in told.iter().flat_map(|told| &told.not_applicable) {
            let incidents = reasons.entry(&left.why).or_default();
            incidents
                .entry(&left.scenario)
                .or_default()
                .insert(peer.name);
        }
    }
    for (why, incidents) in reasons {
        let peers: BTreeSet<&str> = incidents.values().flatten().copied().collect();
        let incidents = incidents.into_keys().map(|name| format!("`{name}`"));
        let incidents = incidents.collect::<Vec<_>>().join(", ");
        let whose = match peers.len() == all.len() {
            true => String::new(),
            false => format!(" ({})", peers.into_iter().collect::<Vec<_>>().join(", ")),
        };
        writeln!(text, "- {why}: {incidents}{whose}")?;
    }
    Ok(())
}

/// What is compared.
fn versions() -> anyhow::Result<String> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .context(program.to_owned())?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        anyhow::Ok(text)
    };
    let package = "golang-github-valyala-fasthttp-dev";
    let fasthttp = said("dpkg-query", &["-W", "-f", "${Version}", package])?;
    let go = said("go", &["env", "GOVERSION"])?;
    let nginx = said("nginx", &["-v"])?;
    let node = said("node", &["--version"])?;
    let mut all = vec![
        format!("fasthttp {fasthttp}"),
        format!("net/http of {go}"),
        format!("node {node}"),
        nginx.replace("nginx version: nginx/", "nginx "),
    ];
    let lock: toml::Table = include_str!("../../../Cargo.lock").parse()?;
    let packages = lock.get("package").and_then(|all| all.as_array());
    for package in packages.into_iter().flatten() {
        let field = |name| {
            package
                .get(name)
                .and_then(|value| value.as_str())
                .unwrap_or_default()
        };
        if ["hyper", "axum", "actix-web"].contains(&field("name")) {
            all.push(format!("{} {}", field("name"), field("version")));
        }
    }
    Ok(all.join(", "))
}
