//! How a scenario is run in real time: how much faster, what is cut, and what kernel TCP on loopback does not express.

use crate::contract::Contract;
use crate::engine::quiet;
use crate::finding::spell;
use crate::server::Server;
use hangup_scenario::{Addresses, Client, Network, Scenario, Step};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// At the end a connection is watched for so long past its deadline: what still holds it then counts as hung.
pub(super) const GRACE: Duration = Duration::from_secs(10 * 60);
/// So much real time a run is to take at most, as far as the factor allows.
const WALL: Duration = Duration::from_secs(10);
/// Faster than this, the delays of a machine under load would look like those of a server.
const TIMES_MAX: u32 = 50;
/// How late the machine itself may be, in real time.
const TOLERANCE: Duration = Duration::from_millis(500);
/// Limits stand on whole seconds.
const GRID: u128 = 1_000;
/// By how much a trickle that stands on them, too, is moved off.
const OFF_THE_GRID: Duration = Duration::from_millis(3);

/// How a scenario is run on this engine.
pub(super) struct Plan {
    /// The scenario, its silences cut.
    pub(super) scenario: Arc<Scenario>,
    /// The server with its durations divided; none where it runs in its own time.
    pub(super) server: Option<Arc<dyn Server>>,
    /// How many times faster than real time.
    pub(super) times: NonZeroU32,
    /// What is not as the scenario says.
    pub(super) caveats: Vec<String>,
}

impl Plan {
    pub(super) fn of(scenario: &Arc<Scenario>, contract: &Contract, server: &dyn Server) -> Self {
        let mut caveats = vec![format!(
            "in real time nothing can be proved to last for ever: what is still open {} past its deadline counts as hung",
            spell(GRACE)
        )];
        caveats.extend(unknown(scenario));
        let mut scenario = Arc::clone(scenario);
        let quiet = quiet::enough(contract);
        if let Some(longest) = quiet::longest(&scenario).filter(|longest| *longest > quiet) {
            quiet::cut(Arc::make_mut(&mut scenario), quiet);
            caveats.push(quiet::caveat(longest, quiet));
        }
        if on_the_grid(&scenario) {
            move_off(Arc::make_mut(&mut scenario));
            caveats.push(format!(
                "trickles in steps of whole seconds pause {} longer: a byte at the instant of a deadline turns a FIN into an RST",
                spell(OFF_THE_GRID)
            ));
        }
        let wanted = factor(&scenario, contract);
        let (server, times) = match server.hastened(wanted) {
            Some(faster) => (Some(faster), wanted),
            None => (None, NonZeroU32::MIN),
        };
        caveats.push(match (times.get(), wanted.get()) {
            (1, 1) => "real time".to_owned(),
            (1, _) => {
                "real time: this server does not say how to shorten its own durations".to_owned()
            }
            (times, _) => format!(
                "real time, {times} times faster: every duration of scenario, contract and server is divided by it"
            ),
        });
        Self {
            scenario,
            server,
            times,
            caveats,
        }
    }

    /// How long after a deadline it counts as passed.
    pub(super) fn tolerance(&self) -> Duration {
        TOLERANCE * self.times.get()
    }
}

/// By how much a run is hastened: so that it takes a few seconds even where a connection hangs to its end.
fn factor(scenario: &Scenario, contract: &Contract) -> NonZeroU32 {
    let last = |client: &Client| {
        let steps: Duration = client.steps.iter().map(Step::duration).sum();
        client.start + client.stagger * client.count.saturating_sub(1) + steps
    };
    let events = scenario.server_events.iter();
    // A server that is told to shut down has its time for that, too.
    let bound = contract.shutdown.unwrap_or_default();
    let events = events.map(|event| event.at + bound);
    let steps = scenario.clients.iter().map(last).chain(events).max();
    let steps = steps.unwrap_or_default();
    // Whoever leaves in the end is waited for no longer than the drain time.
    let after = if scenario.clients.iter().all(leaves) {
        contract.drain
    } else {
        contract.stall + GRACE
    };
    let times = (steps + after).as_secs_f64() / WALL.as_secs_f64();
    NonZeroU32::MIN.saturating_add((times.ceil() as u32).clamp(1, TIMES_MAX) - 1)
}

fn leaves(client: &Client) -> bool {
    matches!(client.steps.last(), Some(Step::Close | Step::Reset))
}

fn trickles(scenario: &mut Scenario) -> impl Iterator<Item = &mut Duration> {
    let steps = scenario
        .clients
        .iter_mut()
        .flat_map(|client| &mut client.steps);
    steps
        .filter_map(|step| match step {
            Step::Send(send) => send.trickle.as_mut().map(|trickle| &mut trickle.every),
            _ => None,
        })
        .filter(|every| !every.is_zero() && every.as_millis().is_multiple_of(GRID))
}

pub(super) fn on_the_grid(scenario: &Scenario) -> bool {
    trickles(&mut scenario.clone()).next().is_some()
}

pub(super) fn move_off(scenario: &mut Scenario) {
    trickles(scenario).for_each(|every| *every += OFF_THE_GRID);
}

/// What loopback does not express, or shows otherwise.
fn unknown(scenario: &Scenario) -> Vec<String> {
    let ordinary = Network::default();
    let network = &scenario.network;
    let has = |what: fn(&Step) -> bool| {
        let mut steps = scenario.clients.iter().flat_map(|client| &client.steps);
        steps.any(what)
    };
    let own_addresses = |client: &Client| client.addresses == Addresses::Own;
    let unknown = [
        (
            !cfg!(target_os = "linux") && scenario.clients.iter().any(own_addresses),
            "addresses are left out: on this system all clients come from 127.0.0.1",
        ),
        (
            !network.latency.is_zero() || !network.jitter.is_zero(),
            "latency and jitter are left out: loopback has none",
        ),
        (
            network.mtu != ordinary.mtu,
            "mtu is left out: loopback carries segments of up to 64 KiB",
        ),
        (
            network.loss > 0.0,
            "loss is left out: loopback loses nothing",
        ),
        (
            network.rst != ordinary.rst,
            "rst is left out: Linux hands out what had arrived before a reset",
        ),
        (
            network.send_buffer.is_some_and(|size| size < 4096)
                || network.receive_buffer.is_some_and(|size| size < 4096),
            "Linux has no socket buffers below some 4 KiB",
        ),
        (
            has(|step| matches!(step, Step::Network(_))),
            "changes of the network are left out",
        ),
        (
            has(|step| matches!(step, Step::Vanish)),
            "a client cannot vanish from its own machine: it stays connected and silent, and its kernel acknowledges",
        ),
    ];
    unknown
        .into_iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, says)| says.to_owned())
        .collect()
}
