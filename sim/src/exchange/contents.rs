//! What messages carried, as far as somebody will ask.

use crate::digest::Digest;
use std::cell::OnceCell;

/// More than this of one direction is not kept.
const KEPT_MAX: usize = 1 << 20;
/// No more room than this is made for content that was only announced.
const TRUSTED_MAX: usize = 128 << 10;
/// What `/big` is made of; so much of it is compared at once.
const FILLER: [u8; 1024] = [b'x'; 1024];

/// The content of some messages of one direction, in order.
#[derive(Debug, Default)]
pub struct Contents {
    bytes: Vec<u8>,
    list: Vec<Entry>,
    /// Nobody will ask.
    ignored: bool,
}

#[derive(Debug)]
struct Entry {
    message: usize,
    from: usize,
    length: u64,
    /// All of it is filler.
    filler: bool,
    /// Every byte of it is kept.
    kept: bool,
    /// Only the close ended it.
    by_close: bool,
    /// Of its bytes, once somebody has asked.
    digest: OnceCell<[u8; 32]>,
}

/// The content of one message.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Every byte, or none if that was too much.
    pub bytes: Option<&'a [u8]>,
    /// How many there were.
    pub length: u64,
    /// They are all the filler of `/big`.
    pub filler: bool,
    /// Only the close ended it, so that it may have been meant to be longer.
    pub by_close: bool,
    digest: &'a OnceCell<[u8; 32]>,
}

impl Content<'_> {
    /// SHA-256 over its bytes, or over none. Several oracles ask, and it is counted once.
    pub(super) fn digest(&self) -> [u8; 32] {
        *self
            .digest
            .get_or_init(|| Digest::of(self.bytes.unwrap_or_default()))
    }
}

impl Contents {
    /// For an observer who is never asked what a message carried.
    pub(super) fn ignored() -> Self {
        Self {
            ignored: true,
            ..Self::default()
        }
    }

    /// From here on content belongs to the message with this number, which says that it has so much; what is only filler is counted and
    /// not kept.
    pub(super) fn begin(&mut self, message: usize, said: u64) {
        if self.ignored {
            return;
        }
        self.bytes
            .reserve(usize::try_from(said).map_or(TRUSTED_MAX, |said| said.min(TRUSTED_MAX)));
        self.list.push(Entry {
            message,
            from: self.bytes.len(),
            length: 0,
            filler: true,
            kept: true,
            by_close: false,
            digest: OnceCell::new(),
        });
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some(entry) = self.list.last_mut() else {
            return;
        };
        let before = entry.length;
        entry.length += bytes.len() as u64;
        if entry.filler {
            if bytes
                .chunks(FILLER.len())
                .all(|part| part == &FILLER[..part.len()])
            {
                return;
            }
            // It only began like that.
            entry.filler = false;
            entry.kept = before == 0;
        }
        entry.kept &= self.bytes.len() + bytes.len() <= KEPT_MAX;
        if entry.kept {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn ended_by_close(&mut self) {
        if let Some(entry) = self.list.last_mut() {
            entry.by_close = true;
        }
    }

    /// The content of this message; none if nobody was to ask.
    pub fn get(&self, message: usize) -> Option<Content<'_>> {
        let place = self
            .list
            .binary_search_by_key(&message, |entry| entry.message)
            .ok()?;
        let entry = &self.list[place];
        let to = self
            .list
            .get(place + 1)
            .map_or(self.bytes.len(), |next| next.from);
        let whole = entry.kept && (!entry.filler || entry.length == 0);
        Some(Content {
            bytes: whole.then(|| &self.bytes[entry.from..to]),
            length: entry.length,
            filler: entry.filler,
            by_close: entry.by_close,
            digest: &entry.digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filler_is_told_from_what_only_looks_like_it() {
        let mut almost = [b'x'; 3000];
        almost[2999] = b'y';
        let mut contents = Contents::default();
        for (message, bytes) in [&[b'x'; 3000], &almost].into_iter().enumerate() {
            contents.begin(message, 0);
            contents.add(bytes);
        }
        let seen = [0, 1].map(|message| contents.get(message).map(|one| (one.filler, one.bytes)));
        assert_eq!(seen, [Some((true, None)), Some((false, Some(&almost[..])))]);
    }
}
