//! Captures made up on the spot: connections whose segments are lost, late, sent twice, overlapping, or captured behind their acknowledgement. What the
//! import makes of them is held against what was really sent, and against Wireshark.

use super::tshark;
use hangup::import::{Choice, Imported, import};
use hangup_scenario::Step;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::{fs, io, thread};

/// What stands before the IP packet: the link type, and the bytes for IPv4 and for IPv6.
const LINKS: [(&str, u32, &[u8], &[u8]); 4] = [
    (
        "ethernet",
        1,
        &[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 8, 0],
        &[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0x86, 0xdd],
    ),
    (
        "vlan",
        1,
        &[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0x81, 0, 0, 5, 8, 0],
        &[
            2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0x81, 0, 0, 5, 0x86, 0xdd,
        ],
    ),
    (
        "cooked",
        113,
        &[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0],
        &[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0x86, 0xdd],
    ),
    ("raw", 101, &[], &[]),
];
const CONNECTIONS: u16 = 16;
const FIN: u8 = 1;
const SYN: u8 = 2;
const PUSH: u8 = 8;
const ACK: u8 = 16;

/// The same numbers from the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// One segment, as the host that sends it knows it.
#[derive(Clone)]
struct Segment {
    up: bool,
    /// Offsets in the two streams, behind the SYN.
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    payload: Vec<u8>,
}

