//! What the strategy makes: the same for the same seed, within its bounds, and enough of everything.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use hangup_scenario::{
    Addresses, Client, Head, Piece, Scenario, Send, ServerAction, Step, Until,
    strategy::{self, DEADLINES, Options},
};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

const CASES: u64 = 20_000;

fn cases(options: &Options) -> impl Iterator<Item = Scenario> {
    (0..CASES).map(|case_seed| strategy::generate(case_seed, options))
}

fn steps(scenario: &Scenario) -> impl Iterator<Item = &Step> {
    scenario.clients.iter().flat_map(|client| &client.steps)
}

fn sends(scenario: &Scenario) -> impl Iterator<Item = &Send> {
    steps(scenario).filter_map(|step| match step {
        Step::Send(send) => Some(send),
        _ => None,
    })
}

fn heads(scenario: &Scenario) -> impl Iterator<Item = &Head> {
    sends(scenario)
        .flat_map(|send| &send.what)
        .filter_map(|piece| match piece {
            Piece::Head(head) => Some(head),
            _ => None,
        })
}

#[test]
fn one_case_seed_is_one_scenario_on_every_machine() {
    // If this fails, every case seed that anybody has noted down has become worthless: say so where they will read it.
    let text = strategy::generate(1834, &Options::default()).to_toml();
    let expected = r#"name   = "case-1834"
source = "case seed 1834"
seed   = 1719649408

[network]
rst     = "erase"

[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "OPTIONS", target = "/missing" }, part = [0, 13] },
  { do = "stall", for = "7ms" },
  { do = "send", head = { method = "OPTIONS", target = "/missing" }, part = [13, 48] },
  { do = "await", status = "final", within = "28753ms" },
  { do = "send", head = { method = "GET", target = "/" } },
  { do = "await", status = "final", within = "10s" },
  { do = "send", all = [{ head = { method = "POST", target = "/stream", length = 696 } }, { body = 696 }], part = [0, 90] },
  { do = "stall", for = "26866ms" },
]
"#;
    assert_eq!(text, expected);
}

#[test]
fn every_case_is_a_file_that_can_be_read() {
    let everything = Options {
        vanish: true,
        network: true,
        server_events: true,
        ..Options::default()
    };
    for case in cases(&Options::default())
        .chain(cases(&everything))
        .step_by(10)
    {
        let text = case.to_toml();
        let read = Scenario::from_toml("case.toml", &text);
        assert_eq!(read.as_ref(), Ok(&case), "{text}");
    }
}

#[test]
fn cases_stay_within_their_bounds() {
    let options = Options {
        clients_max: 2,
        steps_max: 5,
        ..Options::default()
    };
    for (most_clients, most_steps, options) in [(8, 12, Options::default()), (2, 5, options)] {
        let (mut clients, mut longest) = (0, 0);
        for case in cases(&options) {
            clients = clients.max(case.client_count());
            longest = longest.max(
                case.clients
                    .iter()
                    .map(|client| client.steps.len())
                    .max()
                    .unwrap(),
            );
            assert!(
                case.clients
                    .iter()
                    .all(|client| client.count > 0 && !client.steps.is_empty())
            );
            for send in sends(&case) {
                assert!(send.write_count() <= 200, "{}", case.to_toml());
            }
            let bytes: u64 = sends(&case).map(Send::whole_len).sum();
            assert!(bytes < 4 << 20, "{bytes} bytes: {}", case.to_toml());
        }
        assert_eq!((clients, longest), (most_clients, most_steps));
    }
}

#[test]
fn hosts_vanish_and_links_change_only_if_they_may() {
    let faulty = |options: &Options, step: fn(&Step) -> bool| {
        cases(options).filter(|case| steps(case).any(step)).count()
    };
    let vanishes = |step: &Step| matches!(step, Step::Vanish);
    let changes = |step: &Step| matches!(step, Step::Network(_));
    let plain = Options::default();
    assert_eq!((faulty(&plain, vanishes), faulty(&plain, changes)), (0, 0));
    assert!(cases(&plain).all(|case| case.network.loss == 0.0));
    let vanish = Options {
        vanish: true,
        ..plain.clone()
    };
    assert!(faulty(&vanish, vanishes) > 100);
    assert_eq!(faulty(&vanish, changes), 0);
    let network = Options {
        network: true,
        ..plain
    };
    assert!(faulty(&network, changes) > 100);
    assert_eq!(faulty(&network, vanishes), 0);
    assert!(cases(&network).any(|case| case.network.loss > 0.0));
}

