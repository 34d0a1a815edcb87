//! One direction of a TCP connection: segments go in, in whatever order they were captured, and the stream comes out.

use std::collections::BTreeMap;

/// So much that came too early is kept, in so many pieces; then what is missing before it counts as lost to the capture.
const EARLY_BYTES_MAX: usize = 4 << 20;
const EARLY_PIECES_MAX: usize = 4096;
/// No segment is further ahead of what is there than the greatest window there is.
const WINDOW_MAX: u64 = 1 << 30;

/// A piece of the stream, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// What is known of it.
    pub(super) bytes: &'a [u8],
    /// So many bytes more belong to it, which were not captured.
    pub(super) missing: u64,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The sequence number of the stream's first byte, once it is known.
    first: Option<u32>,
    /// How many bytes have come, without a hole.
    next: u64,
    early: BTreeMap<u64, Early>,
    early_bytes: usize,
}

#[derive(Debug)]
struct Early {
    bytes: Vec<u8>,
    missing: u64,
}

impl Stream {
    /// How many bytes have come, without a hole.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The stream begins behind this SYN.
    pub(super) fn begin(&mut self, syn: u32) {
        self.first.get_or_insert(syn.wrapping_add(1));
    }

    /// The place in the stream of a sequence number. None where it lies before the beginning, or further away than any window;
    /// the first that is asked for is the beginning of a stream whose SYN was not captured.
    pub(super) fn place(&mut self, sequence: u32) -> Option<u64> {
        let first = *self.first.get_or_insert(sequence);
        // The nearest place to what comes next that has this number.
        let expected = first.wrapping_add(self.next as u32);
        let ahead = sequence.wrapping_sub(expected) as i32;
        let place = self.next.checked_add_signed(ahead.into())?;
        (place <= self.next.saturating_add(WINDOW_MAX)).then_some(place)
    }

