//! A request's head: from bytes to `http` types, or to the refusal that it earns.

use crate::framing::{self, Facts};
use crate::target;
use bytes::{Bytes, BytesMut};
use hangup_lifecycle::{Limits, Refusal};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};
use memchr::memmem::Finder;
use std::mem::MaybeUninit;
use std::sync::LazyLock;

/// Heads with at most this many fields are parsed on the stack.
const FIELDS_ON_STACK: usize = 128;

/// No method that anyone implements is longer (RFC 9112 section 3 then says 501).
const METHOD_BYTES_MAX: usize = 32;

/// So much of a head is looked at as it comes, behind that line by line.
const FIRST_BYTES: usize = 256;

/// Finds the end of a head. To build it costs as much as to use it.
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// A whole head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) facts: Facts,
}

/// Takes a head off the front of `input`; `None` if its end has not come.
///
/// `scanned` is how much of `input` is known to hold no end; the caller keeps it between calls, so that a head that comes
/// byte by byte is not searched again and again.
///
/// The answer depends on the bytes alone, never on how they were cut into reads.
pub(crate) fn take(
    input: &mut BytesMut,
    scanned: &mut usize,
    limits: &Limits,
) -> Result<Option<Head>, Refusal> {
    let within = input.len().min(limits.head_bytes);
    let from = scanned.saturating_sub(3).min(within);
    if let Some(at) = END.find(&input[from..within]) {
        *scanned = 0;
        lower_minor(input);
        let bytes = input.split_to(from + at + 4).freeze();
        return parse_whole(&bytes, limits).map(Some);
    }
    // Within the first bytes, or where a line ends: what can never become a head is refused now, not at the deadline.
    let fresh = &input[(*scanned).min(within)..within];
    let first = looked_at(within);
    let line_ends = memchr::memchr(b'\n', fresh).is_some();
    if line_ends {
        lower_minor(input);
    }
    if first > looked_at(*scanned) || line_ends {
        let lines = memchr::memrchr(b'\n', &input[..within]).map_or(0, |at| at + 1);
        refuse_hopeless(&input[..lines.max(first)], limits)?;
    }
    *scanned = within;
    if input.len() >= limits.head_bytes {
        refuse_hopeless(&input[..within], limits)?;
        return Err(match memchr::memchr(b'\n', &input[..within]) {
            Some(_) => Refusal::HeadTooLarge,
            None => Refusal::TargetTooLong,
        });
    }
    Ok(None)
}

/// How much is looked at of so many bytes that are no line: each of the first few, then every eight, since to parse a head again at every byte
/// is dear. It follows from their number alone, so that the cuts do not matter.
fn looked_at(bytes: usize) -> usize {
    match bytes {
        0..8 => bytes,
        _ => (bytes - bytes % 8).min(FIRST_BYTES),
    }
}

/// What is wrong with a head whose end will not come.
pub(crate) fn unfinished(input: &[u8], limits: &Limits) -> Refusal {
    let within = input.len().min(limits.head_bytes);
    refuse_hopeless(&input[..within], limits)
        .err()
        .unwrap_or(Refusal::HeadIncomplete)
}

/// Reads a higher minor version of HTTP/1 as 1.1, the highest that is spoken here (RFC 9110 section
/// 2.5). The digit is replaced, because the parser knows no other; it needs the whole request line.
fn lower_minor(input: &mut [u8]) {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return;
    };
    let line = &mut input[..end];
    if let [
        ..,
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        minor @ b'2'..=b'9',
    ]
    | [
        ..,
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        minor @ b'2'..=b'9',
        b'\r',
    ] = line
    {
        *minor = b'1';
    }
}

/// Whether the first word is a method, and longer than any: more bytes do not change that.
fn has_long_method(bytes: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    bytes.len() > METHOD_BYTES_MAX && bytes[..=METHOD_BYTES_MAX].iter().all(token)
}

fn refuse_hopeless(bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
    if has_long_method(bytes) {
        return Err(Refusal::Method);
    }
    with_fields(limits, |fields| {
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, fields) {
            Ok(httparse::Status::Partial) => Ok(()),
            // Its lines ended in a bare LF, else the end would have been found.
            Ok(httparse::Status::Complete(_)) => Err(Refusal::BareLineFeed),
            Err(error) => refusal(error, bytes).map_or(Ok(()), Err),
        }
    })
}

