//! Captures from elsewhere, each with what is right for it (`cases/README.md`).

use hangup::import::{Choice, Imported, Unreadable, import};
use hangup_scenario::{Client, Piece, Scenario, Step};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases")
}

fn case(name: &str) -> Result<Imported, Unreadable> {
    let file = File::open(folder().join(name)).expect("it is there");
    let imported = import(file, &Choice::default());
    if let Ok(imported) = &imported {
        let text = imported.scenario.to_toml();
        assert_eq!(
            Scenario::from_toml(name, &text).as_ref(),
            Ok(&imported.scenario)
        );
    }
    imported
}

/// The only line that is said of a file of which no scenario is made.
fn refused(name: &str) -> String {
    let said = case(name).expect_err(name).to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// The targets of the requests of a client.
fn targets(client: &Client) -> Vec<String> {
    let sends = client.steps.iter().filter_map(|step| match step {
        Step::Send(send) => Some(&send.what),
        _ => None,
    });
    sends
        .flatten()
        .filter_map(|piece| match piece {
            Piece::Head(head) => Some(head.target.to_string()),
            _ => None,
        })
        .collect()
}

const ONE_REQUEST: [&str; 1] = ["/a?xxxxxxxxxxxx"];

#[test]
fn what_is_no_http_becomes_no_scenario() {
    assert!(refused("ssh.pcap").ends_with("; connection 1: it is no HTTP (SSH)"));
    let said = refused("tls-midstream.pcap");
    assert!(said.contains("encrypted (TLS); allowed: "), "{said}");
}

#[test]
fn the_acknowledgement_of_an_old_connection_counts_for_nothing() {
    let imported = case("challenge-ack.pcapng").expect("a capture");
    let connection = &imported.connections[0];
    assert_eq!(
        (connection.bytes_in, connection.bytes_out, connection.end),
        (0, 0, "it is open")
    );
    assert_eq!(imported.notes, <[&str; 0]>::default());
    assert_eq!(imported.scenario.clients[0].steps, [Step::Connect]);
}

#[test]
fn connections_that_never_were_are_listed() {
    assert!(refused("refused.pcap").ends_with("; connection 1: it was refused"));
    assert!(refused("syn-only.pcap").ends_with("; connection 1: nobody answered its SYN"));
}

#[test]
fn no_token_of_a_target_survives() {
    let text = case("secrets-in-target.pcap")
        .expect("a capture")
        .scenario
        .to_toml();
    assert!(!text.contains("SECRET"), "{text}");
    for kept in ["GET", "CONNECT", "/reset/xxxxxxx", "host = \"h\""] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let said = refused("one-late-timestamp.pcap");
    assert!(
        said.contains("connection 1 (142 bytes in, 80 out)") && said.contains("365d"),
        "{said}"
    );
    // The line of a file that nobody has would stand behind its name.
    assert!(!said.contains("import:"), "{said}");
}

/// With another connection beside it, both are named, and which of them can be imported alone.
#[test]
fn what_does_not_fit_is_told_from_what_does() {
    let bytes = |name: &str| fs::read(folder().join(name)).expect("it is there");
    let (mut good, bad) = (bytes("fcs-linktype.pcap"), bytes("one-late-timestamp.pcap"));
    for at in 24..good.len() - 1 {
        if good[at..at + 2] == 40_000_u16.to_be_bytes() {
            good[at..at + 2].copy_from_slice(&40_077_u16.to_be_bytes());
        }
    }
    let both = [&bad[..24], &good[24..], &bad[24..]].concat();
    let error = import(&*both, &Choice::default()).expect_err("one does not fit");
    let said = error.to_string();
    assert!(
        said.starts_with(
            "1 of its 2 connections cannot be in a scenario: connection 2 (142 bytes in, 80 out)"
        ) && said.ends_with("by --connection N: connection 1 (71 bytes in, 40 out)"),
        "{said}"
    );
    let choice = Choice {
        connection: Some(1),
        ..Choice::default()
    };
    assert!(import(&*both, &choice).is_ok());
}

#[test]
fn a_request_that_was_captured_late_is_kept_and_one_that_was_not_is_noted() {
    let imported = case("ack-captured-before-data.pcap").expect("a capture");
    assert_eq!(targets(&imported.scenario.clients[0]), ONE_REQUEST);
    assert_eq!(imported.connections[0].statuses, [200]);
    assert_eq!(imported.notes, <[&str; 0]>::default());
    let said = refused("data-missing-only-fin-acked.pcap");
    assert!(said.contains("connection 1: 71 bytes"), "{said}");
}

#[test]
fn odd_link_layers_and_lengths_are_read_as_far_as_they_go() {
    let imported = case("fcs-linktype.pcap").expect("a capture");
    assert_eq!(targets(&imported.scenario.clients[0]), ONE_REQUEST);
    let imported = case("second-interface-unknown-link.pcapng").expect("a capture");
    assert_eq!(targets(&imported.scenario.clients[0]), ONE_REQUEST);
    assert_eq!(
        imported.notes,
        ["1 packets are of link type 253, which is not read"]
    );
    let imported = case("incl-len-1g.pcap").expect("a capture");
    assert_eq!(
        imported.notes,
        [
            "record 4, at byte 242, is 1073741824 bytes long, by its header, which cannot be: the rest of the file is not read"
        ]
    );
}

#[test]
fn connections_are_numbered_as_wireshark_numbers_them() {
    let imported = case("icmp-quotes-tcp-first.pcap").expect("a capture");
    let numbers: Vec<u64> = imported
        .connections
        .iter()
        .map(|told| told.connection)
        .collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(imported.notes, ["1 packets are ICMP errors that quote TCP"]);
}

#[test]
fn fragments_are_named() {
    let said = refused("ip-fragments.pcap");
    assert!(
        said.ends_with("; 2 packets are fragments of IP packets, which are not put together"),
        "{said}"
    );
}

#[test]
fn every_file_has_its_test_and_its_line() {
    let here = include_str!("cases.rs");
    let readme = include_str!("cases/README.md");
    let files = fs::read_dir(folder()).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name());
    let mut captures = 0;
    for name in names.map(|name| name.into_string().expect("UTF-8")) {
        if let Some((stem, _)) = name.split_once(".pcap") {
            captures += 1;
            assert!(here.contains(&format!("\"{name}\"")), "{name}");
            assert!(readme.contains(&format!("`{stem}`")), "{name}");
        }
    }
    assert_eq!(captures, 14);
}

