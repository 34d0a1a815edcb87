//! `hangup exhaust`: every sequence of steps, up to a length.

use super::Common;
use super::campaign::{Spread, all_of};
use crate::campaign::exhaust::{DEPTH_MAX, Exhaust, alphabet};
use crate::campaign::walk::Cases;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct ExhaustCommand {
    /// Longest sequences, in steps behind the connect
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=i64::from(DEPTH_MAX)))]
    depth: u32,
    #[command(flatten)]
    spread: Spread,
}

impl ExhaustCommand {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        self.spread.ready()?;
        let server = common.one_server("hangup")?;
        let cases = Exhaust::new(self.depth);
        if !common.json {
            say!(
                "exhaust {}: every sequence of up to {} of {} steps, {} behaviours{}",
                server.name(),
                self.depth,
                alphabet().len(),
                cases.count(),
                self.spread.told()
            );
        }
        let more = [
            ("depth", self.depth.into()),
            ("behaviours", cases.count().into()),
        ];
        all_of(common, &server, &cases, &self.spread, more)
    }
}