#[test]
fn something_happens_to_the_server_only_if_it_may_and_not_in_most_cases() {
    assert!(cases(&Options::default()).all(|case| case.server_events.is_empty()));
    let options = Options {
        server_events: true,
        ..Options::default()
    };
    let mut seen = BTreeMap::new();
    let mut eventful = 0;
    for case in cases(&options) {
        eventful += u64::from(!case.server_events.is_empty());
        assert!(case.server_events.is_sorted_by_key(|event| event.at));
        for event in &case.server_events {
            *seen.entry(event.action.name()).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), ServerAction::ALL.len(), "{seen:?}");
    assert!((CASES / 16..CASES / 4).contains(&eventful), "{eventful}");
    assert!(seen["shutdown"] > seen["crash"], "{seen:?}");
}

#[test]
fn now_and_then_a_connection_is_in_its_last_seconds_and_nothing_else_is_moved_by_it() {
    let plain = Options {
        server_events: true,
        ..Options::default()
    };
    let options = Options {
        last_seconds: true,
        ..plain.clone()
    };
    let (mut old, mut caught) = (0, 0);
    for (plain, case) in cases(&plain).zip(cases(&options)) {
        if case == plain {
            continue;
        }
        let hour = |send: &Send| send.duration() > Duration::from_secs(3500);
        old += u32::from(sends(&case).any(hour));
        caught += u32::from(
            matches!(case.server_events.as_slice(), [one] if one.action == ServerAction::Shutdown),
        );
        assert_eq!((case.clients.len(), case.seed), (1, plain.seed));
        assert!(case.clients[0].steps.len() <= options.steps_max);
    }
    // One in 384, and half of them each.
    assert!((10..50).contains(&old), "{old}");
    assert!((10..50).contains(&caught), "{caught}");
}

#[test]
fn now_and_then_there_is_much_of_something_and_nothing_else_is_moved_by_it() {
    let plain = Options::default();
    let options = Options {
        abuse: true,
        ..plain.clone()
    };
    let (mut seen, mut most) = (BTreeMap::new(), 0);
    for (plain, case) in cases(&plain).zip(cases(&options)) {
        if case == plain {
            continue;
        }
        assert_eq!(case.seed, plain.seed);
        most = most.max(case.client_count());
        let resets = steps(&case)
            .filter(|step| matches!(step, Step::Reset))
            .count() as u64;
        let asks = |target| heads(&case).any(|head| head.target == target);
        let empty_lines = sends(&case).any(
            |send| matches!(&send.what[..], [Piece::Bytes(bytes)] if bytes.starts_with(b"\r\n")),
        );
        let sent: u64 = sends(&case).map(Send::whole_len).sum();
        for (kind, is_one) in [
            ("burst", case.client_count() >= 20),
            ("stuck", asks("/never") && case.clients.len() == 1),
            ("refusal", asks("/never") && case.clients.len() == 2),
            ("panics", asks("/panic") && case.client_count() > 8),
            ("aborts", resets * case.client_count() >= 100),
            ("empty lines", empty_lines),
            (
                "long head",
                heads(&case).any(|head| {
                    head.headers
                        .iter()
                        .any(|(_, value)| value.len() > 256 << 10)
                }),
            ),
            ("upload", sent > 256 << 10),
            ("tunnel", asks("/upgrade")),
        ] {
            *seen.entry(kind).or_insert(0) += u32::from(is_one);
        }
        let text = case.to_toml();
        assert_eq!(Scenario::from_toml("case.toml", &text), Ok(case), "{text}");
    }
    assert_eq!(most, 100);
    assert!(seen.values().all(|count| *count >= 5), "{seen:?}");
}