/// The TCP segment, without its checksum.
fn tcp(segment: &Segment, port: u16, first: [u32; 2]) -> Vec<u8> {
    let ports = match segment.up {
        true => [port, 80],
        false => [80, port],
    };
    let own = usize::from(!segment.up);
    let sequence = first[own].wrapping_add(segment.sequence);
    let acknowledgement = match segment.flags & ACK {
        0 => 0,
        _ => first[1 - own].wrapping_add(segment.acknowledgement),
    };
    let mut out = Vec::with_capacity(20 + segment.payload.len());
    for field in ports {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&acknowledgement.to_be_bytes());
    out.extend_from_slice(&[5 << 4, segment.flags, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend_from_slice(&segment.payload);
    out
}

fn ip(tcp: &[u8], up: bool, is_v6: bool) -> Vec<u8> {
    let ends = if up { [1, 2] } else { [2, 1] };
    let mut out = Vec::new();
    if is_v6 {
        let length = (tcp.len() as u16).to_be_bytes();
        out.extend_from_slice(&[0x60, 0, 0, 0, length[0], length[1], 6, 64]);
        for end in ends {
            out.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
    } else {
        let length = (20 + tcp.len() as u16).to_be_bytes();
        out.extend_from_slice(&[0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, 6, 0, 0]);
        for end in ends {
            out.extend_from_slice(&[10, 0, 0, end]);
        }
    }
    out.extend_from_slice(tcp);
    out
}

fn header(link: u32) -> Vec<u8> {
    let fields = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, link];
    fields.map(u32::to_le_bytes).concat()
}

fn record(out: &mut Vec<u8>, micros: u64, before: &[u8], packet: &[u8]) {
    let length = (before.len() + packet.len()) as u32;
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    for field in [seconds as u32, rest as u32, length, length] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(before);
    out.extend_from_slice(packet);
}

/// A connection: its segments in the order of the capture, and what was really sent.
struct Connection {
    segments: Vec<Segment>,
    sent: [Vec<u8>; 2],
    statuses: Vec<u16>,
    /// Bytes of the client that are in no segment: `sent` has `x` there.
    missing: u64,
    /// A response is captured before its request: Wireshark takes the request for lost.
    is_late: bool,
}

/// Cuts what one side sends at once into segments: some overlap, some come twice, some late, some not at all.
fn flight(
    dice: &mut Dice,
    connection: &mut Connection,
    up: bool,
    bytes: &[u8],
    kept: usize,
    may_drop: bool,
) {
    let own = usize::from(!up);
    let start = connection.sent[own].len();
    let acknowledgement = connection.sent[1 - own].len() as u32 + 1;
    let mut segments = Vec::new();
    let (mut at, mut dropped) = (0, false);
    while at < bytes.len() {
        let end = (at + 1 + dice.below(1400)).min(bytes.len());
        let from = at
            - if dice.one_in(5) {
                dice.below(at.min(50) + 1)
            } else {
                0
            };
        let segment = Segment {
            up,
            sequence: (start + from) as u32 + 1,
            acknowledgement,
            flags: ACK | PUSH,
            payload: bytes[from..end].to_vec(),
        };
        // What is never captured is in the middle of a body, with another segment behind it.
        if may_drop && !dropped && from == at && at > kept && end < bytes.len() && dice.one_in(2) {
            dropped = true;
            connection.missing += (end - at) as u64;
            let mut filled = bytes[at..end].to_vec();
            filled.fill(b'x');
            connection.sent[own].extend_from_slice(&filled);
            at = end;
            continue;
        }
        connection.sent[own].extend_from_slice(&bytes[at..end]);
        // The next one must not bring back what was dropped.
        if dropped {
            let exact = Segment {
                sequence: (start + at) as u32 + 1,
                payload: bytes[at..end].to_vec(),
                ..segment
            };
            segments.push(exact);
        } else {
            if dice.one_in(6) {
                segments.push(segment.clone());
            }
            segments.push(segment);
        }
        at = end;
    }
    for index in 1..segments.len() {
        if dice.one_in(4) {
            segments.swap(index - 1, index);
        }
    }
    // Lost before the capture: it comes once more behind the others.
    if segments.len() > 2 && dice.one_in(3) {
        let index = dice.below(segments.len() - 1);
        let late = segments.remove(index);
        segments.push(late);
    }
    connection.segments.append(&mut segments);
    let received = Segment {
        up: !up,
        sequence: acknowledgement,
        acknowledgement: connection.sent[own].len() as u32 + 1,
        flags: ACK,
        payload: Vec::new(),
    };
    connection.segments.push(received);
}

fn connection(dice: &mut Dice) -> Connection {
    let mut connection = Connection {
        segments: Vec::new(),
        sent: [Vec::new(), Vec::new()],
        statuses: Vec::new(),
        missing: 0,
        is_late: false,
    };
    for (up, flags) in [(true, SYN), (false, SYN | ACK), (true, ACK)] {
        connection.segments.push(Segment {
            up,
            sequence: u32::from(flags == ACK),
            acknowledgement: 1,
            flags,
            payload: Vec::new(),
        });
    }
    let drops = dice.one_in(4);
    for number in 0..=dice.below(4) {
        let length = dice.below(6000);
        let mut request =
            format!("POST /echo/{number} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n")
                .into_bytes();
        let head = request.len();
        request.extend((0..length).map(|index| b'a' + (index % 26) as u8));
        let before = connection.segments.len();
        flight(dice, &mut connection, true, &request, head, drops);
        let behind = connection.segments.len();
        let status = [200, 201, 202, 404, 500][dice.below(5)];
        connection.statuses.push(status);
        let length = dice.below(6000);
        let mut response =
            format!("HTTP/1.1 {status} Any\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        response.extend((0..length).map(|index| b'A' + (index % 26) as u8));
        flight(dice, &mut connection, false, &response, 0, false);
        // Two queues of a card: the server's acknowledgement overtakes the last segment that it acknowledges.
        if !drops && dice.one_in(5) && behind - before >= 2 {
            connection.segments.swap(behind - 2, behind - 1);
            connection.is_late = true;
        }
    }
    let ends = [0, 1].map(|side: usize| connection.sent[side].len() as u32 + 1);
    for (up, sequence, acknowledgement, flags) in [
        (true, ends[0], ends[1], FIN | ACK),
        (false, ends[1], ends[0] + 1, FIN | ACK),
        (true, ends[0] + 1, ends[1] + 1, ACK),
    ] {
        connection.segments.push(Segment {
            up,
            sequence,
            acknowledgement,
            flags,
            payload: Vec::new(),
        });
    }
    connection
}

/// What Wireshark puts together of a stream, both directions; `x` for what it says is missing.
fn followed(text: &str) -> [Vec<u8>; 2] {
    let mut out = [Vec::new(), Vec::new()];
    for line in text.lines() {
        let side = usize::from(line.starts_with('\t'));
        let digits = line.trim();
        let is_data = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_data {
            continue;
        }
        let bytes: Vec<u8> = (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("two digits"))
            .collect();
        let said = String::from_utf8_lossy(&bytes);
        match said
            .strip_prefix('[')
            .and_then(|said| said.split_once(" bytes missing in capture file"))
        {
            Some((count, _)) => {
                let count: usize = count.parse().expect("a number");
                let whole = out[side].len() + count;
                out[side].resize(whole, b'x');
            }
            None => out[side].extend_from_slice(&bytes),
        }
    }
    out
}

/// All that the client of an import sends.
fn sent(imported: &Imported) -> Vec<u8> {
    let mut out = Vec::new();
    for step in &imported.scenario.clients[0].steps {
        if let Step::Send(send) = step {
            send.render(&mut out);
        }
    }
    out
}

#[test]
#[ignore = "needs tshark, which .ci/run installs"]
fn streams_are_put_together_as_wireshark_does() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut lost, mut late, mut bytes) = (0, 0, 0);
    for (name, link, four, six) in LINKS {
        for is_v6 in [false, true] {
            let before = if is_v6 { six } else { four };
            let all: Vec<Connection> = (0..CONNECTIONS).map(|_| connection(&mut dice)).collect();
            let mut capture = header(link);
            let mut micros = 0;
            let mut filter = Vec::new();
            for (index, connection) in all.iter().enumerate() {
                // Some numbers go round within the connection.
                let first = [0, 1].map(|_| match dice.one_in(3) {
                    true => u32::MAX - dice.below(3000) as u32,
                    false => dice.below(1 << 31) as u32,
                });
                for segment in &connection.segments {
                    micros += 300;
                    let packet = ip(
                        &tcp(segment, 40_000 + index as u16, first),
                        segment.up,
                        is_v6,
                    );
                    record(&mut capture, micros, before, &packet);
                }
                micros += 1_000_000;
                filter.extend(["-z".to_owned(), format!("follow,tcp,raw,{index}")]);
            }
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{is_v6}.pcap"));
            fs::write(&file, &capture).expect("a file");
            let arguments: Vec<&str> = [
                "-q",
                "-o",
                "tcp.check_checksum:FALSE",
                "-o",
                "ip.check_checksum:FALSE",
            ]
            .into_iter()
            .chain(filter.iter().map(String::as_str))
            .collect();
            let told = tshark(&file, &arguments);
            let mut parts: Vec<(usize, &str)> = told
                .split("Filter: tcp.stream eq ")
                .skip(1)
                .map(|part| {
                    let (number, rest) = part.split_once('\n').expect("lines");
                    (number.trim().parse().expect("a number"), rest)
                })
                .collect();
            parts.sort_unstable();
            assert_eq!(parts.len(), all.len(), "{told}");
            for (connection, (index, part)) in all.iter().zip(parts) {
                let place = format!("{name}, IPv6 {is_v6}, stream {index}");
                let choice = Choice {
                    connection: Some(index as u64 + 1),
                    keep_payload: true,
                    ..Choice::default()
                };
                let imported =
                    import(&*capture, &choice).unwrap_or_else(|error| panic!("{place}: {error}"));
                let ours = sent(&imported);
                assert_eq!(
                    String::from_utf8_lossy(&ours),
                    String::from_utf8_lossy(&connection.sent[0]),
                    "{place}"
                );
                let told = &imported.connections[0];
                assert_eq!(told.bytes_out, connection.sent[1].len() as u64, "{place}");
                assert_eq!(told.statuses, connection.statuses, "{place}");
                let noted = imported
                    .notes
                    .iter()
                    .any(|note| note.contains("were not captured"));
                assert_eq!(
                    noted,
                    connection.missing > 0,
                    "{place}: {:?}",
                    imported.notes
                );
                // Wireshark takes what is captured behind its acknowledgement for lost.
                if !connection.is_late {
                    let theirs = followed(part);
                    assert_eq!(theirs[0].len(), connection.sent[0].len(), "{place}");
                    assert!(theirs == connection.sent, "{place}");
                }
                lost += usize::from(connection.missing > 0);
                late += usize::from(connection.is_late);
                bytes += ours.len();
            }
            fs::remove_file(file).expect("it was written");
        }
    }
    assert!(
        lost > 10 && late > 10 && bytes > 100_000,
        "{lost}, {late}, {bytes}"
    );
}

/// What a running process has taken of memory at most, in MiB.
fn peak(child: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes >> 10)
}

