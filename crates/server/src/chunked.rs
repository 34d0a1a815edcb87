//! The chunked transfer coding (RFC 9112 section 7.1): the decoder, and what the encoder writes around data.

use bytes::{Buf, BytesMut};
use hangup_lifecycle::{Limits, Refusal};

/// How many bytes of framing a body may have beyond what its data pays for. A chunk pays for 16 bytes and twice its size,
/// so honest framing never gets there, and extensions cannot be sent without end (Go's accounting).
const FRAMING_DEBT_MAX: u64 = 16 * 1024;

/// Decodes one chunked body, at any segmentation.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    size: u64,
    framing_debt: u64,
    trailers: Vec<u8>,
    /// What is broken stays broken, however often it is looked at.
    broken: Option<Refusal>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    SizeStart,
    Size,
    /// Whitespace behind the size; an extension must follow.
    Padding,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    LastLineFeed,
    End,
}

/// What is at the front of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// So many bytes of content; the caller takes them off the input and says so ([`Chunked::taken`]).
    Content(usize),
    /// The body is over. Trailers, if any, are in [`Chunked::take_trailers`].
    End,
    /// Everything was framing, and more must come.
    More,
}

impl Chunked {
    pub(crate) fn new() -> Self {
        Chunked {
            state: State::SizeStart,
            size: 0,
            framing_debt: 0,
            trailers: Vec::new(),
            broken: None,
        }
    }

    /// Takes framing off `input` up to the next content, the end, or the end of the input.
    pub(crate) fn next(&mut self, input: &mut BytesMut, limits: &Limits) -> Result<Piece, Refusal> {
        if let Some(refusal) = self.broken {
            return Err(refusal);
        }
        let mut taken = 0;
        let piece = loop {
            if self.state == State::End {
                break Piece::End;
            }
            let Some(&byte) = input.get(taken) else {
                break Piece::More;
            };
            if self.state == State::Data {
                let size = usize::try_from(self.size).unwrap_or(usize::MAX);
                break Piece::Content((input.len() - taken).min(size));
            }
            match self.step(byte, limits) {
                Ok(state) => self.state = state,
                Err(refusal) => {
                    self.broken = Some(refusal);
                    return Err(refusal);
                }
            }
            taken += 1;
        };
        input.advance(taken);
        Ok(piece)
    }

    /// So much of the content was taken off the input.
    pub(crate) fn taken(&mut self, length: usize) {
        self.size = self.size.saturating_sub(length as u64);
        if self.size == 0 {
            self.state = State::DataReturn;
        }
    }

    fn step(&mut self, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        use State::*;
        let malformed = Err(Refusal::ChunkMalformed);
        if matches!(self.state, SizeStart | Size | Padding | Extension) {
            self.framing_debt += 1;
            if self.framing_debt > FRAMING_DEBT_MAX {
                return malformed;
            }
        }
        Ok(match (self.state, byte) {
            (SizeStart | Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = u64::from((byte as char).to_digit(16).unwrap_or_default());
                self.size = self.size.checked_mul(16).ok_or(Refusal::ChunkMalformed)? + digit;
                Size
            }
            (Size | Padding, b' ' | b'\t') => Padding,
            (Size | Padding, b';') => Extension,
            (Extension, b'\t' | b' '..=b'~' | 0x80..) => Extension,
            (Size | Extension, b'\r') => SizeLineFeed,
            (SizeLineFeed, b'\n') if self.size == 0 => TrailerStart,
            (SizeLineFeed, b'\n') => {
                let paid = self.size.saturating_mul(2).saturating_add(16);
                self.framing_debt = self.framing_debt.saturating_sub(paid);
                Data
            }
            (DataReturn, b'\r') => DataLineFeed,
            (DataLineFeed, b'\n') => SizeStart,
            (TrailerStart, b'\r') => LastLineFeed,
            (LastLineFeed, b'\n') => End,
            (Trailer, b'\r') => TrailerLineFeed,
            (TrailerLineFeed, b'\n') => {
                self.trailer(b"\r\n", limits)?;
                TrailerStart
            }
            (TrailerStart | Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailer(&[byte], limits)?;
                Trailer
            }
            (TrailerStart | Trailer | TrailerLineFeed | LastLineFeed, _) => {
                return Err(Refusal::TrailersMalformed);
            }
            _ => return malformed,
        })
    }

    fn trailer(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
        if self.trailers.len() + bytes.len() > limits.head_bytes {
            return Err(Refusal::TrailersTooLarge);
        }
        self.trailers.extend_from_slice(bytes);
        Ok(())
    }

