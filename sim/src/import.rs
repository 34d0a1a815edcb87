//! From production into the test bed: what was recorded there becomes a scenario.
//!
//! | module | idea |
//! |---|---|
//! | `capture` | pcap and pcapng: frames, and the TCP segments in them |
//! | `stream` | one direction of a connection, put together |
//! | `talks`, `talk` | all connections, and one: what its client did and saw |
//! | `message` | what a client sent, without what is nobody's business |
//! | `script` | from what a client did to steps |
//! | `flight` | the file of our server's flight recorder |
//!
//! The scenario sends the same bytes with the same pauses and ends in the same way; it waits for the server where its client had, so that it also
//! fits a server that is slower. What a recording does not have, the scenario does not have: what happened to the server, its contract, losses on the way.

mod capture;
mod flight;
mod message;
mod script;
mod stream;
mod talk;
mod talks;

use capture::{End, Other, Segment};
use hangup_scenario::file::bounds::{BUFFER_MAX, MTU_MAX, SENT_BYTES_MAX};
use hangup_scenario::{Client, Network, Scenario};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::time::Duration;
use talk::Talk;
use talks::Talks;

/// All clients of a scenario together send no more.
const SENT_MAX: u64 = SENT_BYTES_MAX;
/// So many things that clients did or saw are kept.
const EVENTS_MAX: usize = 1_000_000;
/// So many connections are named in an error.
const NAMED_MAX: usize = 10;
/// Faster than this the way is not told from none: the pauses of this machine.
const LATENCY_MIN: Duration = Duration::from_micros(200);

/// What is wanted of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only the connection with this number.
    pub connection: Option<u64>,
    /// Only connections to this port of the server. Captures only.
    pub port: Option<u16>,
    /// Bodies, and the values of all fields, stay as they were.
    pub keep_payload: bool,
    /// Every request goes to this target instead of its own.
    pub target: Option<String>,
}

/// Why a file is no recording, or too much of one.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be read.
    #[error("{0}")]
    Io(io::Error),
    /// Nothing that is known begins like this.
    #[error(
        "no recording begins like this; allowed: pcap, pcapng (not compressed), or a flight record of our server ({{\"hangup_flight\":1)"
    )]
    Unknown,
    /// It begins like a capture.
    #[error("a broken capture: {0}")]
    NoCapture(String),
    /// Its packets are of a link layer that is not known here.
    #[error(
        "link type {0}; allowed: Ethernet (1), raw IP (101, 228, 229), loopback (0, 108), Linux cooked (113, 276)"
    )]
    Link(u32),
    /// A line of a flight record is wrong.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what is allowed.
        what: String,
    },
    /// There is nothing in it that was asked for.
    #[error("{0}")]
    Nothing(String),
    /// It is more than a scenario holds.
    #[error(
        "{0}, which is more than one scenario holds; allowed: a part of it, by --connection N or --port N"
    )]
    TooMuch(String),
    /// Its connections cannot be written as one scenario.
    #[error("{0}")]
    Unfit(String),
}

/// One connection of a recording, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its number in the recording.
    pub connection: u64,
    /// When it began, after the first of the recording.
    pub opened: Duration,
    /// Bytes that its client sent.
    pub bytes_in: u64,
    /// Bytes that its server sent.
    pub bytes_out: u64,
    /// The statuses that its client got.
    pub statuses: Vec<u16>,
    /// How it ended, in words.
    pub end: &'static str,
}

/// A connection of a recording that is in no scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The connection.
    pub told: Told,
    /// Why it is left out, as in "it was refused".
    pub why: String,
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// A client for each connection, in the order of their beginnings.
    pub scenario: Scenario,
    /// Those connections.
    pub connections: Vec<Told>,
    /// Connections that never came to be, are no HTTP, or were not captured whole enough.
    pub left_out: Vec<LeftOut>,
    /// What of the recording is not in the scenario, or is not known for sure.
    pub notes: Vec<String>,
}

/// Reads a recording, whichever it is.
///
/// # Errors
/// When it is none, or more than a scenario holds, or when there is nothing in it that was asked for.
pub fn import(mut file: impl Read, choice: &Choice) -> Result<Imported, Unreadable> {
    let mut beginning = [0; 32];
    let mut length = 0;
    while length < beginning.len() {
        match file.read(&mut beginning[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unreadable::Io(error)),
        }
    }
    let beginning = &beginning[..length];
    let whole = beginning.chain(file);
    if capture::is_capture(beginning) {
        of_capture(whole, beginning, choice)
    } else if flight::is_flight_record(beginning) {
        flight::read(whole, choice)
    } else {
        Err(Unreadable::Unknown)
    }
}