/// Downloads and uploads, 1 GB of them, over one pipe: no file of that size is written.
fn write_large(mut out: impl Write) -> io::Result<u64> {
    const SIZE: u64 = 1_000_000_000;
    const BODY: usize = 10_000_000;
    let (_, link, before, _) = LINKS[0];
    out.write_all(&header(link))?;
    let (mut written, mut micros, mut port) = (0_u64, 0, 20_000);
    let mut buffer = Vec::new();
    while written < SIZE {
        port += 1;
        let mut push =
            |buffer: &mut Vec<u8>, up, sequence, acknowledgement, flags, payload: &[u8]| {
                micros += 10;
                let segment = Segment {
                    up,
                    sequence,
                    acknowledgement,
                    flags,
                    payload: payload.to_vec(),
                };
                record(
                    buffer,
                    micros,
                    before,
                    &ip(&tcp(&segment, port, [7, 9]), up, false),
                );
            };
        let request = b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n";
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
        let asked = request.len() as u32 + 1;
        push(&mut buffer, true, 0, 0, SYN, b"");
        push(&mut buffer, false, 0, 1, SYN | ACK, b"");
        push(&mut buffer, true, 1, 1, ACK, b"");
        push(&mut buffer, true, 1, 1, ACK | PUSH, request);
        push(
            &mut buffer,
            false,
            1,
            asked,
            ACK | PUSH,
            response.as_bytes(),
        );
        let mut at = response.len() as u32 + 1;
        let page = [b'z'; 16_000];
        let mut left = BODY;
        while left > 0 {
            let part = left.min(page.len());
            push(&mut buffer, false, at, asked, ACK, &page[..part]);
            at += part as u32;
            left -= part;
            push(&mut buffer, true, asked, at, ACK, b"");
            if buffer.len() > 1 << 20 {
                written += buffer.len() as u64;
                out.write_all(&buffer)?;
                buffer.clear();
            }
        }
        push(&mut buffer, true, asked, at, FIN | ACK, b"");
        push(&mut buffer, false, at, asked + 1, FIN | ACK, b"");
    }
    out.write_all(&buffer)?;
    Ok(written)
}

