//! The server's direction.

use super::contents::Contents;
use super::messages::{
    FIELDS_MAX, Framing, Head, Messages, RESPONSE_HEAD_BYTES_MAX, Seen, State, has_token,
};
use super::request::Requests;
use super::tunnel::Tunnel;
use std::mem::MaybeUninit;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

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
    /// It has a Transfer-Encoding.
    pub coded: bool,
    /// When its last byte reached the client's host.
    pub complete_at: Option<Duration>,
    /// A hash over the names of its fields, in their order and in lower case.
    pub names: u64,
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
    /// What the final ones carry.
    pub contents: Contents,
    /// What came behind a 101.
    pub tunnel: Option<Tunnel>,
}

impl Default for Responses {
    fn default() -> Self {
        Self {
            messages: Messages::new(RESPONSE_HEAD_BYTES_MAX),
            list: Vec::new(),
            finals: 0,
            complete: 0,
            broken: false,
            contents: Contents::default(),
            tunnel: None,
        }
    }
}

impl Responses {
    /// For an observer who is never asked what messages carry.
    pub fn without_contents() -> Self {
        Self {
            contents: Contents::ignored(),
            ..Self::default()
        }
    }

    /// Follows bytes that reached the client's host; `requests` are those that the server's host had by then, none if nobody is to know and no
    /// HEAD is among them.
    pub fn feed<'a>(
        &mut self,
        at: Duration,
        bytes: &[u8],
        requests: impl Into<Option<&'a Requests>>,
    ) {
        if self.broken {
            return;
        }
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.feed(bytes);
            return;
        }
        let before = self.messages.fed;
        let requests = requests.into();
        let Self {
            messages,
            list,
            finals,
            complete,
            contents,
            ..
        } = self;
        let mut switched = None;
        let mut pending_final = list.last().is_some_and(Response::is_final);
        let whole = messages.feed(bytes, |seen| match seen {
            Seen::Blank => Head::Partial,
            Seen::Head(bytes, _) => {
                let answered = requests.and_then(|requests| requests.list.get(*finals));
                let head_only = answered.is_some_and(|request| request.head_only);
                match response_head(bytes, head_only) {
                    Ok(Some(head)) => {
                        let status = head.status;
                        list.push(Response {
                            status,
                            at,
                            answers: *finals,
                            requests: requests.map_or(0, |requests| {
                                requests.list.len() + usize::from(requests.in_head())
                            }),
                            close: head.close,
                            coded: head.coded,
                            complete_at: None,
                            names: head.names,
                        });
                        pending_final = status >= 200;
                        if pending_final {
                            contents.begin(*finals, 0);
                        }
                        *finals += usize::from(pending_final);
                        Head::Whole {
                            bytes: head.length,
                            framing: head.framing,
                            last: status == 101,
                        }
                    }
                    Ok(None) => Head::Partial,
                    Err(()) => Head::Broken,
                }
            }
            Seen::Data(bytes) => {
                contents.add(bytes);
                Head::Partial
            }
            Seen::End(end) => {
                *complete += usize::from(pending_final);
                if let Some(last) = list.last_mut() {
                    last.complete_at = Some(at);
                    switched = (last.status == 101).then_some(end);
                }
                Head::Partial
            }
        });
        self.broken = !whole;
        self.tunnel = switched.map(|end| {
            let behind = end.saturating_sub(before) as usize;
            Tunnel::behind_head(bytes.get(behind..).unwrap_or_default())
        });
    }

    /// The server's FIN ends a response that is delimited by the close.
    pub fn end(&mut self, at: Duration) {
        if self.messages.state == State::UntilClose {
            self.messages.state = State::Ended;
            self.contents.ended_by_close();
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

/// A whole head of a response.
struct ResponseHead {
    status: u16,
    close: bool,
    coded: bool,
    length: usize,
    framing: Framing,
    names: u64,
}

/// Mixes the name of a field into a hash of names.
fn with_name(names: u64, name: &str) -> u64 {
    xxh3_64_with_seed(name.to_ascii_lowercase().as_bytes(), names)
}

fn response_head(bytes: &[u8], head_only: bool) -> Result<Option<ResponseHead>, ()> {
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
    let mut coded = false;
    let mut framing = Framing::UntilClose;
    let mut names = 0;
    for field in head.headers.iter() {
        names = with_name(names, field.name);
        if field.name.eq_ignore_ascii_case("connection") {
            close |= has_token(field.value, "close");
            close &= !has_token(field.value, "keep-alive");
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            coded = true;
            if has_token(field.value, "chunked") {
                framing = Framing::Chunked;
            }
        } else if field.name.eq_ignore_ascii_case("content-length") && framing != Framing::Chunked {
            let value = std::str::from_utf8(field.value).map_err(drop)?;
            framing = Framing::Length(value.trim().parse().map_err(drop)?);
        }
    }
    if status < 200 || status == 204 || status == 304 || head_only {
        framing = Framing::None;
    }
    close |= framing == Framing::UntilClose;
    Ok(Some(ResponseHead {
        status,
        close,
        coded,
        length,
        framing,
        names,
    }))
}