fn parse_whole(bytes: &Bytes, limits: &Limits) -> Result<Head, Refusal> {
    if has_long_method(bytes) {
        return Err(Refusal::Method);
    }
    with_fields(limits, |fields| {
        let mut request = httparse::Request::new(&mut []);
        let whole = request.parse_with_uninit_headers(bytes, fields);
        match whole.map_err(|error| refusal(error, bytes).unwrap_or(Refusal::Malformed))? {
            httparse::Status::Complete(length) if length == bytes.len() => {}
            _ => return Err(Refusal::BareLineFeed),
        }
        // The last two lines are known to end well. Each other one ends where a field begins.
        let fields = request.headers.iter();
        let ends_well = |at: usize| at.checked_sub(2).is_some_and(|at| bytes[at] == b'\r');
        if request
            .method
            .is_none_or(|method| place(method, bytes) != 0)
            || !fields.map(|field| place(field.name, bytes)).all(ends_well)
        {
            return Err(Refusal::BareLineFeed);
        }
        convert(&request, bytes)
    })
}

/// Where this part of `bytes` begins.
fn place(part: &str, bytes: &[u8]) -> usize {
    part.as_ptr() as usize - bytes.as_ptr() as usize
}

fn convert(request: &httparse::Request<'_, '_>, bytes: &Bytes) -> Result<Head, Refusal> {
    let method = request.method.ok_or(Refusal::Malformed)?;
    if method == "CONNECT" {
        return Err(Refusal::Method);
    }
    let path = request.path.ok_or(Refusal::Malformed)?;
    target::check(method, path.as_bytes())?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::Malformed)?;
    let uri = Uri::from_maybe_shared(bytes.slice_ref(path.as_bytes())).map_err(|_| {
        // `http` has no longer ones; everything else it refuses is no request-target.
        if path.len() >= usize::from(u16::MAX) {
            Refusal::TargetTooLong
        } else {
            Refusal::TargetInvalid
        }
    })?;
    let version = match request.version {
        Some(1) => Version::HTTP_11,
        Some(0) => Version::HTTP_10,
        _ => return Err(Refusal::Version),
    };
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Refusal::Malformed)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
            .map_err(|_| Refusal::Malformed)?;
        headers.append(name, value);
    }
    let facts = framing::facts(version, &headers)?;
    // An absolute-form target has the host, and the Host field does not count (RFC 9112 section
    // 3.2.2).
    if let Some(authority) = uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::TargetInvalid)?;
        headers.insert(header::HOST, host);
    }
    Ok(Head {
        method,
        uri,
        version,
        headers,
        facts,
    })
}

fn with_fields<'b, T>(
    limits: &Limits,
    parse: impl FnOnce(&mut [MaybeUninit<httparse::Header<'b>>]) -> T,
) -> T {
    if limits.head_fields <= FIELDS_ON_STACK {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
        parse(&mut fields[..limits.head_fields])
    } else {
        let mut fields = Vec::new();
        fields.resize_with(limits.head_fields, MaybeUninit::uninit);
        parse(&mut fields)
    }
}

/// What an error means; `None` if it is too early to tell.
fn refusal(error: httparse::Error, bytes: &[u8]) -> Option<Refusal> {
    match error {
        httparse::Error::TooManyHeaders => Some(Refusal::TooManyFields),
        httparse::Error::Version => version(bytes),
        _ => Some(Refusal::Malformed),
    }
}

/// Whether the third word of the request line is a version, and so one that is not spoken here.
/// Bytes behind it do not matter, and nothing is said before all of it is there, so that the answer
/// is the same for every segmentation. A higher minor version of HTTP/1 is waited out to the end of
/// its line, where [`lower_minor`] takes it.
fn version(bytes: &[u8]) -> Option<Refusal> {
    let line = bytes
        .split(|&byte| byte == b'\n')
        .find(|line| line.len() > 1)?;
    let word = line
        .splitn(3, |&byte| byte == b' ')
        .nth(2)
        .unwrap_or_default();
    let form = [b"HTTP/".map(Some).as_slice(), &[None, Some(b'.'), None]].concat();
    for (expected, byte) in form.iter().zip(word) {
        let fits = expected.map_or(byte.is_ascii_digit(), |expected| expected == *byte);
        if !fits {
            return Some(Refusal::Malformed);
        }
    }
    match word {
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            b'2'..=b'9',
            behind @ ..,
        ] => (!matches!(behind, [] | [b'\r'])).then_some(Refusal::Malformed),
        _ => (word.len() >= form.len()).then_some(Refusal::Version),
    }
}

/// Parses the lines of trailers, which end in an empty one.
pub(crate) fn trailers(bytes: &[u8], limits: &Limits) -> Result<HeaderMap, Refusal> {
    let mut fields = vec![httparse::EMPTY_HEADER; limits.head_fields];
    let fields = match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete((length, fields))) if length == bytes.len() => fields,
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TrailersTooLarge),
        _ => return Err(Refusal::TrailersMalformed),
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        match (name, value) {
            (Ok(name), Ok(value)) => trailers.append(name, value),
            _ => return Err(Refusal::TrailersMalformed),
        };
    }
    Ok(trailers)
}
