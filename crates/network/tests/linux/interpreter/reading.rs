//! Reads, which may wait.

use super::place::{Hold, PIECE, Place, count, outcome};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

pub(super) enum Reading {
    Once(usize),
    Borrowed(usize),
    Exact { most: usize, got: usize },
    Drain { chunk: usize, got: usize },
    Peek(usize),
    Try(usize),
}

impl Place {
    /// One read; how much, and whether the bytes were right.
    fn poll_read(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<(io::Result<usize>, &'static str)> {
        let mut bytes = vec![0; most];
        let mut buf = ReadBuf::new(&mut bytes);
        let result = match &mut self.hold {
            Hold::Whole(stream) => ready!(Pin::new(stream).poll_read(cx, &mut buf)),
            Hold::Halves(Some(half), _) => ready!(Pin::new(half).poll_read(cx, &mut buf)),
            _ => return Poll::Pending,
        };
        let filled = buf.filled().len();
        let text = self.check(&bytes[..filled], from, true);
        Poll::Ready((result.map(|()| filled), text))
    }

    /// As `poll_read`, by a half that lives for the call only.
    fn poll_borrowed_read(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<(io::Result<usize>, &'static str)> {
        let Hold::Whole(stream) = &mut self.hold else {
            return self.poll_read(most, from, cx);
        };
        let mut bytes = vec![0; most];
        let mut buf = ReadBuf::new(&mut bytes);
        let (mut half, _) = stream.split();
        let result = ready!(Pin::new(&mut half).poll_read(cx, &mut buf));
        let filled = buf.filled().len();
        let text = self.check(&bytes[..filled], from, true);
        Poll::Ready((result.map(|()| filled), text))
    }

    fn poll_peek(&mut self, most: usize, from: usize, cx: &mut Context<'_>) -> Poll<String> {
        let mut bytes = vec![0; most];
        let mut buf = ReadBuf::new(&mut bytes);
        let result = match &mut self.hold {
            Hold::Whole(stream) => ready!(stream.poll_peek(cx, &mut buf)),
            Hold::Halves(Some(half), _) => ready!(half.poll_peek(cx, &mut buf)),
            _ => return Poll::Pending,
        };
        let filled = buf.filled().len();
        let text = self.check(&bytes[..filled], from, false);
        Poll::Ready(outcome(result) + text)
    }

    pub(super) fn poll_reading(
        &mut self,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Option<(usize, String)> {
        let (begun, mut reading) = self.reading.take()?;
        loop {
            let text = match &mut reading {
                Reading::Once(n) => self
                    .poll_read(*n, from, cx)
                    .map(|(result, text)| Some(outcome(result) + text)),
                Reading::Borrowed(n) => self
                    .poll_borrowed_read(*n, from, cx)
                    .map(|(result, text)| Some(outcome(result) + text)),
                Reading::Peek(n) => self.poll_peek(*n, from, cx).map(Some),
                Reading::Exact { most, got } => self
                    .poll_read((*most - *got).min(PIECE), from, cx)
                    .map(|(result, text)| match result {
                        Ok(n) if *got + n < *most && n > 0 => {
                            *got += n;
                            None
                        }
                        Ok(n) => Some(format!("Ok({}){text}", count(*got + n))),
                        Err(error) => Some(format!("{} {:?}{text}", count(*got), error.kind())),
                    }),
                Reading::Drain { chunk, got } => {
                    self.poll_read(*chunk, from, cx)
                        .map(|(result, text)| match result {
                            Ok(0) => Some(format!("{} Eof{text}", count(*got))),
                            Ok(n) => {
                                *got += n;
                                None
                            }
                            Err(error) => Some(format!("{} {:?}{text}", count(*got), error.kind())),
                        })
                }
                Reading::Try(n) => self.poll_try_read(*n, from, cx).map(Some),
            };
            match text {
                Poll::Ready(Some(text)) => return Some((begun, text)),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    self.reading = Some((begun, reading));
                    return None;
                }
            }
        }
    }

    fn poll_try_read(&mut self, most: usize, from: usize, cx: &mut Context<'_>) -> Poll<String> {
        let mut bytes = vec![0; most];
        loop {
            let result = match &self.hold {
                Hold::Whole(stream) => {
                    if let Err(error) = ready!(stream.poll_read_ready(cx)) {
                        return Poll::Ready(outcome(Err(error)));
                    }
                    stream.try_read(&mut bytes)
                }
                Hold::Halves(Some(half), _) => {
                    // A `ready` that is dropped between two polls is not woken.
                    if let Err(error) = ready!(half.as_ref().poll_read_ready(cx)) {
                        return Poll::Ready(outcome(Err(error)));
                    }
                    half.try_read(&mut bytes)
                }
                _ => return Poll::Pending,
            };
            match result {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => {
                    let filled = *result.as_ref().unwrap_or(&0);
                    let text = self.check(&bytes[..filled], from, true);
                    return Poll::Ready(outcome(result) + text);
                }
            }
        }
    }
}
