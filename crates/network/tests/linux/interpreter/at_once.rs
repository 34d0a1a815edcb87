//! Operations that never wait.

use super::net::{netstat, set_linger, set_notsent_lowat};
use super::place::{Hold, Place, count, outcome, pattern, pieces};
use crate::script::Op;
use bytes::BufMut;
use std::future::{Future, poll_fn};
use std::io::IoSliceMut;
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::io::{AsyncWrite, Interest};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl Place {
    /// An operation that never waits.
    pub(super) async fn at_once(&mut self, op: Op, from: usize) -> Option<String> {
        match op {
            Op::TryWrite(_, n) => {
                let bytes = pattern(from, self.given, n);
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_write(bytes),
                    Hold::Halves(_, Some(half)) => half.try_write(bytes),
                    _ => return None,
                };
                self.given += result.as_ref().map_or(0, |&n| n);
                Some(outcome(result))
            }
            Op::TryWriteVectored(_, n) => {
                let bytes = pieces(pattern(from, self.given, n));
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_write_vectored(&bytes),
                    Hold::Halves(_, Some(half)) => half.try_write_vectored(&bytes),
                    _ => return None,
                };
                self.given += result.as_ref().map_or(0, |&n| n);
                Some(outcome(result))
            }
            Op::TryReadVectored(_, n) => {
                let mut buf = vec![0; n];
                let (one, other) = buf.split_at_mut(n / 3);
                let mut parts = [
                    IoSliceMut::new(one),
                    IoSliceMut::new(&mut []),
                    IoSliceMut::new(other),
                ];
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_read_vectored(&mut parts),
                    Hold::Halves(Some(half), _) => half.try_read_vectored(&mut parts),
                    _ => return None,
                };
                let filled = *result.as_ref().unwrap_or(&0);
                Some(outcome(result) + self.check(&buf[..filled], 1 - from, true))
            }
            Op::TryReadBuf(_, n) => {
                let mut buf = Vec::with_capacity(n);
                let mut room = (&mut buf).limit(n);
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_read_buf(&mut room),
                    Hold::Halves(Some(half), _) => half.try_read_buf(&mut room),
                    _ => return None,
                };
                Some(outcome(result) + self.check(&buf, 1 - from, true))
            }
            Op::TryRead(_, n) => {
                let mut buf = vec![0; n];
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_read(&mut buf),
                    Hold::Halves(Some(half), _) => half.try_read(&mut buf),
                    _ => return None,
                };
                let text = match &result {
                    Ok(n) => self.check(&buf[..*n], 1 - from, true),
                    Err(_) => "",
                };
                Some(outcome(result) + text)
            }
            Op::Ready(_) => {
                let asked = poll_fn(|cx| {
                    let polled = match &self.hold {
                        Hold::Whole(stream) => pin!(stream.ready(BOTH)).poll(cx),
                        Hold::Halves(Some(half), _) => pin!(half.ready(BOTH)).poll(cx),
                        Hold::Halves(_, Some(half)) => pin!(half.ready(BOTH)).poll(cx),
                        _ => return Poll::Ready(None),
                    };
                    Poll::Ready(Some(polled))
                });
                // Whether it can be read and written is what tokio remembers, which may be over.
                let closed = match asked.await? {
                    Poll::Ready(Ok(ready)) => (ready.is_read_closed(), ready.is_write_closed()),
                    Poll::Ready(Err(error)) => return Some(format!("{:?}", error.kind())),
                    Poll::Pending => (false, false),
                };
                Some(format!("closed {closed:?}"))
            }
            Op::Shutdown(_) => {
                let result = match &mut self.hold {
                    Hold::Whole(stream) => {
                        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
                    }
                    Hold::Halves(_, Some(half)) => {
                        poll_fn(|cx| Pin::new(&mut *half).poll_shutdown(cx)).await
                    }
                    _ => return None,
                };
                Some(outcome(result.map(|()| 0)))
            }
            Op::TakeError(_) => match &self.hold {
                Hold::Whole(stream) => {
                    let error = stream
                        .take_error()
                        .map(|error| error.map(|error| error.kind()));
                    Some(format!("{error:?}"))
                }
                _ => None,
            },
            Op::PeerAddr(_) => {
                let address = match &self.hold {
                    Hold::Whole(stream) => stream.peer_addr(),
                    Hold::Halves(Some(half), _) => half.peer_addr(),
                    Hold::Halves(_, Some(half)) => half.peer_addr(),
                    _ => return None,
                };
                Some(format!(
                    "{:?}",
                    address.map(drop).map_err(|error| error.kind())
                ))
            }
            Op::LocalAddr(_) => {
                let stream = self.stream()?;
                let local = stream.local_addr().map_err(|error| error.kind());
                Some(format!(
                    "{:?}",
                    local.map(|local| local.ip().is_unspecified())
                ))
            }
            Op::Netstat(_) => {
                let (local, peer) = self.ends?;
                let shown = netstat(local, peer);
                Some(format!(
                    "{:?}",
                    shown.map(|(state, queue)| (state, count(queue)))
                ))
            }
            Op::LowWater(_, bytes) => {
                let set = set_notsent_lowat(self.stream()?, bytes);
                Some(format!("{:?}", set.map_err(|error| error.kind())))
            }
            Op::Options(_) => {
                let Hold::Whole(stream) = &self.hold else {
                    return None;
                };
                let before = stream.nodelay();
                let set = stream.set_nodelay(!*before.as_ref().unwrap_or(&false));
                let after = (stream.nodelay(), stream.linger());
                // Nagle's waits are not what a timed script is about.
                stream.set_nodelay(*before.as_ref().unwrap_or(&false)).ok();
                Some(format!("{before:?} {set:?} {after:?}"))
            }
            Op::Drop(_) => {
                self.let_go();
                None
            }
            Op::NoLinger(_) => match &self.hold {
                Hold::Whole(stream) => {
                    let set = set_linger(stream, None).map_err(|error| error.kind());
                    Some(format!("{set:?}"))
                }
                _ => None,
            },
            Op::ZeroLinger(_) | Op::Reset(_) => {
                let set = match &self.hold {
                    Hold::Whole(stream) => stream.set_zero_linger().map_err(|error| error.kind()),
                    _ => return None,
                };
                if matches!(op, Op::Reset(_)) {
                    self.let_go();
                }
                Some(format!("{set:?}"))
            }
            Op::IntoSplit(_) => {
                self.hold = match std::mem::take(&mut self.hold) {
                    Hold::Whole(stream) => {
                        let (read, write) = stream.into_split();
                        Hold::Halves(Some(read), Some(write))
                    }
                    other => other,
                };
                self.ring();
                None
            }
            Op::Reunite(_) => {
                self.hold = match std::mem::take(&mut self.hold) {
                    Hold::Halves(Some(read), Some(write)) => {
                        Hold::Whole(read.reunite(write).expect("halves of one stream"))
                    }
                    other => other,
                };
                self.ring();
                None
            }
            Op::DropReadHalf(_) => {
                if let Hold::Halves(read, _) = &mut self.hold {
                    *read = None;
                    self.reading = None;
                }
                None
            }
            Op::DropWriteHalf(_) | Op::ForgetWriteHalf(_) => {
                if let Hold::Halves(_, write) = &mut self.hold {
                    match (write.take(), op) {
                        (Some(write), Op::ForgetWriteHalf(_)) => write.forget(),
                        (write, _) => drop(write),
                    }
                    self.writing = None;
                }
                None
            }
            _ => None,
        }
    }
}
