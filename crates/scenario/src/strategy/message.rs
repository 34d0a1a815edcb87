//! Requests, and how their bytes are cut into writes.

use std::{sync::LazyLock, time::Duration};

use super::{
    grid::Draw,
    mask::{BIG, CHUNKED, EXPECT, HTTP10, SPLIT, TRICKLE},
};
use crate::{
    send::{Head, Host, Piece, Send, Text, Trickle, Version},
    step::Step,
};

/// How many writes a trickle has at most. Each costs the run about a microsecond, so that many are the exception.
const TRICKLE_WRITES_MAX: [u64; 4] = [10, 30, 60, 200];

/// Just longer than servers let a handler work.
const SLOW_MS_MAX: u64 = 31_000;

/// Bytes that are no request, or a strange one.
const MALFORMED: [&[u8]; 18] = [
    b"\r\n\r\n",
    b"\n",
    b"\0\0\0\0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    b"GET / HTTP/3.1\r\nHost: a\r\n\r\n",
    b"GET /\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
];

/// Whole requests as somebody would type them, also several in one write.
const TYPED: [&[u8]; 4] = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /slow/5 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// More than any server takes as a head.
const PADDING_MAX: usize = 70_000;

/// What fills a head.
static PADDING: LazyLock<String> = LazyLock::new(|| "p".repeat(PADDING_MAX));

/// A request with its body, or several of which the last is the one that it is about.
pub(super) struct Message {
    pieces: Vec<Piece>,
    /// Where the last request starts.
    pub(super) start: u64,
    /// Where its head ends.
    pub(super) head_end: u64,
    pub(super) end: u64,
}

impl Message {
    pub(super) fn of(pieces: Vec<Piece>) -> Self {
        let head_end = pieces.first().map_or(0, Piece::len);
        let end = pieces.iter().map(Piece::len).sum();
        Self {
            pieces,
            start: 0,
            head_end,
            end,
        }
    }

    /// This one and then the other, in one piece.
    pub(super) fn then(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        Self {
            pieces: self.pieces,
            start: self.end,
            head_end: self.end + other.head_end,
            end: self.end + other.end,
        }
    }

    /// The write of these bytes of it, without pieces of which nothing is written.
    pub(super) fn part(&self, from: u64, to: u64) -> Send {
        let (mut what, mut start, mut first) = (Vec::new(), 0, None);
        for piece in &self.pieces {
            let end = start + piece.len();
            if end > from && start < to {
                first.get_or_insert(start);
                what.push(piece.clone());
            }
            start = end;
        }
        let first = first.unwrap_or(0);
        let mut send = Send {
            what,
            part: None,
            trickle: None,
        };
        let (from, to) = (from.saturating_sub(first), to.saturating_sub(first));
        if from > 0 || to < send.whole_len() {
            send.part = Some((from, to));
        }
        send
    }
}

