//! The words of the timeline.

use crate::finding::spell;
use hangup_network::{Event, Side};
use hangup_scenario::{
    Await, Blackhole, Head, LinkChange, Piece, Read, Send, Step, Until, Version,
};
use std::fmt::Write;

/// A step in a few words.
pub fn step(step: &Step) -> String {
    match step {
        Step::Send(what) => send(what),
        Step::Await(Await { until, within }) => {
            let what = match until {
                Until::Status(status) => format!("status {status}"),
                Until::Final => "a final response".to_owned(),
                Until::Eof => "the end of the stream".to_owned(),
                Until::Bytes(count) => format!("{count} bytes"),
            };
            format!("await {what} within {}", spell(*within))
        }
        Step::Stall { duration } => format!("stall for {}", spell(*duration)),
        Step::Read(Read::All) => "read all".to_owned(),
        Step::Read(Read::Bytes(count)) => format!("read {count} bytes"),
        Step::Read(Read::Paced { bytes, pace }) => format!(
            "read {bytes} bytes, {} every {}",
            pace.size,
            spell(pace.every)
        ),
        Step::Reconnect { after } => format!("reconnect after {}", spell(*after)),
        Step::Network(change) => network_change(change),
        Step::HalfClose => "half-close".to_owned(),
        Step::Connect | Step::Close | Step::Reset | Step::Vanish => step.name().to_owned(),
    }
}

fn send(send: &Send) -> String {
    let mut text = String::from("send ");
    for (index, piece) in send.what.iter().enumerate() {
        if index > 0 {
            text.push_str(" + ");
        }
        // Writing to a String cannot fail.
        let _ = match piece {
            Piece::Head(what) => write!(text, "{}", head(what)),
            Piece::Body(count) => write!(text, "{count} bytes of body"),
            Piece::Chunk(count) => write!(text, "a chunk of {count} bytes"),
            Piece::LastChunk => write!(text, "the last chunk"),
            Piece::Bytes(bytes) => write!(text, "\"{}\"", excerpt(bytes)),
        };
    }
    if let Some((from, to)) = send.part {
        let _ = write!(text, " (bytes {from} to {to} of it)");
    }
    if let Some(trickle) = &send.trickle {
        let _ = write!(
            text,
            ", {} bytes every {}",
            trickle.size,
            spell(trickle.every)
        );
    }
    text
}

fn head(head: &Head) -> String {
    let mut text = format!("{} {}", head.method, head.target);
    if head.version == Version::Http10 {
        text.push_str(" HTTP/1.0");
    }
    if let Some(length) = head.length {
        let _ = write!(text, " (Content-Length: {length})");
    }
    if head.chunked {
        text.push_str(" (chunked)");
    }
    if let Some(expect) = &head.expect {
        let _ = write!(text, " (Expect: {expect})");
    }
    if let Some(connection) = &head.connection {
        let _ = write!(text, " (Connection: {connection})");
    }
    text
}

fn network_change(change: &LinkChange) -> String {
    let mut text = String::from("network:");
    if change.heal {
        text.push_str(" healed");
    }
    if let Some(latency) = change.latency {
        let _ = write!(text, " latency {}", spell(latency));
    }
    if let Some(jitter) = change.jitter {
        let _ = write!(text, " jitter {}", spell(jitter));
    }
    if let Some(mtu) = change.mtu {
        let _ = write!(text, " mtu {mtu}");
    }
    if let Some(loss) = change.loss {
        let _ = write!(text, " loss {loss}");
    }
    match change.blackhole {
        Some(Blackhole::Both) => text.push_str(" black hole both ways"),
        Some(Blackhole::ToServer) => text.push_str(" black hole to the server"),
        Some(Blackhole::ToClient) => text.push_str(" black hole to the client"),
        None => {}
    }
    text
}

const EXCERPT: usize = 40;

fn excerpt(bytes: &[u8]) -> String {
    let mut text = bytes[..bytes.len().min(EXCERPT)].escape_ascii().to_string();
    if bytes.len() > EXCERPT {
        let _ = write!(text, "... {} bytes", bytes.len());
    }
    text
}

/// A fact from the network, and the side whose line it belongs to; none for what only repeats a step.
pub(crate) fn network(event: &Event<'_>) -> Option<(Side, String)> {
    Some(match event {
        Event::Refused => (Side::Client, "is refused".to_owned()),
        Event::Opened => (Side::Server, "connection opened".to_owned()),
        Event::Accepted { .. } => (Side::Server, "accepted".to_owned()),
        Event::Arrived {
            to: Side::Server,
            bytes,
        } => (Side::Server, format!("gets {}", arrived(bytes))),
        Event::Arrived {
            to: Side::Client,
            bytes,
        } => (Side::Client, format!("gets {}", arrived(bytes))),
        Event::Discarded {
            to: Side::Server,
            bytes,
        } => (
            Side::Server,
            format!("has closed already and answers {} with RST", arrived(bytes)),
        ),
        Event::FinArrived { to: Side::Server } => (Side::Server, "gets FIN".to_owned()),
        Event::FinArrived { to: Side::Client } => (Side::Client, "gets FIN".to_owned()),
        Event::ResetArrived { to: Side::Server } => (Side::Server, "gets RST".to_owned()),
        Event::ResetArrived { to: Side::Client } => (Side::Client, "gets RST".to_owned()),
        Event::Shutdown { by: Side::Server } => {
            (Side::Server, "shuts its side down (FIN)".to_owned())
        }
        Event::Closed {
            by: Side::Server,
            reset: false,
        } => (Side::Server, "closes (FIN)".to_owned()),
        Event::Closed {
            by: Side::Server,
            reset: true,
        } => (Side::Server, "closes (RST)".to_owned()),
        Event::Orphaned {
            side: Side::Server,
            bytes,
        } => (
            Side::Server,
            format!("has closed, and its kernel still holds {bytes} bytes for the client"),
        ),
        Event::OrphanGone { side: Side::Server } => {
            (Side::Server, "holds nothing more in its kernel".to_owned())
        }
        Event::TimedOut { side: Side::Server } => {
            (Side::Server, "gives the peer up (timed out)".to_owned())
        }
        Event::TimedOut { side: Side::Client } => {
            (Side::Client, "gives the server up (timed out)".to_owned())
        }
        _ => return None,
    })
}

/// Bytes in a few words: a status or request line if they begin with one.
fn arrived(bytes: &[u8]) -> String {
    let line = bytes
        .split(|&byte| byte == b'\r' || byte == b'\n')
        .next()
        .unwrap_or_default();
    let starts_message = bytes.starts_with(b"HTTP/1.")
        || line.ends_with(b" HTTP/1.1")
        || line.ends_with(b" HTTP/1.0");
    let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
    if starts_message && line.len() < bytes.len() {
        format!("{} bytes: {}", bytes.len(), line.escape_ascii())
    } else {
        format!("{} {unit}", bytes.len())
    }
}
