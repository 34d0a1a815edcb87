//! What a request's head says about the bytes behind it: length, expectation, persistence (RFC 9112 sections 3.2, 6 and 9.3).

use crate::host::is_host_and_port;
use hangup_lifecycle::Refusal;
use http::Version;
use http::header::{self, HeaderMap};

/// What follows from a head for its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    pub(crate) body: Length,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    /// The client would go on using the connection.
    pub(crate) persistent: bool,
    /// The client asks for another protocol, in a version that has that (RFC 9110 section 7.8).
    pub(crate) wants_upgrade: bool,
}

/// How long a request's body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Length {
    None,
    Known(u64),
    Chunked,
}

/// Reads the facts off a head, or refuses it. The order is that of `Expect` (RFC 9110 section 10.1.1): host, framing, expectation;
/// nothing is promised that is then refused.
pub(crate) fn facts(version: Version, headers: &HeaderMap) -> Result<Facts, Refusal> {
    let new = version == Version::HTTP_11;
    let fields = Fields::of(headers);
    host(new, &fields)?;
    let body = length(new, &fields)?;
    // To HTTP/1.0 no 100 may be sent, and an expectation is ignored (RFC 9110 section 10.1.1).
    if new && fields.expects_unknown {
        return Err(Refusal::ExpectationUnknown);
    }
    Ok(Facts {
        body,
        // Without a body there is nothing to continue with: the expectation is met (RFC 9110 section 10.1.1).
        expects_continue: new && fields.expects_continue && body != Length::None,
        persistent: !fields.close && (new || fields.keep_alive),
        wants_upgrade: new && fields.upgrade && fields.upgrade_option,
    })
}

/// The fields that concern the connection, found in one walk over the head: to look each of them up costs more than to look at all.
#[derive(Default)]
struct Fields<'h> {
    host: Option<&'h [u8]>,
    host_repeated: bool,
    length: Option<&'h [u8]>,
    length_repeated: bool,
    encoded: bool,
    codings: usize,
    chunked: usize,
    last_is_chunked: bool,
    expects_continue: bool,
    expects_unknown: bool,
    close: bool,
    keep_alive: bool,
    upgrade_option: bool,
    upgrade: bool,
}

impl<'h> Fields<'h> {
    fn of(headers: &'h HeaderMap) -> Self {
        let mut fields = Fields::default();
        for (name, value) in headers {
            let value = value.as_bytes();
            if *name == header::HOST {
                fields.host_repeated |= fields.host.replace(value).is_some();
            } else if *name == header::CONNECTION {
                members(value).for_each(|option| fields.option(option));
            } else if *name == header::CONTENT_LENGTH {
                fields.length_repeated |= fields.length.replace(value).is_some();
            } else if *name == header::TRANSFER_ENCODING {
                fields.encoded = true;
                members(value).for_each(|coding| fields.coding(coding));
            } else if *name == header::EXPECT {
                for member in members(value) {
                    let known = member.eq_ignore_ascii_case(b"100-continue");
                    fields.expects_continue |= known;
                    fields.expects_unknown |= !known;
                }
            } else if *name == header::UPGRADE {
                fields.upgrade = true;
            }
        }
        fields
    }

    fn option(&mut self, option: &[u8]) {
        self.close |= option.eq_ignore_ascii_case(b"close");
        self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        self.upgrade_option |= option.eq_ignore_ascii_case(b"upgrade");
    }

    fn coding(&mut self, coding: &[u8]) {
        self.codings += 1;
        self.last_is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        self.chunked += usize::from(self.last_is_chunked);
    }
}

fn host(new: bool, fields: &Fields<'_>) -> Result<(), Refusal> {
    match fields.host {
        None if new => Err(Refusal::HostMissing),
        None => Ok(()),
        Some(_) if fields.host_repeated => Err(Refusal::HostRepeated),
        Some(host) if is_host_and_port(host) => Ok(()),
        Some(_) => Err(Refusal::HostInvalid),
    }
}

