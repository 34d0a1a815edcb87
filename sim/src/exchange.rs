//! The bytes of a connection read as HTTP/1.1 messages, by an observer who stands between client and server.
//!
//! The oracles must know how many requests a client really made and how many responses it got, whatever the server
//! thinks of them. This reader follows RFC 9112 framing on both directions. Where a request is malformed it stops
//! judging ([`Requests::broken`]) rather than guess, since servers may differ there.

use hangup_scenario::render::SMUGGLED_TARGET;
use std::mem::MaybeUninit;
use std::time::Duration;

/// More head bytes than this and the observer stops following the stream.
const HEAD_BYTES_MAX: usize = 1 << 20;
const FIELDS_MAX: usize = 128;

/// How the body behind a head is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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
struct Messages {
    state: State,
    /// The unfinished head, chunk-size line or trailer line.
    pending: Vec<u8>,
    /// Empty lines have come where a message may begin.
    blank: bool,
    /// Nothing may follow the message that is being read.
    last: bool,
    /// Bytes that were followed before.
    fed: u64,
    /// Where the head begins that is being read, if a part of it has come.
    head_at: u64,
}

enum Head {
    Partial,
    Broken,
    Whole {
        bytes: usize,
        framing: Framing,
        last: bool,
    },
}

/// What `Messages::feed` saw, in order.
enum Seen<'a> {
    Head(&'a [u8]),
    /// The message is complete; so many bytes of the stream were its own and earlier ones'.
    End(u64),
}

impl Messages {
    fn new() -> Self {
        Self {
            state: State::Head,
            pending: Vec::new(),
            blank: false,
            last: false,
            fed: 0,
            head_at: 0,
        }
    }

    /// Follows `bytes`; false when the stream stopped making sense.
    fn feed(&mut self, bytes: &[u8], see: impl FnMut(Seen<'_>) -> Head) -> bool {
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
                State::Ended | State::UntilClose => return true,
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
                    }
                    let before = self.pending.len();
                    if before + bytes.len() > HEAD_BYTES_MAX {
                        self.state = State::Ended;
                        return false;
                    }
                    if !bytes.contains(&b'\n') {
                        self.pending.extend_from_slice(bytes);
                        return true;
                    }
                    // Only a head that came in parts is put together: a segment may hold a thousand whole ones.
                    let head = if before == 0 {
                        bytes
                    } else {
                        self.pending.extend_from_slice(bytes);
                        &self.pending
                    };
                    match see(Seen::Head(head)) {
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
                        let too_long = self.pending.len() > HEAD_BYTES_MAX;
                        if too_long {
                            self.state = State::Ended;
                        }
                        return !too_long;
                    };
                    self.pending.extend_from_slice(&bytes[..=end]);
                    bytes = &bytes[end + 1..];
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
                            self.state = State::Ended;
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    /// Has a part of a message come that is not complete?
    fn inside(&self) -> bool {
        match self.state {
            State::Head => self.blank || !self.pending.is_empty(),
            State::Ended => false,
            _ => true,
        }
    }
}

/// A name, and a colon right behind it (RFC 9112 section 5).
fn is_field_line(line: &[u8]) -> bool {
    let colon = line.iter().position(|&byte| byte == b':');
    colon.is_some_and(|colon| colon > 0 && line[..colon].iter().all(|&byte| is_token(byte)))
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(digits).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

fn has_token(value: &[u8], token: &str) -> bool {
    value
        .split(|&byte| byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// One request whose head reached the server's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// HTTP/1.0: no 100 may ever be sent for it (RFC 9110 §15.2).
    pub old: bool,
    /// Responses to HEAD have no body.
    pub head_only: bool,
    /// Asked for `100 Continue`.
    pub expects: bool,
    /// Said `Connection: close`: nothing behind it is a request (RFC 9112 §9.6).
    pub close: bool,
    /// It announced a body that is not empty.
    pub has_body: bool,
    /// It asks for what is hidden in every body.
    pub smuggled: bool,
    /// When its last byte reached the server's host.
    pub complete_at: Option<Duration>,
    /// How many bytes of the stream are its own, and those before it.
    pub end: Option<u64>,
}

/// The client's direction: requests, as they reach the server's host.
#[derive(Debug)]
pub struct Requests {
    messages: Messages,
    /// Every request whose head is complete, in order.
    pub list: Vec<Request>,
    /// Bytes came that are no valid request; from there on nothing is judged.
    pub broken: bool,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            messages: Messages::new(),
            list: Vec::new(),
            broken: false,
        }
    }
}

impl Requests {
    /// Follows bytes that reached the server's host at `at`.
    pub fn feed(&mut self, at: Duration, bytes: &[u8]) {
        if self.broken {
            return;
        }
        let list = &mut self.list;
        let whole = self.messages.feed(bytes, |seen| match seen {
            Seen::Head(bytes) => match request_head(bytes) {
                Ok(Some((request, bytes, framing))) => {
                    list.push(request);
                    Head::Whole {
                        bytes,
                        framing,
                        last: request.close,
                    }
                }
                Ok(None) => Head::Partial,
                Err(()) => Head::Broken,
            },
            Seen::End(end) => {
                if let Some(last) = list.last_mut() {
                    last.complete_at = Some(at);
                    last.end = Some(end);
                }
                Head::Partial
            }
        });
        self.broken = !whole;
    }

