//! A time axis on which a millisecond and a day are both to be seen.
//!
//! The instants at which something happens are stops; between two stops time is linear, and how wide that piece is
//! follows the logarithm of its length. Where a piece is much denser than the finest of them, the axis is marked as
//! broken, with the time that it leaps over.

use crate::finding::spell;
use std::time::Duration;

/// A piece is marked as a break where a pixel stands for so many times what it does in the finest piece.
const BREAK: f64 = 6.0;
/// No piece counts for more than this many powers of ten of a millisecond.
const DECADES_MAX: f64 = 5.5;
/// What a piece has for its two ends, beside its length.
const ENDS: f64 = 0.35;

/// Time, laid out from left to right.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Instants and where they are.
    stops: Vec<(Duration, f64)>,
    finest: f64,
}

/// A piece that leaps over much time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Leap {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) time: Duration,
}

impl Axis {
    /// An axis with these stops, from `left` to `right`.
    pub(super) fn new(instants: impl IntoIterator<Item = Duration>, left: f64, right: f64) -> Self {
        let mut instants: Vec<Duration> = instants.into_iter().collect();
        instants.sort_unstable();
        instants.dedup();
        let weight = |pair: &[Duration]| {
            let length = (pair[1] - pair[0]).as_secs_f64() * 1000.0;
            (1.0 + length).log10().min(DECADES_MAX) + ENDS
        };
        let sum: f64 = instants.windows(2).map(weight).sum();
        let scale = if sum > 0.0 { (right - left) / sum } else { 0.0 };
        let mut x = left;
        let mut stops = Vec::with_capacity(instants.len());
        let mut finest = f64::INFINITY;
        for (index, &instant) in instants.iter().enumerate() {
            if index > 0 {
                let pair = &instants[index - 1..=index];
                let width = weight(pair) * scale;
                finest = finest.min((pair[1] - pair[0]).as_secs_f64() / width);
                x += width;
            }
            stops.push((instant, x));
        }
        Self { stops, finest }
    }

    /// Where an instant is; what is outside of the axis is at its end.
    pub(super) fn x(&self, instant: Duration) -> f64 {
        let after = self.stops.partition_point(|(stop, _)| *stop <= instant);
        let (Some(&(from, left)), next) = (
            self.stops.get(after.saturating_sub(1)),
            self.stops.get(after),
        ) else {
            return 0.0;
        };
        match next {
            Some(&(to, right)) if after > 0 => {
                let part = (instant - from).as_secs_f64() / (to - from).as_secs_f64();
                left + part * (right - left)
            }
            _ => left,
        }
    }

    /// The last instant.
    pub(super) fn end(&self) -> Duration {
        self.stops.last().map_or(Duration::ZERO, |(stop, _)| *stop)
    }

    /// The pieces that are much denser than the finest.
    pub(super) fn leaps(&self) -> impl Iterator<Item = Leap> {
        self.stops.windows(2).filter_map(|pair| {
            let [(from, left), (to, right)] = [pair[0], pair[1]];
            let density = (to - from).as_secs_f64() / (right - left);
            (density > self.finest * BREAK).then_some(Leap {
                from: left,
                to: right,
                time: to - from,
            })
        })
    }

    /// The stops that there is room to label, with their labels: the ends and what is `dear` before all others.
    pub(super) fn labels(&self, dear: &[Duration], letter: f64) -> Vec<(f64, String)> {
        let ends = [self.stops.first(), self.stops.last()];
        let first = ends.into_iter().flatten().copied();
        let dear = dear.iter().map(|&instant| (instant, self.x(instant)));
        let mut taken: Vec<(f64, f64)> = Vec::new();
        let mut labels: Vec<(f64, String)> = Vec::new();
        for (instant, x) in first.chain(dear).chain(self.stops.iter().copied()) {
            let label = spell(instant);
            let half = label.len() as f64 * letter / 2.0 + 4.0;
            let (from, to) = (x - half, x + half);
            let told = labels.iter().any(|(_, other)| *other == label);
            let free = taken
                .iter()
                .all(|(left, right)| to <= *left || from >= *right);
            if free && !told {
                taken.push((from, to));
                labels.push((x, label));
            }
        }
        labels.sort_by(|one, other| one.0.total_cmp(&other.0));
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn incident() -> Axis {
        Axis::new(
            [Duration::ZERO, 40 * MS, 60 * MS, 80 * MS, DAY],
            100.0,
            900.0,
        )
    }

    #[test]
    fn it_goes_from_left_to_right_and_never_back() {
        let axis = incident();
        assert_eq!((axis.x(Duration::ZERO), axis.x(DAY)), (100.0, 900.0));
        let places: Vec<f64> = (0..200).map(|step| axis.x(MS * step)).collect();
        assert!(places.is_sorted());
        assert_eq!(axis.x(2 * DAY), 900.0);
    }

    #[test]
    fn milliseconds_are_still_seen_beside_a_day() {
        let axis = incident();
        for pair in [(0, 40), (40, 60), (60, 80)] {
            let width = axis.x(MS * pair.1) - axis.x(MS * pair.0);
            assert!(width > 80.0, "{pair:?}: {width}");
        }
    }

    #[test]
    fn only_the_long_piece_is_a_leap() {
        let leaps: Vec<Duration> = incident().leaps().map(|leap| leap.time).collect();
        assert_eq!(leaps, [DAY - 80 * MS]);
        // A trickle is even: nothing is broken.
        let even = Axis::new((0..30).map(Duration::from_secs), 0.0, 900.0);
        assert_eq!(even.leaps().count(), 0);
    }

    #[test]
    fn labels_do_not_touch_and_the_ends_have_theirs() {
        let axis = Axis::new((0..400).map(|step| MS * step * 7), 0.0, 900.0);
        let labels = axis.labels(&[], 6.0);
        assert_eq!(labels.first().map(|(x, _)| *x), Some(0.0));
        assert_eq!(labels.last().map(|(x, _)| x.round()), Some(900.0));
        assert!(labels.len() > 5);
        for pair in labels.windows(2) {
            let room = (pair[0].1.len() + pair[1].1.len()) as f64 * 3.0;
            assert!(pair[1].0 - pair[0].0 >= room, "{pair:?}");
        }
    }

    #[test]
    fn one_instant_or_none_is_no_mistake() {
        assert_eq!(Axis::new([], 10.0, 20.0).x(DAY), 0.0);
        assert_eq!(Axis::new([DAY], 10.0, 20.0).x(DAY), 10.0);
        assert_eq!(Axis::new([DAY], 10.0, 20.0).x(MS), 10.0);
    }
}
