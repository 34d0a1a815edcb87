//! What one client did: a list of events that cannot grow beyond its bound.

use super::{EVEN, seconds};
use crate::Peer;
use hangup_lifecycle::{CloseReason, Phase};
use http::{HeaderMap, HeaderName, Version, header, request};
use serde::Serialize;
use std::collections::VecDeque;
use tokio::time::Instant;

/// So many first and so many last events of a connection are kept.
const KEPT: usize = 32;

/// The longest value of a field of the head that is kept.
const VALUE_MAX: usize = 64;

pub(super) struct Record {
    opened: Instant,
    peer: Peer,
    pub(super) phase: Phase,
    pub(super) closed: Option<(Instant, CloseReason)>,
    first: Vec<Event>,
    last: VecDeque<Event>,
    skipped: Skipped,
    /// How much payload may still be kept.
    payload: usize,
}

struct Event {
    at: Instant,
    what: What,
}

pub(super) enum What {
    In {
        length: u64,
        times: u32,
        until: Instant,
        bytes: Box<[u8]>,
    },
    Request(Box<Head>),
    Status(u16),
    Out {
        length: u64,
        until: Instant,
    },
    Fin,
}

/// What of a head matters to what comes behind it. The target and the other fields are payload.
#[derive(Clone, Serialize)]
pub(super) struct Head {
    method: String,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    chunked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Head {
    pub(super) fn of(head: &request::Parts) -> Self {
        let length = value(&head.headers, header::CONTENT_LENGTH);
        let mut method = head.method.as_str().to_owned();
        method.truncate(VALUE_MAX);
        Head {
            method,
            version: if head.version == Version::HTTP_10 {
                "1.0"
            } else {
                "1.1"
            },
            length: length.and_then(|length| length.parse().ok()),
            chunked: head.headers.contains_key(header::TRANSFER_ENCODING),
            expect: value(&head.headers, header::EXPECT),
            connection: value(&head.headers, header::CONNECTION),
        }
    }
}

fn value(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    // `to_str` gives visible ASCII only, so that it can be cut anywhere.
    Some(text[..text.len().min(VALUE_MAX)].to_owned())
}

#[derive(Clone, Copy, Default)]
struct Skipped {
    events: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Record {
    pub(super) fn new(opened: Instant, peer: Peer, payload: usize) -> Self {
        Record {
            opened,
            peer,
            phase: Phase::Opening,
            closed: None,
            first: Vec::new(),
            last: VecDeque::new(),
            skipped: Skipped::default(),
            payload,
        }
    }

    pub(super) fn received(&mut self, at: Instant, length: usize, bytes: &[u8]) {
        let kept = &bytes[..bytes.len().min(self.payload)];
        self.payload -= kept.len();
        self.note(
            at,
            What::In {
                length: length as u64,
                times: 1,
                until: at,
                bytes: kept.into(),
            },
        );
    }

    pub(super) fn note(&mut self, at: Instant, what: What) {
        let before = self.last.back_mut().or(self.first.last_mut());
        if before.is_some_and(|before| before.takes(at, &what)) {
            return;
        }
        let event = Event { at, what };
        if self.first.len() < KEPT {
            self.first.push(event);
            return;
        }
        if self.last.len() == KEPT
            && let Some(gone) = self.last.pop_front()
        {
            self.skipped.events += 1;
            match gone.what {
                What::In { length, times, .. } => {
                    let bytes = length.saturating_mul(times.into());
                    self.skipped.bytes_in = self.skipped.bytes_in.saturating_add(bytes);
                }
                What::Out { length, .. } => {
                    self.skipped.bytes_out = self.skipped.bytes_out.saturating_add(length);
                }
                What::Request(_) | What::Status(_) | What::Fin => {}
            }
        }
        self.last.push_back(event);
    }

    /// The connection's line in the file.
    pub(super) fn line(&self, connection: u64, began: Instant, now: Instant) -> Line {
        let mut events: Vec<_> = self.first.iter().map(|event| self.shape(event)).collect();
        if self.skipped.events > 0 {
            events.push(Shape {
                skipped: Some(self.skipped.events),
                bytes_in: Some(self.skipped.bytes_in),
                bytes_out: Some(self.skipped.bytes_out),
                ..Shape::default()
            });
        }
        events.extend(self.last.iter().map(|event| self.shape(event)));
        let open = self.closed.is_none();
        Line {
            connection,
            peer: self.peer.to_string(),
            opened_s: seconds(began, self.opened),
            now_s: open.then(|| seconds(self.opened, now)),
            waits_in: open.then(|| self.phase.name()),
            closed_s: self.closed.map(|(at, _)| seconds(self.opened, at)),
            reason: self.closed.map(|(_, reason)| reason.name()),
            events,
        }
    }

    fn shape(&self, event: &Event) -> Shape {
        let at_s = seconds(self.opened, event.at);
        let until_s = |until: Instant| (until > event.at).then(|| seconds(self.opened, until));
        let mut shape = Shape {
            at_s: Some(at_s),
            ..Shape::default()
        };
        match &event.what {
            What::In {
                length,
                times,
                until,
                bytes,
            } => {
                shape.bytes_in = Some(*length);
                shape.times = (*times > 1).then_some(*times);
                shape.until_s = until_s(*until);
                shape.bytes = (!bytes.is_empty()).then(|| bytes.escape_ascii().to_string());
            }
            What::Request(head) => shape.request = Some((**head).clone()),
            What::Status(status) => shape.status = Some(*status),
            What::Out { length, until } => {
                shape.bytes_out = Some(*length);
                shape.until_s = until_s(*until);
            }
            What::Fin => shape.fin = true,
        }
        shape
    }
}

impl Event {
    /// Takes `next` into itself, if nothing that matters is lost by that.
    fn takes(&mut self, at: Instant, next: &What) -> bool {
        match (&mut self.what, next) {
            (What::Out { length, until }, What::Out { length: more, .. }) => {
                *length = length.saturating_add(*more);
                *until = at;
                true
            }
            (
                What::In {
                    length,
                    times,
                    until,
                    bytes,
                },
                What::In {
                    length: same,
                    bytes: more,
                    ..
                },
            ) if length == same && bytes.is_empty() && more.is_empty() => {
                let gap = at.saturating_duration_since(*until);
                let gaps = *times - 1;
                if gaps > 0 {
                    let mean = until.saturating_duration_since(self.at) / gaps;
                    if gap > mean * 2 + EVEN || gap * 2 + EVEN < mean {
                        return false;
                    }
                }
                *times = times.saturating_add(1);
                *until = at;
                true
            }
            _ => false,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Line {
    connection: u64,
    peer: String,
    opened_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    now_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_in: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    events: Vec<Shape>,
}

#[derive(Default, Serialize)]
struct Shape {
    #[serde(skip_serializing_if = "Option::is_none")]
    at_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    bytes_in: Option<u64>,
    #[serde(rename = "out", skip_serializing_if = "Option::is_none")]
    bytes_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Head>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "is_false")]
    fin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}
