//! The exact bytes of a write.
//!
//! Bodies are made of a whole request, repeated: a server that reads body bytes as a request dispatches
//! `/smuggled` and betrays itself (design: oracle `protocol`). The filler goes on over all body bytes of one
//! [`Send`], so that the parts of a body that is sent in pieces with `part` join up.

use std::{io::Write as _, time::Duration};

use crate::send::{Head, Host, Piece, Send, Version};

/// What bodies are made of, repeated: a whole request to [`SMUGGLED_TARGET`].
pub const FILLER: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

/// The target of the request that is hidden in every body. No request for it may ever be dispatched.
pub const SMUGGLED_TARGET: &str = "/smuggled";

/// The letters of the host in [`FILLER`] that tell connections apart: the first is the filler's own.
const MARKS: &[u8; 62] = b"hijklmnopqrstuvwxyzabcdefgABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Stands before the mark, and nowhere else in the filler.
const BEFORE_MARK: &[u8] = b"/smuggled HTTP/1.1\r\nHost: ";

/// Where the mark is in the filler.
const MARK_AT: usize = "GET ".len() + BEFORE_MARK.len();

/// The letter that marks the bodies of one connection: bytes of it that come back on another connection
/// betray the server that sends them.
///
/// There are 62 of them. Connections whose numbers differ by a multiple of that share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u8);

impl Mark {
    /// The mark of the connection with this number, counted from 1.
    pub fn of(connection: u32) -> Self {
        Self((connection.saturating_sub(1) % MARKS.len() as u32) as u8)
    }

    fn letter(self) -> u8 {
        MARKS[usize::from(self.0)]
    }
}

impl From<Mark> for Marks {
    fn from(mark: Mark) -> Self {
        Self(1 << mark.0)
    }
}

/// A set of marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u64);

impl Marks {
    /// The marks of all whole hosts of the filler in `bytes`.
    pub fn within(bytes: &[u8]) -> Self {
        let found = memchr::memmem::find_iter(bytes, BEFORE_MARK);
        let letters = found.filter_map(|at| bytes.get(at + BEFORE_MARK.len()));
        letters.fold(Self::default(), |marks, letter| {
            match MARKS.iter().position(|mark| mark == letter) {
                Some(place) => Self(marks.0 | 1 << place),
                None => marks,
            }
        })
    }

