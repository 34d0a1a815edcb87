//! A line of a flight record: one connection.

use super::super::talk::{Event, Talk, What};
use super::stream::Made;
use super::{Unreadable, wrong};
use hangup_scenario::Until;
use hangup_scenario::file::bounds::{DURATION_MAX, WRITES_MAX};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;

/// The first line.
#[derive(Deserialize)]
pub(super) struct Title {
    pub(super) hangup_flight: u32,
    #[serde(default)]
    pub(super) missed: u64,
}

#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) connection: u64,
    opened_s: f64,
    #[serde(default)]
    waits_in: Option<String>,
    #[serde(default)]
    closed_s: Option<f64>,
    #[serde(default)]
    reason: Option<String>,
    events: Vec<Recorded>,
}

/// An event of any kind: what it does not have is another kind's.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Recorded {
    at_s: f64,
    #[serde(rename = "in")]
    pub(super) bytes_in: Option<u64>,
    #[serde(rename = "out")]
    bytes_out: Option<u64>,
    skipped: Option<u64>,
    times: Option<u32>,
    until_s: Option<f64>,
    /// The payload, escaped as in Rust.
    pub(super) bytes: Option<String>,
    pub(super) request: Option<Request>,
    pub(super) status: Option<u16>,
    fin: bool,
}

/// What is known of a head.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) length: Option<u64>,
    #[serde(default)]
    pub(super) chunked: bool,
    #[serde(default)]
    pub(super) expect: Option<String>,
    #[serde(default)]
    pub(super) connection: Option<String>,
}

impl Recorded {
    /// How often its bytes came.
    pub(super) fn times(&self) -> u64 {
        self.times.unwrap_or(1).max(1).into()
    }

    /// How many bytes it is in all.
    pub(super) fn total_in(&self) -> u64 {
        self.bytes_in.unwrap_or(0).saturating_mul(self.times())
    }
}

/// Seconds as a time that a scenario can have.
fn time(line: usize, field: &str, seconds: f64) -> Result<Duration, Unreadable> {
    let most = DURATION_MAX.as_secs_f64();
    if (0.0..=most).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    let what = format!("{field} is {seconds}; allowed: seconds from 0 to {most}");
    Err(wrong(line, what))
}

impl Line {
    /// Was something in its middle not kept?
    pub(super) fn is_partial(&self) -> bool {
        self.events.iter().any(|event| event.skipped.is_some())
    }

    /// The connection.
    pub(super) fn talk(&self, number: usize) -> Result<Talk, Unreadable> {
        let opened = time(number, "opened_s", self.opened_s)?;
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut talk = Talk::new(self.connection, nobody, opened);
        (talk.whole, talk.connected) = (true, Some(opened));
        let writes = self
            .events
            .iter()
            .fold(0_u64, |sum, event| sum.saturating_add(event.times()));
        let bytes = self
            .events
            .iter()
            .fold(0_u64, |sum, event| sum.saturating_add(event.total_in()));
        if bytes > super::super::SENT_MAX || writes > WRITES_MAX {
            return Err(Unreadable::TooMuch(format!(
                "a connection with {bytes} bytes in {writes} pieces"
            )));
        }
        talk.sent = Made::of(&self.events).bytes();
        let unread = self.is_unread();
        let last_status = self.events.iter().rposition(|event| event.status.is_some());
        let mut sent = 0;
        for (index, event) in self.events.iter().enumerate() {
            let at = opened + time(number, "at_s", event.at_s)?;
            if let Some(bytes) = event.bytes_in {
                let until = time(number, "until_s", event.until_s.unwrap_or(event.at_s))?;
                let times = event.times() as u32;
                let gap = (opened + until).saturating_sub(at) / times.saturating_sub(1).max(1);
                for nth in 0..times {
                    sent += bytes as usize;
                    talk.events.push(Event {
                        at: at + gap * nth,
                        what: What::Sent { to: sent },
                    });
                }
            }
            let mut note = |what: What| talk.events.push(Event { at, what });
            if let Some(status) = event.status {
                if unread && last_status == Some(index) {
                    note(What::Full);
                }
                note(What::Answer(match status {
                    100..=199 => Until::Status(status),
                    _ => Until::Final,
                }));
                talk.statuses.push(status);
            }
            if event.fin {
                talk.reads_on |= self.events[index..].iter().any(|it| it.status.is_some());
                talk.events.push(Event {
                    at,
                    what: What::Fin,
                });
            }
            talk.out += event.bytes_out.unwrap_or(0);
        }
        if let Some(closed) = self.closed_s {
            let at = opened + time(number, "closed_s", closed)?;
            let fin = self.events.iter().any(|event| event.fin);
            match self.reason.as_deref() {
                Some("client-gone") => talk.events.push(Event {
                    at,
                    what: What::Reset,
                }),
                Some("client-closed") => {}
                _ if fin => {}
                _ => talk.events.push(Event {
                    at,
                    what: What::ServerGone,
                }),
            }
        }
        Ok(talk)
    }

    /// The client does not take what it was answered with.
    fn is_unread(&self) -> bool {
        self.waits_in.as_deref() == Some("response")
            || self.reason.as_deref() == Some("timeout-response")
    }
}