    /// Takes a payload of `length` bytes, of which `bytes` were captured; gives what is in order now to `deliver`.
    pub(super) fn take(
        &mut self,
        place: u64,
        bytes: &[u8],
        length: usize,
        mut deliver: impl FnMut(Piece<'_>),
    ) {
        let missing = length.saturating_sub(bytes.len()) as u64;
        if place > self.next {
            if length > 0 && !self.early.contains_key(&place) {
                self.early_bytes += bytes.len();
                let bytes = bytes.to_vec();
                self.early.insert(place, Early { bytes, missing });
            }
            if self.early_bytes > EARLY_BYTES_MAX || self.early.len() > EARLY_PIECES_MAX {
                self.skip_to(place, deliver);
            }
            return;
        }
        self.add(place, bytes, missing, &mut deliver);
        self.deliver_early(&mut deliver);
    }

    /// The peer has everything up to this place: what was not captured of it is missing for good.
    pub(super) fn skip_to(&mut self, place: u64, mut deliver: impl FnMut(Piece<'_>)) {
        while self.next < place {
            let until = self
                .early
                .first_key_value()
                .map_or(place, |(start, _)| place.min(*start));
            let missing = until.saturating_sub(self.next);
            if missing > 0 {
                self.next = until;
                deliver(Piece {
                    bytes: &[],
                    missing,
                });
            }
            self.deliver_early(&mut deliver);
        }
    }

    /// Is there anything behind a hole?
    pub(super) fn last_early(&self) -> Option<u64> {
        let (start, early) = self.early.last_key_value()?;
        Some(start + early.bytes.len() as u64 + early.missing)
    }

    fn deliver_early(&mut self, deliver: &mut impl FnMut(Piece<'_>)) {
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() > self.next {
                return;
            }
            let (start, Early { bytes, missing }) = entry.remove_entry();
            self.early_bytes -= bytes.len();
            self.add(start, &bytes, missing, deliver);
        }
    }

    /// Adds what begins at or before the end, and goes beyond it.
    fn add(&mut self, start: u64, bytes: &[u8], missing: u64, deliver: &mut impl FnMut(Piece<'_>)) {
        let known = self.next - start;
        let end = start
            .saturating_add(bytes.len() as u64)
            .saturating_add(missing);
        if end <= self.next {
            return;
        }
        let cut = usize::try_from(known)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let bytes = &bytes[cut..];
        let missing = end - self.next - bytes.len() as u64;
        self.next = end;
        deliver(Piece { bytes, missing });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that comes out, with `?` for what is missing.
    fn out(stream: &mut Stream, sequence: u32, bytes: &[u8], length: usize) -> String {
        let mut text = String::new();
        if let Some(place) = stream.place(sequence) {
            stream.take(place, bytes, length, |piece| add(&mut text, &piece));
        }
        text
    }

    fn add(text: &mut String, piece: &Piece<'_>) {
        text.push_str(&String::from_utf8_lossy(piece.bytes));
        text.extend(std::iter::repeat_n('?', piece.missing as usize));
    }

    #[test]
    fn out_of_order_twice_and_overlapping() {
        let mut stream = Stream::default();
        // The numbers go round after the third byte.
        stream.begin(u32::MAX - 3);
        let mut got = String::new();
        for (offset, bytes) in [
            (4, "efg"),
            (0, "ab"),
            (0, "ab"),
            (8, "i"),
            (1, "bcd"),
            (2, "XXXXXh"),
            (0, "abcdefghi"),
        ] {
            let sequence = (u32::MAX - 2).wrapping_add(offset);
            got += &out(&mut stream, sequence, bytes.as_bytes(), bytes.len());
        }
        assert_eq!((&*got, stream.next()), ("abcdefghi", 9));
    }

    #[test]
    fn what_was_cut_or_never_captured_is_missing() {
        let mut stream = Stream::default();
        assert_eq!(out(&mut stream, 100, b"ab", 4), "ab??");
        assert_eq!(out(&mut stream, 102, b"cd", 2), "");
        assert_eq!(out(&mut stream, 110, b"kl", 2), "");
        let mut got = String::new();
        stream.skip_to(11, |piece| add(&mut got, &piece));
        assert_eq!((&*got, stream.next()), ("??????kl", 12));
        assert_eq!(stream.place(99), None);
        assert_eq!(stream.place(112 + (1 << 30) + 1), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut stream = Stream::default();
        stream.begin(0);
        let payload = [b'x'; 1000];
        let mut came = 0;
        for number in 1..100_000_u32 {
            let place = u64::from(number) * 1001;
            stream.take(place, &payload, 1000, |piece| {
                came += piece.bytes.len() as u64 + piece.missing;
            });
            assert!(stream.early.len() <= EARLY_PIECES_MAX + 1);
            assert!(stream.early_bytes <= EARLY_BYTES_MAX + 1000);
        }
        assert_eq!(came, stream.next());
        assert!(came > 50_000_000);
    }

    proptest! {
        #[test]
        fn any_order_gives_the_stream(
            cuts in prop::collection::vec((0..200_usize, 1..50_usize), 0..60),
            base: u32,
        ) {
            let whole: Vec<u8> = (0..200).map(|number| b'a' + number % 26).collect();
            let mut stream = Stream::default();
            stream.begin(base);
            let mut got = Vec::new();
            let pieces = cuts.into_iter().chain((0..200).step_by(10).map(|start| (start, 10)));
            for (start, length) in pieces {
                let end = (start + length).min(200);
                let sequence = base.wrapping_add(1 + start as u32);
                if let Some(place) = stream.place(sequence) {
                    stream.take(place, &whole[start..end], end - start, |piece| {
                        assert_eq!(piece.missing, 0);
                        got.extend_from_slice(piece.bytes);
                    });
                }
            }
            prop_assert_eq!(got, whole);
        }

        #[test]
        fn anything_keeps_its_promises(
            steps in prop::collection::vec((any::<u32>(), 0..50_usize, 0..90_usize, any::<bool>()), 0..60),
        ) {
            let mut stream = Stream::default();
            let payload = [0; 50];
            let mut came = 0;
            for (sequence, bytes, length, skip) in steps {
                let Some(place) = stream.place(sequence % 5000) else { continue };
                let mut count = |piece: Piece<'_>| came += piece.bytes.len() as u64 + piece.missing;
                if skip {
                    stream.skip_to(place, &mut count);
                } else {
                    stream.take(place, &payload[..bytes], length.max(bytes), &mut count);
                }
                prop_assert_eq!(came, stream.next());
            }
        }
    }
}
