//! Simpler times and numbers.

use std::time::Duration;

use super::Depth;

/// Times that need no explanation, in seconds.
const SIMPLE: [u64; 14] = [0, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 3600, 86_400];

/// How simple a time is: the less, the simpler. A simpler time may be the longer one.
fn complexity(time: Duration) -> u8 {
    match () {
        () if time.subsec_nanos() == 0 && SIMPLE.contains(&time.as_secs()) => 0,
        () if time.subsec_nanos() == 0 && time.as_secs().is_multiple_of(60) => 1,
        () if time.subsec_nanos() == 0 => 2,
        () if time.as_millis().is_multiple_of(100) && time.subsec_micros().is_multiple_of(1000) => {
            3
        }
        () if time.subsec_nanos().is_multiple_of(1_000_000) => 4,
        () => 5,
    }
}

/// Times that could stand for this one, the best first: shorter ones that need no explanation, then those right above
/// and below it that are simpler.
pub(super) fn durations(time: Duration, depth: Depth) -> Vec<Duration> {
    let simple = SIMPLE.map(Duration::from_secs);
    let shorter = simple.into_iter().filter(|simple| *simple < time);
    if depth == Depth::Coarse {
        return shorter.take(1).collect();
    }
    let (seconds, tenths) = (time.as_secs(), time.as_millis() as u64 / 100);
    let above = simple.into_iter().find(|simple| *simple > time);
    let near = [
        Duration::from_secs((seconds / 60 + 1).saturating_mul(60)),
        Duration::from_secs(seconds / 60 * 60),
        Duration::from_secs(seconds.saturating_add(1)),
        Duration::from_secs(seconds),
        Duration::from_millis(tenths.saturating_mul(100)),
        Duration::from_millis(time.as_millis() as u64),
    ];
    let rounded = above.into_iter().chain(near);
    let simpler = rounded.filter(|near| complexity(*near) < complexity(time));
    let mut out: Vec<_> = shorter.collect();
    for time in simpler {
        if !out.contains(&time) {
            out.push(time);
        }
    }
    out
}

/// Numbers that could stand for this one, the best first: all are smaller. After powers of ten come the same number with
/// fewer digits that count, and then steps that get smaller and smaller, so that a limit is found in few tries.
pub(super) fn numbers(number: u64, least: u64, depth: Depth) -> Vec<u64> {
    let powers = (0..20).map(|exponent| 10_u64.pow(exponent));
    let digits = number.checked_ilog10().unwrap_or(0);
    let floors = (0..digits).rev().take(2).map(|zeros| {
        let unit = 10_u64.pow(zeros + 1);
        number / unit * unit
    });
    let steps = (1..64).map(|shift| number - (number >> shift));
    let candidates = [0].into_iter().chain(powers).chain(floors).chain(steps);
    let mut out = Vec::new();
    for candidate in candidates.filter(|candidate| (least..number).contains(candidate)) {
        if !out.contains(&candidate) {
            out.push(candidate);
        }
    }
    if depth == Depth::Coarse {
        out.truncate(1);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ms: u64, depth: Depth) -> Vec<u128> {
        durations(Duration::from_millis(ms), depth)
            .iter()
            .map(|time| time.as_millis())
            .collect()
    }

    #[test]
    fn every_candidate_is_simpler_or_as_simple_and_shorter() {
        let times = [
            0,
            1,
            999,
            1000,
            1001,
            59_999,
            60_000,
            60_001,
            75_000,
            105_420_000,
            31_536_000_000,
        ];
        for time in times
            .map(Duration::from_millis)
            .into_iter()
            .chain([Duration::MAX, Duration::from_nanos(1)])
        {
            for simpler in durations(time, Depth::Fine) {
                let less = |time| (complexity(time), time);
                assert!(less(simpler) < less(time), "{time:?} {simpler:?}");
            }
        }
    }

    #[test]
    fn a_time_goes_to_what_needs_no_explanation() {
        assert_eq!(of(0, Depth::Fine), [0; 0]);
        assert_eq!(of(1000, Depth::Fine), [0]);
        assert_eq!(of(2001, Depth::Coarse), [0]);
        assert_eq!(of(2001, Depth::Fine), [0, 1000, 2000, 5000, 60_000, 3000]);
    }

    #[test]
    fn a_number_goes_to_powers_of_ten_and_closer_and_closer_to_itself() {
        let of = |number, least| numbers(number, least, Depth::Fine);
        assert_eq!(of(0, 0), [0; 0]);
        assert_eq!(of(1, 0), [0]);
        assert_eq!(of(37, 0), [0, 1, 10, 30, 19, 28, 33, 35, 36]);
        assert_eq!(of(37, 20), [30, 28, 33, 35, 36]);
        assert_eq!(
            of(98_016, 90_000),
            [
                90_000, 98_000, 91_890, 94_953, 96_485, 97_251, 97_634, 97_825, 97_921, 97_969,
                97_993, 98_005, 98_011, 98_014, 98_015
            ]
        );
        assert_eq!(
            numbers(u64::MAX, 0, Depth::Fine).last(),
            Some(&(u64::MAX - 1))
        );
        assert_eq!(numbers(37, 0, Depth::Coarse), [0]);
    }

    #[test]
    fn a_limit_is_found_in_few_tries() {
        let (mut number, mut tries) = (1_000_000, 0);
        while let Some(smaller) = numbers(number, 0, Depth::Fine).into_iter().find(|smaller| {
            tries += 1;
            *smaller >= 73_123
        }) {
            number = smaller;
        }
        assert_eq!(number, 73_123);
        assert!(tries < 300, "{tries}");
    }
}
