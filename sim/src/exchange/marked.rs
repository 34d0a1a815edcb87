//! The marks of connections in a body that comes in pieces.

use hangup_scenario::render::{FILLER, Marks};

/// So many bytes at the end of a piece may be the beginning of a mark.
const TAIL_MAX: usize = FILLER.len();
/// Of a longer piece more than one look says nothing new: its client has one mark.
const LOOKED_AT_MAX: usize = 4 * TAIL_MAX;

/// Finds the marks in one body.
#[derive(Debug, Default)]
pub(super) struct Marked {
    /// The last bytes that were seen, of which a mark may be the continuation.
    tail: Vec<u8>,
    /// The marks so far.
    found: Marks,
}

impl Marked {
    /// Follows `bytes`, and returns all marks so far. A body has one mark, that of the connection which
    /// sends it: once it is found, nothing is looked at any more.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Marks {
        if self.found.is_empty() {
            self.tail
                .extend_from_slice(&bytes[..bytes.len().min(LOOKED_AT_MAX)]);
            self.found = Marks::within(&self.tail);
            let rest = self.tail.len().saturating_sub(TAIL_MAX);
            self.tail.drain(..rest);
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangup_scenario::render::fill;

    #[test]
    fn a_mark_is_found_however_the_body_is_cut() {
        let mut body = Vec::new();
        fill(&mut body, 20, 90);
        let whole = Marked::default().feed(&body);
        assert!(!whole.is_empty());
        for size in 1..40 {
            let mut marked = Marked::default();
            body.chunks(size).for_each(|piece| {
                marked.feed(piece);
            });
            assert_eq!(marked.feed(b""), whole, "{size}");
        }
    }
}