    /// Is there none?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and the others.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those of these that are among the others.
    #[must_use]
    pub fn among(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those of these that are not among the others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends `length` bytes of the [`FILLER`], starting `offset` bytes into its endless repetition.
pub fn fill(out: &mut Vec<u8>, offset: u64, length: u64) {
    fill_marked(out, offset, length, Mark::of(1));
}

fn fill_marked(out: &mut Vec<u8>, offset: u64, length: u64, mark: Mark) {
    let mut filler = [0; FILLER.len()];
    filler.copy_from_slice(FILLER);
    filler[MARK_AT] = mark.letter();
    let start = (offset % FILLER.len() as u64) as usize;
    let (from, length) = (out.len(), usize::try_from(length).unwrap_or(usize::MAX));
    out.reserve(length);
    for part in [&filler[start..], &filler[..start]] {
        let rest = length - (out.len() - from);
        out.extend_from_slice(&part[..part.len().min(rest)]);
    }
    // What is there goes round now: it is repeated twice as far each time.
    while out.len() - from < length {
        let there = out.len() - from;
        out.extend_from_within(from..from + there.min(length - there));
    }
}

impl Send {
    /// Appends exactly the bytes that this step writes: all pieces back to back, of which only `part`.
    ///
    /// The memory that it takes is that of the whole write; [`Send::len`] says beforehand how much that is.
    pub fn render(&self, out: &mut Vec<u8>) {
        self.render_marked(out, Mark::of(1));
    }

    /// Appends the bytes of [`Send::render`], in which the bodies have this mark.
    pub fn render_marked(&self, out: &mut Vec<u8>, mark: Mark) {
        let (from, to) = self.part.unwrap_or((0, u64::MAX));
        let start = out.len();
        out.reserve(usize::try_from(self.len()).unwrap_or(usize::MAX));
        // Where in the whole write the piece is, what is in `out`, and the body filler.
        let (mut at, mut first, mut offset) = (0_u64, None, 0_u64);
        for piece in &self.what {
            let end = at.saturating_add(piece.len());
            // Of a piece outside of the part nothing is written.
            if end > from && at < to {
                let place = first.get_or_insert(at);
                match piece {
                    Piece::Head(head) => {
                        out.reserve(head.len());
                        head.render(out);
                    }
                    Piece::Body(length) => {
                        let (skip, until) = (from.saturating_sub(at), to - at);
                        // The part begins before it, or within it: then it is the first.
                        *place += skip;
                        fill_marked(
                            out,
                            offset.wrapping_add(skip),
                            until.min(*length).saturating_sub(skip),
                            mark,
                        );
                    }
                    Piece::Chunk(0) | Piece::LastChunk => out.extend_from_slice(LAST_CHUNK),
                    Piece::Chunk(length) => {
                        // A Vec takes every write.
                        let _ = write!(out, "{length:x}\r\n");
                        fill_marked(out, offset, *length, mark);
                        out.extend_from_slice(b"\r\n");
                    }
                    Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                }
            }
            if let Piece::Body(length) | Piece::Chunk(length) = piece {
                offset = offset.wrapping_add(*length);
            }
            at = end;
        }
        let there = out.len() - start;
        let first = first.unwrap_or(0);
        let clamp = |place: u64| {
            let place = usize::try_from(place.saturating_sub(first));
            place.unwrap_or(usize::MAX).min(there)
        };
        let (from, to) = (clamp(from), clamp(to));
        out.truncate(start + to.max(from));
        out.drain(start..start + from);
    }

    /// The bytes of the write before `part` cuts it, without rendering it.
    pub fn whole_len(&self) -> u64 {
        self.what
            .iter()
            .fold(0, |sum: u64, piece| sum.saturating_add(piece.len()))
    }

    /// How many bytes [`Send::render`] appends.
    pub fn len(&self) -> u64 {
        let whole = self.whole_len();
        match self.part {
            None => whole,
            Some((from, to)) => to.min(whole).saturating_sub(from),
        }
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In how many writes the bytes go out.
    pub fn write_count(&self) -> u64 {
        match self.trickle {
            None => u64::from(!self.is_empty()),
            Some(trickle) => self.len().div_ceil(trickle.size.max(1)),
        }
    }

    /// The pauses after the writes, in all.
    pub fn duration(&self) -> Duration {
        let Some(trickle) = self.trickle else {
            return Duration::ZERO;
        };
        match u32::try_from(self.write_count()) {
            Ok(pauses) => trickle.every.saturating_mul(pauses),
            Err(_) if trickle.every.is_zero() => Duration::ZERO,
            Err(_) => Duration::MAX,
        }
    }
}

impl Piece {
    /// How many bytes it is on the wire.
    #[expect(
        clippy::len_without_is_empty,
        reason = "only bytes can be none, and nobody asks"
    )]
    pub fn len(&self) -> u64 {
        match self {
            Self::Head(head) => head.len() as u64,
            Self::Body(length) => *length,
            Self::Chunk(0) | Self::LastChunk => LAST_CHUNK.len() as u64,
            Self::Chunk(length) => {
                let size_digits = u64::from(length.ilog2() / 4 + 1);
                length.saturating_add(size_digits + 4)
            }
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl Head {
    /// How many bytes it is on the wire, without rendering it.
    fn len(&self) -> usize {
        let line = self.method.len() + 1 + self.target.len() + " HTTP/1.1\r\n".len();
        let host = match &self.host {
            Host::Default => Some(Host::DEFAULT.len()),
            Host::Text(host) => Some(host.len()),
            Host::Absent => None,
        };
        let length = self
            .length
            .map(|length| length.checked_ilog10().unwrap_or(0) as usize + 1);
        let fields = [
            host.map(|value| "Host".len() + value),
            length.map(|value| "Content-Length".len() + value),
            self.chunked
                .then_some("Transfer-Encoding".len() + "chunked".len()),
            self.expect
                .as_ref()
                .map(|value| "Expect".len() + value.len()),
            self.connection
                .as_ref()
                .map(|value| "Connection".len() + value.len()),
        ];
        let others = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len());
        let fields = fields.into_iter().flatten().chain(others);
        line + fields.map(|field| field + ": \r\n".len()).sum::<usize>() + "\r\n".len()
    }

    /// Appends the request line, the fields and the empty line.
    pub fn render(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(match self.version {
            Version::Http10 => b" HTTP/1.0\r\n",
            Version::Http11 => b" HTTP/1.1\r\n",
        });
        match &self.host {
            Host::Default => field(out, "Host", Host::DEFAULT),
            Host::Text(host) => field(out, "Host", host),
            Host::Absent => {}
        }
        if let Some(length) = self.length {
            // A Vec takes every write.
            let _ = write!(out, "Content-Length: {length}\r\n");
        }
        if self.chunked {
            field(out, "Transfer-Encoding", "chunked");
        }
        if let Some(expect) = &self.expect {
            field(out, "Expect", expect);
        }
        if let Some(connection) = &self.connection {
            field(out, "Connection", connection);
        }
        for (name, value) in &self.headers {
            field(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::Trickle;

    fn rendered(send: &Send) -> String {
        let mut out = b"before ".to_vec();
        send.render(&mut out);
        assert_eq!(out.len() as u64 - 7, send.len());
        String::from_utf8(out.split_off(7)).unwrap()
    }

    #[test]
    fn the_head_of_the_incident() {
        let head = Head {
            length: Some(1000),
            expect: Some("100-continue".into()),
            ..Head::new("POST", "/echo")
        };
        assert_eq!(
            rendered(&head.into()),
            "POST /echo HTTP/1.1\r\nHost: hangup.test\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
        );
    }

    #[test]
    fn a_head_says_what_it_is_told_to() {
        let head = Head {
            version: Version::Http10,
            host: Host::Text("a:b:c".into()),
            length: Some(u64::MAX),
            chunked: true,
            connection: Some("close".into()),
            headers: vec![("X".into(), "1".into()), ("X".into(), "2".into())],
            ..Head::default()
        };
        assert_eq!(
            rendered(&head.into()),
            "GET / HTTP/1.0\r\nHost: a:b:c\r\nContent-Length: 18446744073709551615\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\nX: 1\r\nX: 2\r\n\r\n"
        );
        let head = Head {
            host: Host::Absent,
            ..Head::default()
        };
        assert_eq!(rendered(&head.into()), "GET / HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn the_body_is_a_hidden_request_that_goes_on_over_pieces_and_chunks() {
        let send = Send {
            what: vec![
                Piece::Body(5),
                Piece::Body(33),
                Piece::Chunk(40),
                Piece::LastChunk,
            ],
            ..Send::default()
        };
        assert_eq!(
            rendered(&send),
            "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\nGET28\r\n /smuggled HTTP/1.1\r\nHost: h\r\n\r\nGET /smu\r\n0\r\n\r\n"
        );
    }

    #[test]
    fn a_mark_is_one_letter_of_each_hidden_host() {
        let send = Send::from(Piece::Body(70));
        let (mut plain, mut marked) = (Vec::new(), Vec::new());
        send.render(&mut plain);
        send.render_marked(&mut marked, Mark::of(2));
        let differing = plain
            .iter()
            .zip(&marked)
            .filter(|(one, other)| one != other);
        assert_eq!(differing.collect::<Vec<_>>(), [(&b'h', &b'i'); 2]);
        let [one, two] = [&plain, &marked].map(|bytes| Marks::within(bytes));
        assert!(!one.is_empty() && !two.is_empty() && one.among(two).is_empty());
        assert_eq!(one.and(two).without(one), two);
        assert_eq!(Marks::within(&plain[..30]), Marks::default());
        assert_eq!(Mark::of(1), Mark::of(63));
    }

    #[test]
    fn the_parts_of_a_write_join_up() {
        let whole = Send {
            what: vec![
                Head::new("POST", "/echo").into_piece(),
                Piece::Body(300),
                Piece::Chunk(40),
                Piece::Body(70),
                Piece::Bytes(b"bytes".to_vec()),
                Piece::Body(0),
                Piece::LastChunk,
            ],
            ..Send::default()
        };
        let text = rendered(&whole);
        for cut in 0..=text.len() as u64 + 1 {
            let part = |from, to| {
                rendered(&Send {
                    part: Some((from, to)),
                    ..whole.clone()
                })
            };
            assert_eq!(part(0, cut) + &part(cut, u64::MAX), text);
        }
        assert_eq!(
            rendered(&Send {
                part: Some((9, 3)),
                ..whole
            }),
            ""
        );
    }

    #[test]
    fn chunk_sizes_are_counted_without_rendering() {
        for length in [0, 1, 15, 16, 255, 256, 4095, 4096, 65535, 65536] {
            rendered(&Piece::Chunk(length).into());
        }
        assert_eq!(Send::from(Piece::Chunk(u64::MAX)).len(), u64::MAX);
    }

    #[test]
    fn a_trickle_pauses_after_each_of_its_writes() {
        let send = Send {
            trickle: Some(Trickle {
                size: 3,
                every: Duration::from_secs(2),
            }),
            ..Piece::Body(10).into()
        };
        assert_eq!(send.write_count(), 4);
        assert_eq!(send.duration(), Duration::from_secs(8));
    }

    impl Head {
        fn into_piece(self) -> Piece {
            Piece::Head(self)
        }
    }
}
