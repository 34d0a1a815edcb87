//! Never the innocent: honest clients are served to the end, and servers that keep their contract are acquitted,
//! however the network cuts and delays what is sent.

use hangup::campaign::fuzz::{Plan, fuzz};
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::server;
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::{judged, scenario};
use std::sync::Arc;
use std::time::Duration;

/// What an honest client does, and the statuses that it gets.
const HONEST: [(&str, &str, &[u16]); 9] = [
    (
        "two requests on one connection, 20 s apart",
        r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }, { do = "stall", for = "20s" },
           { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }, { do = "close" }"#,
        &[200, 200],
    ),
    (
        "an upload of 1 kB a second for 20 seconds",
        r#"{ do = "send", head = { method = "POST", target = "/echo", length = 20000 } }, { do = "send", body = 20000, size = 1000, every = "1s" },
           { do = "await", status = "final", within = "2s" }, { do = "close" }"#,
        &[200],
    ),
    (
        "Expect as it is meant",
        r#"{ do = "send", head = { method = "POST", target = "/echo", length = 5, expect = "100-continue" } }, { do = "await", status = 100, within = "2s" },
           { do = "send", body = 5 }, { do = "await", status = "final", within = "2s" }, { do = "close" }"#,
        &[100, 200],
    ),
    (
        "Expect after 20 s of idleness, in capitals",
        r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }, { do = "stall", for = "20s" },
           { do = "send", head = { method = "POST", target = "/echo", length = 5, expect = "100-CONTINUE" } }, { do = "await", status = 100, within = "2s" },
           { do = "send", body = 5 }, { do = "await", status = "final", within = "2s" }, { do = "close" }"#,
        &[200, 100, 200],
    ),
    (
        "three pipelined requests in one segment",
        r#"{ do = "send", all = [ { head = { method = "GET", target = "/" } }, { head = { method = "POST", target = "/echo", length = 3 } }, { body = 3 }, { head = { method = "GET", target = "/" } } ] },
           { do = "await", status = "final", within = "2s" }, { do = "await", status = "final", within = "2s" }, { do = "await", status = "final", within = "2s" }, { do = "close" }"#,
        &[200, 200, 200],
    ),
    (
        "a chunked upload, a chunk a second",
        r#"{ do = "send", head = { method = "POST", target = "/echo", chunked = true } }, { do = "send", chunk = 500 }, { do = "stall", for = "1s" },
           { do = "send", chunk = 500 }, { do = "stall", for = "1s" }, { do = "send", last_chunk = true }, { do = "await", status = "final", within = "2s" }, { do = "close" }"#,
        &[200],
    ),
    (
        "a megabyte, read slowly",
        r#"{ do = "send", head = { method = "GET", target = "/big/1000000" } }, { do = "read", bytes = 300000 }, { do = "stall", for = "5s" }, { do = "read", bytes = 300000 },
           { do = "stall", for = "5s" }, { do = "await", status = "final", within = "20s" }, { do = "close" }"#,
        &[200],
    ),
    (
        "HTTP/1.0",
        r#"{ do = "send", head = { method = "GET", target = "/", version = "1.0" } }, { do = "await", status = "final", within = "2s" }, { do = "await", eof = true, within = "5s" }, { do = "close" }"#,
        &[200],
    ),
    (
        "a head, and then a close without a word",
        r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }, { do = "reset" }"#,
        &[200],
    ),
];

/// Networks that no server may be convicted for.
const NETWORKS: [&str; 4] = [
    "",
    "latency = \"0ms\"\n",
    "latency = \"150ms\"\njitter = \"80ms\"\nmtu = 100\n",
    "mtu = 7\nrst = \"erase\"\nsend_buffer = \"4KiB\"\nreceive_buffer = \"4KiB\"\n",
];

fn honest(steps: &str, network: &str) -> Arc<Scenario> {
    scenario(&format!(
        "name = \"honest\"\n[network]\n{network}\n[[client]]\nsteps = [ {{ do = \"connect\" }},\n{steps} ]\n"
    ))
}

#[test]
fn honest_clients_are_served_and_no_server_is_convicted() {
    for (what, steps, statuses) in HONEST {
        for network in NETWORKS {
            for server in ["hangup", "hyper-timeouts", "hyper", "twin"] {
                let cell = judged(&honest(steps, network), server);
                assert_eq!(
                    cell.verdict(),
                    Verdict::Clean,
                    "{what}, {server}, {network}: {:?}",
                    cell.findings
                );
                assert_eq!(
                    self::statuses(&cell),
                    statuses,
                    "{what}, {server}, {network}"
                );
                assert_eq!(
                    cell.run.connections[0].responses.complete,
                    statuses.iter().filter(|&&status| status != 100).count()
                );
            }
        }
    }
}

/// A client that half-closes behind its request still waits for the response (RFC 9112 section 9.6). hyper, unless told
/// otherwise, takes the end of the stream for the end of the client's interest.
#[test]
fn a_half_close_behind_the_request_is_no_reason_to_be_silent() {
    let steps = r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "half_close" },
        { do = "await", status = "final", within = "2s" }, { do = "await", eof = true, within = "5s" }, { do = "close" }"#;
    for network in NETWORKS {
        for server in ["hangup", "twin"] {
            let cell = judged(&honest(steps, network), server);
            assert_eq!(
                cell.verdict(),
                Verdict::Clean,
                "{server}, {network}: {:?}",
                cell.findings
            );
            assert_eq!(statuses(&cell), [200], "{server}, {network}");
        }
    }
    // Request and FIN are there when hyper reads for the first time. Where the FIN comes a little later, it answers.
    let lost = judged(&honest(steps, ""), "hyper");
    assert_eq!(
        (lost.verdict(), statuses(&lost)),
        (Verdict::Protocol, vec![])
    );
    let later = steps.replacen(
        "{ do = \"half_close\" }",
        "{ do = \"stall\", for = \"1ms\" }, { do = \"half_close\" }",
        1,
    );
    let won = judged(&honest(&later, ""), "hyper");
    assert_eq!((won.verdict(), statuses(&won)), (Verdict::Clean, vec![200]));
}

