//! The `Date` field, made once a second at most.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The formatted date of the present second.
#[derive(Debug)]
pub(crate) struct DateCache(Mutex<Option<Cached>>);

#[derive(Debug)]
struct Cached {
    line: String,
    /// When its second is over.
    until: Instant,
}

impl DateCache {
    pub(crate) fn new() -> Self {
        DateCache(Mutex::new(None))
    }

    /// Writes `date: ...` as a field line; `now` is at hand and spares a look at the system's clock for all but the first in each second.
    /// A simulation must not look there at all: it has no cache.
    pub(crate) fn write(&self, output: &mut Vec<u8>, now: Instant) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.as_ref().is_none_or(|cached| cached.until <= now) {
            *cached = Some(Cached::new(SystemTime::now(), now));
        }
        if let Some(cached) = &*cached {
            output.extend_from_slice(cached.line.as_bytes());
        }
    }
}

impl Cached {
    fn new(time: SystemTime, now: Instant) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let line = format!(
            "date: {}\r\n",
            httpdate::fmt_http_date(UNIX_EPOCH + since_epoch)
        );
        let rest = Duration::from_secs(1) - Duration::from_nanos(since_epoch.subsec_nanos().into());
        Cached {
            line,
            until: now + rest,
        }
    }
}

impl Clone for DateCache {
    fn clone(&self) -> Self {
        DateCache::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_field_line_and_lasts_to_the_end_of_its_second() {
        let now = Instant::now();
        let cached = Cached::new(UNIX_EPOCH + Duration::from_millis(784_111_777_300), now);
        assert_eq!(cached.line, "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(cached.until, now + Duration::from_millis(700));
    }

    #[test]
    fn the_same_second_has_the_same_date() {
        let (cache, now) = (DateCache::new(), Instant::now());
        let mut output = Vec::new();
        cache.write(&mut output, now);
        let first = output.clone();
        cache.write(&mut output, now);
        assert_eq!(output, [first.clone(), first].concat());
    }
}
