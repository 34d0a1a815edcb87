//! Response fields of the two canaries that are not the same in two runs.

use super::Defect;
use std::collections::HashMap;
use std::time::SystemTime;

/// So many that two orders of them are never the same by chance.
const USUAL: [(&str, &str); 16] = [
    ("Accept-Ranges", "none"),
    ("Allow", "GET, HEAD, POST"),
    ("Cache-Control", "no-store"),
    ("Content-Language", "en"),
    ("Content-Security-Policy", "default-src 'none'"),
    ("Content-Type", "text/plain"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Expires", "0"),
    ("Pragma", "no-cache"),
    ("Referrer-Policy", "no-referrer"),
    ("Server", "canary"),
    ("Strict-Transport-Security", "max-age=31536000"),
    ("Vary", "Accept"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
];

/// The lines that a response has besides those of every response.
pub(super) fn of(defect: Defect) -> String {
    match defect {
        Defect::HashOrder => {
            let fields = HashMap::from(USUAL);
            let lines = fields
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"));
            lines.collect()
        }
        Defect::WallClock => {
            let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            // Always of one length.
            format!("X-At-{:032x}: 1\r\n", age.unwrap_or_default().as_nanos())
        }
        _ => String::new(),
    }
}