/// One packet of each kind, in Ethernet frames.
#[test]
fn what_may_carry_tcp_is_named() {
    let ip = |protocol: u8, payload: &[u8]| {
        let length = (20 + payload.len() as u16).to_be_bytes();
        let header = [
            0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        [&header[..], payload].concat()
    };
    let udp = |port: u16| {
        let port = port.to_be_bytes();
        ip(
            17,
            &[0, 9, port[0], port[1], 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        )
    };
    for (kind, packet, says) in [
        (0x0800_u16, ip(47, &[0, 0, 8, 0]), "1 packets are GRE,"),
        (0x0800, ip(4, &ip(6, &[0; 20])), "1 packets are IP in IP,"),
        (0x0800, udp(4789), "1 packets are VXLAN,"),
        (0x0800, udp(53), "1 packets are no TCP"),
        (
            0x8864,
            vec![0x11, 0, 0, 1, 0, 2, 0, 0x21],
            "1 packets are PPPoE,",
        ),
        (0x8847, vec![0, 0, 0x11, 64, 0x45], "1 packets are MPLS,"),
        (
            0x0800,
            ip(6, &[0; 4]),
            "1 packets are cut off within their headers",
        ),
    ] {
        let frame = [&[2; 12][..], &kind.to_be_bytes(), &packet].concat();
        let length = (frame.len() as u32).to_le_bytes();
        let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes);
        let record = [[0; 4], [0; 4], length, length];
        let capture = [&header.concat()[..], &record.concat(), &frame].concat();
        let error = import(&*capture, &Choice::default()).expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
    }
}
