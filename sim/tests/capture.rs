//! `--pcap`: what Wireshark opens. And captures that are imported, held against what Wireshark makes of them.

#[path = "capture/generated.rs"]
mod generated;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::incident;
use hangup::report::pcap;
use hangup::run::Detail;
use hangup::server;
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// What a reader of the file sees of a packet.
#[derive(Debug)]
struct Seen {
    at: Duration,
    /// From the client.
    up: bool,
    port: u16,
    sequence: u32,
    flags: String,
    payload: Vec<u8>,
}

/// Reads a capture back with every checksum checked.
fn read(file: &[u8]) -> Vec<Seen> {
    let mut reader = PcapReader::new(file).expect("a header");
    assert_eq!(reader.header().datalink, DataLink::RAW);
    let mut seen = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect("a record");
        assert_eq!(packet.orig_len as usize, packet.data.len());
        let sliced = SlicedPacket::from_ip(&packet.data).expect("an IP packet");
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) =
            (sliced.net, sliced.transport)
        else {
            panic!("no TCP over IPv4");
        };
        let header = ip.header().to_header();
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
        let checksum = tcp.calc_checksum_ipv4(header.source, header.destination);
        assert_eq!(checksum, Ok(tcp.checksum()));
        assert_eq!(
            tcp.syn(),
            tcp.options().first() == Some(&2),
            "a SYN has options"
        );
        let flags = [
            (tcp.syn(), 'S'),
            (tcp.fin(), 'F'),
            (tcp.rst(), 'R'),
            (tcp.psh(), 'P'),
            (tcp.ack(), 'A'),
        ];
        let up = tcp.destination_port() == 80;
        seen.push(Seen {
            at: packet.timestamp,
            up,
            port: if up {
                tcp.source_port()
            } else {
                tcp.destination_port()
            },
            sequence: tcp.sequence_number(),
            flags: flags
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, flag)| *flag)
                .collect(),
            payload: tcp.payload().to_vec(),
        });
    }
    assert!(seen.is_sorted_by_key(|packet| packet.at));
    seen
}

/// The bytes of both directions of each connection, by the client's port: put together by their sequence numbers.
fn streams(seen: &[Seen]) -> BTreeMap<(u16, bool), Vec<u8>> {
    let mut first: BTreeMap<(u16, bool), u32> = BTreeMap::new();
    let mut streams: BTreeMap<(u16, bool), Vec<u8>> = BTreeMap::new();
    for packet in seen {
        let way = (packet.port, packet.up);
        if packet.flags.contains('S') {
            first.insert(way, packet.sequence.wrapping_add(1));
        }
        if packet.payload.is_empty() {
            continue;
        }
        let offset = packet.sequence.wrapping_sub(first[&way]) as usize;
        let stream = streams.entry(way).or_default();
        assert!(offset <= stream.len(), "a hole in {way:?} before {offset}");
        let end = offset + packet.payload.len();
        stream.resize(stream.len().max(end), 0);
        stream[offset..end].copy_from_slice(&packet.payload);
    }
    streams
}

fn whole(scenario: &Arc<hangup_scenario::Scenario>, server: &str) -> Cell {
    let server = server::named(server).expect("a built-in server");
    Cell::of(Engine::Leap, scenario, &*server, Detail::WHOLE)
}

fn scenario(text: &str) -> Arc<hangup_scenario::Scenario> {
    Arc::new(hangup_scenario::Scenario::from_toml("test", text).expect("a scenario"))
}

fn brief(seen: &[Seen]) -> Vec<String> {
    seen.iter()
        .map(|packet| {
            format!(
                "{} {} {} {}",
                packet.at.as_millis(),
                if packet.up { ">" } else { "<" },
                packet.flags,
                packet.payload.len()
            )
        })
        .collect()
}

