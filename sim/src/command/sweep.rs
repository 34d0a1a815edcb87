//! `hangup sweep`: every byte offset of an exchange x every way to break it off.

use super::Common;
use super::campaign::{Spread, all_of};
use crate::campaign::exchange;
use crate::campaign::sweep::{CUTS, Sweep};
use crate::campaign::walk::Cases;
use anyhow::bail;
use clap::Args;
use hangup_scenario::Scenario;
use hangup_scenario::nearest::did_you_mean;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct SweepCommand {
    /// An exchange's name (see `hangup list`), or a scenario file
    #[arg(value_name = "EXCHANGE")]
    exchange: String,
    #[command(flatten)]
    spread: Spread,
}

impl SweepCommand {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        self.spread.ready()?;
        let server = common.one_server("hangup")?;
        let sweep = Sweep::of(find_exchange(&self.exchange)?);
        if !common.json {
            say!(
                "sweep {} of {}: {} places x {} ways to break off, {} cuts{}",
                self.exchange,
                server.name(),
                sweep.places(),
                CUTS.len(),
                sweep.count(),
                self.spread.told()
            );
        }
        let more = [
            ("exchange", self.exchange.as_str().into()),
            ("cuts", sweep.count().into()),
        ];
        all_of(common, &server, &sweep, &self.spread, more)
    }
}

/// The exchange with this name, or else the scenario in this file.
fn find_exchange(origin: &str) -> anyhow::Result<Scenario> {
    if let Some(exchange) = exchange::named(origin) {
        return Ok(exchange.scenario());
    }
    let path = Path::new(origin);
    if !path.exists() && !origin.contains(['/', '.']) {
        let names = exchange::ALL.each_ref().map(|exchange| exchange.name);
        bail!(
            "\"{origin}\" is no exchange and no file; allowed: {}, or a scenario file{}",
            names.join(", "),
            did_you_mean(origin, names)
        );
    }
    Ok(Scenario::read(path)?)
}
