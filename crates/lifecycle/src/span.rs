//! A length of time that is finite, unless its constructor says otherwise by name.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// How long something may take: a finite time, or a time that was made unbounded *by name*.
///
/// There is no zero that means "never" and no `Option` that means "off". Whoever wants a clock that never
/// fires writes [`Span::unbounded`] and says what for, and that name is in every dump and report.
///
/// ```
/// use hangup_lifecycle::Span;
/// use std::time::Duration;
///
/// assert_eq!(Span::from(Duration::from_secs(75)).to_string(), "1m 15s");
/// assert_eq!(Span::unbounded("as fasthttp's defaults").to_string(), "unbounded (as fasthttp's defaults)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span(Length);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Finite(Duration),
    Unbounded(&'static str),
}

impl Span {
    /// No finite span is longer. A "finite" time of centuries would be an unbounded one under another name,
    /// and instants must not overflow when it is added to them.
    pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// A finite span. What is longer than [`Span::LONGEST`] is [`Span::LONGEST`]; zero is over at once.
    pub const fn of(time: Duration) -> Self {
        if time.as_nanos() > Self::LONGEST.as_nanos() {
            Self(Length::Finite(Self::LONGEST))
        } else {
            Self(Length::Finite(time))
        }
    }

    /// A finite span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self::of(Duration::from_secs(seconds))
    }

    /// A span that never ends. `named` says why, and is shown wherever the span is.
    pub const fn unbounded(named: &'static str) -> Self {
        Self(Length::Unbounded(named))
    }

    /// The time, if the span is finite.
    pub const fn finite(self) -> Option<Duration> {
        match self.0 {
            Length::Finite(time) => Some(time),
            Length::Unbounded(_) => None,
        }
    }

    /// The name under which it was made unbounded, if it was.
    pub const fn name(self) -> Option<&'static str> {
        match self.0 {
            Length::Finite(_) => None,
            Length::Unbounded(named) => Some(named),
        }
    }

    /// The same, so many times shorter; what is unbounded stays so.
    #[must_use]
    pub fn hastened(self, times: NonZeroU32) -> Span {
        match self.0 {
            Length::Finite(time) => Span::of(time / times.get()),
            Length::Unbounded(_) => self,
        }
    }

    /// Both, one after the other.
    #[must_use]
    pub fn then(self, next: Span) -> Span {
        match (self.0, next.0) {
            (Length::Finite(a), Length::Finite(b)) => Span::of(a.saturating_add(b)),
            (Length::Unbounded(_), _) => self,
            _ => next,
        }
    }

    /// The shorter of the two.
    #[must_use]
    pub fn min(self, other: Span) -> Span {
        match (self.0, other.0) {
            (Length::Finite(a), Length::Finite(b)) if a <= b => self,
            (Length::Finite(_), Length::Unbounded(_)) => self,
            (Length::Unbounded(_), Length::Unbounded(_)) => self,
            _ => other,
        }
    }

    /// The longer of the two.
    #[must_use]
    pub fn max(self, other: Span) -> Span {
        match (self.0, other.0) {
            (Length::Finite(a), Length::Finite(b)) if a >= b => self,
            (Length::Unbounded(_), _) => self,
            _ => other,
        }
    }
}

impl From<Duration> for Span {
    fn from(time: Duration) -> Self {
        Span::of(time)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Length::Finite(time) => humantime::format_duration(time).fmt(f),
            Length::Unbounded(named) => write!(f, "unbounded ({named})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Span = Span::unbounded("a test");

    #[test]
    fn the_unbounded_one_is_longest_and_keeps_its_name() {
        let second = Span::seconds(1);
        assert_eq!(second.min(NEVER), second);
        assert_eq!(NEVER.min(second), second);
        assert_eq!(second.max(NEVER), NEVER);
        assert_eq!(NEVER.max(second), NEVER);
        assert_eq!(second.then(NEVER).name(), Some("a test"));
        assert_eq!(second.then(second), Span::seconds(2));
        assert_eq!(Span::seconds(2).max(second), Span::seconds(2));
        assert_eq!(Span::seconds(2).min(second), second);
    }

    #[test]
    fn a_finite_span_is_never_so_long_that_it_means_never() {
        assert_eq!(Span::of(Duration::MAX).finite(), Some(Span::LONGEST));
        assert_eq!(Span::of(Duration::ZERO).finite(), Some(Duration::ZERO));
    }
}
