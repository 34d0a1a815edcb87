//! A campaign on several machines: each takes a share, and together they do all of it.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use thiserror::Error;

/// The share of a campaign that one machine takes: of `of` shards, the one with this number.
///
/// Cases go round: shard 1 of 3 has the cases 0, 3, 6 ..., shard 2 has 1, 4, 7 ... So every case is in exactly one
/// shard, and all shards take about as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// 0 for the first.
    index: u64,
    of: u64,
}

/// What `I/N` must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a shard is I/N, the I-th of N: 1/1, 1/4, 4/4")]
pub struct NoShard;

impl Default for Shard {
    /// The whole.
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl Shard {
    /// How many of `cases` cases are in this shard.
    pub fn share(self, cases: u64) -> u64 {
        cases.saturating_sub(self.index).div_ceil(self.of)
    }

    /// The index in the whole campaign of the `nth` case of this shard.
    pub fn index(self, nth: u64) -> u64 {
        self.index + nth * self.of
    }

    /// Is it the whole?
    pub fn is_whole(self) -> bool {
        self.of == 1
    }
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (number, of) = text.split_once('/').ok_or(NoShard)?;
        let number: u64 = number.parse().map_err(|_| NoShard)?;
        let of = of.parse().map_err(|_| NoShard)?;
        if number == 0 || number > of {
            return Err(NoShard);
        }
        Ok(Self {
            index: number - 1,
            of,
        })
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_in_exactly_one_shard() {
        for cases in [0, 1, 2, 7, 64, 100] {
            for of in 1..=9 {
                let shards = (1..=of).map(|number| {
                    let shard: Shard = format!("{number}/{of}").parse().expect("a shard");
                    (0..shard.share(cases)).map(move |nth| shard.index(nth))
                });
                let mut all: Vec<u64> = shards.flatten().collect();
                all.sort_unstable();
                assert_eq!(all, (0..cases).collect::<Vec<_>>(), "{cases} in {of}");
            }
        }
    }

    #[test]
    fn a_shard_is_written_as_it_is_read() {
        for text in ["1/1", "2/3", "3/3"] {
            assert_eq!(
                text.parse::<Shard>().map(|it| it.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in ["", "1", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3"] {
            assert_eq!(text.parse::<Shard>(), Err(NoShard), "{text}");
        }
    }
}
