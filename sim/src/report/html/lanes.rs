//! What of a run is drawn for one connection.

use crate::ledger::Connection;
use crate::packet::Packet;
use crate::run::{Outlook, Run};
use crate::trace::Actor;
use hangup_network::Side;
use std::time::Duration;

/// Packets that are drawn, from the front and from the back.
const PACKETS_MAX: [usize; 2] = [36, 12];
/// Steps and phases that are drawn.
const BARS_MAX: usize = 60;

/// Everything that is drawn for one connection.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) id: u32,
    pub(super) client: String,
    pub(super) steps: Vec<Bar>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) undrawn: usize,
    pub(super) phases: Vec<Waiting>,
    /// From when it was held against the contract.
    pub(super) breach: Option<Duration>,
    /// When the server had nothing more to do with it, or else the end of the run.
    pub(super) ended: Duration,
    /// The server still holds it.
    pub(super) stuck: bool,
    /// It is proved that it always will.
    pub(super) never: bool,
    /// Birth and end of its tasks.
    pub(super) tasks: Vec<(Duration, Option<Duration>)>,
    /// Why it was closed, in the server's own words.
    pub(super) reason: Option<String>,
}

/// A step of the client's script.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) text: String,
}

/// A packet, or several that were sent at once.
#[derive(Debug)]
pub(super) struct Arrow {
    pub(super) at: Duration,
    pub(super) arrives: Option<Duration>,
    /// From the client.
    pub(super) up: bool,
    pub(super) class: &'static str,
    pub(super) label: String,
    pub(super) title: String,
    bytes: usize,
    /// A FIN follows at once.
    fin: bool,
}

/// A phase of the server.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) deadline: Option<Duration>,
    pub(super) told: bool,
}

impl Lanes {
    /// The lanes of a connection of a run.
    pub(super) fn of(run: &Run, id: u32) -> Self {
        let place = (id as usize).saturating_sub(1);
        let Some(connection) = run.connections.get(place) else {
            return Self::empty(id);
        };
        let held = connection.held();
        let waits_for_accept = connection.opened.is_some()
            && connection.accepted.is_none()
            && connection.client_closed.is_none();
        let stuck = held || waits_for_accept;
        let ended = connection.released.unwrap_or_else(|| {
            if stuck {
                run.end()
            } else {
                connection.client_closed.unwrap_or(connection.born)
            }
        });
        let mut arrows = arrows(run, id);
        let undrawn = arrows.len().saturating_sub(PACKETS_MAX[0] + PACKETS_MAX[1]);
        if undrawn > 0 {
            arrows.drain(PACKETS_MAX[0]..PACKETS_MAX[0] + undrawn);
        }
        let tasks = run
            .tasks
            .of_server()
            .filter(|task| task.connection == Some(id));
        Self {
            id,
            client: connection
                .client
                .map_or("fresh client".to_owned(), |client| {
                    format!("client {client}")
                }),
            steps: steps(run, connection),
            arrows,
            undrawn,
            phases: phases(run, connection, ended),
            breach: connection.breach.map(|breach| breach.at),
            ended,
            stuck,
            never: held && run.outlook(connection) == Outlook::Never,
            tasks: tasks
                .map(|task| (task.born, task.ended))
                .take(BARS_MAX)
                .collect(),
            reason: connection
                .close_reason
                .map(|reason| format!("closed: {reason}")),
        }
    }

    fn empty(id: u32) -> Self {
        Self {
            id,
            client: String::new(),
            steps: Vec::new(),
            arrows: Vec::new(),
            undrawn: 0,
            phases: Vec::new(),
            breach: None,
            ended: Duration::ZERO,
            stuck: false,
            never: false,
            tasks: Vec::new(),
            reason: None,
        }
    }

    /// Every instant that has to be told apart from others.
    pub(super) fn instants(&self) -> impl Iterator<Item = Duration> {
        let steps = self.steps.iter().flat_map(|step| [step.from, step.to]);
        let arrows = self
            .arrows
            .iter()
            .flat_map(|arrow| [Some(arrow.at), arrow.arrives]);
        let phases = self.phases.iter().flat_map(|phase| {
            let deadline = phase.deadline.filter(|deadline| *deadline <= phase.to);
            [Some(phase.from), Some(phase.to), deadline]
        });
        steps
            .chain(arrows.flatten())
            .chain(phases.flatten())
            .chain(self.breach)
            .chain([self.ended])
    }

    /// The instants that are to be labelled before all others.
    pub(super) fn dear(&self) -> impl Iterator<Item = Duration> {
        let met = self
            .phases
            .iter()
            .filter_map(|phase| phase.deadline.filter(|deadline| *deadline <= phase.to));
        self.breach.into_iter().chain(met).chain([self.ended])
    }
}

/// The client's steps on this connection; each begins where the one before it ended.
fn steps(run: &Run, connection: &Connection) -> Vec<Bar> {
    let Some(client) = connection.client else {
        return Vec::new();
    };
    let mut begin = None;
    let mut bars = Vec::new();
    for entry in &run.timeline {
        if entry.actor != Actor::Client(client) || !entry.step {
            continue;
        }
        let from = begin.replace(entry.at).unwrap_or(connection.born);
        if entry.connection == Some(connection.id) && bars.len() < BARS_MAX {
            bars.push(Bar {
                from: from.min(entry.at),
                to: entry.at,
                text: entry.text.to_string(),
            });
        }
    }
    bars
}