fn of_capture(file: impl Read, beginning: &[u8], choice: &Choice) -> Result<Imported, Unreadable> {
    let mut talks = Talks::new(choice);
    let mut others: BTreeMap<Other, u64> = BTreeMap::new();
    let mut quotes = 0_u64;
    let seen = capture::frames(file, beginning, |frame| {
        match Segment::of(frame.link, frame.bytes, frame.length) {
            Ok(segment) => return talks.take(frame.at, &segment),
            Err(Other::Quote(one, other)) => {
                quotes += 1;
                talks.quoted(one, other);
            }
            Err(other) => *others.entry(other).or_default() += 1,
        }
        Ok(())
    })?;
    let mut notes = Vec::new();
    let mut note = |count: u64, what: &str| {
        if count > 0 {
            notes.push(format!("{count} {what}"));
        }
    };
    for (other, count) in &others {
        note(*count, &other.told());
    }
    note(quotes, "packets are ICMP errors that quote TCP");
    for (link, count) in &seen.unknown {
        note(
            *count,
            &format!("packets are of link type {link}, which is not read"),
        );
    }
    note(
        (seen.end == End::Cut).into(),
        "packet was cut off at the end of the file",
    );
    if let End::Corrupt(what) = seen.end {
        notes.push(format!(
            "{what}, which cannot be: the rest of the file is not read"
        ));
    }
    let opened = talks.opened();
    let (mut all, mut left_out) = (Vec::new(), Vec::new());
    for talk in talks.finish() {
        match talk.left_out(choice.keep_payload) {
            None => all.push(talk),
            Some(why) => left_out.push((talk, why)),
        }
    }
    if all.is_empty() {
        let nothing = nothing(choice, opened, &left_out, &notes);
        return Err(Unreadable::Nothing(nothing));
    }
    let mut note = |count: u64, what: &str| {
        if count > 0 {
            notes.push(format!("{count} {what}"));
        }
    };
    note(
        all.iter().map(|talk| talk.missing).sum(),
        "bytes were not captured; filler stands for them",
    );
    note(
        all.iter().map(|talk| talk.missing_out).sum(),
        "bytes of servers were not captured; statuses behind them are not known",
    );
    let begun = all.iter().filter(|talk| !talk.whole);
    note(
        begun.count() as u64,
        "connections were open when the capture began; what came before is missing",
    );
    let mut imported = imported("capture", &all, choice, notes)?;
    let first = all.iter().chain(left_out.iter().map(|(talk, _)| talk));
    let first = first.map(|talk| talk.opened).min().unwrap_or_default();
    imported.left_out = left_out
        .iter()
        .map(|(talk, why)| LeftOut {
            told: told(talk, first),
            why: why.clone(),
        })
        .collect();
    Ok(imported)
}

/// Why nothing can be made of a capture.
fn nothing(choice: &Choice, opened: u64, left_out: &[(Talk, String)], notes: &[String]) -> String {
    let mut text = match (choice.connection, choice.port) {
        _ if !left_out.is_empty() => {
            let encrypted = left_out.iter().all(|(talk, _)| talk.is_encrypted());
            let mut text = match encrypted {
                true => "what was asked for is encrypted (TLS); allowed: HTTP in clear, or a flight record of our server, which stands behind \
                         its TLS"
                    .to_owned(),
                false => "there is no connection of HTTP in it that can be repeated".to_owned(),
            };
            for (talk, why) in left_out.iter().take(NAMED_MAX) {
                // A String takes every write.
                let _ = write!(text, "; connection {}: {why}", talk.number);
            }
            if left_out.len() > NAMED_MAX {
                let _ = write!(text, "; and {} more", left_out.len() - NAMED_MAX);
            }
            text
        }
        _ if opened == 0 && notes.is_empty() => {
            "there is no TCP in it: it has no packets".to_owned()
        }
        _ if opened == 0 => "there is no TCP in it that can be read".to_owned(),
        (Some(number), None) => {
            format!("there is no connection {number} in it; allowed: 1 to {opened}")
        }
        (None, Some(port)) => format!("none of its {opened} connections is to port {port}"),
        _ => format!("none of its {opened} connections is that one, to that port"),
    };
    for note in notes {
        text += "; ";
        text += note;
    }
    text
}

