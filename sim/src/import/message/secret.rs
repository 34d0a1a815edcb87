//! What of a request may be a secret, and becomes `x`.
//!
//! Everything is masked but what is known to be harmless: words and small numbers ([`is_plain`]) in the path, in names, and in the values of the
//! fields in [`KEPT`](super::KEPT); methods that are registered; versions. Masked text has the same length, and separators of a line stay.

use std::net::Ipv6Addr;
use std::ops::Range;

/// Methods of the IANA registry, and what begins HTTP/2.
const METHODS: [&str; 41] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];
/// The longest word, in letters.
const WORD_MAX: usize = 16;
/// The most digits in a row, and in a whole name.
const DIGITS_MAX: usize = 9;
/// The most words and numbers in one name.
const WORDS_MAX: usize = 6;

/// Replaces everything but whitespace.
pub(super) fn mask(bytes: &mut [u8]) {
    for byte in bytes {
        if !byte.is_ascii_whitespace() {
            *byte = b'x';
        }
    }
}

/// Is this made of words and small numbers, as names of routes and of products are? What is drawn at random is not: it has digits among
/// its letters, or capitals.
pub(super) fn is_plain(name: &[u8]) -> bool {
    let digits = name.iter().filter(|byte| byte.is_ascii_digit()).count();
    let words = name.split(|byte| b"-_.~".contains(byte));
    digits <= DIGITS_MAX && words.clone().count() <= WORDS_MAX && words.into_iter().all(is_word)
}

fn is_word(word: &[u8]) -> bool {
    let digits = word
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let letters = &word[..word.len() - digits];
    if !letters.iter().all(u8::is_ascii_alphabetic) || letters.len() > WORD_MAX {
        return false;
    }
    let lower = letters.iter().all(u8::is_ascii_lowercase);
    let upper = letters.iter().all(u8::is_ascii_uppercase);
    match (letters.len(), digits) {
        (0, digits) => digits <= DIGITS_MAX,
        // Gecko, AppleWebKit, KHTML.
        (_, 0) => lower || (upper && letters.len() <= 5) || is_camel(letters),
        // http2, base64, X11, v2.
        (count, digits) => digits <= 2 && ((lower && count <= 6) || (upper && count <= 3)),
    }
}

/// Capitals each of which begins a word of three letters at least, three of them at most.
fn is_camel(letters: &[u8]) -> bool {
    let humps = letters
        .iter()
        .filter(|byte| byte.is_ascii_uppercase())
        .count();
    let long = letters
        .split(|byte| byte.is_ascii_uppercase())
        .skip(1)
        .all(|rest| rest.len() >= 2);
    humps <= 3 && long
}

/// Masks what is not plain between separators.
fn mask_between(bytes: &mut [u8], is_separator: impl Fn(u8) -> bool) {
    for part in bytes.split_mut(|byte| is_separator(*byte)) {
        if !is_plain(part) {
            mask(part);
        }
    }
}

/// The places of the method, the target and the version in a request line, without the end of the line. A line that is not like that has no
/// version: everything behind the first word is its target.
fn parts(line: &[u8]) -> (Range<usize>, Range<usize>, Range<usize>) {
    let end = line.trim_ascii_end().len();
    let method = line[..end]
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(end);
    let behind = (method + 1).min(end);
    let last = line[behind..end].iter().rposition(|byte| *byte == b' ');
    match last.map(|place| behind + place + 1) {
        Some(version) if is_version(&line[version..end]) => {
            (0..method, behind..version - 1, version..end)
        }
        _ => (0..method, behind..end, end..end),
    }
}