    /// Is a part of a head there, but not all of it?
    pub fn in_head(&self) -> bool {
        self.messages.state == State::Head && self.messages.inside()
    }

    /// Where the head begins of which a part is there.
    pub fn head_at(&self) -> Option<u64> {
        self.in_head().then_some(self.messages.head_at)
    }

    /// Is a head there, but not all of its body?
    pub fn in_body(&self) -> bool {
        !matches!(self.messages.state, State::Head | State::Ended)
    }
}

fn request_head(bytes: &[u8]) -> Result<Option<(Request, usize, Framing)>, ()> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let length = match head.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(()),
    };
    let mut request = Request {
        old: head.version == Some(0),
        head_only: head.method == Some("HEAD"),
        expects: false,
        close: false,
        has_body: false,
        smuggled: head.path == Some(SMUGGLED_TARGET),
        complete_at: None,
        end: None,
    };
    if head.method == Some("CONNECT") {
        return Err(());
    }
    let mut framing = None;
    for field in head.headers.iter() {
        let name = field.name;
        if name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(field.value).map_err(drop)?.trim();
            if value.is_empty()
                || !value.bytes().all(|byte| byte.is_ascii_digit())
                || framing.is_some()
            {
                return Err(());
            }
            framing = Some(Framing::Length(value.parse().map_err(drop)?));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if framing.is_some()
                || request.old
                || !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked")
            {
                return Err(());
            }
            framing = Some(Framing::Chunked);
        } else if name.eq_ignore_ascii_case("expect") {
            request.expects |= has_token(field.value, "100-continue");
        } else if name.eq_ignore_ascii_case("connection") {
            request.close |= has_token(field.value, "close");
        } else if name.eq_ignore_ascii_case("upgrade") {
            return Err(());
        }
    }
    let framing = framing.unwrap_or(Framing::None);
    request.has_body = !matches!(framing, Framing::None | Framing::Length(0));
    Ok(Some((request, length, framing)))
}

/// One status line that reached the client's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    /// When its head was complete at the client's host.
    pub at: Duration,
    /// How many final responses stood before it: the index of the request that it answers.
    pub answers: usize,
    /// How many requests had reached the server's host by then, one that had only begun included.
    pub requests: usize,
    /// It said `Connection: close`.
    pub close: bool,
    /// When its last byte reached the client's host.
    pub complete_at: Option<Duration>,
}

impl Response {
    /// Not a 1xx.
    pub fn is_final(&self) -> bool {
        self.status >= 200
    }
}

/// The server's direction: responses, as they reach the client's host.
#[derive(Debug)]
pub struct Responses {
    messages: Messages,
    /// Every status line, in order.
    pub list: Vec<Response>,
    /// How many final responses have come.
    pub finals: usize,
    /// How many of them have come whole.
    pub complete: usize,
    /// Bytes came that are no response.
    pub broken: bool,
}

impl Default for Responses {
    fn default() -> Self {
        Self {
            messages: Messages::new(),
            list: Vec::new(),
            finals: 0,
            complete: 0,
            broken: false,
        }
    }
}

