//! The `Date` field, made once a second at most.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The formatted date of the last second in which one was asked for.
#[derive(Debug)]
pub(crate) struct DateCache(Mutex<(u64, String)>);

impl Clone for DateCache {
    fn clone(&self) -> Self {
        DateCache::new()
    }
}

impl DateCache {
    pub(crate) fn new() -> Self {
        DateCache(Mutex::new((0, String::new())))
    }

    /// Writes `date: ...` as a field line. This reads the system's clock, which a simulation must not: there the server has no cache.
    pub(crate) fn write(&self, output: &mut Vec<u8>) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs();
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.0 != now || cached.1.is_empty() {
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
            *cached = (now, format!("date: {date}\r\n"));
        }
        output.extend_from_slice(cached.1.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_field_line() {
        let mut output = Vec::new();
        DateCache::new().write(&mut output);
        let line = String::from_utf8(output).unwrap();
        let date = line
            .strip_prefix("date: ")
            .and_then(|line| line.strip_suffix("\r\n"))
            .unwrap();
        assert!(httpdate::parse_http_date(date).is_ok(), "{line}");
    }
}
