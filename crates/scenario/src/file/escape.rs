//! Bytes as text, with the escapes of Rust.
//!
//! A `bytes` string is taken from the file as it stands, whatever its quotes: `\xff` is one byte (in a string of
//! TOML it would be the two of U+00FF), and `\0`, `\'` and `\u{...}`, which TOML does not have, work as in Rust.

use super::{error::ReadError, table::Value};

const ALLOWED: &str = r#"a string with the escapes of Rust: \n \r \t \0 \\ \" \' \xHH \u{HEX}, and \ at the end of a line"#;

impl Value<'_> {
    pub(super) fn bytes(&self) -> Result<Vec<u8>, ReadError> {
        self.text(ALLOWED)?;
        decode(self.token()).map_err(|why| self.malformed(why, ALLOWED))
    }
}

/// The bytes that a string of a file stands for, given with its quotes.
fn decode(token: &str) -> Result<Vec<u8>, String> {
    let (text, lines) = strip_quotes(token).ok_or("its quotes do not match")?;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(rest, &mut out)?,
            '\t' => out.push(b'\t'),
            '\n' | '\r' if lines => out.push(c as u8),
            c if c.is_control() => {
                return Err(format!("a raw control character {}", c.escape_default()));
            }
            c => push(&mut out, c),
        }
    }
    Ok(out)
}

/// The text between the quotes, and whether it may run over several lines.
fn strip_quotes(token: &str) -> Option<(&str, bool)> {
    for quotes in [r#"""""#, "'''"] {
        if let Some(text) = token.strip_prefix(quotes) {
            let text = text.strip_suffix(quotes)?;
            // TOML: a line end right behind the opening quotes is not part of the text.
            let text = text
                .strip_prefix("\r\n")
                .or(text.strip_prefix('\n'))
                .unwrap_or(text);
            return Some((text, true));
        }
    }
    let quote = token
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\''))?;
    let text = token.strip_prefix(quote)?.strip_suffix(quote)?;
    Some((text, false))
}

/// Decodes the escape whose backslash was just read; gives what follows it.
fn escape<'t>(text: &'t str, out: &mut Vec<u8>) -> Result<&'t str, String> {
    let c = text.chars().next().ok_or("a single \\ at the end")?;
    let rest = &text[c.len_utf8()..];
    match c {
        'n' => out.push(b'\n'),
        'r' => out.push(b'\r'),
        't' => out.push(b'\t'),
        '0' => out.push(0),
        '\\' | '"' | '\'' => out.push(c as u8),
        '\n' | '\r' => return Ok(rest.trim_start_matches([' ', '\t', '\n', '\r'])),
        'x' => {
            let digits = rest.get(..2).ok_or("\\x without two hexadecimal digits")?;
            let byte = hexadecimal(digits).ok_or("\\x without two hexadecimal digits")?;
            out.push(byte as u8);
            return Ok(&rest[2..]);
        }
        'u' => {
            let braces = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (digits, rest) = braces.ok_or("\\u without {HEX}")?;
            let c = hexadecimal(digits)
                .and_then(char::from_u32)
                .ok_or("\\u{...} is not a character")?;
            push(out, c);
            return Ok(rest);
        }
        other => return Err(format!("unknown escape \\{other}")),
    }
    Ok(rest)
}

fn hexadecimal(digits: &str) -> Option<u32> {
    let valid =
        (1..=6).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    valid
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Bytes as a string of a file, with its quotes. It is valid TOML, too.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_rust_in_every_kind_of_quotes() {
        let expected = b"a\r\n\t\0\\\"'\xff\x00\xc3\xa9".to_vec();
        let text = r#"a\r\n\t\0\\\"\'\xff\x00\u{e9}"#;
        for quotes in ["\"", "'", "\"\"\"", "'''"] {
            assert_eq!(
                decode(&format!("{quotes}{text}{quotes}")),
                Ok(expected.clone()),
                "{quotes}"
            );
        }
        assert_eq!(
            decode("'''\nGET \\\n   /\n\\r'''"),
            Ok(b"GET /\n\r".to_vec())
        );
    }

    #[test]
    fn a_bad_escape_is_told() {
        let cases = [
            (r#""\q""#, "unknown escape \\q"),
            (r#""\x4""#, "\\x without two hexadecimal digits"),
            (r#""\x+4""#, "\\x without two hexadecimal digits"),
            (r#""\xé""#, "\\x without two hexadecimal digits"),
            (r#""\u00e9""#, "\\u without {HEX}"),
            (r#""\u{}""#, "\\u{...} is not a character"),
            (r#""\u{d800}""#, "\\u{...} is not a character"),
            (r#""\u{1111111}""#, "\\u{...} is not a character"),
            (r"'\'", "a single \\ at the end"),
            ("\"a\nb\"", "a raw control character \\n"),
            ("'''a\u{1}'''", "a raw control character \\u{1}"),
            ("\"", "its quotes do not match"),
            ("", "its quotes do not match"),
        ];
        for (token, why) in cases {
            assert_eq!(decode(token), Err(why.to_owned()), "{token}");
        }
    }

    #[test]
    fn every_byte_is_read_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Ok(all));
    }
}
