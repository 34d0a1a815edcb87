//! The flags that say which running server is meant, and what it is held to.

use crate::remote::Remote;
use crate::remote::routes::ROUTES;
use crate::remote::survey::Survey;
use crate::remote::timer::{KnownTimer, PHASES};
use anyhow::{Context, bail};
use clap::Args;
use hangup_scenario::Contract;
use std::fmt::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

#[derive(Debug, Args, Clone)]
pub(super) struct RemoteFlags {
    /// What the server promises, as stall=75s,residence=10m,drain=5s: how long a connection may be held after its last byte, how
    /// long in all, and how long after its client is gone
    #[arg(long, value_name = "PROMISES", value_parser = promises)]
    contract: Option<Contract>,
    /// How long silent connections are watched where --contract does not say it; what is open then is convicted
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    watch: Option<Duration>,
    /// How late the server and this machine may be
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    tolerance: Duration,
    /// The server's own timeouts were made this many times shorter than the contract says, and so is all that clients do
    #[arg(long, value_name = "N", default_value = "1")]
    times: NonZeroU32,
    /// A documented timer that is longer than the contract: a connection on which it runs is told apart (repeatable). As idle=75s,
    /// which every byte winds up again, or body=5m,total
    #[arg(long, value_name = "PHASE=TIME[,total]", value_parser = known_timer)]
    known_timer: Vec<KnownTimer>,
    /// The path that answers a GET at once
    #[arg(long, value_name = "PATH", value_parser = path)]
    get: Option<String>,
    /// The path that reads the body of a POST
    #[arg(long, value_name = "PATH", value_parser = path)]
    post: Option<String>,
    /// Where a route of the probe app is, as /big=/file.bin (repeatable)
    #[arg(long, value_name = "ROUTE=PATH", value_parser = route)]
    route: Vec<(String, String)>,
    /// The value of Host
    #[arg(long, value_name = "NAME", value_parser = host)]
    host: Option<String>,
    /// The server's process: its sockets, and those of its descendants, are counted
    #[arg(long, value_name = "PID")]
    pub(super) pid: Option<u32>,
    /// The address need not be a loopback one: what is done to it is what attackers do
    #[arg(long)]
    i_own_this_server: bool,
}

fn promises(text: &str) -> Result<Contract, String> {
    let mut contract = Contract::default();
    for part in text.split(',') {
        let (name, time) = part.split_once('=').unwrap_or((part, ""));
        let place = match name.trim() {
            "stall" => &mut contract.stall,
            "residence" => &mut contract.residence,
            "drain" => &mut contract.drain,
            other => {
                return Err(format!(
                    "unknown promise \"{other}\"; allowed: stall=TIME, residence=TIME, drain=TIME, with commas"
                ));
            }
        };
        *place = Some(duration(time).map_err(|why| format!("{name}: {why}"))?);
    }
    Ok(contract)
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|why| format!("\"{text}\" is no time ({why}); allowed: as 75s, 10m"))
}

fn known_timer(text: &str) -> Result<KnownTimer, String> {
    let allowed = || {
        format!(
            "allowed: PHASE=TIME or PHASE=TIME,total, the phase one of {}",
            PHASES.join(", ")
        )
    };
    let (name, time) = text.split_once('=').ok_or_else(allowed)?;
    let (time, total) = match time.split_once(',') {
        Some((time, "total")) => (time, true),
        Some(_) => return Err(allowed()),
        None => (time, false),
    };
    let phase = PHASES.into_iter().find(|phase| *phase == name);
    Ok(KnownTimer {
        phase: phase.ok_or_else(allowed)?,
        lasts: duration(time)?,
        total,
    })
}

fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("allowed: a path, as /upload".to_owned()),
    }
}

fn route(text: &str) -> Result<(String, String), String> {
    let known = ROUTES.map(|route| route.path);
    let allowed = || format!("allowed: ROUTE=PATH, the route one of {}", known.join(", "));
    let (name, place) = text.split_once('=').ok_or_else(allowed)?;
    match known.contains(&name) {
        true => Ok((name.to_owned(), path(place)?)),
        false => Err(allowed()),
    }
}

fn host(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("allowed: a name, as example.org".to_owned()),
    }
}

/// Real time and real sockets, for the questions before the runs.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

