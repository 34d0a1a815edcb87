//! What of a scenario is walked, in which steps, and what turmoil cannot express of it.
//!
//! turmoil takes 2 to 3 us for every tick of simulated time, whether anything happens or not. Two things keep a run
//! short: the tick is as long as the latency allows, and silence is cut.

use super::link::Link;
use crate::contract::Contract;
use crate::engine::quiet;
use crate::finding::spell;
use hangup_scenario::{Network, Scenario, ServerAction, Step};
use std::sync::Arc;
use std::time::Duration;

/// tokio's timers have no finer steps.
pub(super) const TICK_MIN: Duration = Duration::from_millis(1);
/// Longer ticks save nothing that counts.
const TICK_MAX: Duration = Duration::from_secs(1);
/// At the end a connection is watched for so long past its deadline: what still holds it then counts as hung.
pub(super) const GRACE: Duration = Duration::from_secs(10 * 60);
/// The same where a host may wait for one that does not answer: TCP gives that up after 924.6 s.
const GRACE_IN_THE_DARK: Duration = Duration::from_secs(16 * 60);
/// No run has more ticks than this: some ten seconds of wall time, 22 hours at the usual 20 ms.
pub(super) const TICKS_MAX: u64 = 4_000_000;

/// How a scenario is run on this engine.
#[derive(Debug)]
pub(super) struct Plan {
    /// The scenario, its silences cut.
    pub(super) scenario: Arc<Scenario>,
    pub(super) link: Link,
    pub(super) tick: Duration,
    /// The latency that turmoil itself is told: whole ticks, and never more than any message's.
    pub(super) carried: Duration,
    /// How long a connection is watched past its deadline.
    pub(super) grace: Duration,
    /// What is not as the scenario says.
    pub(super) caveats: Vec<String>,
}

impl Plan {
    pub(super) fn of(scenario: &Arc<Scenario>, contract: &Contract) -> Self {
        let swiftest = swiftest(scenario);
        let tick = tick(swiftest);
        let steps = || scenario.clients.iter().flat_map(|client| &client.steps);
        let grace = match steps().any(|step| matches!(step, Step::Vanish | Step::Network(_))) {
            true => GRACE_IN_THE_DARK,
            false => GRACE,
        };
        let mut caveats = vec![format!(
            "this engine sees sockets, not tasks: it takes no stacks, and what is held {} past its deadline counts as \
                 hung without a proof that it never ends",
            spell(grace)
        )];
        caveats.extend(unknown(scenario));
        let mut scenario = Arc::clone(scenario);
        let quiet = quiet::enough(contract);
        if let Some(longest) = quiet::longest(&scenario).filter(|longest| *longest > quiet) {
            quiet::cut(Arc::make_mut(&mut scenario), quiet);
            caveats.push(format!(
                "turmoil walks every tick of its clock, so that pauses of up to {} are cut to {}: {} more than a contract \
                 allows a silent connection",
                spell(longest),
                spell(quiet),
                spell(quiet::MARGIN)
            ));
        }
        Self {
            link: Link::of(&scenario.network, tick),
            scenario,
            tick,
            carried: tick * u32::try_from(swiftest.as_nanos() / tick.as_nanos()).unwrap_or(1),
            grace,
            caveats,
        }
    }
}

/// The shortest latency that any message of the scenario has.
fn swiftest(scenario: &Scenario) -> Duration {
    let steps = scenario.clients.iter().flat_map(|client| &client.steps);
    let changes = steps.filter_map(|step| match step {
        Step::Network(change) => change.latency,
        _ => None,
    });
    Link::carried(changes.fold(scenario.network.latency, Duration::min))
}

/// As long as no message arrives in the tick in which it was sent, ticks do not show. That is the latency, in whole
/// milliseconds.
fn tick(latency: Duration) -> Duration {
    Duration::from_millis(latency.as_millis() as u64).clamp(TICK_MIN, TICK_MAX)
}

/// What turmoil, or this form of its adapter, does not express.
fn unknown(scenario: &Scenario) -> Vec<String> {
    let Network {
        latency,
        jitter,
        loss,
        ..
    } = scenario.network;
    let has = |what: fn(&Step) -> bool| {
        scenario
            .clients
            .iter()
            .flat_map(|client| &client.steps)
            .any(what)
    };
    let has_event = |what: fn(ServerAction) -> bool| {
        let mut events = scenario.server_events.iter();
        events.any(|event| what(event.action))
    };
    let unknown = [
        (latency < TICK_MIN, "latency below a tick of 1 ms is 1 ms"),
        (
            !jitter.is_zero(),
            "jitter is left out: every message takes the same time",
        ),
        (
            loss > 0.0,
            "loss is left out: turmoil repeats nothing that is lost, so that one segment would end a connection",
        ),
        (
            has(|step| {
                matches!(step, Step::Network(change)
                    if change.jitter.is_some() || change.mtu.is_some() || change.loss.is_some())
            }),
            "changes of jitter, mtu and loss are left out; changes of latency and black holes are not",
        ),
        (
            has_event(|action| action == ServerAction::Restart),
            "a process that is started again starts at the next tick, and what the kernel of the last one had not sent by \
             then is lost",
        ),
    ];
    unknown
        .into_iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, says)| says.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::UNCLAIMED;
    use hangup_scenario::LinkChange;

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(count * 60)
    }

    #[test]
    fn long_silence_is_cut_and_said_so() {
        let stall = |duration| {
            Arc::new(Scenario::of(
                "silent",
                vec![Step::Connect, Step::Stall { duration }],
            ))
        };
        let long = Plan::of(&stall(minutes(1757)), &UNCLAIMED);
        let cut = UNCLAIMED.stall + quiet::MARGIN;
        assert_eq!(
            long.scenario.clients[0].steps[1],
            Step::Stall { duration: cut }
        );
        assert!(long.caveats[1].contains("29h 17m"), "{:?}", long.caveats);

        let short = Plan::of(&stall(minutes(2)), &UNCLAIMED);
        assert_eq!(
            short.scenario.clients[0].steps[1],
            Step::Stall {
                duration: minutes(2)
            }
        );
        assert_eq!(short.caveats.len(), 1);
    }

    #[test]
    fn no_message_arrives_in_the_tick_in_which_it_was_sent() {
        for micros in [
            0, 1, 999, 1_000, 1_500, 20_000, 999_999, 1_500_000, 7_777_777,
        ] {
            let mut scenario = Scenario::of("latency", Vec::new());
            scenario.network.latency = Duration::from_micros(micros);
            let plan = Plan::of(&Arc::new(scenario), &UNCLAIMED);
            assert!(plan.tick <= plan.carried, "{micros}");
            assert!(plan.carried <= plan.link.latency, "{micros}");
            assert_eq!(plan.tick.subsec_nanos() % 1_000_000, 0, "{micros}");
        }
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut scenario = Scenario::of(
            "lossy",
            vec![Step::Network(LinkChange {
                mtu: Some(1),
                ..LinkChange::default()
            })],
        );
        scenario.network.loss = 0.1;
        scenario.network.jitter = TICK_MIN;
        scenario.network.latency = Duration::ZERO;
        assert_eq!(unknown(&scenario).len(), 4);
    }
}