impl Draw<'_> {
    /// A request without a body.
    pub(super) fn get(&mut self) -> Message {
        if self.stream.chance(1, 32) {
            return Message::of(vec![Piece::Bytes(self.stream.pick(&TYPED).to_vec())]);
        }
        let target = match self.stream.below(8) {
            0 => self.big(),
            1 => self.slow(),
            2 => "/missing".into(),
            _ => "/".into(),
        };
        self.get_of(target)
    }

    pub(super) fn get_of(&mut self, target: Text) -> Message {
        let method = *self
            .stream
            .pick(&["GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "OPTIONS"]);
        let mut head = Head::new(method, target);
        self.vary(&mut head);
        Message::of(vec![Piece::Head(head)])
    }

    /// The target of a response that takes its time: some milliseconds, or so long that something else happens meanwhile.
    pub(super) fn slow(&mut self) -> Text {
        let ms = match self.stream.chance(1, 2) {
            true => self.stream.between(1000, SLOW_MS_MAX),
            false => self.stream.below(100),
        };
        format!("/slow/{ms}").into()
    }

    /// The target of a response with many bytes.
    pub(super) fn big(&mut self) -> Text {
        let length = match self.mask.has(BIG) && self.stream.chance(1, 4) {
            true => *self.stream.pick(&[65_536, 100_000, 200_000, 1_000_000]),
            false => self.stream.below(5000),
        };
        format!("/big/{length}").into()
    }

    /// A request with a body, of which the head may ask for 100 Continue.
    pub(super) fn post(&mut self, expect: bool) -> Message {
        let target = *self
            .stream
            .pick(&["/echo", "/echo", "/echo", "/stream", "/reject"]);
        let mut head = Head::new("POST", target);
        let mut body = Vec::with_capacity(4);
        if self.mask.has(CHUNKED) && self.stream.chance(1, 2) {
            head.chunked = true;
            for _ in 0..self.stream.between(0, 2) {
                body.push(Piece::Chunk(self.body_length().max(1)));
            }
            body.push(Piece::LastChunk);
        } else {
            let length = self.body_length();
            head.length = Some(length);
            body.push(Piece::Body(length));
        }
        if expect {
            let word = match self.stream.below(16) {
                0 => "100-Continue",
                1 => "nonsense",
                _ => "100-continue",
            };
            head.expect = Some(word.into());
        }
        self.vary(&mut head);
        body.insert(0, Piece::Head(head));
        Message::of(body)
    }

    fn body_length(&mut self) -> u64 {
        match self.stream.below(8) {
            0 => self.stream.below(3),
            1 if self.mask.has(BIG) => self.stream.between(65_500, 80_000),
            2 | 3 => self.stream.between(1000, 5000),
            _ => self.stream.between(1, 1000),
        }
    }

    /// What a head may also say.
    fn vary(&mut self, head: &mut Head) {
        match self.stream.below(16) {
            0 => head.connection = Some("close".into()),
            1 => head.connection = Some("keep-alive".into()),
            2 if self.mask.has(HTTP10) => head.host = Host::Absent,
            3 if self.mask.has(BIG) => {
                let length = *self.stream.pick(&[1000, 8000, PADDING_MAX]);
                head.headers
                    .push(("X-Pad".into(), PADDING[..length].into()));
            }
            // Nobody promised anything about 100 Continue to a request without a body.
            4 if self.mask.has(EXPECT) && head.expect.is_none() => {
                head.expect = Some("100-continue".into())
            }
            _ => {}
        }
        if self.mask.has(HTTP10) && self.stream.chance(1, 4) {
            head.version = Version::Http10;
        }
    }

    /// A request right before this message, so that one write has both. It may be the last that is to be answered.
    pub(super) fn in_one_write_before(&mut self, message: Message) -> Message {
        let mut head = Head::default();
        match self.stream.chance(1, 3) {
            true => head.connection = Some("close".into()),
            false => self.vary(&mut head),
        }
        Message::of(vec![Piece::Head(head)]).then(message)
    }

    pub(super) fn malformed(&mut self) -> Message {
        Message::of(vec![Piece::Bytes(self.stream.pick(&MALFORMED).to_vec())])
    }

    /// Sends these bytes of a message: in one write, in two, or in many.
    pub(super) fn send(&mut self, message: &Message, from: u64, to: u64, steps: &mut Vec<Step>) {
        let length = to.saturating_sub(from);
        if length == 0 {
            return;
        }
        if length > 1 && self.mask.has(TRICKLE) && self.stream.chance(1, 5) {
            let every = match self.stream.below(4) {
                0 => Duration::ZERO,
                1 => Duration::from_millis(1),
                2 => Duration::from_millis(1003),
                _ => self.delay(),
            };
            let size = length.div_ceil(*self.stream.pick(&TRICKLE_WRITES_MAX));
            let trickle = Some(Trickle { size, every });
            steps.push(Step::Send(Send {
                trickle,
                ..message.part(from, to)
            }));
        } else if length > 1 && self.mask.has(SPLIT) && self.stream.chance(1, 3) {
            let cut = self.stream.between(from + 1, to - 1);
            steps.push(Step::Send(message.part(from, cut)));
            if self.stream.chance(1, 2) {
                let duration = self.delay();
                steps.push(Step::Stall { duration });
            }
            steps.push(Step::Send(message.part(cut, to)));
        } else {
            steps.push(Step::Send(message.part(from, to)));
        }
    }
}
