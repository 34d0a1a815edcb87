//! Addresses of clients: which of them a server sees, on every engine.

use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::run::Detail;
use hangup::server::{Server, Serving, Shutdown, UNCLAIMED};
use hangup::transport::Listener;
use hangup_tests::scenario;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Accepts, keeps what it has accepted, and remembers where that came from.
#[derive(Default)]
struct Doorman(Arc<Mutex<Vec<IpAddr>>>);

impl Server for Doorman {
    fn name(&self) -> &str {
        "doorman"
    }

    fn about(&self) -> &str {
        "remembers addresses"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn speaks_http(&self) -> bool {
        false
    }

    fn serve(&self, mut listener: Listener, _: Shutdown) -> Serving {
        let seen = Arc::clone(&self.0);
        Box::pin(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                seen.lock().unwrap().push(peer.ip());
                drop(stream);
            }
        })
    }
}

/// The addresses that a server sees of `clients`, in the order of their connections, without the fresh client's.
fn seen(engine: Engine, clients: &str) -> Vec<IpAddr> {
    let doorman = Doorman::default();
    let scenario = scenario(&format!("name = \"addresses\"\n{clients}"));
    let cell = Cell::of(engine, &scenario, &doorman, Detail::default());
    assert!(cell.run.probe_served, "{:?}", cell.findings);
    let mut seen = doorman.0.lock().unwrap().clone();
    // It comes last.
    seen.pop();
    seen
}

const ENGINES: [Engine; 3] = [Engine::Leap, Engine::Turmoil, Engine::Wire];

#[test]
fn clients_share_an_address_by_default() {
    for engine in ENGINES {
        let seen = seen(
            engine,
            "[[client]]\ncount = 3\nstagger = \"100ms\"\nsteps = [ { do = \"connect\" }, { do = \"close\" } ]\n",
        );
        assert_eq!(seen.len(), 3, "{engine:?}");
        assert_eq!(BTreeSet::from_iter(&seen).len(), 1, "{engine:?}: {seen:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_with_an_address_of_its_own_keeps_it_and_shares_it_with_nobody() {
    let clients = r#"
        [[client]]
        count = 2
        stagger = "100ms"
        addresses = "own"
        steps = [ { do = "connect" }, { do = "close" }, { do = "reconnect", after = "1s" }, { do = "close" } ]
        [[client]]
        start = "500ms"
        steps = [ { do = "connect" }, { do = "close" } ]
    "#;
    for engine in ENGINES {
        let seen = seen(engine, clients);
        let [one, two, shared, one_again, two_again] = seen[..] else {
            panic!("{engine:?}: {seen:?}");
        };
        assert_eq!((one, two), (one_again, two_again), "{engine:?}");
        let all = BTreeSet::from([one, two, shared]);
        assert_eq!(all.len(), 3, "{engine:?}: {seen:?}");
    }
}

/// What is recorded of a run does not depend on where its clients are: only a server can make something of that.
#[test]
fn addresses_move_no_trace_hash_of_a_server_that_does_not_look_at_them() {
    let run = |addresses: &str| {
        let text = format!(
            "name = \"addresses\"\n[[client]]\ncount = 3\n{addresses}steps = [ {{ do = \"connect\" }}, \
             {{ do = \"send\", head = {{ target = \"/\" }} }}, {{ do = \"await\", status = \"final\", within = \"1s\" }} ]\n"
        );
        let server = hangup::server::named("twin").expect("it is built in");
        let cell = Cell::of(Engine::Leap, &scenario(&text), &*server, Detail::default());
        cell.run.hash
    };
    assert_eq!(run(""), run("addresses = \"own\"\n"));
}
