//! A small generator of random numbers, one for each direction of each connection.

/// SplitMix64 (Steele, Lea and Flood, 2014): eight bytes of state, and any two seeds give unrelated
/// streams, so that one direction's draws depend on nothing that another connection does.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of one purpose under a network's seed.
    pub(crate) fn new(seed: u64, purpose: u64) -> Random {
        let mut outer = Random(seed);
        let mut inner = Random(outer.next() ^ purpose);
        Random(inner.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number from 0 to `most`, both included.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        // A multiplication instead of a remainder: no bias worth the name for the few hundred values
        // that are asked for here.
        ((u128::from(self.next()) * (u128::from(most) + 1)) >> 64) as u64
    }

    /// Whether an event of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        unit < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_purpose_give_the_same_stream() {
        let draw = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn up_to_reaches_both_ends_and_chance_keeps_its_odds() {
        let mut random = Random::new(1, 1);
        let mut seen = [0u32; 4];
        for _ in 0..4000 {
            seen[random.up_to(3) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (850..1150).contains(&n)), "{seen:?}");
        let hits = (0..10_000).filter(|_| random.chance(0.2)).count();
        assert!((1850..2150).contains(&hits), "{hits}");
        assert!(!random.chance(0.0) && random.chance(1.0));
    }
}
