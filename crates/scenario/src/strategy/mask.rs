//! The swarm mask: which families of steps and faults there are at all in a case.
//!
//! Each family is there in half of the cases. Tests that leave much out find more than tests that do a bit of
//! everything (Groce, Swarm Testing, 2012). The mask has a stream of its own, so that it does not move other draws.

use super::Options;
use crate::stream::Stream;

/// One bit for each family.
pub(super) type Family = u32;

pub(super) const EXPECT: Family = 1 << 0;
pub(super) const CHUNKED: Family = 1 << 1;
pub(super) const BIG: Family = 1 << 2;
pub(super) const PIPELINE: Family = 1 << 3;
pub(super) const MALFORMED: Family = 1 << 4;
pub(super) const HTTP10: Family = 1 << 5;
pub(super) const SPLIT: Family = 1 << 6;
pub(super) const TRICKLE: Family = 1 << 7;
pub(super) const STALL: Family = 1 << 8;
pub(super) const HALF_CLOSE: Family = 1 << 9;
pub(super) const CLOSE: Family = 1 << 10;
pub(super) const RESET: Family = 1 << 11;
pub(super) const RECONNECT: Family = 1 << 12;
pub(super) const UNREAD: Family = 1 << 13;
pub(super) const ORDINAL: Family = 1 << 14;
pub(super) const SEVERAL: Family = 1 << 15;
pub(super) const SHAPE: Family = 1 << 16;
pub(super) const ERASE: Family = 1 << 17;
pub(super) const NOISE: Family = 1 << 18;
pub(super) const VANISH: Family = 1 << 19;
pub(super) const NETWORK: Family = 1 << 20;
pub(super) const EVENTS: Family = 1 << 21;
pub(super) const PACED: Family = 1 << 22;

/// The families of one case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask(u32);

impl Mask {
    pub(super) fn draw(case_seed: u64, options: &Options) -> Self {
        let mut mask = Stream::new(case_seed, "mask").next_u64() as u32;
        for (family, allowed) in [
            (VANISH, options.vanish),
            (NETWORK, options.network),
            (EVENTS, options.server_events),
            (SEVERAL, options.clients_max > 1),
        ] {
            if !allowed {
                mask &= !family;
            }
        }
        Self(mask)
    }

    pub(super) fn has(self, family: Family) -> bool {
        self.0 & family != 0
    }
}
