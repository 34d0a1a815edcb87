//! Streams of random numbers, one for each purpose.
//!
//! Every draw comes from a seed through a stream that has a name. A draw more or less in one stream does not move
//! another, so that a scenario from which a client was deleted leaves the other clients as they are. The numbers are
//! SplitMix64, written out here: they are the same on every machine and with every version of every dependency.

/// A stream of random numbers.
///
/// ```
/// use hangup_scenario::stream::Stream;
///
/// let mut noise = Stream::new(7, "noise");
/// assert_eq!(noise.next_u64(), Stream::new(7, "noise").next_u64());
/// assert_ne!(noise.next_u64(), Stream::new(7, "delays").next_u64());
/// ```
#[derive(Clone, Debug)]
pub struct Stream(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

impl Stream {
    /// The stream of this seed for this purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let name = purpose
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(mix(seed.wrapping_add(STEP)) ^ mix(name))
    }

    /// The stream of this seed for the `index`-th of several that have the same purpose.
    pub fn indexed(seed: u64, purpose: &str, index: u64) -> Self {
        let Self(state) = Self::new(seed, purpose);
        Self(state ^ mix(index.wrapping_mul(STEP).wrapping_add(1)))
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`, or 0 if there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` if `high` is smaller.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.checked_sub(low) {
            None => low,
            Some(u64::MAX) => self.next_u64(),
            Some(span) => low + self.below(span + 1),
        }
    }

    /// True `times` out of `of` times.
    pub fn chance(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_same_for_ever() {
        // A change here makes every case seed that anybody has noted down worthless.
        let mut stream = Stream::new(1834, "noise");
        assert_eq!(stream.next_u64(), 14_945_410_323_610_894_707);
        assert_eq!(stream.next_u64(), 1_656_927_963_753_043_870);
        let mut second = Stream::indexed(1834, "noise", 1);
        assert_eq!(second.next_u64(), 15_512_018_397_996_818_680);
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_them() {
        let mut stream = Stream::new(1, "bounds");
        let mut seen = [0_u32; 6];
        for _ in 0..6000 {
            seen[stream.between(2, 5) as usize] += 1;
        }
        assert_eq!(seen[..2], [0, 0]);
        assert!(
            seen[2..].iter().all(|count| (1300..1700).contains(count)),
            "{seen:?}"
        );
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.between(9, 3), 9);
        assert!(!stream.chance(0, 5));
        assert!(stream.chance(5, 5));
        let whole = (0..64).fold(0, |all, _| all | stream.between(0, u64::MAX));
        assert_eq!(whole, u64::MAX);
    }
}
