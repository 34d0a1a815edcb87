//! The client's direction.

use super::asks::Asks;
use super::contents::Contents;
use super::fault::{Fault, Faulty, space_before_colon};
use super::marked::Marked;
use super::messages::{
    FIELDS_MAX, Framing, Head, Messages, REQUEST_HEAD_BYTES_MAX, Seen, State, has_token,
};
use super::tunnel::Tunnel;
use crate::server::app::tunnel::{PROTOCOL, TARGET};
use hangup_scenario::Host;
use hangup_scenario::render::{Marks, SMUGGLED_TARGET};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

/// What is known of a server's targets, beside those of the probe app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// They give a stream that the application paces. `{}` in one of them stands for a number.
    pub paced: Vec<Arc<str>>,
    /// They take a body and read it to its end before they answer. `{}` in one of them stands for a
    /// number.
    pub whole: Vec<Arc<str>>,
    /// It answers a GET at once.
    pub plain: Arc<str>,
    /// It switches to a protocol in which everything is sent back, where it is asked to.
    pub upgrade: Option<Arc<str>>,
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
    /// How many Host fields it has, counted to 2.
    pub hosts: u8,
    /// The marks of connections that its body carries.
    pub marks: Marks,
    /// It is the least that HTTP/1.1 wants of a GET of the plain target, so that nobody has a reason to refuse it.
    pub plain: bool,
    /// When its first byte reached the server's host.
    pub began: Duration,
    /// What it asks the probe app for.
    pub asks: Asks,
    /// When its last byte reached the server's host.
    pub complete_at: Option<Duration>,
    /// How many bytes of the stream are its head's, and those before it.
    pub head_end: u64,
    /// How many bytes of the stream are its own, and those before it.
    pub end: Option<u64>,
}

/// The client's direction: requests, as they reach the server's host.
#[derive(Debug)]
pub struct Requests {
    messages: Messages,
    /// Every request whose head is complete, in order.
    pub list: Vec<Request>,
    /// Bytes came that are no valid request; from there on nothing is followed.
    pub broken: bool,
    /// A head had empty lines before it, which a server may also refuse.
    pub lax: bool,
    /// They were a framing error.
    pub fault: Option<Faulty>,
    /// What those carry whose answer hangs on it.
    pub contents: Contents,
    /// What came behind a head that asks for a tunnel. Nobody knows yet whether it is one.
    pub tunnel: Option<Tunnel>,
    /// None: those of the probe app alone.
    targets: Option<Arc<Targets>>,
    /// When the first byte came of the head that is being read.
    began: Option<Duration>,
    marked: Marked,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            messages: Messages::new(REQUEST_HEAD_BYTES_MAX),
            list: Vec::new(),
            broken: false,
            lax: false,
            fault: None,
            contents: Contents::default(),
            tunnel: None,
            targets: None,
            began: None,
            marked: Marked::default(),
        }
    }
}

impl Requests {
    /// For an observer who is never asked what messages carry.
    pub fn without_contents() -> Self {
        Self {
            contents: Contents::ignored(),
            ..Self::default()
        }
    }

    /// Of a server with these targets.
    pub fn with_targets(targets: Option<Arc<Targets>>) -> Self {
        Self {
            targets,
            ..Self::default()
        }
    }

