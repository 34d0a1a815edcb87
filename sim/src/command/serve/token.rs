//! The token of the admin pages.

use std::fmt;
use std::str::FromStr;

/// A token as `Authorization: Bearer` can carry it (RFC 6750 section 2.1). It is never shown.
#[derive(Clone)]
pub(super) struct Token(String);

/// Shorter ones can be guessed.
const BYTES_MIN: usize = 16;

impl Token {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if text.len() < BYTES_MIN || !text.bytes().all(allowed) {
            return Err(format!(
                "allowed: at least {BYTES_MIN} letters, digits and -._~+/="
            ));
        }
        Ok(Token(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