impl RemoteFlags {
    /// The server that is meant by these flags, at `address`; nothing has been said to it yet.
    pub(super) fn remote(&self, address: &str) -> anyhow::Result<Remote> {
        let address = self.resolve(address)?;
        let mut contract = self.contract.unwrap_or_default();
        contract.stall = contract.stall.or(self.watch);
        if contract.stall.is_none() {
            bail!(
                "how long may a silent connection be held? --contract stall=75s,drain=5s says what the server promises, --watch 30s \
                 how long to look"
            );
        }
        let mut remote = Remote::at(address, contract);
        remote.times = self.times;
        remote.tolerance = self.tolerance;
        remote.timers.clone_from(&self.known_timer);
        remote.routes.host.clone_from(&self.host);
        let short = [("/", &self.get), ("/echo", &self.post)];
        let short = short
            .into_iter()
            .filter_map(|(name, place)| Some((name, place.as_deref()?)));
        let long = self
            .route
            .iter()
            .map(|(name, place)| (name.as_str(), place.as_str()));
        for (name, place) in short.chain(long) {
            remote.routes.put(name, place.to_owned());
        }
        Ok(remote)
    }

    fn resolve(&self, address: &str) -> anyhow::Result<SocketAddr> {
        let found = address.to_socket_addrs().with_context(|| {
            format!("--addr: \"{address}\" is no address; allowed: HOST:PORT, as 127.0.0.1:8080")
        })?;
        let found: Vec<SocketAddr> = found.collect();
        if let Some(other) = found
            .iter()
            .find(|found| !found.ip().to_canonical().is_loopback())
            && !self.i_own_this_server
        {
            bail!(
                "--addr: {other} is not a loopback address, and what is done to a server here is what attackers do; allowed with \
                 --i-own-this-server"
            );
        }
        // A name may have addresses of both families, of which the server has one.
        let answers = |address: &&SocketAddr| {
            std::net::TcpStream::connect_timeout(address, Duration::from_secs(2)).is_ok()
        };
        let first = found.iter().find(answers).or_else(|| found.first());
        first
            .copied()
            .with_context(|| format!("--addr: \"{address}\" has no address"))
    }

    /// The command that runs a scenario against the same server again.
    pub(super) fn again(&self, origin: &str, address: SocketAddr, second: bool) -> String {
        let mut text = format!("{} run {origin} --addr {address}", super::program());
        let mut flag = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = write!(text, " --{name} {}", quoted(&value));
        };
        let contract = self.contract.unwrap_or_default();
        let promises = [
            ("stall", contract.stall),
            ("residence", contract.residence),
            ("drain", contract.drain),
        ];
        let promises: Vec<String> = promises
            .into_iter()
            .filter_map(|(name, time)| Some(format!("{name}={}", spelled(time?))))
            .collect();
        if !promises.is_empty() {
            flag("contract", promises.join(","));
        }
        if let Some(watch) = self.watch {
            flag("watch", spelled(watch));
        }
        if self.tolerance != Duration::from_secs(1) {
            flag("tolerance", spelled(self.tolerance));
        }
        if self.times.get() > 1 {
            flag("times", self.times.to_string());
        }
        for timer in &self.known_timer {
            let total = if timer.total { ",total" } else { "" };
            flag(
                "known-timer",
                format!("{}={}{total}", timer.phase, spelled(timer.lasts)),
            );
        }
        for (name, value) in [
            ("get", &self.get),
            ("post", &self.post),
            ("host", &self.host),
        ] {
            if let Some(value) = value {
                flag(name, value.clone());
            }
        }
        for (name, place) in &self.route {
            flag("route", format!("{name}={place}"));
        }
        if let Some(process) = self.pid {
            flag("pid", process.to_string());
        }
        if second {
            text.push_str(" --second");
        }
        if self.i_own_this_server {
            text.push_str(" --i-own-this-server");
        }
        text
    }

    /// Makes sure that the server is there, and looks at its sockets if they are of this machine.
    pub(super) fn reach(&self, remote: &mut Remote) -> anyhow::Result<()> {
        let reached = runtime()?.block_on(Survey::reach(remote, self.pid));
        reached.map(drop).context("--addr")
    }
}

/// A time without a space, as a flag takes it.
fn spelled(time: Duration) -> String {
    humantime::format_duration(time)
        .to_string()
        .replace(' ', "")
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/=,.:_-".contains(&byte);
    match word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