fn length(new: bool, fields: &Fields<'_>) -> Result<Length, Refusal> {
    if fields.encoded {
        if fields.length.is_some() {
            return Err(Refusal::LengthWithEncoding);
        }
        if !new {
            return Err(Refusal::EncodingInOldVersion);
        }
        return match (fields.codings, fields.chunked, fields.last_is_chunked) {
            (1, 1, true) => Ok(Length::Chunked),
            (_, 1, true) => Err(Refusal::EncodingUnknown),
            _ => Err(Refusal::EncodingNotFinal),
        };
    }
    match fields.length {
        None => Ok(Length::None),
        Some(_) if fields.length_repeated => Err(Refusal::LengthRepeated),
        Some(length) => match digits(length)? {
            0 => Ok(Length::None),
            length => Ok(Length::Known(length)),
        },
    }
}

/// The digits of a Content-Length. More than 64 bits of them are a length too, and too large.
fn digits(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::LengthInvalid);
    }
    let number = value.iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    number.ok_or(Refusal::BodyTooLarge)
}

/// The members of one line of a comma-separated list.
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// The members of a comma-separated list, over all lines of its name.
pub(crate) fn list<'h>(
    headers: &'h HeaderMap,
    name: &header::HeaderName,
) -> impl Iterator<Item = &'h [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| members(line.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, "a".parse().unwrap());
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn body(lines: &[(&'static str, &'static str)]) -> Result<Length, Refusal> {
        facts(Version::HTTP_11, &head(lines)).map(|facts| facts.body)
    }

    #[test]
    fn lengths() {
        assert_eq!(body(&[]), Ok(Length::None));
        assert_eq!(body(&[("content-length", "0")]), Ok(Length::None));
        assert_eq!(body(&[("content-length", "12")]), Ok(Length::Known(12)));
        assert_eq!(
            body(&[("content-length", "18446744073709551615")]),
            Ok(Length::Known(u64::MAX))
        );
        assert_eq!(
            body(&[("content-length", "18446744073709551616")]),
            Err(Refusal::BodyTooLarge)
        );
        for bad in ["", "+1", "-1", "1 ", "0x1", "1,1", "1;"] {
            let headers = &[("content-length", bad)];
            assert_eq!(body(headers), Err(Refusal::LengthInvalid), "{bad}");
        }
        assert_eq!(
            body(&[("content-length", "1"), ("content-length", "1")]),
            Err(Refusal::LengthRepeated)
        );
    }

    #[test]
    fn encodings() {
        let te = |value| body(&[("transfer-encoding", value)]);
        assert_eq!(te("chunked"), Ok(Length::Chunked));
        assert_eq!(te("Chunked"), Ok(Length::Chunked));
        assert_eq!(te("gzip, chunked"), Err(Refusal::EncodingUnknown));
        for bad in [
            "",
            "gzip",
            "chunked, gzip",
            "chunked, chunked",
            "identity",
            "xchunked",
            "chunked;q=1",
        ] {
            assert_eq!(te(bad), Err(Refusal::EncodingNotFinal), "{bad}");
        }
        let two = [("transfer-encoding", "chunked"), ("content-length", "1")];
        assert_eq!(body(&two), Err(Refusal::LengthWithEncoding));
        let old = facts(Version::HTTP_10, &head(&[("transfer-encoding", "chunked")]));
        assert_eq!(old, Err(Refusal::EncodingInOldVersion));
    }

    #[test]
    fn expectations() {
        let expect = |version, value| {
            facts(
                version,
                &head(&[("expect", value), ("content-length", "1")]),
            )
            .map(|facts| facts.expects_continue)
        };
        assert_eq!(expect(Version::HTTP_11, "100-continue"), Ok(true));
        assert_eq!(
            expect(Version::HTTP_11, "100-Continue, ,100-CONTINUE"),
            Ok(true)
        );
        assert_eq!(
            expect(Version::HTTP_11, "100-continue, x"),
            Err(Refusal::ExpectationUnknown)
        );
        assert_eq!(expect(Version::HTTP_10, "100-continue"), Ok(false));
        let bodiless = facts(Version::HTTP_11, &head(&[("expect", "100-continue")])).unwrap();
        assert!(!bodiless.expects_continue);
    }

    #[test]
    fn persistence() {
        let persists = |version, value| {
            facts(version, &head(&[("connection", value)]))
                .unwrap()
                .persistent
        };
        assert!(persists(Version::HTTP_11, "x"));
        assert!(!persists(Version::HTTP_11, "keep-alive, CLOSE"));
        assert!(!persists(Version::HTTP_10, "x"));
        assert!(persists(Version::HTTP_10, "Keep-Alive"));
    }
}