    /// Follows bytes that reached the server's host at `at`.
    pub fn feed(&mut self, at: Duration, bytes: &[u8]) {
        if self.broken {
            if let Some(tunnel) = &mut self.tunnel {
                tunnel.feed(bytes);
            }
            return;
        }
        let before = self.messages.fed;
        let Self {
            list,
            contents,
            messages,
            targets,
            began,
            lax,
            marked,
            ..
        } = self;
        let (mut fault, mut tunnel) = (None, None);
        let whole = messages.feed(bytes, |seen| match seen {
            // A server SHOULD ignore at least one empty line before a request line (RFC 9112 section 2.2), and need not.
            Seen::Blank => {
                *lax = true;
                Head::Partial
            }
            Seen::Head(bytes, head_at) => match request_head(bytes, targets.as_deref()) {
                Ok(Some((mut request, bytes, framing))) => {
                    request.began = began.take().unwrap_or(at);
                    request.head_end = head_at + bytes as u64;
                    if request.asks.sends_back() {
                        let said = match framing {
                            Framing::Length(length) => length,
                            _ => 0,
                        };
                        contents.begin(list.len(), said);
                    }
                    list.push(request);
                    *marked = Marked::default();
                    Head::Whole {
                        bytes,
                        framing,
                        last: request.close,
                    }
                }
                Ok(None) => Head::Partial,
                Err(Refused::Tunnel(length)) => {
                    tunnel = Some(length);
                    Head::Broken
                }
                Err(Refused::Fault(why)) => {
                    fault = why.map(|fault| (fault, list.len()));
                    Head::Broken
                }
            },
            Seen::Data(bytes) => {
                if let Some(last) = list.last_mut() {
                    last.marks = last.marks.and(marked.feed(bytes));
                    if last.asks.sends_back() {
                        contents.add(bytes);
                    }
                }
                Head::Partial
            }
            Seen::End(end) => {
                if let Some(last) = list.last_mut() {
                    last.complete_at = Some(at);
                    last.end = Some(end);
                }
                Head::Partial
            }
        });
        self.broken = !whole;
        if let Some(length) = tunnel {
            let head_end = self.messages.head_at + length as u64;
            let behind = head_end.saturating_sub(before) as usize;
            self.tunnel = Some(Tunnel::behind_head(bytes.get(behind..).unwrap_or_default()));
        }
        if self.in_head() {
            self.began.get_or_insert(at);
        }
        if self.messages.chunk_fault {
            fault = Some((Fault::Chunk, self.list.len().saturating_sub(1)));
        }
        self.fault = fault.map(|(fault, request)| Faulty { fault, request, at });
    }

    /// Is a part of a head there, but not all of it?
    pub fn in_head(&self) -> bool {
        self.messages.state == State::Head && self.messages.inside()
    }

    /// Where the head begins of which a part is there.
    pub fn head_at(&self) -> Option<u64> {
        self.in_head().then_some(self.messages.head_at)
    }

    /// When the head began of which a part is there, if that part is the beginning of the plainest GET.
    pub fn plain_part(&self) -> Option<Duration> {
        let plain = self.targets.as_ref().map_or("/", |targets| &targets.plain);
        let whole = format!("GET {plain} HTTP/1.1\r\nHost: {}\r\n", Host::DEFAULT);
        let part = self.messages.part();
        // Of what is skipped before a head nothing is here.
        let is_part = self.in_head() && !part.is_empty() && whole.as_bytes().starts_with(part);
        self.began.filter(|_| is_part)
    }

    /// Is a head there, but not all of its body?
    pub fn in_body(&self) -> bool {
        !matches!(self.messages.state, State::Head | State::Ended)
    }
}

/// Why nothing is followed behind a head.
enum Refused {
    /// What is wrong with its framing; none if a server may take it or refuse it as it likes.
    Fault(Option<Fault>),
    /// It asks for a tunnel, and has so many bytes.
    Tunnel(usize),
}

impl From<Option<Fault>> for Refused {
    fn from(fault: Option<Fault>) -> Self {
        Self::Fault(fault)
    }
}

