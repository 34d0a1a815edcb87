//! `hangup run`: one scenario against one server.

use super::remote::RemoteFlags;
use super::{Common, find_scenario, show};
use crate::campaign::probe::cut_off;
use crate::cell::Cell;
use crate::engine::Engine;
use crate::remote::{Remote, timer};
use anyhow::{Context, bail};
use clap::Args;
use hangup_scenario::Scenario;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct RunCommand {
    /// An incident's name, or a scenario file
    #[arg(value_name = "INCIDENT_OR_FILE")]
    origin: String,
    /// Seed of the run, in place of the scenario's own
    #[arg(long)]
    seed: Option<u64>,
    /// Over real TCP, against the server that listens there, as HOST:PORT; with the flags of `hangup probe`
    #[arg(long, value_name = "ADDR")]
    addr: Option<String>,
    #[command(flatten)]
    remote: RemoteFlags,
    /// With --addr: behind a first request on each connection
    #[arg(long, requires = "addr")]
    second: bool,
}

impl RunCommand {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let mut scenario = find_scenario(&self.origin)?;
        if let Some(seed) = self.seed {
            Arc::make_mut(&mut scenario).seed = seed;
        }
        let origin = match self.seed {
            Some(seed) => format!("{} --seed {seed}", self.origin),
            None => self.origin.clone(),
        };
        if let Some(address) = &self.addr {
            return self.afar(address, &scenario, &origin, common);
        }
        let server = common.one_server("hangup")?;
        common.say_which(&*server);
        let detail = common.files.detail_of_one();
        let mut cell = Cell::twice(common.engine.into(), &scenario, &*server, detail);
        cell.origin = origin;
        show(&cell, common)
    }

    /// Against a server that is running.
    fn afar(
        &self,
        address: &str,
        scenario: &Scenario,
        origin: &str,
        common: &Common,
    ) -> anyhow::Result<u8> {
        if !common.server.is_empty() {
            bail!("--server: not allowed with --addr, where the server is whoever listens there");
        }
        if matches!(common.engine.into(), Engine::Turmoil | Engine::Sealed) {
            bail!("--addr: only the engine wire has real sockets");
        }
        if let Some(why) = Remote::impossible(scenario) {
            bail!("--addr: {} cannot be run: {why}", scenario.name);
        }
        let mut remote = self.remote.remote(address)?;
        self.remote.reach(&mut remote)?;
        let mut fitted = remote.fitted(scenario);
        if self.second {
            fitted = remote
                .second(&fitted)
                .context("--second: no connection of this scenario begins with a request")?;
        }
        let fitted = Arc::new(fitted);
        let detail = common.files.detail_of_one();
        let mut cell = Cell::remote(&fitted, &remote, detail, true, None)?;
        let tolerance = remote.tolerance * remote.times.get();
        let excused = timer::excuse(&mut cell, &remote.timers, tolerance);
        cell.findings.extend(cut_off(&cell));
        cell.run.caveats.extend(excused);
        cell.again = Some(self.remote.again(origin, remote.address, self.second));
        show(&cell, common)
    }
}
