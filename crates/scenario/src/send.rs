//! What one write is made of.

use std::borrow::Cow;
use std::time::Duration;

/// A part of a head. What a generator says is often known beforehand, and long: that is not copied from head to head.
pub type Text = Cow<'static, str>;

/// The bytes of one `send` step and how they are cut. [`Send::render`](crate::send::Send::render) gives the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Send {
    /// The pieces, back to back. Several are `all = [...]` in a file; none is a write of nothing.
    pub what: Vec<Piece>,
    /// Only the bytes from the first offset up to, not including, the second. What lies behind the end is left out.
    pub part: Option<(u64, u64)>,
    /// In small writes with pauses, instead of in one.
    pub trickle: Option<Trickle>,
}

/// How a [`Send`] is cut into small writes, or a [`Read`](crate::Read) into small reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trickle {
    /// Bytes a write or a read, at least 1. The last one has what is left.
    pub size: u64,
    /// The pause after each of them, also after the last: what comes next goes on at the same pace.
    pub every: Duration,
}

/// A piece of a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// The head of a request, with the empty line that ends it.
    Head(Head),
    /// This many bytes of body, out of the [filler](crate::render::FILLER).
    Body(u64),
    /// A chunk of a chunked body with this many bytes of filler. A chunk of 0 is the same as [`Piece::LastChunk`].
    Chunk(u64),
    /// The chunk that ends a chunked body, without trailers.
    LastChunk,
    /// These bytes, whatever they are.
    Bytes(Vec<u8>),
}

/// The head of a request. It says what it is told to: also two framings at once, or a host that is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// The method.
    pub method: Text,
    /// The request target.
    pub target: Text,
    /// The version in the request line.
    pub version: Version,
    /// The `Host` field.
    pub host: Host,
    /// The value of `Content-Length`, which need not be true.
    pub length: Option<u64>,
    /// Whether there is `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// The value of `Expect`.
    pub expect: Option<Text>,
    /// The value of `Connection`.
    pub connection: Option<Text>,
    /// Further fields, name and value, in this order, after those above.
    pub headers: Vec<(Text, Text)>,
}

impl Head {
    /// A head with this method and target, HTTP/1.1 and a `Host`.
    pub fn new(method: impl Into<Text>, target: impl Into<Text>) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            version: Version::Http11,
            host: Host::Default,
            length: None,
            chunked: false,
            expect: None,
            connection: None,
            headers: Vec::new(),
        }
    }
}

impl Default for Head {
    /// `GET / HTTP/1.1` with a `Host`.
    fn default() -> Self {
        Self::new("GET", "/")
    }
}

/// The version in a request line. Other ones can be sent with [`Piece::Bytes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// The `Host` field of a head.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Host {
    /// There is one and it is [`Host::DEFAULT`].
    #[default]
    Default,
    /// There is one with this value.
    Text(String),
    /// There is none.
    Absent,
}

impl Host {
    /// The value where a head does not say otherwise (a name that RFC 2606 keeps free).
    pub const DEFAULT: &str = "hangup.test";
}

impl From<Head> for Send {
    fn from(head: Head) -> Self {
        Piece::Head(head).into()
    }
}

impl From<Piece> for Send {
    fn from(piece: Piece) -> Self {
        Self {
            what: vec![piece],
            ..Self::default()
        }
    }
}
