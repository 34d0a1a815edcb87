//! A server of the user's own, as a server under test.

use super::route::{Route, Routes};
use super::target::Target;
use super::{dialogue, preflight};
use crate::contract::Contract;
use crate::engine::Engine;
use crate::incident;
use crate::server::{Counted, Listens, Peer, Server, Serving, Shutdown, UNCLAIMED};
use crate::transport::Listener;
use hangup_scenario::{Scenario, Verdict};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a user's server is made of: a future for a listener, if it is given one, and a signal to shut down.
pub(super) type Serve = dyn Fn(Listener, Shutdown) -> Serving + Send + Sync;

/// A server of the user's own.
#[derive(Clone)]
pub(super) struct Own {
    pub(super) name: String,
    pub(super) contract: Contract,
    pub(super) routes: Routes,
    pub(super) tolerated: BTreeSet<Verdict>,
    /// Where it spawns tasks that are meant to outlive connections.
    pub(super) background: Vec<String>,
    /// It calls `spawn_local`.
    pub(super) local: bool,
    pub(super) listens: Listens,
    /// The other hosts that it calls.
    pub(super) peers: Vec<Peer>,
    pub(super) residues: Vec<Counted>,
    pub(super) serve: Arc<Serve>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own")
            .field("name", &self.name)
            .field("contract", &self.contract)
            .field("routes", &self.routes)
            .field("tolerated", &self.tolerated)
            .finish_non_exhaustive()
    }
}

impl Own {
    /// The target of a part, as it was named; of one that a closure makes, its pattern.
    pub(super) fn target(&self, route: Route) -> String {
        match self.routes.targets.get(&route) {
            Some(Target::Text(text)) => text.clone(),
            Some(made) => made.pattern(route).replace("{}", "{number}"),
            None => String::new(),
        }
    }

    fn patterns(&self, routes: &[Route]) -> Vec<Arc<str>> {
        let targets = &self.routes.targets;
        let named = routes
            .iter()
            .filter_map(|route| Some((*route, targets.get(route)?)));
        named.map(|(route, target)| target.pattern(route)).collect()
    }
}

/// The times of an incident beside the promises of a server: where the server has made one of its
/// own, the larger of both. What equals the default was not promised by anybody, and the incident's
/// time holds.
fn larger(asked: Option<Duration>, own: Duration, unclaimed: Duration) -> Option<Duration> {
    asked.map(|asked| {
        if own == unclaimed {
            asked
        } else {
            asked.max(own)
        }
    })
}

impl Server for Own {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &str {
        "the server that this program was made for"
    }

    fn contract(&self) -> Contract {
        self.contract
    }

    fn runs_on_any_engine(&self) -> bool {
        false
    }

    fn background(&self) -> &[String] {
        &self.background
    }

    fn listens(&self) -> Listens {
        self.listens
    }

    fn peers(&self) -> &[Peer] {
        &self.peers
    }

    fn residues(&self) -> &[Counted] {
        &self.residues
    }

    fn is_local(&self) -> bool {
        self.local
    }

    fn speaks_http(&self) -> bool {
        self.routes.dialogue.is_none()
    }

    fn fresh_request(&self) -> Option<Vec<u8>> {
        Some(self.routes.fresh_request())
    }

    fn fit(&self, scenario: &Arc<Scenario>) -> Arc<Scenario> {
        let mut fitted = self.routes.fit(scenario);
        // How slow a client it serves is its own promise, whatever an incident asks of a server.
        let claimed = self.contract().rate;
        if (fitted.contract.rate).is_some_and(|asked| claimed.is_none_or(|own| asked < own)) {
            Arc::make_mut(&mut fitted).contract.rate = None;
        }
        // Nor does one have an end for a client that goes on, if it says that it has none.
        if fitted.contract.residence.is_some() && self.contract.residence > UNCLAIMED.residence {
            Arc::make_mut(&mut fitted).contract.residence = None;
        }
        // A file of the user's own may ask for what it likes; the book was written without this
        // server's contract.
        let asked = fitted.contract;
        if asked != Default::default() && incident::named(&scenario.name).is_some() {
            let own = &self.contract;
            let times = &mut Arc::make_mut(&mut fitted).contract;
            times.stall = larger(asked.stall, own.stall, UNCLAIMED.stall);
            times.residence = larger(asked.residence, own.residence, UNCLAIMED.residence);
            times.drain = larger(asked.drain, own.drain, UNCLAIMED.drain);
            times.vanished = larger(asked.vanished, own.vanished, UNCLAIMED.vanished);
        }
        fitted
    }

    fn inapplicable(&self, scenario: &Scenario) -> Option<String> {
        if !self.speaks_http() {
            return (!dialogue::is_about_connections(scenario))
                .then(|| "it is about HTTP".to_owned());
        }
        let missing = self.routes.missing(scenario);
        let names: Vec<String> = missing
            .iter()
            .map(|route| format!("Route::{}", route.name()))
            .collect();
        (!names.is_empty()).then(|| format!("it needs {}", names.join(", ")))
    }

    fn paced_targets(&self) -> Vec<Arc<str>> {
        self.patterns(&[Route::Events, Route::Ticks])
    }

    fn whole_targets(&self) -> Vec<Arc<str>> {
        self.patterns(&[Route::ReadsBody])
    }

    fn plain_target(&self) -> Arc<str> {
        let target = self.patterns(&[Route::Plain]).pop();
        target.unwrap_or_else(|| "/".into())
    }

    fn sized_target(&self) -> Option<Arc<str>> {
        self.patterns(&[Route::Big]).pop()
    }

    fn upgrade_target(&self) -> Option<Arc<str>> {
        self.patterns(&[Route::Upgrade]).pop()
    }

    fn preflight(&self, sealed: bool) -> Result<(), String> {
        let engine = if sealed { Engine::Sealed } else { Engine::Leap };
        match preflight::failure(engine, self) {
            None => Ok(()),
            Some(failure) => Err(failure.to_string()),
        }
    }

    fn tolerates(&self, kind: Verdict) -> bool {
        self.tolerated.contains(&kind)
    }

    fn serve(&self, listener: Listener, shutdown: Shutdown) -> Serving {
        (self.serve)(listener, shutdown)
    }
}