fn statuses(cell: &Cell) -> Vec<u16> {
    cell.run.connections[0]
        .responses
        .list
        .iter()
        .map(|response| response.status)
        .collect()
}

/// A loss is a delay: it must not make a server guilty either.
#[test]
fn a_lossy_network_convicts_nobody() {
    for (what, steps, _) in HONEST {
        for seed in 1..20 {
            let mut lossy = (*honest(steps, "loss = 0.1\n")).clone();
            lossy.seed = seed;
            for server in ["hangup", "twin"] {
                let cell = judged(&Arc::new(lossy.clone()), server);
                assert_eq!(
                    cell.verdict(),
                    Verdict::Clean,
                    "{what}, {server}, seed {seed}: {:?}",
                    cell.findings
                );
            }
        }
    }
}

#[test]
fn the_fuzzer_finds_nothing_in_our_server_nor_in_the_twin() {
    for name in ["hangup", "twin"] {
        let server = server::named(name).expect("it is built in");
        let plan = Plan {
            seed: 11,
            cases: 5_000,
            jobs: 2,
            shard: Default::default(),
            keep_going: false,
        };
        let (totals, convictions) = fuzz(Engine::Leap, &*server, plan, |_| {});
        let told: Vec<String> = convictions
            .iter()
            .map(|conviction| conviction.minimal.scenario.to_toml())
            .collect();
        assert!(told.is_empty(), "{name}: {}", told.join("\n"));
        assert_eq!(totals.cases, 5_000);
    }
}

/// A head that is no HTTP may be refused as soon as that shows, or waited for until it is whole: hyper does the one where it comes in
/// one segment, and the other where it comes in two.
#[test]
fn half_a_head_may_be_refused_or_waited_for() {
    let steps = r#"{ do = "send", bytes = "GET / HT" }, { do = "send", bytes = "GET / HT" }"#;
    let ways = [("", vec![400]), ("mtu = 2\n", vec![])];
    for (network, expected) in ways {
        let cell = judged(&honest(steps, network), "hyper-timeouts");
        assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
        assert_eq!(statuses(&cell), expected);
    }
}

/// Behind a whole request a close is a FIN like that of a half-close, and how long the application takes is not the client's doing. What
/// the server never ends is still convicted, and so is what it holds for a client that said so with a reset.
#[test]
fn a_close_behind_a_request_is_no_end_of_its_handler() {
    let steps = r#"{ do = "send", head = { method = "GET", target = "/slow/9000" } }, { do = "send", head = { method = "GET", target = "/" } }, { do = "close" }"#;
    let slow = judged(&honest(steps, ""), "hyper");
    assert_eq!(slow.verdict(), Verdict::Clean, "{:?}", slow.findings);
    let held = slow.run.connections[0].released.unwrap();
    assert!(held > Duration::from_secs(9), "{held:?}");

    let never = judged(&honest(&steps.replace("slow/9000", "never"), ""), "hyper");
    assert_eq!(never.verdict(), Verdict::Leftover, "{:?}", never.findings);
    let reset = judged(
        &honest(&steps.replace("\"close\"", "\"reset\""), ""),
        "hyper",
    );
    assert_eq!(reset.verdict(), Verdict::Late, "{:?}", reset.findings);
}

/// An hour is the longest that our server has for a connection whose client takes nothing. A response that has just begun then,
/// and of which nothing more comes, is cut as soon as the server knows that all of it was taken: the rate's grace is the longest
/// that this needs.
#[test]
fn what_is_under_way_when_a_connection_is_too_old_is_cut() {
    let steps = r#"{ do = "send", all = [ <asks> ], size = 37, every = "74985ms" }, { do = "send", head = { method = "GET", target = "/events" } },
        { do = "send", head = { method = "GET", target = "/" }, size = 1, every = "500ms" }"#;
    let asks = vec![r#"{ head = { method = "GET", target = "/" } }"#; 48].join(", ");
    let steps = steps.replace("<asks>", &asks);
    let network = "send_buffer = \"4KiB\"\nreceive_buffer = \"4KiB\"\n";
    let cell = judged(&honest(&steps, network), "hangup");
    assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
    let cut = &cell.run.connections[0];
    let (began, closed) = (cut.responses.list[48].at, cut.server_closed.unwrap().0);
    assert!(cut.responses.inside() && closed < began + Duration::from_secs(5));

    // A client that takes all of its responses is cut at the same age. That is what our server promises, but not what
    // one does that claims a day.
    let ask = r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" },
        { do = "stall", for = "74900ms" },"#;
    let ends = r#"{ do = "send", head = { method = "GET", target = "/events" } }, { do = "await", eof = true, within = "1m" }"#;
    let takes = honest(&(ask.repeat(48) + ends), "");
    let mut promised = (*takes).clone();
    promised.contract.residence = Some(Duration::from_secs(24 * 60 * 60));
    for (scenario, verdict) in [(takes, Verdict::Clean), (Arc::new(promised), Verdict::Lost)] {
        let cell = judged(&scenario, "hangup");
        assert!(cell.run.connections[0].responses.inside());
        assert_eq!(cell.verdict(), verdict, "{:?}", cell.findings);
    }
}
