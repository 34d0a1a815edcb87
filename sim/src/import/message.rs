//! What a client sent, cut into heads, bodies and chunks, without what is nobody's business.
//!
//! Bodies become filler of the same length. Of a head there stays what HTTP is made of: the method, the path, the version, and the values of the
//! fields in [`KEPT`], each as far as it is made of plain words (`secret`). Everything else becomes as many `x`: queries, parameters, fragments,
//! user names, other values, and bytes that are in no request. Framing stays as it is, also where it is wrong.

mod secret;

use hangup_scenario::{Head, Host, Piece, Send, Version};
use memchr::{memchr, memmem};
use secret::mask;
use std::borrow::Cow;
use std::ops::Range;

/// Fields whose values are kept: they decide what becomes of a connection, or say what a client is. Everything else may be a secret.
pub(super) const KEPT: [&str; 30] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "expect",
    "host",
    "http2-settings",
    "if-modified-since",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "priority",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// The longest head that is looked for.
const HEAD_MAX: usize = 1 << 20;
/// More bytes than this that are in no request are no mistake of a client.
pub(super) const UNKNOWN_MAX: usize = 16 << 10;
/// The longest method.
const METHOD_MAX: usize = 20;
/// What an HTTP/2 client says behind its first head.
const PREFACE: &[u8] = b"SM\r\n\r\n";

/// What a stretch of the stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A head, whole.
    Head,
    /// Bytes that are kept, with what is nobody's business masked.
    Bytes,
    /// Payload.
    Body,
    /// It is in no request.
    Unknown,
    /// A chunk: its line ends, and its data end, at these places.
    Chunk { data: usize, end: usize },
    /// The last chunk, without trailers.
    LastChunk,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    range: Range<usize>,
    kind: Kind,
}

/// What a client sent.
pub(super) struct Message<'a> {
    /// Masked, unless everything is kept.
    bytes: Cow<'a, [u8]>,
    spans: Vec<Span>,
    keep_payload: bool,
    /// What every request is sent to instead of its own target.
    target: Option<&'a str>,
    /// Where those are.
    targets: Vec<Range<usize>>,
}

impl<'a> Message<'a> {
    /// Cuts up what a client sent; `from_start` says that nothing came before. Every request goes to `target`, if there is one.
    pub(super) fn of(
        sent: &'a [u8],
        from_start: bool,
        keep_payload: bool,
        target: Option<&'a str>,
    ) -> Self {
        let mut spans = Vec::new();
        let mut masked = sent.to_vec();
        let mut at = 0;
        while at < sent.len() {
            let next = message(sent, at, from_start || at > 0, &mut masked, &mut spans);
            debug_assert!(next > at, "a message has bytes");
            at = next.max(at + 1);
        }
        let targets = match target {
            Some(_) => targets(sent, &spans),
            None => Vec::new(),
        };
        Self {
            bytes: match keep_payload {
                true => Cow::Borrowed(sent),
                false => Cow::Owned(masked),
            },
            spans,
            keep_payload,
            target,
            targets,
        }
    }

    /// How many bytes are in no request.
    pub(super) fn unknown(&self) -> usize {
        let unknown = self.spans.iter().filter(|span| span.kind == Kind::Unknown);
        unknown.map(|span| span.range.len()).sum()
    }

    /// Is this range within payload, whose bytes do not matter?
    pub(super) fn is_payload(&self, range: &Range<usize>) -> bool {
        let payload = self.spans.iter().filter_map(|span| match span.kind {
            Kind::Body => Some(span.range.clone()),
            Kind::Chunk { data, end } => Some(data..end),
            _ => None,
        });
        let mut covered = range.start;
        for part in payload {
            if part.start <= covered && covered < part.end {
                covered = part.end;
            }
        }
        covered >= range.end
    }

