//! What a client may have sent, of which only sizes are known.

use super::line::{Recorded, Request};
use hangup_scenario::{Head, Host, Send, Version};
use std::io::Write;

/// A head of more than this is none that a server takes.
const HEAD_MAX: u64 = 1 << 20;
/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// The size of a chunk that does not end: hexadecimal.
const ENDLESS: &[u8] = b"7fffffff\r\n";

/// One request and what came for it.
#[derive(Default)]
struct Part {
    /// The head, if it was whole.
    request: Option<Request>,
    /// Bytes until the head was whole, and behind that.
    until_head: u64,
    behind: u64,
    /// It got a final status, with which nothing is wrong.
    answered: bool,
}

/// The requests of a connection.
pub(super) struct Made {
    parts: Vec<Part>,
    /// The first bytes as they were.
    known: Vec<u8>,
}

impl Made {
    pub(super) fn of(events: &[Recorded]) -> Self {
        let mut parts = vec![Part::default()];
        let (mut known, mut all_known) = (Vec::new(), true);
        for event in events {
            let last = parts.len() - 1;
            if event.bytes_in.is_some() {
                // What comes behind a whole request begins the next one.
                if parts[last].is_over() {
                    parts.push(Part::default());
                }
                let last = parts.len() - 1;
                let part = &mut parts[last];
                match part.request {
                    None => part.until_head += event.total_in(),
                    Some(_) => part.behind += event.total_in(),
                }
                if let Some(text) = event.bytes.as_ref().filter(|_| all_known) {
                    unescape(text, &mut known);
                }
                let kept = event.bytes.as_ref().map_or(0, |_| event.total_in());
                all_known &= kept == event.total_in() && event.bytes.is_some();
            }
            if let Some(request) = &event.request {
                // A second head without a byte in between was pipelined: its bytes came with the first.
                if parts[last].request.is_some() {
                    parts.push(Part::default());
                }
                let last = parts.len() - 1;
                parts[last].request = Some(request.clone());
            }
            if let Some(status) = event.status {
                let last = parts.len() - 1;
                parts[last].answered |= (200..400).contains(&status);
            }
        }
        Self { parts, known }
    }

    /// As many bytes as came.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.parts {
            part.render(&mut out);
        }
        let known = self.known.len().min(out.len());
        out[..known].copy_from_slice(&self.known[..known]);
        out
    }
}

impl Part {
    /// Has everything come that was announced? Of a chunked body nobody knows, but for its answer.
    fn is_over(&self) -> bool {
        let Some(request) = &self.request else {
            return false;
        };
        match (request.chunked, request.length) {
            (true, _) => self.answered,
            (false, length) => {
                self.answered || self.behind >= length.unwrap_or(0) && self.has_no_body_in_head()
            }
        }
    }

    /// All that came with the head was the head.
    fn has_no_body_in_head(&self) -> bool {
        let body = self.request.as_ref().and_then(|request| request.length);
        body.unwrap_or(0) == 0 || self.behind > 0
    }

    fn render(&self, out: &mut Vec<u8>) {
        let total = self.until_head.saturating_add(self.behind);
        let from = out.len();
        let until = from + total as usize;
        match &self.request {
            // A head that never became whole.
            None => {
                let request = Request {
                    method: "GET".to_owned(),
                    ..Request::default()
                };
                let longer = self.until_head.saturating_add(64);
                out.extend_from_slice(&rendered(&request, longer));
                out.resize(until.min(out.len()), b'x');
            }
            Some(request) => {
                let least = rendered(request, 1).len() as u64;
                let body = request.length.unwrap_or(0);
                // What came with the head may be body. If the request was answered, all of it came; so it did where it fits.
                let head = match (self.answered && !request.chunked, total.checked_sub(body)) {
                    (true, Some(head)) if head >= least && head <= self.until_head => head,
                    (false, Some(head)) if body > 0 && self.behind == 0 && head >= least => head,
                    _ => self.until_head,
                };
                out.extend_from_slice(&rendered(request, head));
                let body = until.saturating_sub(out.len());
                if request.chunked {
                    chunks(out, body, self.answered);
                }
            }
        }
        out.resize(until, b'x');
    }
}

/// So many bytes of a chunked body: one chunk, and its end if it came.
fn chunks(out: &mut Vec<u8>, bytes: usize, ended: bool) {
    if !ended {
        out.extend_from_slice(&ENDLESS[..bytes.min(ENDLESS.len())]);
        return;
    }
    let data = bytes.saturating_sub(LAST_CHUNK.len());
    // The digits of a size may begin with zeros, so that every length can be had.
    let digits = format!("{data:x}").len();
    if let Some(length) = data.checked_sub(digits + 4).filter(|length| *length > 0) {
        // A Vec takes every write.
        let _ = write!(out, "{length:0digits$x}\r\n");
        out.resize(out.len() + length, b'x');
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(LAST_CHUNK);
}

/// A head like the one that came, of `length` bytes where that can be; the shortest that is comfortable for no `length`.
fn rendered(request: &Request, length: u64) -> Vec<u8> {
    let has_body = request.chunked || request.length.is_some_and(|length| length > 0);
    let mut head = Head::new(request.method.clone(), if has_body { "/echo" } else { "/" });
    head.version = match &*request.version {
        "1.0" => Version::Http10,
        _ => Version::Http11,
    };
    head.length = request.length;
    head.chunked = request.chunked;
    head.expect = request.expect.clone().map(Into::into);
    head.connection = request.connection.clone().map(Into::into);
    let render = |head: &Head| {
        let mut bytes = Vec::new();
        Send::from(head.clone()).render(&mut bytes);
        bytes
    };
    // Nobody kept the client's Host: it gives or takes what is too much or too little.
    let (plain, host) = (render(&head).len() as u64, Host::DEFAULT.len() as u64);
    let wanted = length.min(HEAD_MAX);
    let too_much = plain.saturating_sub(wanted);
    let too_little = wanted.saturating_sub(plain);
    // `X: ` and the end of the line.
    const FIELD: u64 = 5;
    if too_little >= FIELD {
        let filler = "x".repeat((too_little - FIELD) as usize);
        head.headers.push(("X".into(), filler.into()));
    } else if wanted > 0 && (too_much > 0 || too_little > 0) {
        let name = Host::DEFAULT.bytes().cycle();
        let length = (host + too_little).saturating_sub(too_much).max(1);
        head.host = match head.version {
            Version::Http10 if too_much >= host => Host::Absent,
            _ => Host::Text(name.take(length as usize).map(char::from).collect()),
        };
    }
    render(&head)
}

/// Undoes `escape_ascii`.
fn unescape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'x') => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                if let (Some(high), Some(low)) = (high, low) {
                    out.push((high * 16 + low) as u8);
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
}