#[test]
fn a_small_exchange_is_packet_by_packet_what_tcp_does() {
    let scenario = scenario(
        "name = \"small\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", head = { method = \"GET\", \
         target = \"/\" } }, { do = \"await\", status = \"final\", within = \"1s\" }, { do = \"close\" } ]\n",
    );
    let cell = whole(&scenario, "hyper");
    let seen = read(&pcap::capture(&cell.run.packets));
    let of_client: Vec<Seen> = seen
        .into_iter()
        .filter(|packet| packet.port == 32768)
        .collect();
    let lines = brief(&of_client);
    let request = cell.run.connections[0].bytes_in;
    let response = cell.run.connections[0].bytes_out;
    assert_eq!(
        lines,
        [
            "0 > S 0".to_owned(),
            "20 < SA 0".to_owned(),
            "40 > A 0".to_owned(),
            format!("40 > PA {request}"),
            "60 < A 0".to_owned(),
            format!("60 < PA {response}"),
            "80 > A 0".to_owned(),
            "80 > FA 0".to_owned(),
            "100 < A 0".to_owned(),
            "100 < FA 0".to_owned(),
            "120 > A 0".to_owned(),
        ]
    );
}

/// Every byte that reached a host is in the capture, of every incident against three servers.
#[test]
fn no_byte_is_missing() {
    for incident in incident::all() {
        for server in ["hangup", "hyper", "hangup-unbounded"] {
            let cell = whole(incident, server);
            let seen = read(&pcap::capture(&cell.run.packets));
            let streams = streams(&seen);
            for connection in cell.run.connections.iter().filter(|it| !it.stillborn) {
                // Ports are given out in the order of the connections.
                let port = 32_767 + connection.id as u16;
                let length = |up| streams.get(&(port, up)).map_or(0, Vec::len) as u64;
                let name = format!(
                    "{} on {server}, connection {}",
                    incident.name, connection.id
                );
                assert!(length(true) >= connection.bytes_in, "{name}");
                assert!(length(false) >= connection.bytes_out, "{name}");
            }
            let heard = whole(incident, server).run.hash;
            let unheard = Cell::of(
                Engine::Leap,
                incident,
                &*server::named(server).expect("a built-in server"),
                Detail::default(),
            );
            assert_eq!(heard, unheard.run.hash, "packets are no part of the trace");
        }
    }
}

const LOSSY: &str = "name = \"lossy\"\nseed = 7\n[network]\nloss = 0.3\n[[client]]\nsteps = [ { do = \"connect\" }, \
     { do = \"send\", all = [ { head = { method = \"POST\", target = \"/echo\", length = 20000 } }, { body = 20000 } ] }, \
     { do = \"await\", status = \"final\", within = \"60s\" }, { do = \"close\" } ]\n";

#[test]
fn what_was_lost_is_sent_again_at_the_retransmission_timeout() {
    let cell = whole(&scenario(LOSSY), "hyper");
    let lost = cell
        .run
        .packets
        .iter()
        .filter(|packet| packet.arrives.is_none());
    let lost: Vec<_> = lost.filter(|packet| packet.length > 0).collect();
    assert!(lost.len() > 3, "{} data packets were lost", lost.len());
    for packet in lost {
        let again = cell.run.packets.iter().find(|other| {
            (other.connection, other.wire.from, other.wire.sequence)
                == (packet.connection, packet.wire.from, packet.wire.sequence)
                && other.at > packet.at
        });
        let again = again.expect("a lost packet is sent again");
        assert_eq!(again.wire.payload, packet.wire.payload);
        let wait = (again.at - packet.at).as_millis();
        assert!(
            wait >= 200 && (wait / 200).is_power_of_two(),
            "after {wait} ms"
        );
    }
    let streams = streams(&read(&pcap::capture(&cell.run.packets)));
    assert_eq!(
        streams[&(32_768, true)].len() as u64,
        cell.run.connections[0].bytes_in
    );
}

fn written(name: &str, arguments: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pcap");
    std::fs::create_dir_all(&folder).expect("cargo gives tests a folder to write in");
    let file = folder.join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(arguments)
        .arg("--pcap")
        .arg(&file)
        .output()
        .expect("the program was built for this test");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code < 2), "{error}");
    file
}

#[test]
fn run_replay_and_fuzz_write_it() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pcap");
    let out = out.to_str().expect("UTF-8");
    let run = written("run.pcap", &["run", "fasthttp-1834", "--server", "hyper"]);
    let bytes = std::fs::read(run).expect("it was written");
    let again = written(
        "replay.pcap",
        &["replay", "fasthttp-1834", "--server", "hyper"],
    );
    assert_eq!(
        bytes,
        std::fs::read(again).expect("it was written"),
        "the same bytes every time"
    );
    let streams = streams(&read(&bytes));
    assert!(streams[&(32_768, true)].starts_with(b"POST /echo HTTP/1.1\r\n"));
    assert_eq!(streams[&(32_768, false)], b"HTTP/1.1 100 Continue\r\n\r\n");

    let fuzz = [
        "fuzz",
        "--server",
        "hyper-timeouts",
        "--cases",
        "300",
        "--jobs",
        "1",
        "--out",
        out,
    ];
    let file = written("fuzz.pcap", &fuzz);
    assert!(!read(&std::fs::read(file).expect("it was written")).is_empty());
}

