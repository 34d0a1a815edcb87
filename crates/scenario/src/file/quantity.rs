//! Durations and sizes as text.

use std::time::Duration;

use super::{bounds::DURATION_MAX, error::ReadError, table::Value};

/// What a duration may be, for errors.
pub(super) const DURATION: &str =
    "a duration up to 365d, such as \"250ms\", \"75s\" or \"29h 17m\"";

impl Value<'_> {
    pub(super) fn duration(&self) -> Result<Duration, ReadError> {
        let text = self.text(DURATION)?;
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= DURATION_MAX => Ok(duration),
            Ok(_) => Err(self.malformed("longer than 365d", DURATION)),
            Err(error) => Err(self.malformed(error.to_string(), DURATION)),
        }
    }

    /// Bytes: an integer, or text with a unit. At least 1, at most `max`.
    pub(super) fn size(&self, max: u64) -> Result<u64, ReadError> {
        let or = format!(
            "a string such as \"64KiB\" or \"1MiB\" (at most \"{}\")",
            Size(max)
        );
        if !self.is_text() {
            return self.integer_or(1..=max, &or);
        }
        let allowed = format!("an integer from 1 to {max}, or {or}");
        let text = self.text(&allowed)?;
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = match unit.trim_start() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => return Err(self.malformed("not a number followed by B, KiB or MiB", &allowed)),
        };
        number
            .parse()
            .ok()
            .and_then(|number: u64| number.checked_mul(unit))
            .filter(|size| (1..=max).contains(size))
            .ok_or_else(|| self.malformed("too small or too large", &allowed))
    }
}

/// Writes a duration with the largest single unit that gives it exactly, such as `1757m`.
pub(super) struct Span(pub(super) Duration);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [(u128, &str); 7] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let exact = UNITS.iter().find(|(unit, _)| nanos.is_multiple_of(*unit));
        let (unit, name) = exact.unwrap_or(&(1, "ns"));
        write!(f, "{}{name}", nanos / unit)
    }
}

/// Writes a size with the largest unit that gives it exactly, such as `64KiB`.
pub(super) struct Size(pub(super) u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            size if size > 0 && size.is_multiple_of(1 << 20) => write!(f, "{}MiB", size >> 20),
            size if size > 0 && size.is_multiple_of(1 << 10) => write!(f, "{}KiB", size >> 10),
            size => write!(f, "{size}B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_with_one_unit_and_read_back_by_humantime() {
        let cases = [
            ("0s", 0),
            ("1757m", 105_420_000_000_000),
            ("75s", 75_000_000_000),
            ("1h", 3_600_000_000_000),
            ("365d", 31_536_000_000_000_000),
            ("59999ms", 59_999_000_000),
            ("1us", 1_000),
            ("1000001ns", 1_000_001),
        ];
        for (text, nanos) in cases {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(Span(duration).to_string(), text);
            assert_eq!(humantime::parse_duration(text), Ok(duration));
        }
    }

    #[test]
    fn a_size_is_written_with_the_largest_exact_unit() {
        for (size, text) in [
            (1, "1B"),
            (1023, "1023B"),
            (65_536, "64KiB"),
            (3 << 20, "3MiB"),
            (0, "0B"),
        ] {
            assert_eq!(Size(size).to_string(), text);
        }
    }
}
