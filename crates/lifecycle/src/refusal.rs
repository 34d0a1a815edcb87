//! What a server does not accept from a client, and the status that says so.

use std::fmt;

/// Why a request was refused. Each is answered with its [`status`](Refusal::status) and a close.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(
    missing_docs,
    reason = "each variant is said in words by `explain`, in one table"
)]
pub enum Refusal {
    Malformed,
    BareLineFeed,
    Version,
    Method,
    TargetInvalid,
    TargetTooLong,
    HeadTooLarge,
    TooManyFields,
    HostMissing,
    HostRepeated,
    HostInvalid,
    LengthInvalid,
    LengthRepeated,
    LengthWithEncoding,
    EncodingInOldVersion,
    EncodingNotFinal,
    EncodingUnknown,
    ExpectationUnknown,
    BodyTooLarge,
    ChunkMalformed,
    TrailersMalformed,
    TrailersTooLarge,
    HeadIncomplete,
    BodyIncomplete,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Refusal; 24] = [
        Refusal::Malformed,
        Refusal::BareLineFeed,
        Refusal::Version,
        Refusal::Method,
        Refusal::TargetInvalid,
        Refusal::TargetTooLong,
        Refusal::HeadTooLarge,
        Refusal::TooManyFields,
        Refusal::HostMissing,
        Refusal::HostRepeated,
        Refusal::HostInvalid,
        Refusal::LengthInvalid,
        Refusal::LengthRepeated,
        Refusal::LengthWithEncoding,
        Refusal::EncodingInOldVersion,
        Refusal::EncodingNotFinal,
        Refusal::EncodingUnknown,
        Refusal::ExpectationUnknown,
        Refusal::BodyTooLarge,
        Refusal::ChunkMalformed,
        Refusal::TrailersMalformed,
        Refusal::TrailersTooLarge,
        Refusal::HeadIncomplete,
        Refusal::BodyIncomplete,
    ];

    /// The status code of the answer.
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// What was wrong and where it is forbidden, as a sentence.
    pub const fn explain(self) -> &'static str {
        self.row().1
    }

    const fn row(self) -> (u16, &'static str) {
        match self {
            Refusal::Malformed => (
                400,
                "the head is not an HTTP/1 request head (RFC 9112 section 2.2)",
            ),
            Refusal::BareLineFeed => (
                400,
                "a line of the head ends in LF without CR (RFC 9112 section 2.2)",
            ),
            Refusal::Version => (505, "the version is not HTTP/1 (RFC 9110 section 15.6.6)"),
            Refusal::Method => (
                501,
                "the method is none that this server can carry: CONNECT, or longer than any (RFC 9112 section 3)",
            ),
            Refusal::TargetInvalid => (
                400,
                "the request-target has a form that the method may not have, or invalid bytes (RFC 9112 section 3.2)",
            ),
            Refusal::TargetTooLong => (
                414,
                "the request line is longer than the limit of the head (RFC 9112 section 3)",
            ),
            Refusal::HeadTooLarge => (
                431,
                "the head is larger than its limit (RFC 9110 section 5.4)",
            ),
            Refusal::TooManyFields => (
                431,
                "the head has more fields than its limit (RFC 9110 section 5.4)",
            ),
            Refusal::HostMissing => (
                400,
                "an HTTP/1.1 request has no Host (RFC 9112 section 3.2)",
            ),
            Refusal::HostRepeated => (
                400,
                "the request has more than one Host (RFC 9112 section 3.2)",
            ),
            Refusal::HostInvalid => (
                400,
                "the Host is not a host and port (RFC 9112 section 3.2)",
            ),
            Refusal::LengthInvalid => {
                (400, "Content-Length is not a number (RFC 9112 section 6.3)")
            }
            Refusal::LengthRepeated => (
                400,
                "Content-Length comes more than once (RFC 9112 section 6.3)",
            ),
            Refusal::LengthWithEncoding => (
                400,
                "Content-Length and Transfer-Encoding come together (RFC 9112 section 6.3)",
            ),
            Refusal::EncodingInOldVersion => (
                400,
                "Transfer-Encoding comes in HTTP/1.0 (RFC 9112 section 6.1)",
            ),
            Refusal::EncodingNotFinal => (
                400,
                "the final transfer coding is not chunked, once (RFC 9112 section 6.3)",
            ),
            Refusal::EncodingUnknown => (
                501,
                "a transfer coding other than chunked (RFC 9112 section 6.1)",
            ),
            Refusal::ExpectationUnknown => (
                417,
                "an expectation other than 100-continue (RFC 9110 section 10.1.1)",
            ),
            Refusal::BodyTooLarge => (
                413,
                "the body is larger than its limit (RFC 9110 section 15.5.14)",
            ),
            Refusal::ChunkMalformed => (
                400,
                "the chunked framing of the body is broken (RFC 9112 section 7.1)",
            ),
            Refusal::TrailersMalformed => (
                400,
                "the trailers are not field lines (RFC 9112 section 7.1.2)",
            ),
            Refusal::TrailersTooLarge => (
                431,
                "the trailers are larger than the limit of a head (RFC 9110 section 5.4)",
            ),
            Refusal::HeadIncomplete => (
                400,
                "the client closed before the end of the head (RFC 9112 section 8)",
            ),
            Refusal::BodyIncomplete => (
                400,
                "the client closed before the end of the body (RFC 9112 section 8)",
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}
