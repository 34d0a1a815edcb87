//! One run, captured in every way that there is: the scenario is the same.

use super::{imported, judged};
use etherparse::{IpNumber, IpSlice, Ipv6Header, SlicedPacket, TransportSlice};
use hangup::import::{Choice, Imported, Unreadable, import};
use hangup::incident;
use hangup::packet::Packet;
use hangup::report::pcap;
use hangup_scenario::{Client, Scenario, Step};
use pcap_file::pcap::PcapReader;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// A packet as a capture has it: when, and the bytes from the IP header on.
#[derive(Clone)]
struct Record {
    at: Duration,
    bytes: Vec<u8>,
}

/// The packets of an incident against hyper, and the time that each takes to the other host; none if it is lost.
fn packets(name: &str) -> Vec<(Record, Option<Duration>, bool)> {
    let incident = incident::named(name).expect("an incident");
    let cell = judged(&incident, "hyper");
    let flight = |packet: &Packet| Some(packet.arrives? - packet.at);
    let flights = cell.run.packets.iter().map(flight);
    let from_client = cell
        .run
        .packets
        .iter()
        .map(|packet| packet.wire.destination.port() == 80);
    records(&pcap::capture(&cell.run.packets))
        .into_iter()
        .zip(flights)
        .zip(from_client)
        .map(|((record, flight), from_client)| (record, flight, from_client))
        .collect()
}

fn records(capture: &[u8]) -> Vec<Record> {
    let mut reader = PcapReader::new(capture).expect("a header");
    let mut all = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect("a record");
        all.push(Record {
            at: packet.timestamp,
            bytes: packet.data.into_owned(),
        });
    }
    all
}

fn both_hosts(name: &str) -> Vec<Record> {
    let packets = packets(name).into_iter();
    packets.map(|(record, _, _)| record).collect()
}

/// A pcap with nanoseconds, of a link type, each record `before` its IP packet and at most `snap` bytes of it.
fn file(records: &[Record], link: u32, before: &[u8], snap: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [0xa1b2_3c4d, 0x0004_0002, 0, 0, snap as u32, link] {
        out.extend_from_slice(&u32::to_le_bytes(field));
    }
    for record in records {
        let whole = [before, &record.bytes].concat();
        let kept = &whole[..whole.len().min(snap)];
        let at = record.at;
        for field in [
            at.as_secs() as u32,
            at.subsec_nanos(),
            kept.len() as u32,
            whole.len() as u32,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(kept);
    }
    out
}

fn raw(records: &[Record]) -> Vec<u8> {
    file(records, 101, &[], 65_535)
}

/// A pcapng with two interfaces, the second with times of its own resolution, in either byte order.
fn pcapng(records: &[Record], is_big: bool, resolution: u8) -> Vec<u8> {
    let number = |value: u32| match is_big {
        true => value.to_be_bytes(),
        false => value.to_le_bytes(),
    };
    let halves = |first: u16, second: u16| match is_big {
        true => [first.to_be_bytes(), second.to_be_bytes()].concat(),
        false => [first.to_le_bytes(), second.to_le_bytes()].concat(),
    };
    let mut out = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let body = [body, &[0; 3][..body.len().wrapping_neg() % 4]].concat();
        let length = number(body.len() as u32 + 12);
        for part in [&number(kind)[..], &length, &body, &length] {
            out.extend_from_slice(part);
        }
    };
    let section = [&number(0x1a2b_3c4d)[..], &halves(1, 0), &[0xff; 8]].concat();
    block(0x0a0d_0d0a, &section);
    block(1, &[&halves(1, 0)[..], &number(0)].concat());
    let resolved = [
        &halves(101, 0)[..],
        &number(0),
        &halves(9, 1),
        &[resolution, 0, 0, 0],
        &[0; 4],
    ];
    block(1, &resolved.concat());
    // Something that no reader knows.
    block(0x0bad, b"whatever");
    for record in records {
        let per_second = match resolution & 0x80 {
            0 => 10_u128.pow(resolution.into()),
            _ => 1_u128 << (resolution & 0x7f),
        };
        let ticks = (record.at.as_nanos() * per_second).div_ceil(1_000_000_000) as u64;
        let length = number(record.bytes.len() as u32);
        let head = [
            number(1),
            number((ticks >> 32) as u32),
            number(ticks as u32),
            length,
            length,
        ];
        block(6, &[&head.concat(), &record.bytes[..]].concat());
    }
    out
}

