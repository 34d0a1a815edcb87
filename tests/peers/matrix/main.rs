//! What `hangup probe` says of real servers: starts each, probes it, holds the verdicts that matter to `pins.toml`, and with
//! `--write` makes the page of all of them. `tests/peers/matrix.sh` installs and builds what this needs.
//!
//! | module | what lives there |
//! |---|---|
//! | `peer` | the servers, how each is started and ended, and its timers |
//! | `told` | what the command's JSON says of a run |
//! | `cell` | several runs of one incident against one server, in a few words |
//! | `page` | the tables |
//! | `pins` | verdicts that are to stay |

mod cell;
mod page;
mod peer;
mod pins;
mod told;

use anyhow::{Context, ensure};
use clap::Parser;
use peer::{PEERS, Peer};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use told::Told;

/// What each of them is held to. None but `nginx` and `node` without flags has a clock that is longer.
const CONTRACT: &str = "stall=7s,residence=25s,drain=3s";

#[derive(Parser)]
struct Arguments {
    /// The command
    #[arg(long)]
    hangup: PathBuf,
    /// Where the servers that are written in Go are built, each under its folder's name
    #[arg(long)]
    go: PathBuf,
    /// How often each server is probed
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// How many servers at one time
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// The page in which the tables are put
    #[arg(long)]
    write: Option<PathBuf>,
    /// Only these
    peers: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let wanted = |peer: &&Peer| {
        arguments.peers.is_empty() || arguments.peers.iter().any(|name| name == peer.name)
    };
    let peers: Vec<&Peer> = PEERS.iter().filter(wanted).collect();
    ensure!(
        !peers.is_empty(),
        "no such server; there are: {}",
        peer::names()
    );
    let mut all: Vec<(&Peer, Vec<Told>)> = peers.iter().map(|peer| (*peer, Vec::new())).collect();
    for _ in 0..arguments.runs {
        for some in all.chunks_mut(arguments.at_once.max(1)) {
            thread::scope(|scope| {
                let probes = some.iter_mut().map(|(peer, runs)| {
                    let probe = scope.spawn(|| probe(peer, &arguments).context(peer.name));
                    (probe, runs)
                });
                for (probe, runs) in probes.collect::<Vec<_>>() {
                    runs.push(probe.join().expect("it gives its errors back")?);
                }
                anyhow::Ok(())
            })?;
        }
    }
    for (peer, runs) in &all {
        for told in runs {
            println!("{}", told.summary(peer.name));
        }
    }
    if let Some(path) = &arguments.write {
        let page = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        fs::write(path, page::with_tables(&page, &all)?)?;
        println!("written: {}", path.display());
    }
    pins::hold(include_str!("../pins.toml"), &all)
}

/// One probe of one server.
fn probe(peer: &Peer, arguments: &Arguments) -> anyhow::Result<Told> {
    let running = peer.start(&arguments.go)?;
    let mut command = Command::new(&arguments.hangup);
    command.args([
        "probe",
        "--json",
        "--contract",
        CONTRACT,
        "--max-time",
        "2m",
    ]);
    command.args([
        "--addr",
        &running.address,
        "--pid",
        &running.id().to_string(),
    ]);
    if let Some(url) = &running.count_url {
        command.args(["--count-url", url]);
    }
    for timer in peer.timers {
        command.args(["--known-timer", timer]);
    }
    let output = command.output().context("hangup does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        matches!(output.status.code(), Some(0 | 1)),
        "hangup probe: {said}"
    );
    let told: Told = serde_json::from_slice(&output.stdout).context(said.into_owned())?;
    ensure!(told.sockets_seen, "its sockets are not seen");
    ensure!(told.serves_afterwards, "afterwards it serves nobody");
    for count in &told.counts {
        ensure!(
            count.back,
            "{} counts {} before and {} afterwards",
            count.what,
            count.before,
            count.after
        );
    }
    Ok(told)
}
