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
    use std::cell::Cell;

    thread_local! {
        static SPARE: Cell<BytesMut> = Cell::default();
    }

    /// An empty buffer with room for `length`: the spare one, unless an application still holds what was last read into it.
    pub(super) fn take(length: usize) -> BytesMut {
        let mut spare = SPARE.take();
        spare.clear();
        if spare.try_reclaim(length) {
            spare
        } else {
            BytesMut::with_capacity(length)
        }
    }

    /// The next one to take.
    pub(super) fn keep(buffer: BytesMut) {
        SPARE.set(buffer);
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
            let read = pin!(io.read_buf(&mut (&mut piece).limit(asked))).poll(cx);
            // A wait may be long, and an application may keep what it gets: neither holds more than there is.
            if piece.len() < asked / 2 {
                self.bytes = BytesMut::from(&piece[..]);
                piece.clear();
            } else {
                self.bytes = piece.split();
            }
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
