//! The request-target: which form a method may have, and which bytes (RFC 9112 section 3.2).

use crate::host::{self, Allowed};
use hangup_lifecycle::Refusal;

/// Refuses a request-target that is not valid for `method`, which is not CONNECT.
///
/// The bytes are held against the grammar of RFC 3986 in what matters for safety: no control, no
/// space, no byte above ASCII, no fragment, no broken percent-encoding. Of the printable ASCII that
/// the grammar excludes, clients send some unencoded (`|`, `"`, `{`), and those are left to the
/// `http` crate.
///
/// # Errors
/// [`Refusal::TargetInvalid`].
pub(crate) fn check(method: &str, target: &[u8]) -> Result<(), Refusal> {
    let valid = match target {
        [b'/', ..] => is_path_and_query(target),
        b"*" => method == "OPTIONS",
        _ => is_absolute(target),
    };
    if valid {
        Ok(())
    } else {
        Err(Refusal::TargetInvalid)
    }
}

/// Printable ASCII without `#`, which begins a fragment, and `%`.
const PRINTABLE: Allowed = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        let graphic = (byte as u8).is_ascii_graphic();
        table[byte] = graphic && byte != b'#' as usize && byte != b'%' as usize;
        byte += 1;
    }
    table
};

fn is_path_and_query(bytes: &[u8]) -> bool {
    host::is_encoded(bytes, &PRINTABLE)
}

/// `scheme "://" host [ ":" port ]`, then a path and a query. An empty host and a userinfo are
/// refused (RFC 9110 sections 4.2.1 and 4.2.4).
fn is_absolute(target: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', target) else {
        return false;
    };
    let (scheme, rest) = target.split_at(colon);
    let Some(rest) = rest.strip_prefix(b"://") else {
        return false;
    };
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let scheme_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(scheme_byte)
        && host::split(authority).is_some_and(|(host, _)| !host.is_empty())
        && is_path_and_query(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_its_forms() {
        for (method, target) in [
            ("GET", "/"),
            ("GET", "//a"),
            ("GET", "/a%20b?c=%C3%A9|\"{}"),
            ("OPTIONS", "*"),
            ("OPTIONS", "/"),
            ("GET", "http://a"),
            ("GET", "HTTP://a:80/b?c"),
            ("GET", "https://[::1]:80?c"),
        ] {
            assert_eq!(
                check(method, target.as_bytes()),
                Ok(()),
                "{method} {target}"
            );
        }
        for (method, target) in [
            ("GET", "*"),
            ("options", "*"),
            ("OPTIONS", "*a"),
            ("GET", "example.com:80"),
            ("GET", "example.com"),
            ("GET", "!"),
            ("GET", "?a"),
            ("GET", "/#x"),
            ("GET", "http://a/#x"),
            ("GET", "http://a#x"),
            ("GET", "/\u{e9}"),
            ("GET", "/%zz"),
            ("GET", "/%4"),
            ("GET", "/\u{7f}"),
            ("GET", "http:///a"),
            ("GET", "http://:80/"),
            ("GET", "http://u@a/"),
            ("GET", "http://[a]/"),
            ("GET", "1://a/"),
            ("GET", "://a/"),
            ("GET", "mailto:a"),
        ] {
            assert_eq!(
                check(method, target.as_bytes()),
                Err(Refusal::TargetInvalid),
                "{method} {target}"
            );
        }
    }
}
