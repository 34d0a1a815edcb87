//! What is nobody's business does not get into a scenario, unless that is asked for.

use super::{imported, judged};
use hangup::import::{Choice, import};
use hangup::report::pcap;
use hangup_scenario::{Client, Piece, Scenario, Send, Step};
use proptest::prelude::*;
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

/// The same where the head comes in two segments, cut anywhere.
#[test]
fn a_head_in_two_segments_has_its_target_replaced_too() {
    let head = b"GET /own?of=it HTTP/1.1\r\nHost: h\r\n\r\n";
    let choice = Choice {
        target: Some("/elsewhere".to_owned()),
        ..Choice::default()
    };
    for cut in 1..head.len() {
        let capture = sent(&[&head[..cut], &head[cut..]]);
        let imported = import(&*capture, &choice).expect("a capture");
        let bytes = rendered(&imported.scenario.clients[0]);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n",
            "{cut}"
        );
    }
}

/// A capture of a client that sends these, with a pause in between.
fn sent(writes: &[&[u8]]) -> Vec<u8> {
    let mut scenario = Scenario::of("sent", vec![Step::Connect]);
    for write in writes {
        let steps = &mut scenario.clients[0].steps;
        steps.push(Step::Send(Send::from(Piece::Bytes(write.to_vec()))));
        steps.push(Step::Stall {
            duration: std::time::Duration::from_millis(500),
        });
    }
    pcap::capture(&judged(&Arc::new(scenario), "hyper").run.packets)
}

/// All that a client sends.
fn rendered(client: &Client) -> Vec<u8> {
    let mut out = Vec::new();
    for step in &client.steps {
        if let Step::Send(send) = step {
            send.render(&mut out);
        }
    }
    out
}

/// What is drawn at random: letters of both kinds and digits, as in keys, session numbers and hashes.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{16,40}".prop_filter("letters and digits", |text| mixed(text)),
        "[A-Za-z0-9_-]{12,40}".prop_filter("letters and digits", |text| mixed(text)),
        "[A-Z0-9]{10,26}".prop_filter("letters and digits", |text| mixed(text)),
        "[0-9]{12,16}",
        "eyJ[A-Za-z0-9]{10,20}\\.[A-Za-z0-9_-]{12,20}"
            .prop_filter("letters and digits", |text| mixed(text)),
    ]
}

/// Has a stretch of eight letters and digits with a digit before a letter: no word with a number behind it.
fn mixed(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .windows(2)
        .any(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Wherever it stands in a request, well-formed or not, in one segment or in two.
    #[test]
    fn no_secret_shaped_token_survives(
        secret in secret(),
        place in 0..PLACES.len(),
        cut in any::<prop::sample::Index>(),
        breaks in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut request = PLACES[place].replace('$', &secret).into_bytes();
        let at = cut.index(request.len() - 1) + 1;
        if let Some((index, byte)) = breaks {
            // One byte is another, but not of the secret itself: then it would be another.
            let index = index.index(request.len());
            let text = String::from_utf8_lossy(&request).into_owned();
            let own = text.find(&secret).expect("it is there");
            if !(own..own + secret.len()).contains(&index) {
                request[index] = byte;
            }
        }
        let capture = sent(&[&request[..at], &request[at..]]);
        if let Ok(imported) = import(&*capture, &Choice::default()) {
            let bytes = imported.scenario.clients.iter().flat_map(rendered);
            let bytes: Vec<u8> = bytes.collect();
            let text = String::from_utf8_lossy(&bytes);
            prop_assert!(!text.contains(&secret), "{text}");
            // Nor a part of it that would do to guess the rest.
            let half = &secret[..secret.len() * 3 / 4];
            prop_assert!(!text.contains(half), "{text}");
        }
    }
}

/// Requests with a secret at `$`.
const PLACES: [&str; 34] = [
    "GET /reset/$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /$/reset HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a;jsessionid=$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a;v=$/b HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a?token=$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a?$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a#access_token=$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /%3Ftoken=$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a&token=$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a b?$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET http://u:$@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET http://$@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET http://u:p@$@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET http://$.h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET ftp://u:$@h HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET $ HTTP/1.1\r\nHost: h\r\n\r\n",
    "CONNECT u:$@h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.1 $\r\nHost: h\r\n\r\n",
    "GET\t/$ HTTP/1.1\r\nHost: h\r\n\r\n",
    "$ / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: u:$@h\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: $.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=$; b=c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer $\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nX-$: v\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nContent-Type: a/b; boundary=$\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: Mozilla/5.0 (X11; $)\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nAccept: a\r\n $\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nCookie: x\r\n accept: $\r\n\r\n",
    "GET / HTTP/1.1\nHost: h\nCookie: $\n\n",
    "GET / HTTP/1.1\rHost: h\rCookie: $\r\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=$\r\nabc\r\n0\r\nT: $\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\npassword=$",
    "GET / HTTP/1.1\r\nHost: h\r\n$\r\n\r\n",
];

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
    assert_eq!(rest.left_out[0].why, "it is encrypted (TLS)");
    assert_eq!(rest.left_out[0].told.connection, 1);
}