impl Responses {
    /// Follows bytes that reached the client's host; `requests` are those that the server's host had by then.
    pub fn feed(&mut self, at: Duration, bytes: &[u8], requests: &Requests) {
        if self.broken {
            return;
        }
        let Self {
            messages,
            list,
            finals,
            complete,
            ..
        } = self;
        let mut pending_final = list.last().is_some_and(Response::is_final);
        let whole = messages.feed(bytes, |seen| match seen {
            Seen::Head(bytes) => {
                let head_only = requests
                    .list
                    .get(*finals)
                    .is_some_and(|request| request.head_only);
                match response_head(bytes, head_only) {
                    Ok(Some((status, close, length, framing))) => {
                        list.push(Response {
                            status,
                            at,
                            answers: *finals,
                            requests: requests.list.len() + usize::from(requests.in_head()),
                            close,
                            complete_at: None,
                        });
                        pending_final = status >= 200;
                        *finals += usize::from(pending_final);
                        Head::Whole {
                            bytes: length,
                            framing,
                            last: status == 101,
                        }
                    }
                    Ok(None) => Head::Partial,
                    Err(()) => Head::Broken,
                }
            }
            Seen::End(_) => {
                *complete += usize::from(pending_final);
                if let Some(last) = list.last_mut() {
                    last.complete_at = Some(at);
                }
                Head::Partial
            }
        });
        self.broken = !whole;
    }

    /// The server's FIN ends a response that is delimited by the close.
    pub fn end(&mut self, at: Duration) {
        if self.messages.state == State::UntilClose {
            self.messages.state = State::Ended;
            self.complete += 1;
            if let Some(last) = self.list.last_mut() {
                last.complete_at = Some(at);
            }
        }
    }

    /// Is a part of a response there, but not all of it?
    pub fn inside(&self) -> bool {
        self.messages.inside()
    }
}

fn response_head(bytes: &[u8], head_only: bool) -> Result<Option<(u16, bool, usize, Framing)>, ()> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut head, bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(()),
    };
    let status = head.code.ok_or(())?;
    // HTTP/1.0 closes unless it says otherwise, and what only the close ends does so whatever it says.
    let mut close = head.version == Some(0);
    let mut framing = Framing::UntilClose;
    for field in head.headers.iter() {
        if field.name.eq_ignore_ascii_case("connection") {
            close |= has_token(field.value, "close");
            close &= !has_token(field.value, "keep-alive");
        } else if field.name.eq_ignore_ascii_case("transfer-encoding")
            && has_token(field.value, "chunked")
        {
            framing = Framing::Chunked;
        } else if field.name.eq_ignore_ascii_case("content-length") && framing != Framing::Chunked {
            let value = std::str::from_utf8(field.value).map_err(drop)?;
            framing = Framing::Length(value.trim().parse().map_err(drop)?);
        }
    }
    if status < 200 || status == 204 || status == 304 || head_only {
        framing = Framing::None;
    }
    close |= framing == Framing::UntilClose;
    Ok(Some((status, close, length, framing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(1);

    fn requests(bytes: &[u8]) -> Requests {
        let mut requests = Requests::default();
        requests.feed(AT, bytes);
        requests
    }

    #[test]
    fn requests_are_counted_the_same_in_one_segment_and_bytewise() {
        let bytes = b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\nT: 1\r\n\r\n\
            POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /GET / HTTP/1.1\r\nHost: h\r\n\r\nGET";
        let whole = requests(bytes);
        let mut split = Requests::default();
        for byte in bytes {
            split.feed(AT, &[*byte]);
        }
        assert_eq!(whole.list.len(), 3);
        assert_eq!(whole.list, split.list);
        assert!(
            whole
                .list
                .iter()
                .all(|request| request.complete_at == Some(AT))
        );
        assert!(whole.in_head() && split.in_head() && !whole.in_body());
    }

    #[test]
    fn nothing_behind_a_close_is_a_request() {
        let seen = requests(b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n\r\n");
        assert_eq!(seen.list.len(), 1);
        let mut split = Requests::default();
        for byte in b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n\r\n" {
            split.feed(AT, &[*byte]);
        }
        assert_eq!(split.list.len(), 1);
    }

    #[test]
    fn ambiguous_framing_is_not_judged() {
        for head in [
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        ] {
            assert!(requests(head.as_bytes()).broken, "{head}");
        }
    }

    #[test]
    fn responses_follow_their_requests() {
        let asked = requests(b"HEAD / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx");
        let mut seen = Responses::default();
        seen.feed(AT, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest", &asked);
        assert_eq!(
            seen.list
                .iter()
                .map(|response| response.status)
                .collect::<Vec<_>>(),
            [200, 100, 200]
        );
        assert_eq!((seen.finals, seen.complete), (2, 1));
        assert!(seen.inside());
        seen.end(AT);
        assert_eq!((seen.complete, seen.inside()), (2, false));
    }
}
