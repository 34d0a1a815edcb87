//! A response's head and framing, as bytes.

use crate::chunked;
use crate::framing;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, response};
use http_body::SizeHint;

/// How the end of a response's body is marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// It has no body, whatever its head says (RFC 9110 section 6.4.1).
    None,
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
    /// Only the close ends it: to HTTP/1.0, of unknown length.
    Close,
}

/// Why a response cannot be sent as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unsendable;

/// Of the request, what its response depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) head_only: bool,
    /// HTTP/1.1, that is: chunked is understood.
    pub(crate) new: bool,
    /// The connection was to stay open without being asked in HTTP/1.0's way.
    pub(crate) persistent: bool,
}

/// How the body of this response is framed, from its head and what is known of its length.
pub(crate) fn framing(
    parts: &response::Parts,
    size: &SizeHint,
    asked: Asked,
) -> Result<Framing, Unsendable> {
    let status = parts.status;
    if status.is_informational() {
        return Err(Unsendable);
    }
    if asked.head_only || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Ok(Framing::None);
    }
    let mut lengths = parts.headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        let length = length.to_str().ok().and_then(|length| length.parse().ok());
        return match (length, lengths.next()) {
            (Some(length), None) => Ok(Framing::Length(length)),
            _ => Err(Unsendable),
        };
    }
    // Only chunked can carry trailers, so an application that announces them gets it (RFC 9110 section 6.6.2).
    let trailers = asked.new && parts.headers.contains_key(header::TRAILER);
    Ok(match size.exact().filter(|_| !trailers) {
        Some(length) => Framing::Length(length),
        None if asked.new => Framing::Chunked,
        None => Framing::Close,
    })
}

/// Whether the application wants the connection closed behind this response.
pub(crate) fn wants_close(headers: &HeaderMap) -> bool {
    framing::list(headers, &header::CONNECTION).any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// Writes the head. The framing fields and `Connection` are ours; everything else is the application's.
pub(crate) fn write_head(
    output: &mut Vec<u8>,
    parts: &response::Parts,
    framing: Framing,
    size: &SizeHint,
    asked: Asked,
    keep: bool,
    date: Option<&str>,
) {
    write_status(output, parts.status);
    for (name, value) in &parts.headers {
        if name == header::CONNECTION || name == header::TRANSFER_ENCODING {
            continue;
        }
        // A 204 and an answer to HEAD have none of ours; a 204 may have none at all (RFC 9110 section 8.6).
        if name == header::CONTENT_LENGTH && parts.status == StatusCode::NO_CONTENT {
            continue;
        }
        write_field(output, name, value);
    }
    let has_length = parts.headers.contains_key(header::CONTENT_LENGTH);
    match framing {
        Framing::Length(length) if !has_length => write_length(output, length),
        // What a GET would have told (RFC 9110 section 9.3.2), if it is known.
        Framing::None
            if asked.head_only
                && !has_length
                && parts.status != StatusCode::NO_CONTENT
                && parts.status != StatusCode::NOT_MODIFIED =>
        {
            if let Some(length) = size.exact().filter(|&length| length > 0) {
                write_length(output, length);
            }
        }
        Framing::Chunked => output.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => {}
    }
    if !keep {
        output.extend_from_slice(b"connection: close\r\n");
    } else if !asked.new {
        output.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if let Some(date) = date.filter(|_| !parts.headers.contains_key(header::DATE)) {
        output.extend_from_slice(date.as_bytes());
    }
    output.extend_from_slice(b"\r\n");
}

/// The head of a 101: no framing, and the connection is what is upgraded.
pub(crate) fn write_switch(output: &mut Vec<u8>, parts: &response::Parts, date: Option<&str>) {
    write_status(output, parts.status);
    let ours = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
    ];
    for (name, value) in parts
        .headers
        .iter()
        .filter(|(name, _)| !ours.contains(name))
    {
        write_field(output, name, value);
    }
    output.extend_from_slice(b"connection: upgrade\r\n");
    if let Some(date) = date.filter(|_| !parts.headers.contains_key(header::DATE)) {
        output.extend_from_slice(date.as_bytes());
    }
    output.extend_from_slice(b"\r\n");
}

/// The server's own answer: a status, no body, and a close.
pub(crate) fn write_answer(output: &mut Vec<u8>, status: u16, date: Option<&str>) {
    write_status(
        output,
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    );
    output.extend_from_slice(b"content-length: 0\r\nconnection: close\r\n");
    if let Some(date) = date {
        output.extend_from_slice(date.as_bytes());
    }
    output.extend_from_slice(b"\r\n");
}

/// The end of a chunked body, with its trailers. Fields that may not be trailers are left out.
pub(crate) fn write_last_chunk(output: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    chunked::write_size(output, 0);
    let trailers = trailers.into_iter().flatten();
    for (name, value) in trailers.filter(|(name, _)| may_be_trailer(name)) {
        write_field(output, name, value);
    }
    output.extend_from_slice(b"\r\n");
}

/// Whether a recipient that merges trailers into the head is safe with this field. Not sent are the
/// fields of message framing, routing, the connection, authentication, cookies, request modifiers,
/// response control, and the processing of content (RFC 9110 section 6.5.1).
fn may_be_trailer(name: &HeaderName) -> bool {
    use header::*;
    ![
        TRANSFER_ENCODING,
        CONTENT_LENGTH,
        HOST,
        CONNECTION,
        UPGRADE,
        TE,
        TRAILER,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        AUTHORIZATION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        WWW_AUTHENTICATE,
        COOKIE,
        SET_COOKIE,
        EXPECT,
        MAX_FORWARDS,
        PRAGMA,
        RANGE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
        IF_RANGE,
        AGE,
        CACHE_CONTROL,
        EXPIRES,
        DATE,
        LOCATION,
        RETRY_AFTER,
        VARY,
        WARNING,
        CONTENT_ENCODING,
        CONTENT_TYPE,
        CONTENT_RANGE,
        ACCEPT_RANGES,
    ]
    .contains(name)
}

fn write_status(output: &mut Vec<u8>, status: StatusCode) {
    // The common head fits, so that the buffer grows once.
    output.reserve(256);
    if status == StatusCode::OK {
        output.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    output.extend_from_slice(b"HTTP/1.1 ");
    output.extend_from_slice(status.as_str().as_bytes());
    output.push(b' ');
    output.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    output.extend_from_slice(b"\r\n");
}

fn write_field(output: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    output.extend_from_slice(name.as_str().as_bytes());
    output.extend_from_slice(b": ");
    output.extend_from_slice(value.as_bytes());
    output.extend_from_slice(b"\r\n");
}

fn write_length(output: &mut Vec<u8>, length: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = length;
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    output.extend_from_slice(b"content-length: ");
    output.extend_from_slice(&digits[at..]);
    output.extend_from_slice(b"\r\n");
}
