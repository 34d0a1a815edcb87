//! The minimiser on judges that are known: what remains is what they need, and nothing else.

use std::time::Duration;

use hangup_scenario::{
    AcceptError, Addresses, Client, Contract, Head, Network, Piece, Read, Resources, Rst, Scenario,
    Send, ServerAction, ServerEvent, Step, Trickle, minimise,
    strategy::{self, Options},
};

/// A server that waits for a body without a clock: it holds a connection on which a whole head was sent that announces
/// more body than has come, and which was neither closed nor reset since.
fn hangs(scenario: &Scenario) -> bool {
    scenario.clients.iter().any(|client| {
        let (mut open, mut missing) = (false, 0);
        for step in &client.steps {
            match step {
                Step::Connect if !open => (open, missing) = (true, 0),
                Step::Reconnect { .. } => (open, missing) = (true, 0),
                Step::Close | Step::Reset | Step::HalfClose => open = false,
                Step::Send(send) if open && send.part.is_none() => {
                    for piece in &send.what {
                        match piece {
                            Piece::Head(head) => missing = head.length.unwrap_or(0),
                            Piece::Body(length) => missing = missing.saturating_sub(*length),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        open && missing > 0
    })
}

#[test]
fn the_incident_comes_to_two_steps() {
    let options = Options::default();
    let mut found = 0;
    for case in (0..3000).map(|case_seed| strategy::generate(case_seed, &options)) {
        if !hangs(&case) {
            continue;
        }
        found += 1;
        let name = case.name.clone();
        let mut tries = 0;
        let smallest = minimise(case, 2000, |scenario| {
            tries += 1;
            hangs(scenario)
        });
        assert!(hangs(&smallest), "{name}");
        assert!(tries < 500, "{name}: {tries} tries");
        assert_eq!(smallest.clients.len(), 1, "{name}");
        assert_eq!(smallest.clients[0].count, 1, "{name}");
        assert_eq!(smallest.network, Network::default(), "{name}");
        let send = Step::Send(
            Head {
                length: Some(1),
                ..Head::default()
            }
            .into(),
        );
        assert_eq!(smallest.clients[0].steps, [Step::Connect, send], "{name}");
        assert_eq!((smallest.seed, smallest.name), (1, name));
    }
    assert!(found > 100, "{found}");
}

#[test]
fn everything_goes_back_to_its_default_but_the_contract() {
    let head = Head {
        version: hangup_scenario::Version::Http10,
        expect: Some("100-continue".into()),
        headers: vec![("A".into(), "b".into())],
        ..Head::new("POST", "/echo")
    };
    let send = Send {
        what: vec![Piece::Head(head), Piece::Chunk(77), Piece::LastChunk],
        part: Some((3, 60)),
        trickle: Some(Trickle {
            size: 3,
            every: Duration::from_millis(1234),
        }),
    };
    let noisy = Client {
        count: 17,
        stagger: Duration::from_millis(3),
        start: Duration::from_millis(7),
        addresses: Addresses::Own,
        steps: vec![
            Step::Connect,
            Step::Send(send),
            Step::Read(Read::Bytes(4711)),
            Step::Read(Read::Paced {
                bytes: 4711,
                pace: Trickle {
                    size: 3,
                    every: Duration::from_millis(1234),
                },
            }),
        ],
    };
    let contract = Contract {
        stall: Some(Duration::from_millis(4711)),
        ..Contract::default()
    };
    let scenario = Scenario {
        seed: 99,
        contract,
        network: Network {
            latency: Duration::from_millis(3),
            jitter: Duration::from_millis(1),
            mtu: 77,
            loss: 0.5,
            rst: Rst::Erase,
            send_buffer: Some(1),
            receive_buffer: Some(2),
        },
        server: Resources {
            descriptors: Some(3),
        },
        clients: vec![noisy.clone(), noisy],
        server_events: ServerAction::ALL
            .map(|action| ServerEvent {
                at: Duration::from_millis(4711),
                action,
            })
            .into(),
        ..Scenario::of("noisy", Vec::new())
    };
    let sends = |scenario: &Scenario| {
        let mut steps = scenario.clients.iter().flat_map(|client| &client.steps);
        steps.any(|step| matches!(step, Step::Send(_)))
    };
    let smallest = minimise(scenario, 10_000, sends);
    let plain = Step::Send(Head::default().into());
    let expected = Scenario {
        contract,
        ..Scenario::of("noisy", vec![plain])
    };
    assert_eq!(smallest, expected);
}

#[test]
fn a_fault_that_needs_one_thing_of_the_network_keeps_just_that() {
    let network = Network {
        latency: Duration::from_millis(7),
        mtu: 3,
        rst: Rst::Erase,
        ..Network::default()
    };
    let scenario = Scenario {
        network,
        ..Scenario::of("x", vec![Step::Connect, Step::Close])
    };
    let smallest = minimise(scenario, 1000, |scenario| {
        scenario.network.rst == Rst::Erase
    });
    assert_eq!(
        smallest.network,
        Network {
            rst: Rst::Erase,
            ..Network::default()
        }
    );
    assert_eq!(smallest.clients[0].steps, []);
}

#[test]
fn an_accept_error_lasts_no_longer_than_it_must() {
    let lasts =
        |millis| ServerAction::AcceptError(AcceptError::Lasts(Duration::from_millis(millis)));
    let shortest = |least: Duration| {
        let event = ServerEvent {
            at: Duration::ZERO,
            action: lasts(7_777),
        };
        let scenario = Scenario {
            server_events: vec![event],
            ..Scenario::of("x", vec![Step::Connect])
        };
        let fails = |scenario: &Scenario| {
            scenario
                .server_events
                .iter()
                .any(|event| match event.action {
                    ServerAction::AcceptError(AcceptError::Lasts(lasts)) => lasts >= least,
                    ServerAction::AcceptError(AcceptError::Once) => least.is_zero(),
                    _ => false,
                })
        };
        minimise(scenario, 1000, fails).server_events[0].action
    };
    assert_eq!(shortest(Duration::from_secs(3)), lasts(5_000));
    let once = ServerAction::AcceptError(AcceptError::Once);
    assert_eq!(shortest(Duration::ZERO), once);
}

#[test]
fn of_the_server_events_the_one_that_matters_stays_at_a_simple_time() {
    let event = |at, action| ServerEvent {
        at: Duration::from_millis(at),
        action,
    };
    let scenario = Scenario {
        server_events: vec![
            event(100, ServerAction::HandlerPanic),
            event(4_711, ServerAction::Shutdown),
            event(9_000, ServerAction::Restart),
        ],
        ..Scenario::of("x", vec![Step::Connect])
    };
    let late = Duration::from_secs(3);
    let smallest = minimise(scenario, 1000, |scenario| {
        let mut events = scenario.server_events.iter();
        events.any(|event| event.action == ServerAction::Shutdown && event.at >= late)
    });
    assert_eq!(
        smallest.server_events,
        [event(5_000, ServerAction::Shutdown)]
    );
}

fn stalls(times: &[u64]) -> Scenario {
    let stall = |ms: &u64| Step::Stall {
        duration: Duration::from_millis(*ms),
    };
    Scenario::of("stalls", times.iter().map(stall).collect())
}

#[test]
fn adjacent_stalls_become_one_and_times_become_round() {
    let total = |scenario: &Scenario| {
        scenario.clients[0]
            .steps
            .iter()
            .map(Step::duration)
            .sum::<Duration>()
    };
    let cases: [(&[u64], u64, u64); 5] = [
        (&[30_000, 20_001, 19_999], 61_000, 120_000),
        (&[59_998, 3], 60_001, 120_000),
        (&[59_999, 1], 60_000, 60_000),
        (&[75_001], 75_001, 120_000),
        (&[1, 1, 1, 1], 1, 1000),
    ];
    for (times, least, expected) in cases {
        let smallest = minimise(stalls(times), 1000, |scenario| {
            total(scenario) >= Duration::from_millis(least)
        });
        assert_eq!(smallest, stalls(&[expected]), "{times:?}");
    }
    // Where nothing round will do, the time stays.
    let smallest = minimise(stalls(&[59_999]), 1000, |scenario| {
        total(scenario) == Duration::from_millis(59_999)
    });
    assert_eq!(smallest, stalls(&[59_999]));
}

#[test]
fn clients_and_counts_go() {
    let connects = |scenario: &Scenario| {
        let of = |client: &Client| {
            u64::from(client.count) * u64::from(client.steps.contains(&Step::Connect))
        };
        scenario.clients.iter().map(of).sum::<u64>()
    };
    let client = |count| Client {
        count,
        steps: vec![Step::Connect, Step::Reset],
        ..Client::default()
    };
    let mut scenario = Scenario::of("crowd", Vec::new());
    scenario.clients = vec![client(1), client(200), client(3)];
    let smallest = minimise(scenario.clone(), 1000, |scenario| connects(scenario) >= 20);
    assert_eq!(smallest.client_count(), 20);
    assert_eq!(smallest.clients.len(), 1);
    assert_eq!(smallest.clients[0].steps, [Step::Connect]);
    // The last client cannot go.
    let nothing = minimise(scenario, 1000, |_| true);
    assert_eq!(nothing, Scenario::of("crowd", Vec::new()));
}

#[test]
fn the_budget_is_kept_and_the_result_fails_after_any_number_of_tries() {
    let case = (0..)
        .map(|case_seed| strategy::generate(case_seed, &Options::default()))
        .find(|case| hangs(case) && case.clients[0].steps.len() > 8);
    let case = case.unwrap();
    for budget in 0..200 {
        let mut tries = 0;
        let smallest = minimise(case.clone(), budget, |scenario| {
            tries += 1;
            hangs(scenario)
        });
        assert!(tries <= budget);
        assert!(hangs(&smallest), "{budget} tries");
    }
    assert_eq!(minimise(case.clone(), 5000, |_| false), case);
}

#[test]
fn a_judge_that_says_yes_to_everything_is_done_soon() {
    let mut tries = 0;
    minimise(
        Scenario::of("x", vec![Step::Close; 1000]),
        usize::MAX,
        |_| {
            tries += 1;
            true
        },
    );
    assert!(tries < 10, "{tries}");
    // And one that insists on nearly everything is not asked for ever.
    let mut tries = 0;
    let steps = vec![Step::Close; 1000];
    let smallest = minimise(Scenario::of("x", steps), usize::MAX, |scenario| {
        tries += 1;
        scenario.clients[0].steps.len() >= 999
    });
    assert_eq!(smallest.clients[0].steps.len(), 999);
    assert!(tries < 10_000, "{tries}");
}
