//! Servers under test: one file each.

pub mod app;
mod axum;
pub mod canary;
pub(crate) mod hangup;
mod hyper;
mod peer;
mod shutdown;

pub use peer::Peer;
pub(crate) use shutdown::Order;
pub use shutdown::Shutdown;

use crate::contract::Contract;
use crate::exchange::Targets;
pub use crate::residue::Counted;
use crate::transport::Listener;
use hangup_lifecycle::Limits;
use hangup_scenario::{Scenario, Verdict};
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A future that a server runs in.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a server comes to the listener that clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listens {
    /// It is given one.
    Given,
    /// It binds one itself: clients come to the first, or to the first with this port.
    Binds {
        /// The port.
        port: Option<u16>,
    },
}

/// A server that can be driven by scenarios.
pub trait Server: Send + Sync {
    /// The name on the command line and in reports.
    fn name(&self) -> &str;

    /// One line about it, for `hangup list`.
    fn about(&self) -> &str;

    /// The deadlines that it claims.
    fn contract(&self) -> Contract;

    /// The same server with every duration of its own divided by `times`, for the wire engine, which waits in real time. None,
    /// which is what a server says that does not know better: it takes its time, and so does the engine. One that has no
    /// durations gives itself.
    fn hastened(&self, times: NonZeroU32) -> Option<Arc<dyn Server>> {
        let _ = times;
        None
    }

    /// Whether it can run on an engine whose listener is not of `hangup-network`, as a server of a user's own cannot, which is written
    /// against [`hangup::net`](crate::net).
    fn runs_on_any_engine(&self) -> bool {
        true
    }

    /// Whether it calls `tokio::task::spawn_local`: the leap engine then runs it on a `LocalRuntime`.
    fn is_local(&self) -> bool {
        false
    }

    /// Does it speak HTTP/1.x? Where it does not, only what is true of any connection is judged: nothing about requests
    /// and responses, and a fresh client is served when it is accepted.
    fn speaks_http(&self) -> bool {
        true
    }

    /// What the fresh, well-behaved client says that comes after a scenario, one whole request. None: `GET /` where the server speaks
    /// HTTP, and else nothing.
    fn fresh_request(&self) -> Option<Vec<u8>> {
        None
    }

    /// The scenario as clients play it to this server: one with other routes than the probe app's has its own in it.
    fn fit(&self, scenario: &Arc<Scenario>) -> Arc<Scenario> {
        Arc::clone(scenario)
    }

    /// Why an incident says nothing about this server, if it does not.
    fn inapplicable(&self, scenario: &Scenario) -> Option<String> {
        let _ = scenario;
        None
    }

    /// Asks each route of a server of a user's own what it must do, before anything is judged; on
    /// sealed threads or not.
    ///
    /// # Errors
    /// A sentence: which route does not play its part, what came, and what to look at.
    fn preflight(&self, sealed: bool) -> Result<(), String> {
        let _ = sealed;
        Ok(())
    }

    /// Targets, beside those of the probe app, that give a stream without an end in which the application alone decides when there is
    /// more: while the client has all there is, the server waits for nobody but that.
    fn paced_targets(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Targets, beside those of the probe app, that take a body and read it to its end before they answer.
    fn whole_targets(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// The target that answers a GET at once.
    fn plain_target(&self) -> Arc<str> {
        "/".into()
    }

    /// The target that answers with so many bytes as the number says that stands where it has `{}`.
    fn sized_target(&self) -> Option<Arc<str>> {
        Some("/big/{}".into())
    }

    /// The target that switches to a protocol in which everything is sent back.
    fn upgrade_target(&self) -> Option<Arc<str>> {
        Some(app::tunnel::TARGET.into())
    }

    /// All that is known of its targets.
    fn targets(&self) -> Targets {
        Targets {
            paced: self.paced_targets(),
            whole: self.whole_targets(),
            plain: self.plain_target(),
            upgrade: self.upgrade_target(),
        }
    }

    /// Findings of this kind are known of it, and are not told.
    fn tolerates(&self, kind: Verdict) -> bool {
        let _ = kind;
        false
    }

    /// Where it spawns tasks that are meant to outlive the connection which makes it start them, see
    /// [`Bed::background`](crate::Bed::background).
    fn background(&self) -> &[String] {
        &[]
    }

    /// How it comes to the listener that clients connect to.
    fn listens(&self) -> Listens {
        Listens::Given
    }

    /// The other hosts that it calls.
    fn peers(&self) -> &[Peer] {
        &[]
    }

    /// What is counted in it, see [`Bed::residue`](crate::Bed::residue).
    fn residues(&self) -> &[Counted] {
        &[]
    }

    /// The limits of a server that tells the test bed what each connection waits for.
    fn limits(&self) -> Option<&Limits> {
        None
    }

    /// Serves what the listener accepts, until it is dropped or told to shut down.
    ///
    /// When `shutdown` is given, it is to take nothing more, to answer what it has, and to return within
    /// [`Contract::shutdown`]. When it has returned its process exits: tasks that it leaves are gone, and the kernel closes what they
    /// held. A server without a graceful shutdown can ignore the signal: it says `shutdown: None` in its contract, is then
    /// never given one, and dies at once when a scenario shuts it down.
    fn serve(&self, listener: Listener, shutdown: Shutdown) -> Serving;
}

/// What a server without a claim of its own is held to: it must not hold a silent connection for more than 75 s
/// (the usual longest idle time), nor keep anything for more than 5 s once the client is gone. A client that goes on
/// making requests may stay for a day. A host that is gone while the application has nothing to say may be found by TCP
/// keepalive with Linux's defaults, which takes 7200 s and nine probes of 75 s. A client that takes 64 KiB a second is slow to nobody: it
/// is not cut off within a response.
pub const UNCLAIMED: Contract = Contract {
    stall: Duration::from_secs(75),
    residence: Duration::from_secs(24 * 60 * 60),
    residence_rate: None,
    drain: Duration::from_secs(5),
    shutdown: None,
    buffer: None,
    rate: Some(64 << 10),
    kernel: None,
    vanished: Duration::from_secs(135 * 60),
    upgrade: None,
};

/// How long a graceful shutdown may take where a server claims no bound of its own: so long Kubernetes waits, unless told
/// otherwise, before it kills.
pub const SHUTDOWN: Duration = Duration::from_secs(30);

/// Every built-in server that is meant to work, ours first.
pub fn built_in() -> Vec<Arc<dyn Server>> {
    vec![
        Arc::new(hangup::Hangup::default_limits()),
        Arc::new(hangup::Hangup::article()),
        Arc::new(hangup::Hangup::unbounded()),
        Arc::new(hyper::Hyper::plain()),
        Arc::new(hyper::Hyper::with_timeouts()),
        Arc::new(axum::Axum::plain()),
        Arc::new(axum::Axum::with_layers()),
        Arc::new(axum::on_ours()),
    ]
}

/// Servers with one known defect each, behind their healthy twin.
pub fn canaries() -> Vec<Arc<dyn Server>> {
    canary::CANARIES
        .map(|canary| Arc::new(canary) as Arc<dyn Server>)
        .into()
}

/// The built-in server or canary with this name.
pub fn named(name: &str) -> Option<Arc<dyn Server>> {
    built_in()
        .into_iter()
        .chain(canaries())
        .find(|server| server.name() == name)
}
