//! One direction of a connection, cut into heads and bodies (RFC 9112).

use super::fault::is_field_line;

/// More bytes than this of a response's head and the observer stops following the stream: it is none.
pub(super) const RESPONSE_HEAD_BYTES_MAX: usize = 1 << 20;
/// A request's head is followed for longer, since a server may keep more of it than it claims.
pub(super) const REQUEST_HEAD_BYTES_MAX: usize = 4 << 20;
pub(super) const FIELDS_MAX: usize = 128;

/// How the body behind a head is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Head,
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailer,
    UntilClose,
    /// Nothing behind this point is followed.
    Ended,
}

/// One direction of a connection, cut into heads and bodies.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) state: State,
    /// More bytes of a head than this, and it is not followed.
    head_bytes_max: usize,
    /// The unfinished head, chunk-size line or trailer line.
    pending: Vec<u8>,
    /// Empty lines have come where a message may begin.
    blank: bool,
    /// Nothing may follow the message that is being read.
    last: bool,
    /// Bytes that were followed before.
    pub(super) fed: u64,
    /// Where the head begins that is being read, if a part of it has come.
    pub(super) head_at: u64,
    /// It stopped making sense within a body: a chunk was none.
    pub(super) chunk_fault: bool,
}

pub(super) enum Head {
    Partial,
    Broken,
    Whole {
        bytes: usize,
        framing: Framing,
        last: bool,
    },
}

/// What `Messages::feed` saw, in order.
pub(super) enum Seen<'a> {
    /// Empty lines before a head that begins here.
    Blank,
    /// Whole lines of a head that begins at this byte of the stream.
    Head(&'a [u8], u64),
    /// Content of the message whose head was seen last.
    Data(&'a [u8]),
    /// The message is complete; so many bytes of the stream were its own and earlier ones'.
    End(u64),
}

impl Messages {
    pub(super) fn new(head_bytes_max: usize) -> Self {
        Self {
            head_bytes_max,
            state: State::Head,
            pending: Vec::new(),
            blank: false,
            last: false,
            fed: 0,
            head_at: 0,
            chunk_fault: false,
        }
    }

    /// Follows `bytes`; false when the stream stopped making sense.
    pub(super) fn feed(&mut self, bytes: &[u8], see: impl FnMut(Seen<'_>) -> Head) -> bool {
        let fed_to = self.fed + bytes.len() as u64;
        let whole = self.follow(bytes, fed_to, see);
        self.fed = fed_to;
        whole
    }

    fn follow(
        &mut self,
        mut bytes: &[u8],
        fed_to: u64,
        mut see: impl FnMut(Seen<'_>) -> Head,
    ) -> bool {
        while !bytes.is_empty() {
            match self.state {
                State::Ended => return true,
                State::UntilClose => {
                    see(Seen::Data(bytes));
                    return true;
                }
                State::Head => {
                    if self.pending.is_empty() {
                        // Empty lines before a message are no part of it (RFC 9112 section 2.2).
                        let empty = bytes
                            .iter()
                            .take_while(|&&byte| byte == b'\r' || byte == b'\n')
                            .count();
                        bytes = &bytes[empty..];
                        self.blank |= empty > 0;
                        self.head_at = fed_to - bytes.len() as u64;
                        if self.blank
                            && !bytes.is_empty()
                            && matches!(see(Seen::Blank), Head::Broken)
                        {
                            self.state = State::Ended;
                            return false;
                        }
                    }
                    let before = self.pending.len();
                    // What came with the head, a body for one, may be longer than any head.
                    let most = self.head_bytes_max.saturating_sub(before).min(bytes.len());
                    let too_long = most < bytes.len();
                    // It is read line by line, however it was cut.
                    let Some(line_end) = memchr::memrchr(b'\n', &bytes[..most]) else {
                        if too_long {
                            self.state = State::Ended;
                            return false;
                        }
                        self.pending.extend_from_slice(bytes);
                        return true;
                    };
                    // Only a head that came in parts is put together: a segment may hold a thousand whole ones.
                    let head = if before == 0 {
                        bytes
                    } else {
                        self.pending.extend_from_slice(bytes);
                        &self.pending
                    };
                    match see(Seen::Head(&head[..=before + line_end], self.head_at)) {
                        Head::Partial if too_long => {
                            self.state = State::Ended;
                            return false;
                        }
                        Head::Partial => {
                            if before == 0 {
                                self.pending.extend_from_slice(bytes);
                            }
                            return true;
                        }
                        Head::Broken => {
                            self.state = State::Ended;
                            return false;
                        }
                        Head::Whole {
                            bytes: length,
                            framing,
                            last,
                        } => {
                            bytes = &bytes[length - before..];
                            self.pending.clear();
                            self.blank = false;
                            self.last = last;
                            self.state = match framing {
                                Framing::None | Framing::Length(0) => {
                                    see(Seen::End(fed_to - bytes.len() as u64));
                                    if last { State::Ended } else { State::Head }
                                }
                                Framing::Length(length) => State::Length(length),
                                Framing::Chunked => State::ChunkSize,
                                Framing::UntilClose => State::UntilClose,
                            };
                        }
                    }
                }
                State::Length(left) | State::ChunkData(left) => {
                    let taken = left.min(bytes.len() as u64);
                    see(Seen::Data(&bytes[..taken as usize]));
                    bytes = &bytes[taken as usize..];
                    let left = left - taken;
                    self.state = match self.state {
                        State::Length(_) if left == 0 => {
                            see(Seen::End(fed_to - bytes.len() as u64));
                            if self.last { State::Ended } else { State::Head }
                        }
                        State::Length(_) => State::Length(left),
                        _ if left == 0 => State::ChunkEnd,
                        _ => State::ChunkData(left),
                    };
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => {
                    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                        self.pending.extend_from_slice(bytes);
                        let too_long = self.pending.len() > self.head_bytes_max;
                        if too_long {
                            self.state = State::Ended;
                        }
                        return !too_long;
                    };
                    self.pending.extend_from_slice(&bytes[..=end]);
                    bytes = &bytes[end + 1..];
                    // Chunks have CRLF (RFC 9112 section 7.1); whether a single LF is taken for it is the recipient's choice.
                    if !self.pending.ends_with(b"\r\n") {
                        self.state = State::Ended;
                        return false;
                    }
                    let line = self.pending.trim_ascii();
                    let next = match self.state {
                        State::ChunkEnd => line.is_empty().then_some(State::ChunkSize),
                        State::Trailer if line.is_empty() => {
                            see(Seen::End(fed_to - bytes.len() as u64));
                            Some(if self.last { State::Ended } else { State::Head })
                        }
                        State::Trailer => is_field_line(line).then_some(State::Trailer),
                        _ => chunk_size(line).map(|size| match size {
                            0 => State::Trailer,
                            size => State::ChunkData(size),
                        }),
                    };
                    self.pending.clear();
                    match next {
                        Some(state) => self.state = state,
                        None => {
                            self.chunk_fault = self.state != State::Trailer;
                            self.state = State::Ended;
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    /// The bytes of the head that is being read, as far as they have come.
    pub(super) fn part(&self) -> &[u8] {
        &self.pending
    }

    /// Has a part of a message come that is not complete?
    pub(super) fn inside(&self) -> bool {
        match self.state {
            State::Head => self.blank || !self.pending.is_empty(),
            State::Ended => false,
            _ => true,
        }
    }
}

pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(digits).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

pub(super) fn has_token(value: &[u8], token: &str) -> bool {
    value
        .split(|&byte| byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
