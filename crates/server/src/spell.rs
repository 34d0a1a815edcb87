//! Times as a dump says them.

use std::fmt;
use std::time::Duration;

/// A length of time in at most two units, hours being the largest: `29h17m`, `3m05s`, `4.2s`, `20ms`.
pub(crate) struct Spelt(pub(crate) Duration);

impl fmt::Display for Spelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, milliseconds) = (self.0.as_secs(), self.0.subsec_millis());
        let text = match seconds {
            0 => format!("{milliseconds}ms"),
            1..10 => format!("{seconds}.{}s", milliseconds / 100),
            10..60 => format!("{seconds}s"),
            60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
            _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_at_most() {
        for (milliseconds, said) in [
            (0, "0ms"),
            (999, "999ms"),
            (4_250, "4.2s"),
            (59_999, "59s"),
            (185_000, "3m05s"),
            (1757 * 60_000, "29h17m"),
        ] {
            let spelt = Spelt(Duration::from_millis(milliseconds));
            assert_eq!(spelt.to_string(), said);
        }
    }
}