/// The scenario of these connections.
///
/// # Errors
/// When they are more, or longer, than a scenario may be: which of them, and what is allowed.
fn imported(
    what: &str,
    all: &[Talk],
    choice: &Choice,
    notes: Vec<String>,
) -> Result<Imported, Unreadable> {
    let first = all.iter().map(|talk| talk.opened).min().unwrap_or_default();
    let clients: Vec<Client> = all
        .iter()
        .map(|talk| Client {
            start: Duration::from_millis((talk.opened - first).as_millis() as u64),
            steps: talk.steps(choice.keep_payload, choice.target.as_deref()),
            ..Client::default()
        })
        .collect();
    fit(all, first, &clients)?;
    let mut scenario = Scenario::of(what.replace(' ', "-"), Vec::new());
    scenario.title = match all.len() {
        1 => format!("A connection of a {what}"),
        count => format!("{count} connections of a {what}"),
    };
    scenario.clients = together(clients);
    scenario.network = network(all);
    Ok(Imported {
        scenario,
        connections: all.iter().map(|talk| told(talk, first)).collect(),
        left_out: Vec::new(),
        notes,
    })
}

/// Can these clients be written as one scenario, and read again?
fn fit(all: &[Talk], first: Duration, clients: &[Client]) -> Result<(), Unreadable> {
    let mistake = |clients: &[Client]| {
        let mut scenario = Scenario::of("import", Vec::new());
        scenario.clients = clients.to_vec();
        let read = Scenario::from_toml("import", scenario.to_toml());
        read.err().map(|error| error.mistake.to_string())
    };
    let Some(together) = mistake(clients) else {
        return Ok(());
    };
    let mut unfit = Vec::new();
    let mut others = Vec::new();
    for (talk, client) in all.iter().zip(clients) {
        let told = told(talk, first);
        let name = format!(
            "connection {} ({} bytes in, {} out)",
            told.connection, told.bytes_in, told.bytes_out
        );
        match mistake(std::slice::from_ref(client)) {
            Some(why) => unfit.push(format!("{name} does not: {why}")),
            None => others.push(name),
        }
    }
    let named = |list: &[String]| {
        let mut text = list[..list.len().min(NAMED_MAX)].join("; ");
        if list.len() > NAMED_MAX {
            // A String takes every write.
            let _ = write!(text, "; and {} more", list.len() - NAMED_MAX);
        }
        text
    };
    let text = match (unfit.is_empty(), others.is_empty()) {
        (true, _) => format!(
            "its {} connections do not fit into one scenario ({together}), each alone does; allowed: one of them, by --connection N: {}",
            all.len(),
            named(&others)
        ),
        (false, true) => format!("no connection fits into a scenario: {}", named(&unfit)),
        (false, false) => format!(
            "{} of its {} connections cannot be in a scenario: {}; allowed: another one, by --connection N: {}",
            unfit.len(),
            all.len(),
            named(&unfit),
            named(&others)
        ),
    };
    Err(Unreadable::Unfit(text))
}

/// The network between most of these clients and their server, as far as their handshakes tell.
fn network(all: &[Talk]) -> Network {
    let mut network = Network::default();
    let mut rounds: Vec<Duration> = all.iter().filter_map(|talk| talk.round).collect();
    rounds.sort_unstable();
    if let Some(round) = rounds.get(rounds.len() / 2) {
        let latency = *round / 2;
        network.latency = match latency {
            latency if latency < LATENCY_MIN => Duration::ZERO,
            latency => Duration::from_micros(latency.as_micros() as u64 / 100 * 100),
        };
    }
    let sizes = all.iter().filter_map(|talk| talk.segment_size);
    if let Some(size) = sizes.min() {
        network.mtu = usize::from(size).clamp(1, MTU_MAX as usize);
    }
    // How much a client's host takes matters only where it was full.
    let full = all.iter().filter(|talk| talk.is_lazy());
    if let Some(buffer) = full.filter_map(|talk| talk.receive_buffer).min() {
        network.receive_buffer = Some(buffer.clamp(1, BUFFER_MAX) as usize);
    }
    network
}

/// Neighbours that do the same at an even pace are one client several times.
fn together(all: Vec<Client>) -> Vec<Client> {
    let mut out: Vec<Client> = Vec::new();
    for client in all {
        if let Some(last) = out.last_mut()
            && last.steps == client.steps
            && let Some(gap) = client.start.checked_sub(last.start)
            && (last.count == 1 || gap == last.stagger * last.count)
        {
            last.stagger = gap / last.count;
            last.count += 1;
            continue;
        }
        out.push(client);
    }
    out
}

fn told(talk: &Talk, first: Duration) -> Told {
    Told {
        connection: talk.number,
        opened: talk.opened - first,
        bytes_in: talk.bytes_in(),
        bytes_out: talk.got(),
        statuses: talk.statuses.clone(),
        end: talk.end(),
    }
}
