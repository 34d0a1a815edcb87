//! What waits to be accepted by the peer: heads and small pieces copied together, then at most one large piece.

use bytes::Buf;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Pieces up to this size are copied behind what is there; larger ones are written from where they are.
const COPY_MAX: usize = 4 * 1024;

/// The same, for a stream that cannot write several slices at once: a copy is cheaper than a write.
const COPY_MAX_PLAIN: usize = 16 * 1024;

/// No more is produced while so much waits.
const HIGH_WATER: usize = 16 * 1024;

/// What is kept of an empty buffer, for a connection that may wait for long.
const KEEP: usize = 1024;

/// Bytes for the peer.
#[derive(Debug)]
pub(crate) struct Output<D> {
    pub(crate) bytes: Vec<u8>,
    written: usize,
    piece: Option<D>,
    /// The piece is a chunk, and its line end goes out behind it.
    chunk: bool,
    /// Written, but perhaps still in a buffer of the stream's (TLS).
    unflushed: bool,
    /// The peer did not accept it all when last asked.
    pub(crate) blocked: bool,
}

impl<D> Default for Output<D> {
    fn default() -> Self {
        Output {
            bytes: Vec::new(),
            written: 0,
            piece: None,
            chunk: false,
            unflushed: false,
            blocked: false,
        }
    }
}

impl<D: Buf> Output<D> {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.piece.is_none() && !self.unflushed
    }

    /// Whether more may be produced.
    pub(crate) fn has_room(&self) -> bool {
        self.piece.is_none() && self.bytes.len() - self.written < HIGH_WATER
    }

    /// Adds a piece of a body. There must be room.
    pub(crate) fn push(&mut self, mut piece: D, vectored: bool) {
        debug_assert!(self.piece.is_none(), "one large piece at a time");
        let length = piece.remaining();
        if length <= if vectored { COPY_MAX } else { COPY_MAX_PLAIN } {
            self.bytes.reserve(length);
            while piece.has_remaining() {
                let slice = piece.chunk();
                let length = slice.len();
                self.bytes.extend_from_slice(slice);
                piece.advance(length);
            }
        } else {
            self.piece = Some(piece);
        }
    }

    /// Adds the data of a chunk, whose size line is there already, and its line end.
    pub(crate) fn push_chunk(&mut self, piece: D, vectored: bool) {
        self.push(piece, vectored);
        self.chunk = self.piece.is_some();
        if !self.chunk {
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    /// Writes until all is accepted, the stream will not take more, or it took `most` bytes; then it is pending, too. `accepted`
    /// counts what it took.
    pub(crate) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        most: u64,
        accepted: &mut u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.blocked = true;
        while !self.bytes.is_empty() || self.piece.is_some() {
            let most = usize::try_from(most - *accepted).unwrap_or(usize::MAX);
            if most == 0 {
                return Poll::Pending;
            }
            let wrote = match self.poll_write(io, most, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(wrote)) => wrote,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            *accepted += wrote as u64;
            self.unflushed = true;
            self.advance(wrote);
        }
        if self.unflushed {
            match Pin::new(io).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                other => return other,
            }
        }
        self.blocked = false;
        Poll::Ready(Ok(()))
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &self,
        io: &mut W,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = &self.bytes[self.written..];
        let bytes = &bytes[..most.min(bytes.len())];
        match &self.piece {
            None => Pin::new(io).poll_write(cx, bytes),
            Some(piece) if bytes.is_empty() => {
                let chunk = piece.chunk();
                Pin::new(io).poll_write(cx, &chunk[..most.min(chunk.len())])
            }
            Some(piece) if bytes.len() + piece.remaining() > most => {
                Pin::new(io).poll_write(cx, bytes)
            }
            Some(_) if !io.is_write_vectored() => Pin::new(io).poll_write(cx, bytes),
            Some(piece) => {
                let mut slices = [IoSlice::new(&[]); 16];
                slices[0] = IoSlice::new(bytes);
                let count = 1 + piece.chunks_vectored(&mut slices[1..]);
                Pin::new(io).poll_write_vectored(cx, &slices[..count])
            }
        }
    }

    fn advance(&mut self, wrote: usize) {
        let own = wrote.min(self.bytes.len() - self.written);
        self.written += own;
        if self.written == self.bytes.len() {
            self.written = 0;
            if self.bytes.capacity() > KEEP {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
        if let Some(piece) = &mut self.piece {
            // A stream that claims more than it was given would make `advance` panic.
            piece.advance((wrote - own).min(piece.remaining()));
            if !piece.has_remaining() {
                self.piece = None;
                if std::mem::take(&mut self.chunk) {
                    self.bytes.extend_from_slice(b"\r\n");
                }
            }
        }
    }
}