    /// The trailer lines with the empty one that ends them; empty if there were none.
    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        if !self.trailers.is_empty() {
            self.trailers.extend_from_slice(b"\r\n");
        }
        std::mem::take(&mut self.trailers)
    }
}

/// The line before a chunk's data.
pub(crate) fn write_size(output: &mut Vec<u8>, size: usize) {
    let mut digits = [0_u8; usize::BITS as usize / 4];
    let mut rest = size;
    let mut at = digits.len();
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest % 16];
        rest /= 16;
    }
    output.extend_from_slice(&digits[at..]);
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content, the trailer lines, and what was left behind the body.
    type Decoded = (Vec<u8>, Vec<u8>, Vec<u8>);

    fn decode(bytes: &[u8], cut: usize) -> Result<Option<Decoded>, Refusal> {
        let limits = Limits::default();
        let mut chunked = Chunked::new();
        let (mut content, mut input) = (Vec::new(), BytesMut::new());
        let mut segments = bytes.chunks(cut.max(1));
        loop {
            match chunked.next(&mut input, &limits)? {
                Piece::Content(length) => {
                    content.extend_from_slice(&input.split_to(length));
                    chunked.taken(length);
                }
                Piece::More => match segments.next() {
                    Some(segment) => input.extend_from_slice(segment),
                    None => return Ok(None),
                },
                Piece::End => {
                    segments.for_each(|segment| input.extend_from_slice(segment));
                    return Ok(Some((content, chunked.take_trailers(), input.to_vec())));
                }
            }
        }
    }

    #[test]
    fn any_segmentation_gives_the_same_body() {
        let wire = b"5\r\nhello\r\n006 ;a=\"b\"\r\n world\r\n0;x\r\nA: b\r\n\r\nGET /";
        for cut in 1..=wire.len() {
            let (content, trailers, rest) = decode(wire, cut).unwrap().unwrap();
            assert_eq!(content, b"hello world", "cut {cut}");
            assert_eq!(trailers, b"A: b\r\n\r\n", "cut {cut}");
            assert_eq!(rest, b"GET /", "cut {cut}");
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        for wire in [
            &b"\r\n"[..],
            b"g\r\n",
            b"5\nhello",
            b"5\rhello",
            b"5 \r\nhello\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b" 5\r\n",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\n",
            b"5;a\nhello",
            b"11111111111111111\r\n",
            b"5;\0\r\n",
        ] {
            let shown = String::from_utf8_lossy(wire);
            assert_eq!(decode(wire, 64), Err(Refusal::ChunkMalformed), "{shown:?}");
            assert_eq!(decode(wire, 1), Err(Refusal::ChunkMalformed), "{shown:?}");
        }
        assert_eq!(decode(b"0\r\na\n\r\n", 64), Err(Refusal::TrailersMalformed));
    }

    #[test]
    fn what_is_broken_stays_broken() {
        let (limits, mut chunked) = (Limits::default(), Chunked::new());
        let mut input = BytesMut::from(&b"1\r\nx\r\n0:\r\nT: u\r\n\r\n"[..]);
        assert_eq!(chunked.next(&mut input, &limits), Ok(Piece::Content(1)));
        let _ = input.split_to(1);
        chunked.taken(1);
        for _ in 0..3 {
            assert_eq!(
                chunked.next(&mut input, &limits),
                Err(Refusal::ChunkMalformed)
            );
        }
    }

    #[test]
    fn framing_without_data_has_an_end() {
        let endless = [b"1;".to_vec(), vec![b'x'; 20_000]].concat();
        assert_eq!(decode(&endless, 512), Err(Refusal::ChunkMalformed));
        let nagging = b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(1000);
        assert_eq!(decode(&nagging, 512), Err(Refusal::ChunkMalformed));
        let signed = [
            format!("1000;chunk-signature={}\r\n", "f".repeat(64)).into_bytes(),
            vec![0; 0x1000],
            b"\r\n".to_vec(),
        ]
        .concat();
        assert_eq!(
            decode(&signed.repeat(1000), 4096),
            Ok(None),
            "honest extensions are no debt"
        );
    }

    #[test]
    fn trailers_have_a_limit() {
        let endless = [b"0\r\na:".to_vec(), vec![b'x'; 70_000]].concat();
        assert_eq!(decode(&endless, 512), Err(Refusal::TrailersTooLarge));
    }

    #[test]
    fn sizes_are_written_in_hex() {
        for (size, line) in [
            (0, "0\r\n"),
            (15, "f\r\n"),
            (4096, "1000\r\n"),
            (usize::MAX, "ffffffffffffffff\r\n"),
        ] {
            let mut output = Vec::new();
            write_size(&mut output, size);
            assert_eq!(String::from_utf8(output).unwrap(), line);
        }
    }
}