#[test]
fn what_has_no_packets_says_so() {
    for (arguments, says) in [
        (&["check"][..], "--pcap: a capture is of one run"),
        (
            &["run", "fasthttp-1834", "--engine", "turmoil"],
            "--pcap: only the engine leap",
        ),
        (&["list"], "--pcap: this command judges no run"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
            .args(arguments)
            .args(["--pcap", concat!(env!("CARGO_TARGET_TMPDIR"), "/none.pcap")])
            .output()
            .expect("the program was built for this test");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), error.lines().count()),
            (Some(2), 1),
            "{error}"
        );
        assert!(error.contains(says), "{error}");
    }
}

fn tshark(file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args([
            "-o",
            "ip.check_checksum:TRUE",
            "-o",
            "tcp.check_checksum:TRUE",
        ])
        .args(arguments)
        .output()
        .expect("tshark is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Wireshark's own opinion of every incident's capture.
#[test]
#[ignore = "needs tshark, which .ci/run installs"]
fn wireshark_finds_nothing_malformed_and_no_wrong_checksum() {
    let wrong = "_ws.malformed || ip.checksum.status == \"Bad\" || tcp.checksum.status == \"Bad\" || _ws.short || \
                 tcp.analysis.ack_lost_segment || tcp.analysis.lost_segment || tcp.analysis.out_of_order || \
                 tcp.analysis.reused_ports";
    let mut wrongs = Vec::new();
    for incident in incident::all() {
        for server in ["hangup", "hyper"] {
            let name = format!("{}-{server}.pcap", incident.name);
            let file = written(&name, &["run", &incident.name, "--server", server]);
            // Nothing is lost in most of them, so nothing is sent twice.
            let mut steps = incident.clients.iter().flat_map(|client| &client.steps);
            let loses = incident.network.loss > 0.0
                || steps.any(|step| matches!(step, hangup_scenario::Step::Network(_)));
            let again = match loses {
                false => " || tcp.analysis.retransmission || tcp.analysis.spurious_retransmission",
                true => "",
            };
            // Some clients break HTTP on purpose.
            let filter = format!("{wrong}{again}");
            let transport_alone = ["--disable-protocol", "http", "--disable-protocol", "http2"];
            let found = tshark(&file, &[&transport_alone[..], &["-Y", &filter]].concat());
            if !found.is_empty() {
                wrongs.push(format!("{name}: {found}"));
            }
        }
    }
    assert!(wrongs.is_empty(), "{wrongs:#?}");
}

#[test]
#[ignore = "needs tshark, which .ci/run installs"]
fn wireshark_follows_the_exchange() {
    let file = written(
        "follow.pcap",
        &["run", "fasthttp-1834", "--server", "hangup"],
    );
    let told = tshark(&file, &["-q", "-z", "follow,tcp,ascii,0"]);
    for line in [
        "Node 0: 192.0.2.1:32768",
        "Node 1: 10.0.0.1:80",
        "POST /echo HTTP/1.1",
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 408 Request Timeout",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let ends = tshark(
        &file,
        &[
            "-Y",
            "tcp.stream == 0 && tcp.flags.fin == 1",
            "-T",
            "fields",
            "-e",
            "frame.time_epoch",
        ],
    );
    assert!(ends.contains("5.06"), "the FIN leaves at 5.06 s: {ends}");
}

#[test]
#[ignore = "needs tshark, which .ci/run installs"]
fn wireshark_sees_retransmissions_where_segments_were_lost_and_a_full_window_where_nobody_reads() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lossy.toml");
    std::fs::write(&file, LOSSY).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let lossy = written("lossy.pcap", &["run", file, "--server", "hyper"]);
    let again = tshark(&lossy, &["-Y", "tcp.analysis.retransmission"]);
    assert!(again.lines().count() > 3, "{again}");
    assert_eq!(
        tshark(
            &lossy,
            &["-Y", "_ws.malformed || tcp.checksum.status == \"Bad\""]
        ),
        ""
    );

    let unread = written(
        "unread.pcap",
        &["run", "response-never-read", "--server", "hyper"],
    );
    let full = tshark(
        &unread,
        &["-Y", "tcp.analysis.window_full && tcp.srcport == 80"],
    );
    assert_eq!(full.lines().count(), 1, "{full}");
    let zero = tshark(
        &unread,
        &["-Y", "tcp.analysis.zero_window && tcp.dstport == 80"],
    );
    assert!(zero.lines().count() >= 1, "{zero}");
}