/// What is the same however it was captured: the steps.
fn clients(capture: &[u8]) -> Vec<Client> {
    imported(capture).scenario.clients
}

const SOME: [&str; 8] = [
    "fasthttp-1834",
    "body-trickle",
    "pipeline-bytewise",
    "slow-read",
    "reset-mid-body",
    "idle-race",
    "early-reply-chunked",
    "half-close-mid-body",
];

#[test]
fn every_link_layer_gives_the_same() {
    let cooked = [&[0; 14][..], &[8, 0]].concat();
    let cooked2 = [&[8, 0][..], &[0; 18]].concat();
    let ethernet = [&[2; 12][..], &[8, 0]].concat();
    let vlan = [&[2; 12][..], &[0x81, 0, 0, 5, 8, 0]].concat();
    let two_vlans = [&[2; 12][..], &[0x88, 0xa8, 0, 9, 0x81, 0, 0, 5, 8, 0]].concat();
    for name in SOME {
        let records = both_hosts(name);
        let expected = clients(&raw(&records));
        for (link, before) in [
            (12, &[][..]),
            (228, &[]),
            (0, &[2, 0, 0, 0]),
            (108, &[0, 0, 0, 2]),
            (113, &cooked),
            (276, &cooked2),
            (1, &ethernet),
            (1, &vlan),
            (1, &two_vlans),
        ] {
            let capture = file(&records, link, before, 65_535);
            assert_eq!(clients(&capture), expected, "{name}, link type {link}");
        }
    }
}

#[test]
fn pcapng_gives_the_same_in_both_byte_orders_and_all_resolutions() {
    for name in SOME {
        let records = both_hosts(name);
        let expected = clients(&raw(&records));
        for is_big in [true, false] {
            for resolution in [6, 9, 0x80 | 20] {
                let capture = pcapng(&records, is_big, resolution);
                assert_eq!(
                    clients(&capture),
                    expected,
                    "{name}, {is_big}, {resolution}"
                );
            }
        }
    }
}

#[test]
fn captured_at_the_client_at_the_server_or_between_it_is_the_same() {
    for name in SOME {
        // The fresh client's host is beside the server's: there is nothing between them.
        let mut packets = packets(name);
        packets.retain(|(_, flight, _)| *flight != Some(Duration::ZERO));
        let sent: Vec<Record> = packets.iter().map(|(record, ..)| record.clone()).collect();
        let expected = clients(&raw(&sent));
        for tenths in [0, 3, 10] {
            let mut records: Vec<Record> = packets
                .iter()
                .filter_map(|(record, flight, from_client)| {
                    // What is lost is lost before it comes by.
                    let flight = (*flight)?;
                    let there = match from_client {
                        true => flight * tenths / 10,
                        false => flight * (10 - tenths) / 10,
                    };
                    let at = record.at + there;
                    Some(Record {
                        at,
                        ..record.clone()
                    })
                })
                .collect();
            records.sort_by_key(|record| record.at);
            assert_eq!(
                clients(&raw(&records)),
                expected,
                "{name}, {tenths} tenths of the way"
            );
        }
    }
}

