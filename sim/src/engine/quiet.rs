//! How long a scenario lets nothing happen, for the engines whose time has a price, and for servers that never rest: they
//! cut what no contract speaks of.

use crate::contract::Contract;
use crate::finding::spell;
use hangup_scenario::{Scenario, Step};
use std::time::Duration;

/// A pause goes on for so long after the last contract time: who keeps its contract has done all by then.
pub(crate) const MARGIN: Duration = Duration::from_secs(60);

/// The longest pause that says anything about a server with this contract: nothing that a contract speaks of is longer, but
/// for the residence of a client that is busy.
pub(crate) fn enough(contract: &Contract) -> Duration {
    contract.stall.max(contract.drain) + MARGIN
}

/// Every time for which a scenario may let nothing happen.
fn pauses(scenario: &mut Scenario) -> impl Iterator<Item = &mut Duration> {
    scenario.clients.iter_mut().flat_map(|client| {
        let steps = client.steps.iter_mut().filter_map(|step| match step {
            Step::Stall { duration } => Some(duration),
            Step::Reconnect { after } => Some(after),
            Step::Await(what) => Some(&mut what.within),
            Step::Send(send) => send.trickle.as_mut().map(|trickle| &mut trickle.every),
            _ => None,
        });
        [&mut client.start, &mut client.stagger]
            .into_iter()
            .chain(steps)
    })
}

/// The longest pause.
pub(crate) fn longest(scenario: &Scenario) -> Option<Duration> {
    pauses(&mut scenario.clone()).map(|pause| *pause).max()
}

/// Cuts every pause to `quiet`.
pub(crate) fn cut(scenario: &mut Scenario, quiet: Duration) {
    pauses(scenario).for_each(|pause| *pause = quiet.min(*pause));
}

/// What is to be said of that.
pub(crate) fn caveat(longest: Duration, quiet: Duration) -> String {
    format!(
        "pauses of up to {} are cut to {}: {} more than a contract allows a silent connection",
        spell(longest),
        spell(quiet),
        spell(MARGIN)
    )
}
