//! Waiting without doing, and doing without waiting.

use super::{TcpStream, leaf};
use crate::readiness::Place;
use bytes::BufMut;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::task::{Context, Poll, Waker};
use tokio::io::{Interest, Ready};
use tokio::task::yield_now;

impl TcpStream {
    /// Waits until the socket is ready for any of what is asked.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        poll_fn(|cx| self.poll_ready(Place::Shared, interest, cx)).await
    }

    fn poll_ready(
        &self,
        place: Place,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Ready>> {
        leaf(cx, |cx| {
            self.poll_with(|connection, side, medium| {
                let now = connection.readiness(side);
                let mut ready = Ready::EMPTY;
                if interest.is_readable() {
                    if now.readable {
                        ready |= Ready::READABLE;
                    }
                    if now.read_closed {
                        ready |= Ready::READ_CLOSED;
                    }
                }
                if interest.is_writable() {
                    if now.writable {
                        ready |= Ready::WRITABLE;
                    }
                    if now.write_closed {
                        ready |= Ready::WRITE_CLOSED;
                    }
                }
                if interest.is_error() && now.error {
                    ready |= Ready::ERROR;
                }
                if !ready.is_empty() {
                    return Poll::Ready(Ok(ready));
                }
                if interest.is_readable() || interest.is_error() {
                    connection.wait_readable(side, place, cx, medium);
                }
                if interest.is_writable() {
                    connection.wait_writable(side, place, cx, medium);
                }
                Poll::Pending
            })
        })
    }

    /// Waits until a read would not block.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// As [`TcpStream::readable`]; only the task of the last call is woken.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(Place::Poll, Interest::READABLE, cx)
            .map_ok(drop)
    }

    /// Waits until a write would not block.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// As [`TcpStream::writable`]; only the task of the last call is woken.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(Place::Poll, Interest::WRITABLE, cx)
            .map_ok(drop)
    }

    /// Calls `operation` if the socket is ready for any of what is asked, as with a descriptor that somebody else
    /// reads or writes.
    ///
    /// # Errors
    /// `WouldBlock` if it is not ready, or what `operation` gives.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_ready(Place::Shared, interest, &mut cx) {
            Poll::Ready(Ok(_)) => operation(),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Calls `operation` each time the socket is ready for any of what is asked, until it gives something else than
    /// `WouldBlock`.
    ///
    /// # Errors
    /// What `operation` gives.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match operation() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now().await,
                done => return done,
            }
        }
    }

    /// Reads what is there; how much.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_read_vectored(&mut [IoSliceMut::new(buf)])
    }

    /// As [`TcpStream::try_read`], into several buffers.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let most = bufs.iter().map(|buf| buf.len()).sum();
        let mut rest: Vec<&mut [u8]> = bufs.iter_mut().map(|buf| &mut **buf).collect();
        rest.reverse();
        self.try_fill(most, |mut bytes| {
            while let Some(buf) = rest.pop() {
                let count = buf.len().min(bytes.len());
                let (now, later) = buf.split_at_mut(count);
                now.copy_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
                if !later.is_empty() {
                    rest.push(later);
                    break;
                }
            }
        })
    }

    /// As [`TcpStream::try_read`], into a growing buffer.
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        self.try_fill(buf.remaining_mut(), |bytes| buf.put_slice(bytes))
    }

    fn try_fill(&self, most: usize, put: impl FnMut(&[u8])) -> io::Result<usize> {
        let read = self
            .poll_with(|connection, side, medium| connection.read(side, most, None, medium, put));
        at_once(read)
    }

    /// Writes what fits into the send buffer; how much.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_put(&[IoSlice::new(buf)])
    }

    /// As [`TcpStream::try_write`], from several buffers.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            // As `writev(2)`: nothing is done with nothing.
            let writable =
                self.with(|connection, side, _| Ok(connection.readiness(side).writable))?;
            return if writable {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        self.try_put(bufs)
    }

    fn try_put(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        at_once(
            self.poll_with(|connection, side, medium| connection.write(side, bufs, None, medium)),
        )
    }
}

fn at_once<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}
