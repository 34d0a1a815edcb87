//! Framing errors of a request: behind one nobody knows where the next request begins.

use std::time::Duration;

/// What is wrong with how a request says where it ends. Sections are those of RFC 9112.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Content-Length beside Transfer-Encoding (section 6.1).
    LengthAndChunked,
    /// Transfer-Encoding in HTTP/1.0 (section 6.1).
    ChunkedInOld,
    /// A Content-Length that is no number, or several that differ (section 6.3).
    Length,
    /// A Transfer-Encoding that does not end in chunked (section 6.3).
    NotChunked,
    /// A space between a field's name and its colon (section 5.1).
    SpaceBeforeColon,
    /// A chunk that does not begin or does not end as one (section 7.1).
    Chunk,
}

/// The first of them on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faulty {
    /// What is wrong.
    pub fault: Fault,
    /// With which request, counted from 0.
    pub request: usize,
    /// When that had reached the server's host.
    pub at: Duration,
}

impl Fault {
    /// A server may not process such a request at all. Of the others it may take what its chunks say, or has answered before it saw the
    /// error; but then it closes, too.
    pub fn must_be_refused(self) -> bool {
        matches!(
            self,
            Self::Length | Self::NotChunked | Self::SpaceBeforeColon
        )
    }

    /// What it is, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::LengthAndChunked => {
                "has both Content-Length and Transfer-Encoding (RFC 9112 section 6.1)"
            }
            Self::ChunkedInOld => "has a Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1)",
            Self::Length => {
                "has a Content-Length that is no number, or two that differ (RFC 9112 section 6.3)"
            }
            Self::NotChunked => {
                "has a Transfer-Encoding that does not end in chunked (RFC 9112 section 6.3)"
            }
            Self::SpaceBeforeColon => "has a space before a colon (RFC 9112 section 5.1)",
            Self::Chunk => "has a chunk that is none (RFC 9112 section 7.1)",
        }
    }
}

/// Is there a field line whose name ends with a space, in a head that does not parse?
pub(super) fn space_before_colon(head: &[u8]) -> bool {
    let lines = head.split(|&byte| byte == b'\n').skip(1);
    let lines = lines.take_while(|line| !line.trim_ascii().is_empty());
    lines.filter_map(name).any(|name| {
        let trimmed = name.trim_ascii_end();
        trimmed.len() < name.len() && is_name(trimmed)
    })
}

/// What is before the first colon.
fn name(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some(&line[..colon])
}

/// A name, and a colon right behind it (RFC 9112 section 5).
pub(super) fn is_field_line(line: &[u8]) -> bool {
    name(line).is_some_and(is_name)
}

/// A token (RFC 9110 section 5.6.2).
fn is_name(bytes: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_token)
}