fn is_version(text: &[u8]) -> bool {
    matches!(text, [b'H', b'T', b'T', b'P', b'/', rest @ ..]
        if rest.len() <= 3 && rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
}

/// The place of the target in a request line.
pub(super) fn target(line: &[u8]) -> Range<usize> {
    parts(line).1
}

/// Masks a request line.
pub(super) fn mask_request_line(line: &mut [u8]) {
    let (method, target, _) = parts(line);
    let is_whole = method.end < line.len();
    let name = &line[method.clone()];
    let known = METHODS.iter().any(|known| match is_whole {
        true => known.as_bytes() == name,
        false => known.as_bytes().starts_with(name),
    });
    if !known {
        for byte in &mut line[method] {
            if byte.is_ascii_alphanumeric() {
                *byte = match byte.is_ascii_lowercase() {
                    true => b'x',
                    false => b'X',
                };
            }
        }
    }
    mask_target(&mut line[target]);
}

/// Masks a target in any of its forms: user names, parameters, queries, fragments, and segments that are not plain.
fn mask_target(target: &mut [u8]) {
    let mut rest = target;
    if let Some(scheme) = memchr::memmem::find(rest, b"://") {
        let (before, behind) = rest.split_at_mut(scheme + 3);
        if !is_plain(&before[..scheme]) {
            mask(&mut before[..scheme]);
        }
        let end = behind
            .iter()
            .position(|byte| b"/?#".contains(byte) || byte.is_ascii_whitespace())
            .unwrap_or(behind.len());
        let (authority, path) = behind.split_at_mut(end);
        mask_authority(authority);
        rest = path;
    } else if !rest.starts_with(b"/") {
        let end = rest
            .iter()
            .position(|byte| b"/?#;".contains(byte) || byte.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (authority, path) = rest.split_at_mut(end);
        mask_authority(authority);
        rest = path;
    }
    // Behind the path nothing is known to be harmless.
    let path = rest
        .iter()
        .position(|byte| b"?#;".contains(byte) || byte.is_ascii_whitespace())
        .unwrap_or(rest.len());
    let (path, behind) = rest.split_at_mut(path);
    mask_between(path, |byte| byte == b'/');
    if let Some((_, behind)) = behind.split_first_mut() {
        mask(behind);
    }
}

/// Masks who asks, in `who@host:port`, and what of the host is not plain.
pub(super) fn mask_authority(authority: &mut [u8]) {
    let host = authority
        .iter()
        .rposition(|byte| *byte == b'@')
        .map_or(0, |at| at + 1);
    if let Some(who) = host.checked_sub(1) {
        mask(&mut authority[..who]);
    }
    let host = &mut authority[host..];
    let text = str::from_utf8(host).unwrap_or_default();
    let is_v6 = text
        .strip_prefix('[')
        .and_then(|text| text.split_once(']'))
        .is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && port
                    .bytes()
                    .all(|byte| byte == b':' || byte.is_ascii_digit())
                && port.len() <= 6
        });
    if !is_v6 {
        mask_between(host, |byte| {
            byte == b':' || byte.is_ascii_whitespace() || byte == b'*'
        });
    }
}

/// Masks the name of a field if it is neither known nor plain.
pub(super) fn mask_name(name: &mut [u8]) {
    if !is_plain(&name.trim_ascii().to_ascii_lowercase()) {
        mask(name);
    }
}

/// Masks what is not plain in the value of a field that is kept.
pub(super) fn mask_kept(name: &[u8], value: &mut [u8]) {
    match &*name.trim_ascii().to_ascii_lowercase() {
        b"host" => mask_authority_value(value),
        // A length of any length is judged by servers, and has digits alone.
        b"content-length" if value.trim_ascii().iter().all(u8::is_ascii_digit) => {}
        b"http2-settings" if is_settings(value.trim_ascii()) => {}
        _ => mask_between(value, |byte| {
            !byte.is_ascii_alphanumeric() && !b"-_.~%".contains(&byte) && byte.is_ascii()
        }),
    }
}

fn mask_authority_value(value: &mut [u8]) {
    let from = value.len() - value.trim_ascii_start().len();
    mask_authority(&mut value[from..]);
}

/// The beginning of a SETTINGS frame's payload in base64: an identifier has a zero before it, so that each eight letters begin with `AA`.
fn is_settings(value: &[u8]) -> bool {
    value.chunks(8).all(|setting| {
        setting.starts_with(b"AA") && setting.iter().all(|byte| byte.is_ascii_alphanumeric())
    }) && value.len() <= 48
}
