//! `hangup import`: what was recorded in production becomes a scenario file.

use super::{CLEAN, Common, println_json};
use crate::finding::spell;
use crate::import::{Choice, Imported, LeftOut, Told, import};
use anyhow::{Context, bail};
use clap::Args;
use hangup_scenario::Scenario;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// So many connections are told of one by one.
const TOLD_MAX: usize = 20;
/// So much of the file's name becomes part of the scenario's.
const STEM_MAX: usize = 60;

#[derive(Debug, Args)]
pub(super) struct Import {
    /// A capture (pcap, pcapng), or the file of a flight recorder (-: standard input)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only the connection with this number (tcp.stream of Wireshark, and one)
    #[arg(long, value_name = "N")]
    connection: Option<u64>,
    /// Only connections to this port of a server (captures)
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Bodies and all header values stay as they were: they may hold secrets
    #[arg(long)]
    keep_payload: bool,
    /// Send every request to this target instead of its own; the built-in servers read bodies at /echo
    #[arg(long, value_name = "TARGET", value_parser = target)]
    target: Option<String>,
    /// Folder for the scenario; without it, it goes to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn target(text: &str) -> Result<String, String> {
    let allowed = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    match allowed {
        true => Ok(text.to_owned()),
        false => Err("a target is visible ASCII without spaces, as /echo".to_owned()),
    }
}

impl Import {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let name = self.file.display().to_string();
        if self.file.is_dir() {
            bail!("{name}: this is a folder; allowed: a file");
        }
        let choice = Choice {
            connection: self.connection,
            port: self.port,
            keep_payload: self.keep_payload,
            target: self.target,
        };
        let imported = match name.as_str() {
            "-" => import(Watched::of(io::stdin().lock(), None), &choice),
            _ => {
                let file = File::open(&self.file).with_context(|| name.clone())?;
                let length = file.metadata().ok().map(|data| data.len());
                import(Watched::of(BufReader::new(file), length), &choice)
            }
        };
        let Imported {
            mut scenario,
            connections,
            left_out,
            notes,
        } = imported.with_context(|| name.clone())?;
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        let kept = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
        let mut stem: String = stem.chars().filter(kept).take(STEM_MAX).collect();
        if name == "-" {
            "stdin".clone_into(&mut stem);
        }
        scenario.name = match self.connection {
            Some(number) => format!("import-{stem}-{number}"),
            None => format!("import-{stem}"),
        };
        scenario.source = format!("hangup import {stem}");
        let comment = comment(&connections, &left_out, &notes);
        let text = format!("{comment}{}", scenario.to_toml());
        // Nothing is written that could not be run.
        Scenario::from_toml(&name, &text)?;
        let file = match &self.out {
            None => None,
            Some(folder) => {
                let file = folder.join(format!("{}.toml", scenario.name));
                fs::create_dir_all(folder)
                    .and_then(|()| fs::write(&file, &text))
                    .with_context(|| format!("--out: {}", folder.display()))?;
                Some(file.display().to_string())
            }
        };
        if common.json {
            println_json(&json!({
                "file": file,
                "scenario": scenario.to_toml(),
                "connections": connections.iter().map(told).collect::<Vec<_>>(),
                "left_out": left_out.iter().map(why).collect::<Vec<_>>(),
                "notes": notes,
            }))?;
        } else {
            say!("{}", file.as_deref().unwrap_or_else(|| text.trim_end()));
        }
        Ok(CLEAN)
    }
}

/// A recording that tells how much of it has been read: on a terminal by a bar, once that takes more than a second; elsewhere by a line
/// every [`TELL_EVERY`].
struct Watched<R> {
    file: R,
    bar: ProgressBar,
    length: Option<u64>,
    read: u64,
    begun: Instant,
}

/// In MiB.
const TELL_EVERY: u64 = 256;

impl<R> Watched<R> {
    fn of(file: R, length: Option<u64>) -> Self {
        let template = match length {
            Some(_) => "{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{spinner} {bytes} read, {bytes_per_sec}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is a constant");
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        Self {
            file,
            bar: bar.with_style(style),
            length,
            read: 0,
            begun: Instant::now(),
        }
    }

    /// One more MiB has been read.
    fn tell(&mut self) {
        let mebibytes = self.read >> 20;
        if io::stderr().is_terminal() {
            if self.bar.is_hidden() && self.begun.elapsed() > Duration::from_secs(1) {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            self.bar.set_position(self.read);
        } else if mebibytes.is_multiple_of(TELL_EVERY) {
            let of = self
                .length
                .map_or(String::new(), |length| format!(" of {} MiB", length >> 20));
            anstream::eprintln!("hangup: import: {mebibytes} MiB{of} read");
        }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let before = self.read >> 20;
        self.read += count as u64;
        if self.read >> 20 > before {
            self.tell();
        }
        Ok(count)
    }
}

impl<R> Drop for Watched<R> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What stands above the scenario: which connections it is made of, and what is not in it.
fn comment(connections: &[Told], left_out: &[LeftOut], notes: &[String]) -> String {
    let mut out = String::new();
    for told in connections.iter().take(TOLD_MAX) {
        let statuses: Vec<String> = told.statuses.iter().map(u16::to_string).collect();
        let statuses = match &statuses[..] {
            [] => String::new(),
            all => format!(" ({})", all.join(", ")),
        };
        // A String takes every write.
        let _ = writeln!(
            out,
            "# connection {}, after {}: {} bytes in, {} out{statuses}; {}",
            told.connection,
            spell(told.opened),
            told.bytes_in,
            told.bytes_out,
            told.end
        );
    }
    if connections.len() > TOLD_MAX {
        let _ = writeln!(out, "# and {} more", connections.len() - TOLD_MAX);
    }
    for LeftOut { told, why } in left_out.iter().take(TOLD_MAX) {
        let _ = writeln!(
            out,
            "# left out: connection {}, after {}: {} bytes in, {} out; {why}",
            told.connection,
            spell(told.opened),
            told.bytes_in,
            told.bytes_out
        );
    }
    if left_out.len() > TOLD_MAX {
        let _ = writeln!(out, "# and {} more are left out", left_out.len() - TOLD_MAX);
    }
    for note in notes {
        let _ = writeln!(out, "# {note}");
    }
    out
}

fn told(told: &Told) -> Value {
    json!({
        "connection": told.connection,
        "opened_s": told.opened.as_secs_f64(),
        "bytes_in": told.bytes_in,
        "bytes_out": told.bytes_out,
        "statuses": told.statuses,
        "end": told.end,
    })
}

fn why(left_out: &LeftOut) -> Value {
    let mut value = told(&left_out.told);
    value["why"] = json!(left_out.why);
    value
}