    /// These bytes, with what stands for the targets in them.
    fn text(&self, part: Range<usize>) -> Cow<'_, [u8]> {
        let first = self.targets.partition_point(|it| it.end <= part.start);
        let mut within = self.targets[first..]
            .iter()
            .take_while(|it| it.start < part.end)
            .peekable();
        if within.peek().is_none() {
            return Cow::Borrowed(&self.bytes[part]);
        }
        let (mut out, mut at) = (Vec::new(), part.start);
        for own in within {
            // All of it goes where the first byte of its own went.
            if own.start >= part.start {
                out.extend_from_slice(&self.bytes[at..own.start]);
                out.extend_from_slice(self.target.unwrap_or_default().as_bytes());
            }
            at = own.end.min(part.end);
        }
        out.extend_from_slice(&self.bytes[at..part.end]);
        Cow::Owned(out)
    }

    /// The pieces that this range of it is made of.
    pub(super) fn pieces(&self, range: Range<usize>) -> Vec<Piece> {
        let mut pieces = Pieces(Vec::new());
        let first = self
            .spans
            .partition_point(|span| span.range.end <= range.start);
        for span in &self.spans[first..] {
            if span.range.start >= range.end {
                break;
            }
            let part = span.range.start.max(range.start)..span.range.end.min(range.end);
            let whole = part == span.range;
            match &span.kind {
                Kind::Head if whole => pieces.head(&self.text(part)),
                Kind::Head | Kind::Bytes => pieces.bytes(&self.text(part)),
                // What is behind a tunnel's head may be long.
                Kind::Unknown if span.range.len() > UNKNOWN_MAX => self.body(part, &mut pieces),
                Kind::Unknown => pieces.bytes(&self.bytes[part]),
                Kind::LastChunk if whole => pieces.0.push(Piece::LastChunk),
                Kind::LastChunk => pieces.bytes(&self.bytes[part]),
                Kind::Body => self.body(part, &mut pieces),
                Kind::Chunk { data, end } => {
                    let length = (end - data) as u64;
                    let line = format!("{length:x}\r\n");
                    let plain = self.bytes[span.range.start..*data] == *line.as_bytes()
                        && self.bytes[*end..span.range.end] == *b"\r\n"
                        && !self.keep_payload;
                    if whole && plain {
                        pieces.0.push(Piece::Chunk(length));
                        continue;
                    }
                    let cut = |from: usize, to: usize| {
                        let from = from.clamp(part.start, part.end);
                        from..to.clamp(from, part.end)
                    };
                    pieces.bytes(&self.bytes[cut(span.range.start, *data)]);
                    self.body(cut(*data, *end), &mut pieces);
                    pieces.bytes(&self.bytes[cut(*end, span.range.end)]);
                }
            }
        }
        pieces.0
    }

    fn body(&self, range: Range<usize>, pieces: &mut Pieces) {
        match self.keep_payload {
            true => pieces.bytes(&self.bytes[range]),
            false => pieces.body(range.len() as u64),
        }
    }
}

/// Pieces, of which neighbours of a kind are one.
struct Pieces(Vec<Piece>);

impl Pieces {
    fn bytes(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.0.push(Piece::Bytes(bytes.to_vec())),
        }
    }

    fn body(&mut self, length: u64) {
        match self.0.last_mut() {
            _ if length == 0 => {}
            Some(Piece::Body(last)) => *last += length,
            _ => self.0.push(Piece::Body(length)),
        }
    }

    /// A head as data, where that renders to the very same bytes.
    fn head(&mut self, bytes: &[u8]) {
        let head = head(bytes).map(Piece::Head).filter(|head| {
            let mut rendered = Vec::new();
            Send::from(head.clone()).render(&mut rendered);
            rendered == bytes
        });
        match head {
            Some(head) => self.0.push(head),
            None => self.bytes(bytes),
        }
    }
}

/// A head as data: the fields that a [`Head`] has by name, as far as they come first and in its order, and the others.
fn head(bytes: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
    let mut line = lines.next()?.splitn(3, ' ');
    let mut head = Head::new(line.next()?.to_owned(), line.next()?.to_owned());
    head.version = match line.next()? {
        "HTTP/1.1" => Version::Http11,
        "HTTP/1.0" => Version::Http10,
        _ => return None,
    };
    head.host = Host::Absent;
    // Which of the named fields may still come.
    let mut next = 0;
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        let value = value.to_owned();
        let others = !head.headers.is_empty();
        match name {
            "Host" if next < 1 && !others => {
                head.host = match &*value {
                    Host::DEFAULT => Host::Default,
                    _ => Host::Text(value),
                };
                next = 1;
            }
            "Content-Length" if next < 2 && !others && plain_number(&value).is_some() => {
                (head.length, next) = (plain_number(&value), 2);
            }
            "Transfer-Encoding" if next < 3 && !others && value == "chunked" => {
                (head.chunked, next) = (true, 3);
            }
            "Expect" if next < 4 && !others => (head.expect, next) = (Some(value.into()), 4),
            "Connection" if next < 5 && !others => {
                (head.connection, next) = (Some(value.into()), 5)
            }
            _ => head.headers.push((name.to_owned().into(), value.into())),
        }
    }
    Some(head)
}

/// A number as a scenario would write it.
fn plain_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// What frames the body behind a head.
enum Framing {
    Length(usize),
    Chunked,
    /// The HTTP/2 preface: no requests of HTTP/1 follow.
    Preface,
}

