//! How a scenario is run against a running server: what is cut, what cannot be done to it, and how long it takes.

use crate::contract::Contract;
use crate::engine::quiet;
use crate::engine::wire::Dialer;
use crate::engine::wire::plan::{move_off, on_the_grid};
use crate::finding::spell;
use crate::remote::Remote;
use crate::server::UNCLAIMED;
use hangup_scenario::{Addresses, Client, Network, Rst, Scenario, Step};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A pause goes on for so long after the last contract time.
const MARGIN: Duration = Duration::from_secs(1);

/// How a scenario is run.
pub(crate) struct Plan {
    /// The scenario, its silences cut.
    pub(crate) scenario: Arc<Scenario>,
    /// What the server is held to.
    pub(crate) contract: Contract,
    /// How many times faster than it says.
    pub(crate) times: NonZeroU32,
    /// How late a server may be, in the run's time.
    pub(crate) tolerance: Duration,
    /// How long a client tries to connect, to write or to read.
    pub(crate) patience: Duration,
    /// How long clients may be busy: then every connection that they opened is judged.
    pub(crate) busy: Duration,
    /// What is not as the scenario says.
    pub(crate) caveats: Vec<String>,
}

impl Plan {
    pub(crate) fn of(scenario: &Arc<Scenario>, remote: &Remote) -> Self {
        let contract = contract(scenario, remote);
        let tolerance = remote.tolerance * remote.times.get();
        let quiet = contract.stall.max(contract.drain) + 2 * tolerance + MARGIN;
        let mut caveats = Vec::new();
        let mut scenario = Arc::clone(scenario);
        let own = Arc::make_mut(&mut scenario);
        // What comes last is silence anyway, for as long as is watched.
        for client in &mut own.clients {
            while let Some(Step::Stall { .. }) = client.steps.last() {
                client.steps.pop();
            }
        }
        if let Some(longest) = quiet::longest(own).filter(|longest| *longest > quiet) {
            quiet::cut(own, quiet);
            caveats.push(format!(
                "pauses of up to {} are cut to {}, more than the contract allows a silent connection",
                spell(longest),
                spell(quiet),
            ));
        }
        if on_the_grid(own) {
            move_off(own);
            caveats.push(
                "trickles in steps of whole seconds pause a little longer: a byte at the instant of a deadline turns a FIN into an RST"
                    .to_owned(),
            );
        }
        caveats.extend(left_out(&own.network).map(ToOwned::to_owned));
        let own_addresses = |client: &Client| client.addresses == Addresses::Own;
        let dialer = Dialer::far(remote.address, &own.network);
        if own.clients.iter().any(own_addresses) && !dialer.has_addresses() {
            caveats.push(
                "addresses are left out: clients have those of this machine, and on Linux more only towards 127.0.0.1".to_owned(),
            );
        }
        if remote.census.is_none() {
            caveats.push(
                "the server's sockets are not to be seen from here: its FIN counts as the release, also of one that lingers behind it"
                    .to_owned(),
            );
        }
        if remote.times.get() > 1 {
            caveats.push(format!(
                "real time, {} times faster: every duration of scenario and contract is divided by it, and the server's own must be",
                remote.times
            ));
        }
        let start = own.clients.iter().map(start).max().unwrap_or_default();
        Self {
            contract,
            times: remote.times,
            tolerance,
            patience: quiet,
            busy: start
                .saturating_add(contract.residence)
                .saturating_add(2 * tolerance + MARGIN),
            caveats,
            scenario,
        }
    }

    /// How long it takes at most, in real time, where clients need not wait for what does not come at once.
    pub(crate) fn lasts(&self) -> Duration {
        let steps = self.scenario.clients.iter().map(|client| {
            let steps = client.steps.iter().map(Step::duration);
            start(client).saturating_add(steps.fold(Duration::ZERO, Duration::saturating_add))
        });
        let busy = steps.max().unwrap_or_default().min(self.busy);
        let after = match self.scenario.clients.iter().all(leaves) {
            true => self.contract.drain,
            false => self.contract.stall,
        };
        (busy + after + 2 * self.tolerance + MARGIN) / self.times.get()
    }
}

/// What the server promises; where a scenario gives it longer for the work of a client that is gone, that.
fn contract(scenario: &Scenario, remote: &Remote) -> Contract {
    let claimed = UNCLAIMED
        .overridden(&scenario.contract)
        .overridden(&remote.contract);
    let work = scenario.contract.drain;
    Contract {
        drain: work
            .filter(|work| *work > UNCLAIMED.drain)
            .map_or(claimed.drain, |work| work.max(claimed.drain)),
        ..claimed
    }
}

fn start(client: &Client) -> Duration {
    client
        .start
        .saturating_add(client.stagger.saturating_mul(client.count))
}

fn leaves(client: &Client) -> bool {
    matches!(client.steps.last(), Some(Step::Close | Step::Reset))
}

/// What of the network is left out without harm.
fn left_out(network: &Network) -> impl Iterator<Item = &'static str> {
    let ordinary = Network::default();
    let all = [
        (
            network.mtu != ordinary.mtu,
            "mtu is left out: the path has its own",
        ),
        (
            network.send_buffer.is_some_and(|size| size < 4096)
                || network.receive_buffer.is_some_and(|size| size < 4096),
            "Linux has no socket buffers below some 4 KiB",
        ),
    ];
    all.into_iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, says)| says)
}

/// What the scenario asks for that cannot be done to a server that is running, over a network that is there; none if it is
/// all possible.
pub(crate) fn impossible(scenario: &Scenario) -> Option<&'static str> {
    let has = |what: fn(&Step) -> bool| {
        let mut steps = scenario.clients.iter().flat_map(|client| &client.steps);
        steps.any(what)
    };
    let all = [
        (
            !scenario.server_events.is_empty(),
            "server events (shutdown, crash ...) are not ours to bring about in a running server",
        ),
        (
            has(|step| matches!(step, Step::Vanish)),
            "a client cannot vanish from its own machine: its kernel acknowledges",
        ),
        (
            has(|step| matches!(step, Step::Network(_))),
            "the network is as it is: no changes of latency or loss, no black holes",
        ),
        (
            scenario.network.loss > 0.0,
            "the network is as it is: no loss",
        ),
        (
            scenario.network.rst == Rst::Erase,
            "Linux hands out what had arrived before a reset: rst = \"erase\" is another stack's",
        ),
    ];
    all.into_iter()
        .find(|(applies, _)| *applies)
        .map(|(_, why)| why)
}
