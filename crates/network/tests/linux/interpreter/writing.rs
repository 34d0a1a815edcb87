//! Writes, which may wait.

use super::place::{Hold, PIECE, Place, count, outcome, pattern, pieces};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

pub(super) enum Writing {
    Once(usize),
    Vectored(usize),
    Borrowed(usize),
    All { most: usize, done: usize },
    Try(usize),
}

impl Place {
    fn poll_write(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = pattern(from, self.given, most);
        let result = match &mut self.hold {
            Hold::Whole(stream) => ready!(Pin::new(stream).poll_write(cx, bytes)),
            Hold::Halves(_, Some(half)) => ready!(Pin::new(half).poll_write(cx, bytes)),
            _ => return Poll::Pending,
        };
        self.given += result.as_ref().map_or(0, |&n| n);
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = pieces(pattern(from, self.given, most));
        let result = match &mut self.hold {
            Hold::Whole(stream) => ready!(Pin::new(stream).poll_write_vectored(cx, &bytes)),
            Hold::Halves(_, Some(half)) => ready!(Pin::new(half).poll_write_vectored(cx, &bytes)),
            _ => return Poll::Pending,
        };
        self.given += result.as_ref().map_or(0, |&n| n);
        Poll::Ready(result)
    }

    /// As `poll_write`, by a half that lives for the call only.
    fn poll_borrowed_write(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = pattern(from, self.given, most);
        let Hold::Whole(stream) = &mut self.hold else {
            return self.poll_write(most, from, cx);
        };
        let (_, mut half) = stream.split();
        let result = ready!(Pin::new(&mut half).poll_write(cx, bytes));
        self.given += result.as_ref().map_or(0, |&n| n);
        Poll::Ready(result)
    }

    pub(super) fn poll_writing(
        &mut self,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Option<(usize, String)> {
        let (begun, mut writing) = self.writing.take()?;
        loop {
            let text = match &mut writing {
                Writing::Once(n) => self
                    .poll_write(*n, from, cx)
                    .map(|result| Some(outcome(result))),
                Writing::Vectored(n) => self
                    .poll_write_vectored(*n, from, cx)
                    .map(|result| Some(outcome(result))),
                Writing::Borrowed(n) => self
                    .poll_borrowed_write(*n, from, cx)
                    .map(|result| Some(outcome(result))),
                Writing::All { most, done } => {
                    let piece = (*most - *done).min(PIECE);
                    self.poll_write(piece, from, cx).map(|result| match result {
                        Ok(n) if *done + n < *most => {
                            *done += n;
                            None
                        }
                        Ok(n) => Some(format!("Ok({})", count(*done + n))),
                        Err(error) => Some(format!("{} {:?}", count(*done), error.kind())),
                    })
                }
                Writing::Try(n) => self.poll_try_write(*n, from, cx).map(Some),
            };
            match text {
                Poll::Ready(Some(text)) => return Some((begun, text)),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    self.writing = Some((begun, writing));
                    return None;
                }
            }
        }
    }

    fn poll_try_write(&mut self, most: usize, from: usize, cx: &mut Context<'_>) -> Poll<String> {
        let bytes = pattern(from, self.given, most);
        loop {
            let result = match &self.hold {
                Hold::Whole(stream) => {
                    if let Err(error) = ready!(stream.poll_write_ready(cx)) {
                        return Poll::Ready(outcome(Err(error)));
                    }
                    stream.try_write(bytes)
                }
                Hold::Halves(_, Some(half)) => {
                    if let Err(error) = ready!(half.as_ref().poll_write_ready(cx)) {
                        return Poll::Ready(outcome(Err(error)));
                    }
                    half.try_write(bytes)
                }
                _ => return Poll::Pending,
            };
            match result {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => {
                    self.given += result.as_ref().map_or(0, |&n| n);
                    return Poll::Ready(outcome(result));
                }
            }
        }
    }
}
