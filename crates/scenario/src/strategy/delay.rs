//! How long things take.

use std::time::Duration;

use super::grid::Draw;

const MS: Duration = Duration::from_millis(1);

impl Draw<'_> {
    /// A time to wait. Half of them sit at a deadline, a millisecond early, on the dot, or a millisecond late; of these,
    /// half are shorter by a round trip, which is what they must be if the clock started with what the client has heard.
    pub(super) fn delay(&mut self) -> Duration {
        if !self.options.deadlines.is_empty() && self.stream.chance(1, 2) {
            let deadline = *self.stream.pick(&self.options.deadlines);
            let aimed = match self.stream.chance(1, 2) {
                true => deadline.saturating_sub(self.round_trip),
                false => deadline,
            };
            return match self.stream.below(3) {
                0 => aimed.saturating_sub(MS),
                1 => aimed,
                _ => aimed + MS,
            };
        }
        // As often between 1 and 2 ms as between 65 and 131 s; now and then an hour.
        if self.stream.chance(1, 32) {
            return Duration::from_secs(3600);
        }
        let magnitude = self.stream.below(17);
        let ms = (1 << magnitude) + self.stream.below(1 << magnitude);
        Duration::from_millis(ms)
    }

    /// How long to wait for something that should come.
    pub(super) fn within(&mut self) -> Duration {
        match self.stream.chance(1, 4) {
            true => self.delay(),
            false => Duration::from_secs(*self.stream.pick(&[1, 2, 10])),
        }
    }
}