/// What was sent, packets of one instant in one direction together. Acknowledgements alone are drawn too, without a word.
fn arrows(run: &Run, id: u32) -> Vec<Arrow> {
    let mut arrows: Vec<Arrow> = Vec::new();
    for packet in run.packets.iter().filter(|packet| packet.connection == id) {
        let arrow = arrow(packet);
        match arrows.last_mut() {
            Some(last)
                if (last.at, last.up, last.class, last.arrives)
                    == (arrow.at, arrow.up, arrow.class, arrow.arrives)
                    && matches!(arrow.class, "data" | "ack") =>
            {
                last.bytes += arrow.bytes;
                if last.bytes > 0 {
                    last.title = format!("{}, {} bytes in all", last.label, last.bytes);
                }
            }
            // A FIN behind the last bytes.
            Some(last)
                if (last.at, last.up, last.class, last.arrives)
                    == (arrow.at, arrow.up, "data", arrow.arrives)
                    && arrow.class == "fin" =>
            {
                last.fin = true;
            }
            _ => arrows.push(arrow),
        }
    }
    // What was sent is told by its first line, or else by its size.
    for arrow in arrows.iter_mut().filter(|arrow| arrow.label == "data") {
        arrow.label = format!("{} B", arrow.bytes);
        arrow.title = format!("{} bytes", arrow.bytes);
    }
    for arrow in arrows.iter_mut().filter(|arrow| arrow.fin) {
        arrow.label.push_str(" + FIN");
        arrow.title.push_str(", and FIN");
    }
    arrows
}

fn arrow(packet: &Packet) -> Arrow {
    let wire = &packet.wire;
    let (class, label) = if wire.reset {
        ("rst", "RST".to_owned())
    } else if wire.syn.is_some() {
        let label = if wire.acknowledgement.is_some() {
            "SYN-ACK"
        } else {
            "SYN"
        };
        ("syn", label.to_owned())
    } else if wire.fin {
        ("fin", "FIN".to_owned())
    } else if packet.length > 0 {
        (
            "data",
            first_line(&wire.payload).unwrap_or("data".to_owned()),
        )
    } else {
        ("ack", String::new())
    };
    let class = if packet.arrives.is_none() {
        "lost"
    } else {
        class
    };
    let title = match (class, packet.arrives) {
        ("lost", _) => format!(
            "{} is lost",
            if label.is_empty() {
                "an acknowledgement"
            } else {
                &label
            }
        ),
        ("ack", _) => "acknowledgement".to_owned(),
        _ => format!("{label}, {} bytes", packet.length),
    };
    Arrow {
        at: packet.at,
        arrives: packet.arrives,
        up: wire.from == Side::Client,
        class,
        label,
        title,
        bytes: packet.length,
        fin: false,
    }
}

/// The first line of a message in few words: `POST /echo`, `100 Continue`.
fn first_line(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|&byte| byte == b'\r' || byte == b'\n').next()?;
    let whole = line.len() < bytes.len();
    let line = line.escape_ascii().to_string();
    if let Some(status) = line
        .strip_prefix("HTTP/1.1 ")
        .or(line.strip_prefix("HTTP/1.0 "))
    {
        return whole.then(|| status.to_owned());
    }
    let (request, version) = line.rsplit_once(' ')?;
    (whole && version.starts_with("HTTP/1.")).then(|| request.to_owned())
}

/// What the server waited for, one bar for each name.
fn phases(run: &Run, connection: &Connection, ended: Duration) -> Vec<Waiting> {
    let mut phases: Vec<Waiting> = Vec::new();
    if let Some(opened) = connection.opened
        && connection.accepted.is_none_or(|accepted| accepted > opened)
    {
        phases.push(Waiting {
            from: opened,
            to: connection.accepted.unwrap_or(ended),
            name: "backlog",
            class: "rest",
            deadline: None,
            told: false,
        });
    }
    for phase in run
        .phases
        .iter()
        .filter(|phase| phase.connection == connection.id)
    {
        match phases.last_mut() {
            Some(last) if last.name == phase.name => {
                last.deadline = phase.deadline;
                continue;
            }
            Some(last) => last.to = phase.at,
            None => {}
        }
        if phases.len() == BARS_MAX {
            break;
        }
        phases.push(Waiting {
            from: phase.at,
            to: ended.max(phase.at),
            name: phase.name,
            class: class(phase.name),
            deadline: phase.deadline,
            told: phase.told,
        });
    }
    // What took no time is no bar.
    phases.retain(|phase| phase.to > phase.from);
    phases
}

/// Who is waited for in a phase.
fn class(phase: &str) -> &'static str {
    match phase {
        "handshake" | "opening" | "head" | "expect" | "body" | "drain" => "read",
        "handler" | "upgrade" => "work",
        "response" => "write",
        _ => "rest",
    }
}