#[test]
fn now_and_then_clients_are_sound_and_do_what_few_do_and_nothing_else_is_moved_by_it() {
    let plain = Options {
        server_events: true,
        ..Options::default()
    };
    let options = Options {
        rare: true,
        ..plain.clone()
    };
    let mut seen = BTreeMap::new();
    let mut rare = 0;
    for (plain, case) in cases(&plain).zip(cases(&options)) {
        if case == plain {
            continue;
        }
        rare += 1;
        assert_eq!(case.seed, plain.seed);
        let extended = sends(&case).any(|send| {
            let mut pieces = send.what.iter();
            pieces.any(|piece| matches!(piece, Piece::Bytes(bytes) if bytes.contains(&b';')))
        });
        let pauses = steps(&case).any(|step| matches!(step, Step::Stall { .. }));
        let shut_down =
            matches!(case.server_events.as_slice(), [one] if one.action == ServerAction::Shutdown);
        let expects = heads(&case).any(|head| head.expect.is_some());
        let clients = case.clients.len();
        for (kind, is_one) in [
            ("extensions", extended),
            ("halves", pauses && !shut_down),
            ("continue", expects && !shut_down),
            ("company", clients > 1 && !shut_down),
            ("caught", pauses && shut_down && clients == 1),
            ("caught in continue", pauses && shut_down && expects),
            ("newcomer", shut_down && clients == 2),
        ] {
            *seen.entry(kind).or_insert(0) += u32::from(is_one);
        }
        let text = case.to_toml();
        assert_eq!(Scenario::from_toml("case.toml", &text), Ok(case), "{text}");
    }
    assert!((CASES / 30..CASES / 20).contains(&rare), "{rare}");
    assert!(seen.values().all(|count| *count >= 10), "{seen:?}");
}

#[test]
fn now_and_then_several_clients_have_addresses_of_their_own() {
    let options = Options {
        addresses: true,
        ..Options::default()
    };
    let (mut several, mut own) = (0, 0);
    for case in cases(&options) {
        let has_own = |client: &Client| client.addresses == Addresses::Own;
        let count = case.clients.iter().filter(|one| has_own(one)).count();
        assert!(count == 0 || count == case.clients.len());
        let alone = case.client_count() == 1;
        assert!(!alone || count == 0, "{}", case.name);
        several += u32::from(!alone);
        own += u32::from(count > 0);
    }
    assert!(own > several / 6 && own < several / 3, "{own} of {several}");
}

#[test]
fn what_is_left_out_for_one_purpose_moves_no_other() {
    let everything = Options {
        vanish: true,
        network: true,
        server_events: true,
        ..Options::default()
    };
    let no_events = Options {
        server_events: false,
        ..everything.clone()
    };
    let no_vanishing = Options {
        vanish: false,
        ..everything.clone()
    };
    let vanishes = |case: &Scenario| steps(case).any(|step| matches!(step, Step::Vanish));
    let (mut vanished, mut moved, mut unmoved) = (0, 0, 0);
    let others = cases(&no_events).zip(cases(&no_vanishing));
    for (case, (no_events, no_vanishing)) in cases(&everything).zip(others) {
        assert_eq!(case.clients, no_events.clients, "{}", case.name);
        assert_eq!(case.network, no_events.network, "{}", case.name);
        assert_eq!(case.network, no_vanishing.network, "{}", case.name);
        assert_eq!(case.server_events, no_vanishing.server_events);
        vanished += u32::from(vanishes(&case));
        assert!(!vanishes(&no_vanishing));
        // The first client draws otherwise, and the second is as it was, unless it had drawn to vanish, too.
        if let ([first, second], [other, same]) = (&case.clients[..], &no_vanishing.clients[..])
            && first != other
            && first.count == other.count
            && !second.steps.contains(&Step::Vanish)
        {
            moved += u32::from(second != same);
            unmoved += u32::from(second == same);
        }
    }
    assert!(vanished > 100, "{vanished}");
    assert!(unmoved > 20 * moved.max(1), "{moved} moved, {unmoved} not");
}

#[test]
fn every_step_and_every_target_is_there() {
    let everything = Options {
        vanish: true,
        network: true,
        ..Options::default()
    };
    let (mut names, mut targets) = (BTreeMap::new(), BTreeMap::new());
    for case in cases(&everything) {
        for step in steps(&case) {
            *names.entry(step.name()).or_insert(0) += 1;
        }
        for head in heads(&case) {
            let path = head.target.trim_end_matches(|c: char| c.is_ascii_digit());
            *targets.entry(path.to_owned()).or_insert(0) += 1;
        }
    }
    for name in Step::NAMES {
        assert!(
            names.get(name).is_some_and(|count| *count > 100),
            "{name}: {names:?}"
        );
    }
    for target in [
        "/", "/echo", "/reject", "/big/", "/slow/", "/stream", "/missing",
    ] {
        assert!(
            targets.get(target).is_some_and(|count| *count > 1000),
            "{target}: {targets:?}"
        );
    }
    assert!(!targets.contains_key("/never") && !targets.contains_key("/panic"));
}