/// Adds the spans of the message that begins at `at`; gives the place behind it.
fn message(
    sent: &[u8],
    at: usize,
    from_start: bool,
    masked: &mut [u8],
    spans: &mut Vec<Span>,
) -> usize {
    let end = sent.len();
    let mut add = |range: Range<usize>, kind: Kind| {
        if !range.is_empty() {
            spans.push(Span { range, kind });
        }
    };
    let blank = sent[at..]
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    if blank > 0 {
        add(at..at + blank, Kind::Bytes);
        return at + blank;
    }
    let searched = &sent[at..end.min(at + HEAD_MAX)];
    let whole = [b"\r\n\r\n".as_slice(), b"\n\n"]
        .iter()
        .filter_map(|blank| Some(memmem::find(searched, blank)? + blank.len()))
        .min();
    let head = at..at + whole.unwrap_or(searched.len());
    // Where the beginning is missing a whole head is wanted, since what looks like the beginning of one may be payload.
    if !begins_request(&sent[head.clone()]) || (!from_start && whole.is_none()) {
        // A head that servers refuse ends where a head does.
        let is_text = |bytes: &[u8]| {
            let text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
            bytes.iter().all(text)
        };
        let end = match whole {
            Some(_) if from_start && is_text(&sent[head.clone()]) => head.end,
            _ => end,
        };
        mask(&mut masked[at..end]);
        add(at..end, Kind::Unknown);
        return end;
    }
    let framing = fields(&sent[head.clone()], &mut masked[head.clone()], true);
    let kind = if whole.is_some() {
        Kind::Head
    } else {
        Kind::Bytes
    };
    add(head.clone(), kind);
    if whole.is_none() {
        // A head without an end.
        return head.end;
    }
    match framing {
        Framing::Length(length) => {
            let body = head.end..head.end.saturating_add(length).min(end);
            add(body.clone(), Kind::Body);
            body.end
        }
        Framing::Chunked => chunks(sent, head.end, masked, spans),
        Framing::Preface => {
            let preface = sent[head.end..].starts_with(PREFACE);
            let behind = head.end + if preface { PREFACE.len() } else { 0 };
            add(head.end..behind, Kind::Bytes);
            // Frames of HTTP/2, or what follows a broken preface.
            add(behind..end, Kind::Body);
            end
        }
    }
}

/// Does a request begin like this: a method in capitals, a space, and a version at the end of the line, as far as that has come?
pub(super) fn begins_request(bytes: &[u8]) -> bool {
    let method = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-')
        .count();
    let versioned =
        memchr(b'\n', bytes).is_none_or(|end| memmem::find(&bytes[..end], b" HTTP/").is_some());
    (1..=METHOD_MAX).contains(&method)
        && matches!(bytes.get(method), None | Some(b' '))
        && versioned
}

/// Does a whole request line stand at the beginning?
pub(super) fn is_request_line(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let line = &bytes[..bytes.len().min(HEAD_MAX)];
    memchr(b'\n', line).is_some_and(|end| memmem::find(&line[..end], b" HTTP/").is_some())
        && begins_request(bytes)
}

/// The targets of the requests whose lines begin these spans.
fn targets(sent: &[u8], spans: &[Span]) -> Vec<Range<usize>> {
    let heads = spans.iter().filter(|span| {
        matches!(span.kind, Kind::Head | Kind::Bytes) && begins_request(&sent[span.range.clone()])
    });
    heads
        .filter_map(|span| {
            let head = &sent[span.range.clone()];
            let line = memchr(b'\n', head).unwrap_or(head.len());
            let target = secret::target(&head[..line]);
            let is_preface = head.starts_with(b"PRI ");
            let range = span.range.start + target.start..span.range.start + target.end;
            (!range.is_empty() && !is_preface).then_some(range)
        })
        .collect()
}

