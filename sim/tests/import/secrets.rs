//! What is nobody's business does not get into a scenario, unless that is asked for.

use super::{imported, judged};
use hangup::import::{Choice, import};
use hangup::report::pcap;
use hangup_scenario::Scenario;
use std::sync::Arc;

/// A request with a secret in every place that one can be in; each ends in `SECRET` and a number.
const REQUEST: &str = r#"
name = "secrets"
[[client]]
steps = [
  { do = "connect" },
  { do = "send", bytes = "POST /echo?token=SECRET1 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic SECRET2\r\nCookie: a=SECRET3; b=SECRET4\r\nX-Api-Key:SECRET5\r\nReferer: http://h/?SECRET6\r\nX-Folded: SECRET7\r\n SECRET8\r\n\r\n" },
  { do = "await", status = "final", within = "2s" },
  { do = "reconnect" },
  { do = "send", bytes = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nbodySECRET9." },
  { do = "await", status = "final", within = "2s" },
  { do = "send", bytes = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb;x=SECRET10\r\nbody SECRET11"},
  { do = "stall", for = "1s" },
  { do = "send", bytes = "\r\n0\r\nX-Trailer: SECRET12\r\n\r\n" },
  { do = "await", status = "final", within = "2s" },
  { do = "send", bytes = "GET http://me:SECRET13@h/ HTTP/1.1\r\nHost: h\r\n\r\n" },
  { do = "close" },
]
"#;

fn capture() -> Vec<u8> {
    let scenario = Scenario::from_toml("secrets", REQUEST).expect("a scenario");
    pcap::capture(&judged(&Arc::new(scenario), "hyper").run.packets)
}

#[test]
fn secrets_become_filler_of_the_same_length() {
    let capture = capture();
    let masked = imported(&capture);
    let text = masked.scenario.to_toml();
    assert!(!text.contains("SECRET"), "{text}");
    assert!(text.contains("xxxxx xxxxxxx"), "the lengths stay: {text}");
    let choice = Choice {
        keep_payload: true,
        ..Choice::default()
    };
    let kept = import(&*capture, &choice).expect("a capture");
    let text = kept.scenario.to_toml();
    for number in 1..=13 {
        assert!(
            text.contains(&format!("SECRET{number}")),
            "{number}: {text}"
        );
    }
    assert_eq!(kept.connections, masked.connections);
    let sent = |scenario: &Scenario| {
        let cell = judged(&Arc::new(scenario.clone()), "hyper");
        let all = cell.run.connections.iter();
        all.map(|it| it.bytes_in).collect::<Vec<_>>()
    };
    assert_eq!(sent(&kept.scenario), sent(&masked.scenario));
}

#[test]
fn a_target_can_be_put_in_place_of_every_request_s() {
    let choice = Choice {
        target: Some("/elsewhere".to_owned()),
        ..Choice::default()
    };
    let scenario = Scenario::from_toml(
        "two",
        "name = \"two\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", head = { method = \"GET\", target = \"/a?b\" } }, \
         { do = \"send\", head = { method = \"GET\", target = \"/c\" } } ]\n",
    );
    let cell = judged(&Arc::new(scenario.expect("a scenario")), "hyper");
    let imported = import(&*pcap::capture(&cell.run.packets), &choice).expect("a capture");
    let text = imported.scenario.to_toml();
    assert_eq!(text.matches("target = \"/elsewhere\"").count(), 3, "{text}");
}

#[test]
fn what_is_encrypted_says_so() {
    let scenario = Scenario::from_toml(
        "tls",
        "name = \"tls\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", bytes = \"\\x16\\x03\\x01\\x00\\x05hello\" } ]\n",
    );
    let cell = judged(&Arc::new(scenario.expect("a scenario")), "hyper");
    let capture = pcap::capture(&cell.run.packets);
    let choice = Choice {
        connection: Some(1),
        ..Choice::default()
    };
    let error = import(&*capture, &choice).expect_err("nothing can be read");
    assert!(
        error.to_string().contains("encrypted (TLS); allowed:"),
        "{error}"
    );
    // The fresh client at the end speaks HTTP in clear.
    let rest = imported(&capture);
    assert_eq!(rest.notes, ["1 connections are encrypted, and left out"]);
}
