//! The `Date` field, made once a second at most.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The date of the present second, for all connections of a server.
#[derive(Debug)]
pub(crate) struct DateCache(Mutex<Option<Arc<DateLine>>>);

/// A field line, and when its second is over. Each connection holds the one that it wrote last, so that they meet at the cache once a second
/// and not with every response.
#[derive(Debug)]
pub(crate) struct DateLine {
    line: String,
    until: Instant,
}

impl DateCache {
    pub(crate) fn new() -> Self {
        DateCache(Mutex::new(None))
    }

    /// `date: ...` as a field line; `own` is the connection's. `now` is at hand and spares a look at the system's clock for all but the
    /// first in each second. A simulation must not look there at all: it has no cache.
    pub(crate) fn line<'a>(&self, own: &'a mut Option<Arc<DateLine>>, now: Instant) -> &'a str {
        let line = match own.take().filter(|line| line.until > now) {
            Some(line) => line,
            None => self.present(now),
        };
        &own.insert(line).line
    }

    fn present(&self, now: Instant) -> Arc<DateLine> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some(line) if line.until > now => line.clone(),
            _ => cached
                .insert(Arc::new(DateLine::new(SystemTime::now(), now)))
                .clone(),
        }
    }
}

impl DateLine {
    fn new(time: SystemTime, now: Instant) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let line = format!(
            "date: {}\r\n",
            httpdate::fmt_http_date(UNIX_EPOCH + since_epoch)
        );
        let rest = Duration::from_secs(1) - Duration::from_nanos(since_epoch.subsec_nanos().into());
        DateLine {
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
        let dated = DateLine::new(UNIX_EPOCH + Duration::from_millis(784_111_777_300), now);
        assert_eq!(dated.line, "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(dated.until, now + Duration::from_millis(700));
    }

    #[test]
    fn in_one_second_all_connections_have_one_line_and_in_the_next_another() {
        let (cache, now) = (DateCache::new(), Instant::now());
        let (mut one, mut other) = (None, None);
        let first = cache.line(&mut one, now).to_owned();
        assert_eq!(cache.line(&mut other, now), first);
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        let mut own = Some(one.clone());
        cache.line(&mut own, one.until - Duration::from_nanos(1));
        assert!(Arc::ptr_eq(&own.clone().unwrap(), &one));
        cache.line(&mut own, one.until);
        assert!(!Arc::ptr_eq(&own.unwrap(), &one));
    }
}
