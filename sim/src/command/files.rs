//! The files that a command writes beside what it prints.

use super::Command;
use crate::engine::Engine;
use crate::report::{Results, html, junit, pcap};
use crate::run::Detail;
use anyhow::{Context, bail};
use clap::Args;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

#[derive(Debug, Args, Clone)]
pub(super) struct Files {
    /// JUnit XML for CI systems, into this file: a test case a cell, with the report where something was found
    #[arg(long, global = true, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// A page with the matrix and the story of every cell, into this file
    #[arg(long, global = true, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The simulated packets of the run (of a campaign, of its first finding), into this file, for Wireshark
    #[arg(long, global = true, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

impl Files {
    /// Makes sure that the files can be written before anything is run for them.
    pub(super) fn prepare(&self, command: Option<&Command>, engine: Engine) -> anyhow::Result<()> {
        let judges = !matches!(
            command,
            Some(Command::Serve(_) | Command::List(_) | Command::Import(_))
        );
        for (flag, path) in self.all() {
            if !judges {
                bail!(
                    "{flag}: this command judges no run; allowed with check, run, replay, fuzz, sweep, exhaust, probe"
                );
            }
            let opened = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path);
            opened.with_context(|| format!("{flag}: {}", path.display()))?;
        }
        if self.pcap.is_some()
            && matches!(command, None | Some(Command::Check(_) | Command::Probe(_)))
        {
            bail!(
                "--pcap: a capture is of one run, not of a matrix; allowed with run, replay, fuzz, sweep, exhaust"
            );
        }
        if self.pcap.is_some() && !matches!(engine, Engine::Leap | Engine::Sealed) {
            bail!(
                "--pcap: only the engine leap has packets, not {}",
                engine.name()
            );
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let all = [
            ("--junit", &self.junit),
            ("--html", &self.html),
            ("--pcap", &self.pcap),
        ];
        all.into_iter()
            .filter_map(|(flag, path)| Some((flag, path.as_deref()?)))
    }

    /// What the runs have to keep for these files.
    pub(super) fn detail(&self) -> Detail {
        match (&self.html, &self.junit) {
            (Some(_), _) => Detail::PICTURED,
            (None, Some(_)) => Detail::TOLD,
            (None, None) => Detail::default(),
        }
    }

    /// What a single run has to keep for these files and for its report.
    pub(super) fn detail_of_one(&self) -> Detail {
        match (&self.pcap, &self.html) {
            (Some(_), _) => Detail::WHOLE,
            (None, Some(_)) => Detail::PICTURED,
            (None, None) => Detail::TOLD,
        }
    }

    /// Writes what was asked for.
    pub(super) fn write(&self, results: &Results<'_>) -> anyhow::Result<()> {
        if let Some(path) = &self.junit {
            let text = junit::xml(results);
            fs::write(path, text).with_context(|| format!("--junit: {}", path.display()))?;
        }
        if let Some(path) = &self.html {
            let page = html::page(results);
            fs::write(path, page).with_context(|| format!("--html: {}", path.display()))?;
        }
        if let Some(path) = &self.pcap {
            // A campaign that found nothing has nothing to show.
            let packets = results.cells.first().map(|cell| &*cell.run.packets);
            let capture = pcap::capture(packets.unwrap_or_default());
            fs::write(path, capture).with_context(|| format!("--pcap: {}", path.display()))?;
        }
        Ok(())
    }
}
