//! What the probe app answers to a request, whoever serves it.

use super::contents::Content;
use crate::server::app::{self, tunnel};

/// What a request asks the probe app for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// `ok`: `/`, or `/slow/MS`.
    Ok,
    /// Length and digest of its own content.
    Echo,
    /// Its own content.
    Stream,
    /// A stream without an end, in which the application alone decides when there is more.
    Paced,
    /// A refusal.
    Reject,
    /// So many bytes.
    Big(u64),
    /// An answer of a server of the user's own, which comes when all of the body was read.
    Whole,
    /// What is not there.
    Missing,
    /// Something of which it is not known what comes of it.
    #[default]
    Other,
}

/// How an answer and a request go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is what the app answers to that request.
    Right,
    /// It is not, and nobody but the app would say so.
    Wrong,
    /// It is the server's own, or nothing is known of it.
    Unknown,
}

/// A request, as far as its answer hangs on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it asks for.
    pub asks: Asks,
    /// What it carried, if it is one whose answer hangs on that.
    pub content: Option<Content<'a>>,
    /// All of it has come.
    pub whole: bool,
    /// It wants no content.
    pub head_only: bool,
}

impl Asks {
    /// What this request line asks for.
    pub(super) fn of(method: &str, target: &str) -> Self {
        if !target.starts_with('/') || target.contains(['?', '#', '%']) {
            return Self::Other;
        }
        let number = |prefix: &str| target.strip_prefix(prefix)?.parse::<u64>().ok();
        if let Some(length) = number("/big/") {
            return Self::Big(length);
        }
        if number("/slow/").is_some() {
            return Self::Ok;
        }
        if number("/events/").is_some() {
            return Self::Paced;
        }
        match (method, target) {
            ("GET" | "HEAD", "/") => Self::Ok,
            ("POST", "/echo") => Self::Echo,
            ("POST", "/stream") => Self::Stream,
            ("POST", "/reject") => Self::Reject,
            ("GET", "/events") => Self::Paced,
            ("GET", "/panic" | "/never" | "/endless" | tunnel::TARGET) => Self::Other,
            _ => Self::Missing,
        }
    }

    /// The answer hangs on what the request carries.
    pub(super) fn sends_back(self) -> bool {
        matches!(self, Self::Echo | Self::Stream)
    }

    fn status(self) -> Option<u16> {
        match self {
            Self::Ok | Self::Echo | Self::Stream | Self::Big(_) => Some(200),
            Self::Reject => Some(403),
            Self::Missing => Some(404),
            Self::Paced | Self::Whole | Self::Other => None,
        }
    }
}

/// Do this status and content answer this request?
pub fn fit(asked: Asked<'_>, status: u16, answer: Content<'_>) -> Fit {
    let Some(due) = asked.asks.status() else {
        return Fit::Unknown;
    };
    if ![200, 403, 404].contains(&status) {
        return Fit::Unknown;
    }
    if status != due {
        return Fit::Wrong;
    }
    if asked.head_only {
        return Fit::Right;
    }
    match asked.asks {
        Asks::Ok => same(b"ok", answer),
        Asks::Reject => same(b"rejected", answer),
        Asks::Missing => same(b"not found", answer),
        Asks::Big(length) if answer.filler && answer.length == length => Fit::Right,
        Asks::Big(length) if answer.filler && answer.by_close && answer.length < length => {
            Fit::Unknown
        }
        Asks::Big(_) => Fit::Wrong,
        Asks::Echo | Asks::Stream if !asked.whole => Fit::Wrong,
        Asks::Echo | Asks::Stream => match asked.content {
            Some(Content {
                bytes: Some(bytes), ..
            }) if asked.asks == Asks::Stream => same(bytes, answer),
            Some(sent) if sent.bytes.is_some() => {
                same(app::echoed(sent.length, &sent.digest()).as_bytes(), answer)
            }
            _ => Fit::Unknown,
        },
        Asks::Paced | Asks::Whole | Asks::Other => Fit::Unknown,
    }
}

fn same(due: &[u8], answer: Content<'_>) -> Fit {
    match answer.bytes {
        Some(bytes) if bytes == due => Fit::Right,
        Some(bytes) if answer.by_close && due.starts_with(bytes) => Fit::Unknown,
        Some(_) => Fit::Wrong,
        None if answer.length == due.len() as u64 => Fit::Unknown,
        None => Fit::Wrong,
    }
}