/// Is it this known target, in which `{}` stands for a number?
fn is_one_of(known: &str, target: &str) -> bool {
    let Some((before, behind)) = known.split_once("{}") else {
        return known == target;
    };
    let number = target.strip_prefix(before);
    let number = number.and_then(|rest| rest.strip_suffix(behind));
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A whole head, or why nothing behind it is followed.
fn request_head(
    bytes: &[u8],
    targets: Option<&Targets>,
) -> Result<Option<(Request, usize, Framing)>, Refused> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let length = match head.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => {
            return Err(space_before_colon(bytes)
                .then_some(Fault::SpaceBeforeColon)
                .into());
        }
    };
    // A recipient MAY take a single LF for a line end (RFC 9112 section 2.2).
    if has_bare_line_feed(&bytes[..length]) {
        return Err(None.into());
    }
    let (method, target) = (
        head.method.unwrap_or_default(),
        head.path.unwrap_or_default(),
    );
    let mut request = Request {
        old: head.version == Some(0),
        head_only: method == "HEAD",
        expects: false,
        close: false,
        has_body: false,
        smuggled: target == SMUGGLED_TARGET,
        hosts: 0,
        marks: Marks::default(),
        plain: method == "GET"
            && head.version == Some(1)
            && target == targets.map_or("/", |targets| &targets.plain),
        began: Duration::ZERO,
        asks: match targets {
            Some(targets) if targets.paced.iter().any(|paced| is_one_of(paced, target)) => {
                Asks::Paced
            }
            Some(targets) if targets.whole.iter().any(|whole| is_one_of(whole, target)) => {
                Asks::Whole
            }
            _ => Asks::of(method, target),
        },
        complete_at: None,
        head_end: 0,
        end: None,
    };
    if method == "CONNECT" {
        return Err(None.into());
    }
    let (mut said, mut coding): (Option<&[u8]>, Option<&[u8]>) = (None, None);
    let (mut twice, mut upgrade) = (false, None);
    for field in head.headers.iter() {
        let (name, value) = (field.name, field.value.trim_ascii());
        if name.eq_ignore_ascii_case("content-length") {
            if said.is_some_and(|said| said != value) {
                return Err(Some(Fault::Length).into());
            }
            twice |= said.replace(value).is_some();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            twice |= coding.replace(value).is_some();
        } else if name.eq_ignore_ascii_case("host") {
            request.hosts = (request.hosts + 1).min(2);
        } else if name.eq_ignore_ascii_case("expect") {
            request.expects |= has_token(value, "100-continue");
        } else if name.eq_ignore_ascii_case("connection") {
            request.close |= has_token(value, "close");
        } else if name.eq_ignore_ascii_case("upgrade") {
            upgrade = Some(value);
        }
        request.plain &= match field.name {
            "Host" => value == Host::DEFAULT.as_bytes(),
            "Connection" => value == b"close",
            _ => false,
        };
    }
    let framing = match (said, coding) {
        (Some(_), Some(_)) => return Err(Some(Fault::LengthAndChunked).into()),
        (None, Some(_)) if request.old => return Err(Some(Fault::ChunkedInOld).into()),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
        (None, Some(coding)) => {
            let last = coding
                .rsplit(|&byte| byte == b',')
                .next()
                .unwrap_or_default();
            let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            return Err((!chunked).then_some(Fault::NotChunked).into());
        }
        (Some(length), None) => Framing::Length(content_length(length)?),
        (None, None) => Framing::None,
    };
    // What may be merged, or makes another protocol of it, is not followed.
    if let Some(protocol) = upgrade {
        let tunnels = match targets {
            Some(targets) => targets.upgrade.as_deref() == Some(target),
            None => target == TARGET,
        };
        let asks = tunnels && !twice && protocol == PROTOCOL.as_bytes() && !request.old;
        return Err(match framing {
            Framing::None if asks => Refused::Tunnel(length),
            _ => None.into(),
        });
    }
    if twice {
        return Err(None.into());
    }
    request.plain &= request.hosts == 1;
    request.has_body = !matches!(framing, Framing::None | Framing::Length(0));
    Ok(Some((request, length, framing)))
}

fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

fn content_length(value: &[u8]) -> Result<u64, Option<Fault>> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    // A list of equal numbers may be taken for one of them, and what is beyond all numbers is one.
    let strange = digits || value.contains(&b',');
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|value| value.parse().ok());
    number
        .filter(|_| digits)
        .ok_or((!strange).then_some(Fault::Length))
}