#[test]
fn packets_twice_out_of_order_and_overlapping_give_the_same() {
    for name in SOME {
        let records = both_hosts(name);
        let expected = clients(&raw(&records));
        let twice: Vec<Record> = records
            .iter()
            .flat_map(|it| [it.clone(), it.clone()])
            .collect();
        assert_eq!(clients(&raw(&twice)), expected, "{name}, twice");
        let again: Vec<Record> = (0..records.len())
            .flat_map(|index| {
                let later = Record {
                    at: records[index].at,
                    ..records[index.saturating_sub(2)].clone()
                };
                // A SYN that comes late again is no new connection.
                [records[index].clone(), later]
            })
            .collect();
        assert_eq!(clients(&raw(&again)), expected, "{name}, sent again");
    }
    // A body in many segments, some of them swapped within their burst.
    let text = "name = \"big\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", head = { method = \"POST\", \
         target = \"/echo\", length = 20000 } }, { do = \"send\", body = 20000 }, { do = \"await\", status = \"final\", within = \"9s\" } ]\n";
    let scenario = Arc::new(Scenario::from_toml("big", text).expect("a scenario"));
    let records = records(&pcap::capture(&judged(&scenario, "hyper").run.packets));
    let expected = imported(&raw(&records));
    let mut swapped = records.clone();
    let is_full = |record: &Record| record.bytes.len() >= 1500;
    let mut index = 0;
    while index + 1 < swapped.len() {
        if is_full(&swapped[index]) && is_full(&swapped[index + 1]) {
            let (one, other) = (swapped[index].at, swapped[index + 1].at);
            swapped.swap(index, index + 1);
            (swapped[index].at, swapped[index + 1].at) = (one, other);
            index += 1;
        }
        index += 1;
    }
    let again = imported(&raw(&swapped));
    assert_eq!(again.connections[0], expected.connections[0]);
    assert_eq!(again.scenario.clients, expected.scenario.clients);
}

#[test]
fn ipv6_gives_the_same() {
    for name in SOME {
        let records = both_hosts(name);
        let expected = clients(&raw(&records));
        let six: Vec<Record> = records.iter().map(six).collect();
        assert_eq!(clients(&raw(&six)), expected, "{name}");
    }
}

/// The same segment over IPv6.
fn six(record: &Record) -> Record {
    let sliced = SlicedPacket::from_ip(&record.bytes).expect("a packet");
    let ip = match sliced.net.expect("IP") {
        etherparse::NetSlice::Ipv4(ip) => IpSlice::Ipv4(ip),
        other => panic!("{other:?}"),
    };
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
        panic!("no TCP");
    };
    let mapped = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(six) => six.octets(),
    };
    let header = Ipv6Header {
        payload_length: tcp.slice().len() as u16,
        next_header: IpNumber::TCP,
        source: mapped(ip.source_addr()),
        destination: mapped(ip.destination_addr()),
        ..Ipv6Header::default()
    };
    Record {
        at: record.at,
        bytes: [&header.to_bytes()[..], tcp.slice()].concat(),
    }
}

#[test]
fn a_short_snap_length_keeps_the_sizes_of_bodies() {
    let text = "name = \"big\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", head = { method = \"POST\", \
         target = \"/echo\", length = 20000 } }, { do = \"send\", body = 20000 }, { do = \"await\", status = \"final\", within = \"9s\" } ]\n";
    let scenario = Arc::new(Scenario::from_toml("big", text).expect("a scenario"));
    let records = records(&pcap::capture(&judged(&scenario, "hyper").run.packets));
    let expected = imported(&raw(&records));
    let again = imported(&file(&records, 101, &[], 200));
    assert_eq!(again.connections, expected.connections);
    assert_eq!(again.scenario.clients, expected.scenario.clients);
    assert!(again.notes[0].contains("bytes were not captured"));
}

#[test]
fn a_snap_length_that_cuts_heads_leaves_nothing_to_repeat() {
    for name in ["fasthttp-1834", "pipeline-bytewise", "slow-read"] {
        // The headers are 40 bytes, 48 with options.
        for snap in [48, 60] {
            let capture = file(&both_hosts(name), 101, &[], snap);
            match import(&*capture, &Choice::default()) {
                // Of single bytes nothing is cut off.
                Ok(imported) => assert_eq!(name, "pipeline-bytewise", "{imported:?}"),
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains("were not captured"), "{said}");
                }
            }
        }
    }
}

#[test]
fn a_capture_that_begins_or_ends_in_the_middle_is_what_there_is() {
    let what = |capture: &[u8]| match import(capture, &Choice::default()) {
        Ok(imported) => {
            check(&imported);
            Some(imported)
        }
        Err(Unreadable::Nothing(_)) => None,
        Err(error) => panic!("{error}"),
    };
    let (mut late, mut begun) = (0, 0);
    for name in SOME {
        let records = both_hosts(name);
        for cut in 0..records.len().min(40) {
            if let Some(imported) = what(&raw(&records[cut..])) {
                let clients = imported.scenario.clients;
                assert!(
                    clients
                        .iter()
                        .all(|client| client.steps[0] == Step::Connect)
                );
                late += usize::from(cut > 3);
            }
            // Before the handshake's end there is no connection.
            let early = what(&raw(&records[..cut]));
            assert!(cut > 2 || early.is_none(), "{name}, {cut}");
            begun += usize::from(early.is_some());
        }
    }
    assert!(begun > 100, "{begun}");
    assert!(late > 20, "{late}");
}