#[test]
fn requests_come_in_one_write_behind_one_that_says_close() {
    let closes = |send: &Send| match send.what.as_slice() {
        [Piece::Head(first), Piece::Head(_), ..] => first.connection.as_deref() == Some("close"),
        _ => false,
    };
    let options = Options::default();
    let met = cases(&options)
        .filter(|case| sends(case).any(closes))
        .count();
    assert!(met > 200, "{met}");
}

#[test]
fn half_of_all_delays_sit_at_a_deadline() {
    let at_deadline = |delay: Duration, round_trip: Duration| {
        let near = |aimed: Duration| delay.abs_diff(aimed) <= Duration::from_millis(1);
        DEADLINES
            .iter()
            .any(|deadline| near(*deadline) || near(deadline.saturating_sub(round_trip)))
    };
    let (mut all, mut at, mut exactly) = (0_u32, 0_u32, 0_u32);
    for case in cases(&Options::default()) {
        let round_trip = case.network.latency * 2;
        for step in steps(&case) {
            if let Step::Stall { duration } = step {
                all += 1;
                at += u32::from(at_deadline(*duration, round_trip));
                exactly += u32::from(DEADLINES.contains(duration));
            }
        }
    }
    let share = f64::from(at) / f64::from(all);
    assert!((0.45..0.55).contains(&share), "{at} of {all}");
    assert!(exactly * 20 > all, "{exactly} of {all}");
    let none = Options {
        deadlines: Cow::Borrowed(&[]),
        ..Options::default()
    };
    assert!(cases(&none).any(|case| steps(&case).any(|step| matches!(step, Step::Stall { .. }))));
}

/// The client asks for 100 Continue, gets it perhaps, and says nothing more: fasthttp 1834.
fn is_1834(case: &Scenario) -> bool {
    case.clients.iter().any(|client| {
        let asks = client.steps.iter().rposition(|step| match step {
            Step::Send(send) => match send.what.as_slice() {
                [Piece::Head(head)] => {
                    let bodied = head.chunked || head.length.is_some_and(|length| length > 0);
                    head.expect.as_deref() == Some("100-continue") && bodied && send.part.is_none()
                }
                _ => false,
            },
            _ => false,
        });
        let silent = |step: &Step| match step {
            Step::Await(step) => step.until == Until::Status(100),
            Step::Stall { .. } => true,
            _ => false,
        };
        asks.is_some_and(|asks| client.steps[asks + 1..].iter().all(silent))
    })
}

#[test]
fn the_incident_is_met_within_a_few_hundred_cases() {
    let options = Options::default();
    for start in (0..CASES).step_by(300) {
        let met = (start..start + 300)
            .filter(|case_seed| is_1834(&strategy::generate(*case_seed, &options)))
            .count();
        assert!(met >= 2, "{met} times from case seed {start}");
    }
}

#[test]
fn proptest_finds_the_incident_and_shrinks_it() {
    let config = Config {
        cases: 10_000,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, b"fasthttp is 1834");
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(
        &strategy::scenarios(Options::default()),
        |case| match is_1834(&case) {
            true => Err(TestCaseError::fail("hung")),
            false => Ok(()),
        },
    );
    let Err(TestError::Fail(_, smallest)) = result else {
        panic!("not found: {result:?}");
    };
    assert!(is_1834(&smallest));
    assert_eq!(smallest.clients.len(), 1);
    assert_eq!(smallest.clients[0].steps.len(), 1, "{}", smallest.to_toml());
}

#[test]
fn a_tree_that_proptest_gives_up_on_is_back_at_what_failed() {
    let mut runner = TestRunner::deterministic();
    let mut tree = strategy::scenarios(Options::default())
        .new_tree(&mut runner)
        .unwrap();
    let original = tree.current();
    assert!(tree.simplify());
    assert_ne!(tree.current(), original);
    while tree.complicate() {
        assert_ne!(tree.current(), original);
    }
    assert_eq!(tree.current(), original);
}