/// Masks what may be a secret in a head, or in trailers (`is_head` is false), and says what frames the body.
fn fields(bytes: &[u8], masked: &mut [u8], is_head: bool) -> Framing {
    let mut framing = Framing::Length(0);
    let mut start = 0;
    // The field that a folded line belongs to.
    let mut name: &[u8] = b"";
    let mut first = is_head;
    while start < bytes.len() {
        let length = memchr(b'\n', &bytes[start..]).map_or(bytes.len() - start, |end| end + 1);
        let line = start..start + length;
        start = line.end;
        let text = &bytes[line.clone()];
        let out = &mut masked[line];
        if std::mem::take(&mut first) {
            if text.starts_with(b"PRI * HTTP/2") {
                framing = Framing::Preface;
            }
            secret::mask_request_line(out);
            continue;
        }
        let colon = memchr(b':', text);
        if matches!(text.first(), Some(b' ' | b'\t')) {
            // It goes on with the field before it; servers may read it as a field of its own.
            let kept = is_kept(name) && colon.is_none_or(|it| is_kept(&text[..it]));
            match kept {
                true => secret::mask_kept(name, out),
                false => {
                    let value = colon.filter(|it| is_kept(&text[..*it]));
                    mask(&mut out[value.map_or(0, |colon| colon + 1)..]);
                }
            }
            continue;
        }
        name = &text[..colon.unwrap_or(0)];
        let value = text.get(name.len() + 1..).unwrap_or_default().trim_ascii();
        if name.trim_ascii().eq_ignore_ascii_case(b"content-length")
            && let Framing::Length(_) = framing
        {
            let length = std::str::from_utf8(value)
                .ok()
                .and_then(|it| it.parse().ok());
            framing = Framing::Length(length.unwrap_or(0));
        } else if name.trim_ascii().eq_ignore_ascii_case(b"transfer-encoding")
            && value.to_ascii_lowercase().ends_with(b"chunked")
        {
            framing = Framing::Chunked;
        }
        let Some(colon) = colon else {
            // Of a line without a colon nobody knows what it is.
            mask(out);
            continue;
        };
        if is_kept(name) {
            secret::mask_kept(name, &mut out[colon + 1..]);
        } else {
            secret::mask_name(&mut out[..colon]);
            mask(&mut out[colon + 1..]);
        }
    }
    framing
}

fn is_kept(name: &[u8]) -> bool {
    let name = name.trim_ascii().to_ascii_lowercase();
    KEPT.iter().any(|kept| kept.as_bytes() == name)
}

/// Adds the spans of a chunked body; gives the place behind it.
fn chunks(sent: &[u8], mut at: usize, masked: &mut [u8], spans: &mut Vec<Span>) -> usize {
    let end = sent.len();
    while at < end {
        let Some(line) = memchr(b'\n', &sent[at..]).map(|line| at + line + 1) else {
            // A chunk size without an end.
            mask_extension(&mut masked[at..]);
            spans.push(Span {
                range: at..end,
                kind: Kind::Bytes,
            });
            return end;
        };
        mask_extension(&mut masked[at..line]);
        let digits = sent[at..line].split(|byte| *byte == b';').next();
        let size = digits
            .map(<[u8]>::trim_ascii)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let Some(size) = size else {
            // It is no chunk: what follows may be anything.
            mask(&mut masked[at..end]);
            spans.push(Span {
                range: at..end,
                kind: Kind::Unknown,
            });
            return end;
        };
        if size == 0 {
            return trailers(sent, at..line, masked, spans);
        }
        let data = line.saturating_add(size).min(end);
        let tail = &sent[data..];
        let behind = match tail {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] | [b'\r'] => 1,
            _ => 0,
        };
        spans.push(Span {
            range: at..data + behind,
            kind: Kind::Chunk {
                data: line,
                end: data,
            },
        });
        if behind == 0 && !tail.is_empty() {
            // Data without an end.
            mask(&mut masked[data..end]);
            spans.push(Span {
                range: data..end,
                kind: Kind::Unknown,
            });
            return end;
        }
        at = data + behind;
    }
    end
}

/// Adds the spans of the last chunk, whose line is `line`, and of the trailers behind it.
fn trailers(sent: &[u8], line: Range<usize>, masked: &mut [u8], spans: &mut Vec<Span>) -> usize {
    let rest = &sent[line.end..];
    if &sent[line.clone()] == b"0\r\n" && rest.starts_with(b"\r\n") {
        spans.push(Span {
            range: line.start..line.end + 2,
            kind: Kind::LastChunk,
        });
        return line.end + 2;
    }
    let mut behind = line.end;
    loop {
        let next = memchr(b'\n', &sent[behind..]).map_or(sent.len(), |next| behind + next + 1);
        let empty = sent[behind..next].trim_ascii().is_empty();
        behind = next;
        if empty || behind >= sent.len() {
            break;
        }
    }
    let range = line.end..behind;
    fields(&sent[range.clone()], &mut masked[range], false);
    spans.push(Span {
        range: line.start..behind,
        kind: Kind::Bytes,
    });
    behind
}

/// Masks what stands behind the size of a chunk.
fn mask_extension(line: &mut [u8]) {
    if let Some(extension) = memchr(b';', line) {
        mask(&mut line[extension + 1..]);
    }
}