/// A keep-alive connection that was open when the capture began, in the middle of a body: its later requests are whole.
#[test]
fn requests_behind_the_middle_of_a_body_are_found() {
    let text = "name = \"two\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", head = { method = \"POST\", \
         target = \"/echo\", length = 9000 } }, { do = \"send\", body = 9000 }, { do = \"await\", status = \"final\", within = \"9s\" }, \
         { do = \"send\", head = { method = \"GET\", target = \"/later\" } }, { do = \"await\", status = \"final\", within = \"9s\" } ]\n";
    let scenario = Arc::new(Scenario::from_toml("two", text).expect("a scenario"));
    let records = records(&pcap::capture(&judged(&scenario, "hyper").run.packets));
    let imported = imported(&raw(&records[6..]));
    let text = imported.scenario.to_toml();
    assert!(
        text.contains("target = \"/later\"") && !text.contains("body ="),
        "{text}"
    );
    assert_eq!(imported.connections[0].statuses, [404]);
}

#[test]
fn one_direction_alone_still_has_the_client_s_bytes() {
    for name in SOME {
        let whole = imported(&raw(&both_hosts(name)));
        let up = packets(name)
            .into_iter()
            .filter(|(_, _, from_client)| *from_client);
        let up: Vec<Record> = up.map(|(record, _, _)| record).collect();
        let alone = imported(&raw(&up));
        let bytes = |imported: &Imported| {
            imported
                .connections
                .iter()
                .map(|it| it.bytes_in)
                .collect::<Vec<_>>()
        };
        assert_eq!(bytes(&alone), bytes(&whole), "{name}");
    }
}

/// What is imported can be written, read again and judged.
fn check(imported: &Imported) {
    let text = imported.scenario.to_toml();
    let read = Scenario::from_toml("imported", &text);
    assert_eq!(read.as_ref(), Ok(&imported.scenario), "{text}");
}

#[test]
fn what_is_no_capture_is_an_error_in_one_line() {
    let records = both_hosts("fasthttp-1834");
    let cases: [(Vec<u8>, &str); 6] = [
        (Vec::new(), "no recording begins like this"),
        (b"\x1f\x8b\x08".to_vec(), "not compressed"),
        (
            file(&records, 105, &[], 65_535),
            "link type 105; allowed: Ethernet (1)",
        ),
        (raw(&[]), "there is no TCP in it: it has no packets"),
        (
            b"\x0a\x0d\x0d\x0a\0\0\0\x1c\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            "a broken capture",
        ),
        (pcapng(&[], true, 6), "there is no TCP in it"),
    ];
    for (file, says) in cases {
        let error = import(&*file, &Choice::default())
            .expect_err(says)
            .to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let choice = |connection, port| Choice {
        connection,
        port,
        ..Choice::default()
    };
    for (choice, says) in [
        (
            choice(Some(9), None),
            "there is no connection 9 in it; allowed: 1 to 2",
        ),
        (
            choice(None, Some(81)),
            "none of its 2 connections is to port 81",
        ),
    ] {
        let error = import(&*raw(&records), &choice)
            .expect_err(says)
            .to_string();
        assert!(error.contains(says), "{error}");
    }
    let one = import(&*raw(&records), &choice(Some(1), Some(80))).expect("it is there");
    assert_eq!(one.scenario.clients.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mangled_captures_never_panic(
        which in 0..SOME.len(),
        kind in 0..3_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
        keep_payload in any::<bool>(),
        connection in prop::option::of(0..4_u64),
    ) {
        let records = both_hosts(SOME[which]);
        let mut capture = match kind {
            0 => raw(&records),
            1 => pcapng(&records, true, 6),
            _ => file(&records, 1, &[&[2; 12][..], &[8, 0]].concat(), 80),
        };
        for (index, byte) in flips {
            // The magic is left alone: without it nothing is read.
            let at = 4 + index.index(capture.len() - 4);
            capture[at] = byte;
        }
        if cuts {
            capture.truncate(4 + cut.index(capture.len() - 4));
        }
        let choice = Choice { keep_payload, connection, ..Choice::default() };
        match import(&*capture, &choice) {
            Ok(imported) => {
                let text = imported.scenario.to_toml();
                // It may be more than a scenario holds, but what it holds is the same.
                if let Ok(read) = Scenario::from_toml("imported", &text) {
                    prop_assert_eq!(read, imported.scenario);
                }
            }
            Err(Unreadable::Io(error)) => panic!("reading from memory: {error}"),
            Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
        }
    }

    #[test]
    fn any_bytes_never_panic(magic in 0..5_usize, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let magic = [
            &[0xa1, 0xb2, 0xc3, 0xd4][..],
            &[0x4d, 0x3c, 0xb2, 0xa1],
            &[0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 0x1c, 0x1a, 0x2b, 0x3c, 0x4d],
            b"{\"hangup_flight\":1}\n",
            &[],
        ][magic];
        let _ = import(&*[magic, &bytes].concat(), &Choice::default());
    }
}
