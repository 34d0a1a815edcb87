//! The grammar of a host and its port (RFC 3986 sections 3.2.2 and 3.2.3).

use std::net::Ipv6Addr;

/// Whether this is `uri-host [ ":" port ]`, which is what a `Host` field has (RFC 9110 section
/// 7.2). The host may be empty, and so may the port.
pub(crate) fn is_host_and_port(value: &[u8]) -> bool {
    split(value).is_some()
}

/// The host and the digits of the port, if `value` is `uri-host [ ":" port ]`. An IP literal keeps
/// its brackets.
pub(crate) fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match value {
        [b'[', ..] => memchr::memchr(b']', value)? + 1,
        _ => memchr::memchr(b':', value).unwrap_or(value.len()),
    };
    let (host, rest) = value.split_at(end);
    let port = match rest {
        [] => rest,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return None,
    };
    let valid = match host {
        [b'[', literal @ .., b']'] => is_ip_literal(literal),
        // An IPv4 address is a registered name, too.
        _ => is_encoded(host, &NAME),
    };
    valid.then_some((host, port))
}

/// `IPv6address / IPvFuture`, without the brackets.
fn is_ip_literal(literal: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = literal {
        let mut parts = rest.splitn(2, |&byte| byte == b'.');
        let version = parts.next().unwrap_or_default();
        let address = parts.next().unwrap_or_default();
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address
                .iter()
                .all(|&byte| is_name_byte(byte) || byte == b':');
    }
    std::str::from_utf8(literal).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Which bytes are allowed: looked up, because each byte of each request's target and host is.
pub(crate) type Allowed = [bool; 256];

/// `unreserved / sub-delims`.
const NAME: Allowed = {
    let (mut table, others) = ([false; 256], b"-._~!$&'()*+,;=");
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut other = 0;
    while other < others.len() {
        table[others[other] as usize] = true;
        other += 1;
    }
    table
};

fn is_name_byte(byte: u8) -> bool {
    NAME[usize::from(byte)]
}

/// Whether each byte is `allowed` or part of a percent-encoding (RFC 3986 section 2.1). `%` itself
/// is not allowed.
pub(crate) fn is_encoded(mut bytes: &[u8], allowed: &Allowed) -> bool {
    while let Some(other) = bytes.iter().position(|&byte| !allowed[usize::from(byte)]) {
        bytes = match &bytes[other..] {
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_hosts() {
        for host in [
            "",
            ":",
            "a",
            "a.b:80",
            "127.0.0.1:",
            "a:000080",
            "a:123456",
            "[::1]",
            "[::1]:8080",
            "[::ffff:10.0.0.1]",
            "[v1.a:b]",
            "[vF.~]:1",
            "%41.b",
            "x_y",
            "a,b",
        ] {
            assert!(is_host_and_port(host.as_bytes()), "{host}");
        }
        for host in [
            "a b",
            "a/b",
            "u@h",
            "a:b",
            "[::1",
            "[::1]x",
            "a,b:c",
            "::1",
            "\u{e9}",
            "a?b",
            "a#b",
            "[]",
            "[google.com]",
            "[::1::zz:::]",
            "[fe80::1%25eth0]",
            "[1.2.3.4]",
            "[v.a]",
            "[v1.]",
            "[v1]",
            "[vg.a]",
            "a%zz",
            "a%4",
            "%",
            "a]",
            "a:-1",
            "a:80:80",
        ] {
            assert!(!is_host_and_port(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn an_ip_literal_keeps_its_brackets() {
        assert_eq!(split(b"[::1]:80"), Some((&b"[::1]"[..], &b"80"[..])));
        assert_eq!(split(b"a"), Some((&b"a"[..], &b""[..])));
    }
}
