//! SHA-256 of what messages carry. That is the filler of generated bodies, most often and for its most part, and of the filler is known
//! by heart what it comes to: to count every byte of it anew, once for the probe app and once for its judge, was a good part
//! of a campaign.

use hangup_scenario::render::{FILLER, fill};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::sync::LazyLock;

/// From one state that is kept to the next: a whole number of fillers, and of blocks of SHA-256.
const STEP: usize = FILLER.len() * 64;
/// So many states are kept for each thread: beyond that it is counted.
const STATES: usize = 256;

/// The filler, again and again.
static PAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut page = Vec::new();
    fill(&mut page, 0, 16 * STEP as u64);
    page
});

thread_local! {
    /// The state behind each so many steps of filler, as far as one was asked for.
    static KNOWN: RefCell<Vec<Sha256>> = const { RefCell::new(Vec::new()) };
}

/// SHA-256, in pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digest {
    /// So much filler has come; all of it, while there is no `state`.
    filler: usize,
    state: Option<Sha256>,
}

impl Digest {
    /// The digest of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> [u8; 32] {
        let mut digest = Self::default();
        digest.update(bytes);
        digest.finish()
    }

    /// These bytes come next.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if self.state.is_none() && is_filler(self.filler, bytes) {
            self.filler += bytes.len();
        } else {
            self.state
                .get_or_insert_with(|| behind(self.filler))
                .update(bytes);
        }
    }

    /// The digest of all that came.
    pub(crate) fn finish(self) -> [u8; 32] {
        let Self { filler, state } = self;
        state.unwrap_or_else(|| behind(filler)).finalize().into()
    }
}

/// Is it what comes behind so much filler?
fn is_filler(offset: usize, mut bytes: &[u8]) -> bool {
    let mut start = offset % PAGE.len();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(bytes.len().min(PAGE.len() - start));
        if piece != &PAGE[start..start + piece.len()] {
            return false;
        }
        (bytes, start) = (rest, 0);
    }
    true
}

/// The state behind so much filler.
fn behind(filler: usize) -> Sha256 {
    KNOWN.with_borrow_mut(|known| {
        let steps = (filler / STEP).min(STATES - 1);
        while known.len() <= steps {
            let next = match known.last() {
                Some(last) => last.clone().chain_update(&PAGE[..STEP]),
                None => Sha256::new(),
            };
            known.push(next);
        }
        let mut state = known[steps].clone();
        let mut left = filler - steps * STEP;
        while left > 0 {
            let piece = left.min(PAGE.len());
            state.update(&PAGE[..piece]);
            left -= piece;
        }
        state
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256_whatever_comes_and_however_it_is_cut() {
        let mut filler = Vec::new();
        fill(&mut filler, 0, (STEP * (STATES + 20) + 5) as u64);
        let mut almost = filler[..3 * STEP].to_vec();
        almost[2 * STEP + 7] ^= 1;
        let later = filler[3..].to_vec();
        for bytes in [&filler[..], &almost, &later, b"", b"abc"] {
            for length in [
                0,
                1,
                34,
                35,
                64,
                STEP - 1,
                STEP,
                STEP + 1,
                5000,
                bytes.len(),
            ] {
                let bytes = &bytes[..length.min(bytes.len())];
                let expected: [u8; 32] = Sha256::digest(bytes).into();
                assert_eq!(Digest::of(bytes), expected);
                for size in [1, 7, 4096, 100_000] {
                    let mut digest = Digest::default();
                    bytes.chunks(size).for_each(|piece| digest.update(piece));
                    assert_eq!(digest.finish(), expected, "{length} by {size}");
                }
            }
        }
    }
}
