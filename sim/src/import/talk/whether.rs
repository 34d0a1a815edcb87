//! Whether a connection is one of HTTP that can be repeated, and why not.

use super::Talk;
use crate::import::message::{Message, UNKNOWN_MAX, begins_request, is_request_line};

/// So many bytes of a client show what it speaks, whatever its server answers.
const ENOUGH: usize = 64 << 10;

impl Talk {
    /// TLS, by the first bytes of a record.
    pub(in crate::import) fn is_encrypted(&self) -> bool {
        self.opaque == Some(TLS) || begins_tls(&self.sent)
    }

    /// Why it is in no scenario; none if it is.
    pub(in crate::import) fn left_out(&self, keep_payload: bool) -> Option<String> {
        if !self.established {
            let refused = self.last_server.is_some();
            return Some(match (self.whole, self.syn_ack) {
                (true, None) if refused => "it was refused".to_owned(),
                (true, None) => "nobody answered its SYN".to_owned(),
                (_, Some(_)) => "its handshake was never completed".to_owned(),
                (false, None) => "nothing but its RST was captured".to_owned(),
            });
        }
        if self.is_encrypted() {
            return Some("it is encrypted (TLS)".to_owned());
        }
        if let Some(name) = self.opaque.or_else(|| self.no_http()) {
            return Some(format!("it is no HTTP{name}"));
        }
        if self.sent.is_empty() && !self.whole {
            return Some(
                "it was open when the capture began, and no request was captured".to_owned(),
            );
        }
        if self.holes.is_empty() && self.responses.list.iter().any(|it| it.status == 101) {
            return None;
        }
        let message = Message::of(&self.sent, self.whole, keep_payload, None);
        let lost: usize = self
            .holes
            .iter()
            .filter(|hole| !message.is_payload(hole))
            .map(|hole| hole.len())
            .sum();
        if lost > 0 {
            return Some(format!(
                "{lost} bytes of its requests were not captured, and what follows them cannot be told apart"
            ));
        }
        let is_tunnel = self.sent.starts_with(b"CONNECT ");
        (message.unknown() > UNKNOWN_MAX && !is_tunnel).then(|| {
            format!(
                "{} bytes of its client are in no request",
                message.unknown()
            )
        })
    }

    /// The name of what it speaks instead, with a space and in brackets where it is known.
    fn no_http(&self) -> Option<&'static str> {
        if !self.responses.list.is_empty() {
            return None;
        }
        let answered = self.down.next() > self.base;
        let not_as_http = answered && self.responses.broken && self.missing_out == 0;
        let first = self.sent.trim_ascii_start();
        let speaks = match first {
            // A server that speaks first.
            [] => !not_as_http,
            first => begins_request(first) && (!not_as_http || is_request_line(first)),
        };
        // Where the beginning was lost nobody knows.
        let begins_lost = self.holes.first().is_some_and(|hole| hole.start == 0);
        if speaks || begins_lost {
            return None;
        }
        Some(match first {
            _ if first.starts_with(b"SSH-") => " (SSH)",
            _ => "",
        })
    }

    /// Is this the first request of a connection that was open when the capture began?
    pub(super) fn begins_again(&self, place: u64, bytes: &[u8]) -> bool {
        !self.whole
            && place == self.up.next()
            && (self.opaque.is_some() || !self.sent.is_empty())
            && self.opaque != Some(TLS)
            && !is_request_line(&self.sent)
            && is_request_line(bytes)
    }

    /// Stops keeping what a client sends once it is certain that it is no HTTP.
    pub(super) fn forget_what_is_no_http(&mut self) {
        if self.opaque.is_some() {
            return;
        }
        let certain = match begins_tls(&self.sent) {
            true => Some(TLS),
            false if self.sent.len() >= ENOUGH => self.no_http(),
            false => None,
        };
        if let Some(name) = certain {
            self.opaque = Some(name);
            self.sent = Vec::new();
            self.events = Vec::new();
            self.holes = Vec::new();
        }
    }
}

const TLS: &str = " (TLS)";

/// A record of TLS: its kind, and a version that begins with 3.
fn begins_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x18, 0x03, 0..=4, ..])
}
