//! What has been read from the peer and not yet been used.

use bytes::{BufMut, Bytes, BytesMut};
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Small reads go through the stack, so that a connection that waits for bytes owns no buffer for them.
const SCRATCH: usize = 8 * 1024;

/// The most bytes that the server reads from a connection at once. A stream that fills small reads is
/// read in pieces of up to this size, straight into what the application gets: a megabyte is three
/// reads. Only a client that is that fast, and an application that reads, get it so far.
pub const READ_MAX: usize = 416 * 1024;

/// One large buffer for each thread, for whichever connection reads a large piece next. Were each given back with its request, the allocator would give the memory
/// back to the kernel, and take it again page by page: for a megabyte that cost twice as much as all the rest.
mod spare {
    use bytes::BytesMut;
    use std::cell::RefCell;

    /// Buffers are so much larger than asked for, so that what is as long as some pages together does not begin at the same offset
    /// of a page: an application that joins its pieces copies between such two at a ninth of the speed (416 KiB: 143 us in place
    /// of 16 us, AMD EPYC, glibc 2.36).
    const APART: usize = 1024;

    /// A spare buffer makes room for a smaller one when so many reads in a row could not use it.
    const MISSES_MAX: u32 = 16;

    /// A buffer, and how much it has room for once nobody holds what was read into it.
    #[derive(Debug, Default)]
    pub(super) struct Buffer {
        pub(super) bytes: BytesMut,
        size: usize,
    }

    thread_local! {
        static SPARE: RefCell<(Buffer, u32)> = RefCell::default();
    }

    /// An empty buffer with room for `length`: the spare one, unless an application still holds what was last read into it.
    pub(super) fn take(length: usize) -> Buffer {
        SPARE.with_borrow_mut(|(spare, misses)| {
            let size = spare.size;
            if size >= length && spare.bytes.try_reclaim(size) {
                *misses = 0;
                let bytes = std::mem::take(&mut spare.bytes);
                return Buffer { bytes, size };
            }
            *misses += 1;
            Buffer {
                bytes: BytesMut::with_capacity(length + APART),
                size: length,
            }
        })
    }

    /// The next one to take. A large one stays while it is of use: a heap whose top comes and goes with each body
    /// is given back to the system and faulted in again.
    pub(super) fn keep(mut buffer: Buffer) {
        buffer.bytes.clear();
        SPARE.with_borrow_mut(|(spare, misses)| {
            if buffer.size >= spare.size || *misses > MISSES_MAX {
                (*spare, *misses) = (buffer, 0);
            }
        });
    }
}

/// Bytes from the peer.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) bytes: BytesMut,
    /// How much of `bytes` is known not to hold the end of a head.
    pub(crate) scanned: usize,
    /// The peer's FIN has come.
    pub(crate) ended: bool,
    /// What the next read asks for.
    ask: usize,
}

/// What a read gave.
#[derive(Debug)]
pub(crate) enum Fill {
    Bytes(usize),
    End,
}

impl Input {
    /// Reads once. `most` is how much could be of use, beyond a small read.
    pub(crate) fn poll_fill<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Fill>> {
        let mut asked = self.ask.clamp(SCRATCH, most.max(SCRATCH));
        let read = if asked > SCRATCH && self.bytes.is_empty() {
            let mut piece = spare::take(asked);
            let bytes = &mut piece.bytes;
            let read = pin!(io.read_buf(&mut (&mut *bytes).limit(asked))).poll(cx);
            // A wait may be long, and an application may keep what it gets: neither holds more than there is.
            self.bytes = if bytes.len() < asked / 2 {
                BytesMut::from(&bytes[..])
            } else {
                bytes.split()
            };
            spare::keep(piece);
            read
        } else {
            asked = SCRATCH;
            let mut scratch = [const { MaybeUninit::uninit() }; SCRATCH];
            let mut buffer = ReadBuf::uninit(&mut scratch);
            let read = Pin::new(io).poll_read(cx, &mut buffer);
            if self.bytes.is_empty() {
                // Just so large: content is handed on in the very buffer that holds it.
                self.bytes = BytesMut::from(buffer.filled());
            } else {
                self.bytes.extend_from_slice(buffer.filled());
            }
            let length = buffer.filled().len();
            read.map_ok(|()| length)
        };
        match read {
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                Poll::Ready(Ok(Fill::End))
            }
            Poll::Ready(Ok(length)) => {
                // Doubles while reads come back full, falls back when they are small.
                self.ask = match length {
                    _ if length >= asked => (asked * 2).min(READ_MAX),
                    _ if length < self.ask / 4 => self.ask / 2,
                    _ => self.ask,
                };
                Poll::Ready(Ok(Fill::Bytes(length)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Reads once, only to drop it.
    pub(crate) fn poll_discard<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Fill>> {
        self.bytes = BytesMut::new();
        let mut scratch = [const { MaybeUninit::uninit() }; SCRATCH];
        let mut buffer = ReadBuf::uninit(&mut scratch);
        match Pin::new(io).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                self.ended = true;
                Poll::Ready(Ok(Fill::End))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Fill::Bytes(buffer.filled().len()))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Takes content off the front.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        if length == self.bytes.len() {
            std::mem::take(&mut self.bytes).freeze()
        } else {
            self.bytes.split_to(length).freeze()
        }
    }

    /// Drops the empty lines that may come before a request (RFC 9112 section 2.2); they are no part of one. Returns whether
    /// anything of a request is there.
    pub(crate) fn begins_request(&mut self) -> bool {
        while self.bytes.starts_with(b"\r\n") {
            bytes::Buf::advance(&mut self.bytes, 2);
            self.scanned = 0;
        }
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
            self.scanned = 0;
        }
        // Half an empty line is none of a request either.
        !matches!(&self.bytes[..], [] | [b'\r'])
    }
}

#[cfg(test)]
mod tests {
    use super::spare;

    const LARGE: usize = 400 * 1024;
    const SMALL: usize = 100 * 1024;

    /// Reads as much into the next buffer, and gives what an application then holds.
    fn read(length: usize) -> bytes::BytesMut {
        let mut buffer = spare::take(length);
        buffer.bytes.resize(length, b'x');
        let held = buffer.bytes.split();
        spare::keep(buffer);
        held
    }

    #[test]
    fn a_large_buffer_is_used_again_though_a_smaller_one_came_while_it_was_held() {
        let first = read(LARGE);
        let (place, held) = (first.as_ptr(), read(SMALL));
        assert_ne!(held.as_ptr(), place);
        drop((first, held));
        assert_eq!(read(LARGE).as_ptr(), place);
    }

    #[test]
    fn a_large_buffer_that_is_held_on_makes_room_for_smaller_ones() {
        let kept = read(LARGE);
        let places: Vec<_> = (0..20).map(|_| read(SMALL).as_ptr()).collect();
        let (before, last) = places.split_at(18);
        assert!(last.iter().all(|place| Some(place) == before.last()));
        drop(kept);
    }

    #[test]
    fn what_is_held_is_never_written_over() {
        let mut held = read(SMALL);
        held.fill(b'y');
        for _ in 0..40 {
            let _ = read(SMALL);
        }
        assert!(held.iter().all(|byte| *byte == b'y'));
    }
}
