//! A server that is running somewhere: where it is, what it is held to, and what is known of it.
//!
//! | module | what lives there |
//! |---|---|
//! | [`routes`] | where it has what the probe app has, and what a scenario needs of that |
//! | [`survey`] | the first questions: does it answer, which routes are there, are its sockets to be seen |
//! | [`timer`] | timers that are documented, and longer than the contract |
//! | [`count`] | how many connections it counts itself |

pub mod count;
pub mod routes;
pub mod survey;
pub mod timer;

use crate::engine::wire::far::Census;
pub use crate::engine::wire::far::NotRun;
use crate::engine::wire::far::{Plan, impossible};
use hangup_scenario::{Await, Contract, Head, Scenario, Send, Step, Until};
use routes::Routes;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use timer::KnownTimer;

/// A server that is running.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is held to; what is absent here is a scenario's own or, in the end, [`UNCLAIMED`](crate::server::UNCLAIMED).
    pub contract: Contract,
    /// Its own timeouts are so many times shorter than the contract says, and so is everything that clients do.
    pub times: NonZeroU32,
    /// How late it may be, in real time.
    pub tolerance: Duration,
    /// Where it has what the probe app has.
    pub routes: Routes,
    /// Its timers that are longer than the contract.
    pub timers: Vec<KnownTimer>,
    /// Of a crowd come so many clients at most.
    pub crowd: u32,
    /// The kernel's table of its sockets, if it is on this machine.
    pub(crate) census: Option<Arc<Census>>,
}

/// How long the first of two requests may take.
const FIRST: Duration = Duration::from_secs(10);

impl Remote {
    /// A server at this address, in its own time, held to `contract`; its sockets are not looked at.
    pub fn at(address: SocketAddr, contract: Contract) -> Self {
        Self {
            address,
            contract,
            times: NonZeroU32::MIN,
            tolerance: Duration::from_secs(1),
            routes: Routes::default(),
            timers: Vec::new(),
            crowd: u32::MAX,
            census: None,
        }
    }

    /// Its name in reports.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Why the scenario cannot be run against a server that is running; none if it can.
    pub fn impossible(scenario: &Scenario) -> Option<&'static str> {
        impossible(scenario)
    }

    /// The scenario on this server's routes, with crowds cut.
    pub fn fitted(&self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        self.routes.map(&mut scenario);
        for client in &mut scenario.clients {
            client.count = client.count.min(self.crowd);
        }
        scenario
    }

    /// The same with a request before the first one of every connection; none where no connection begins with a request.
    pub fn second(&self, scenario: &Scenario) -> Option<Scenario> {
        let mut second = scenario.clone();
        let mut found = false;
        for client in &mut second.clients {
            let mut steps = Vec::with_capacity(client.steps.len() + 2);
            for (index, step) in client.steps.iter().enumerate() {
                steps.push(step.clone());
                let opens = matches!(step, Step::Connect | Step::Reconnect { .. });
                let mut rest = client.steps[index + 1..].iter();
                let next = rest.find(|step| !matches!(step, Step::Stall { .. }));
                if opens && matches!(next, Some(Step::Send(_))) {
                    found = true;
                    let mut ask = Step::Send(Send::from(Head::default()));
                    self.routes.map_step(&mut ask);
                    steps.push(ask);
                    steps.push(Step::Await(Await {
                        until: Until::Final,
                        within: FIRST,
                    }));
                }
            }
            client.steps = steps;
        }
        found.then_some(second)
    }

    /// How long a run of the scenario takes at most, in real time.
    pub fn lasts(&self, scenario: &Arc<Scenario>) -> Duration {
        Plan::of(scenario, self).lasts()
    }

    /// How long after its last client it has for the rest, in real time.
    pub fn drains(&self) -> Duration {
        let contract = crate::server::UNCLAIMED.overridden(&self.contract);
        contract.drain / self.times.get() + self.tolerance
    }
}
