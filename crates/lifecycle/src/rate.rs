//! The least that a peer must move: so many bytes a second, after a grace.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// A minimum rate: after `grace`, the average since the clock started must be at least so many bytes a second.
///
/// It is what stops a trickle, which a gap clock never sees: one byte every 29 s is not a gap of 30 s.
/// The default of 240 B/s after 5 s is Kestrel's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(Least);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Least {
    PerSecond { bytes: u32, grace: Duration },
    Unbounded(&'static str),
}

impl Rate {
    /// At least `bytes` a second on average, after `grace`.
    ///
    /// # Panics
    /// If `bytes` is zero: a rate of zero is no rate. See [`Rate::unbounded`].
    pub const fn at_least(bytes: u32, grace: Duration) -> Self {
        assert!(
            bytes > 0,
            "a minimum rate is at least one byte a second; Rate::unbounded names the lack of one"
        );
        Self(Least::PerSecond { bytes, grace })
    }

    /// Bytes a second; `None` if there is no rate.
    pub fn per_second(self) -> Option<u64> {
        match self.0 {
            Least::PerSecond { bytes, .. } => Some(u64::from(bytes)),
            Least::Unbounded { .. } => None,
        }
    }

    /// Any rate, however slow. `named` says why, and is shown wherever the rate is.
    pub const fn unbounded(named: &'static str) -> Self {
        Self(Least::Unbounded(named))
    }

    /// The same on a clock that runs so many times faster: as many bytes in a shorter time, after a shorter grace.
    #[must_use]
    pub fn hastened(self, times: NonZeroU32) -> Self {
        match self.0 {
            Least::PerSecond { bytes, grace } => Self(Least::PerSecond {
                bytes: bytes.saturating_mul(times.get()),
                grace: grace / times.get(),
            }),
            Least::Unbounded(_) => self,
        }
    }

    /// The name under which it was made unbounded, if it was.
    pub const fn name(self) -> Option<&'static str> {
        match self.0 {
            Least::PerSecond { .. } => None,
            Least::Unbounded(named) => Some(named),
        }
    }

    /// How long the clock may run when this many bytes have come: the grace and the time that they pay for.
    /// `None` if there is no rate.
    pub fn pays_for(self, bytes: u64) -> Option<Duration> {
        match self.0 {
            Least::PerSecond { bytes: rate, grace } => {
                Some(grace.saturating_add(spread(bytes, rate)))
            }
            Least::Unbounded(_) => None,
        }
    }

    /// The time before the rate counts; zero if there is no rate.
    pub fn grace(self) -> Duration {
        self.pays_for(0).unwrap_or_default()
    }

    /// How long so many bytes take at this rate; zero if there is no rate.
    pub fn time_for(self, bytes: u64) -> Duration {
        match self.0 {
            Least::PerSecond { bytes: rate, .. } => spread(bytes, rate),
            Least::Unbounded(_) => Duration::ZERO,
        }
    }
}

fn spread(bytes: u64, rate: u32) -> Duration {
    let rate = u64::from(rate);
    let rest = (bytes % rate) * 1_000_000_000 / rate;
    Duration::from_secs(bytes / rate).saturating_add(Duration::from_nanos(rest))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Least::PerSecond { bytes, grace } => {
                write!(f, "{bytes} B/s after {}", humantime::format_duration(grace))
            }
            Least::Unbounded(named) => write!(f, "unbounded ({named})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pay_for_time_after_the_grace() {
        let rate = Rate::at_least(240, Duration::from_secs(5));
        assert_eq!(rate.pays_for(0), Some(Duration::from_secs(5)));
        assert_eq!(rate.pays_for(240), Some(Duration::from_secs(6)));
        assert_eq!(rate.pays_for(60), Some(Duration::from_millis(5250)));
        assert!(rate.pays_for(u64::MAX).is_some(), "no overflow");
        assert_eq!(Rate::unbounded("a test").pays_for(1), None);
    }

    #[test]
    fn hastened_it_pays_for_as_much_less_time() {
        let rate = Rate::at_least(240, Duration::from_secs(5));
        let ten = NonZeroU32::new(10).expect("it is not zero");
        assert_eq!(
            rate.hastened(ten).pays_for(2400),
            rate.pays_for(2400).map(|time| time / 10)
        );
    }
}