/// Waits for the end of a process, and gives what it said on standard error.
fn told(child: &mut Child, stderr: ChildStderr) -> String {
    let text = io::read_to_string(stderr).expect("UTF-8");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{text}");
    text
}

#[test]
#[ignore = "takes some ten seconds; .ci/run has it"]
fn a_gigabyte_is_imported_in_bounded_memory_and_tells_how_far_it_is() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(["import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built for this test");
    let input = child.stdin.take().expect("a pipe");
    let mut output = child.stdout.take().expect("a pipe");
    let pipe = rustix::pipe::fcntl_setpipe_size(&output, 4096).expect("a size that Linux allows");
    let error = child.stderr.take().expect("a pipe");
    let id = child.id();
    let writer = thread::spawn(move || write_large(input).expect("it is read to its end"));
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let mut most = 0;
        let mut part = [0; 1024];
        // What it prints comes last and does not fit into the pipe. So the process waits to write the rest of it, and
        // holds everything in memory, until all but the last few parts have been read.
        while let count @ 1.. = io::Read::read(&mut output, &mut part).expect("a pipe") {
            most = most.max(peak(id).unwrap_or(0));
            text.extend_from_slice(&part[..count]);
        }
        (text, most)
    });
    let told = told(&mut child, error);
    let written = writer.join().expect("it wrote");
    let (text, most) = reader.join().expect("it read");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.len() > 2 * pipe, "{pipe}: {}", text.len());
    assert!(written >= 999_000_000, "{written}");
    assert!(
        text.contains(" bytes in, 10000045 out (200); the client closed it\n"),
        "{}",
        &text[..text.len().min(2000)]
    );
    let lines: Vec<&str> = told.lines().collect();
    let steps = ["256", "512", "768"].map(|step| format!("hangup: import: {step} MiB read"));
    assert_eq!(lines, steps);
    println!("{most} MiB at most for {written} bytes");
    assert!((1..=200).contains(&most), "{most} MiB");
}
