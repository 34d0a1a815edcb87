//! One request and its response: what is owed in both directions.

use crate::body::{BodyError, Pipe, Reader};
use crate::chunked::{Chunked, Piece};
use crate::framing::{Facts, Length};
use crate::head;
use crate::input::Input;
use crate::response::{Asked, Framing};
use crate::upgrade::Offered;
use bytes::Buf;
use hangup_lifecycle::{CloseReason, Life, Limits, Refusal};
use http::{Method, Version};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The state of the request under way. Between requests it is [`Exchange::none`].
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) asked: Asked,
    pub(super) expect: Expect,
    body: Decoder,
    /// Content received, against the limit.
    received: u64,
    /// A byte of the body has come, be it framing.
    pub(super) body_began: bool,
    pub(super) pipe: Option<Arc<Pipe>>,
    /// The request asks for another protocol, and may get it.
    pub(super) tunnel: Option<Offered>,
    /// How the response's body is framed; meaningful once it has begun.
    pub(super) framing: Framing,
    /// The final response has begun: no other can be given.
    pub(super) begun: bool,
    /// Why the connection will not be used again behind this response.
    pub(super) ending: Option<CloseReason>,
}

/// Where the expectation of a `100 Continue` stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expect {
    /// There is none, or the body came without waiting.
    Nothing,
    /// The client waits.
    Waits,
    /// It was sent.
    Sent,
}

#[derive(Debug)]
enum Decoder {
    Whole,
    Left(u64),
    Chunked(Box<Chunked>),
}

/// What became of an attempt to give the application more of the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fed {
    /// It has something new to see.
    Something,
    /// It has not taken what it was given, or has everything.
    Enough,
    /// More must be read from the peer.
    Hungry,
}

impl Exchange {
    pub(super) fn none() -> Self {
        Exchange {
            asked: Asked {
                head_only: false,
                new: true,
                persistent: true,
            },
            expect: Expect::Nothing,
            body: Decoder::Whole,
            received: 0,
            body_began: false,
            pipe: None,
            tunnel: None,
            framing: Framing::None,
            begun: false,
            ending: None,
        }
    }

    pub(super) fn new(method: &Method, version: Version, facts: Facts) -> Self {
        let (body, pipe) = match facts.body {
            Length::None => (Decoder::Whole, None),
            Length::Known(length) => (Decoder::Left(length), Some(Pipe::new(Some(length)))),
            Length::Chunked => (
                Decoder::Chunked(Box::new(Chunked::new())),
                Some(Pipe::new(None)),
            ),
        };
        Exchange {
            asked: Asked {
                head_only: method == Method::HEAD,
                new: version == Version::HTTP_11,
                persistent: facts.persistent,
            },
            expect: if facts.expects_continue {
                Expect::Waits
            } else {
                Expect::Nothing
            },
            body,
            pipe,
            ..Exchange::none()
        }
    }

    pub(super) fn reader(&self) -> Reader {
        self.pipe
            .as_ref()
            .map_or(Reader::Gone, |pipe| pipe.reader())
    }

    /// Whether the request's body has been taken off the connection to its end.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.body, Decoder::Whole)
    }

    /// How much of a body of known length is not even in memory.
    pub(super) fn surely_owed(&self, input: &Input) -> u64 {
        match self.body {
            Decoder::Left(left) => left.saturating_sub(input.bytes.len() as u64),
            Decoder::Whole | Decoder::Chunked(_) => 0,
        }
    }

    /// How much a read for the body may ask for.
    pub(super) fn appetite(&self, input: &Input) -> usize {
        match self.body {
            Decoder::Chunked(_) => usize::MAX,
            Decoder::Whole | Decoder::Left(_) => {
                usize::try_from(self.surely_owed(input)).unwrap_or(usize::MAX)
            }
        }
    }

    /// Hands the application what is in memory.
    pub(super) fn feed(
        &mut self,
        input: &mut Input,
        life: &mut Life,
        own: &Waker,
        now: Duration,
    ) -> Result<Fed, Refusal> {
        let Some(pipe) = &self.pipe else {
            return Ok(Fed::Enough);
        };
        if matches!(self.body, Decoder::Whole) || pipe.is_full() {
            return Ok(Fed::Enough);
        }
        if !input.bytes.is_empty() && !self.body_began {
            self.body_began = true;
            // It did not wait; to tell it to go on would be noise (RFC 9110 section 10.1.1).
            if self.expect == Expect::Waits {
                self.expect = Expect::Nothing;
            }
        }
        match self.body.next(input, life.limits())? {
            Piece::Content(length) => {
                self.received = self.received.saturating_add(length as u64);
                if self.received > life.limits().body_bytes {
                    return Err(Refusal::BodyTooLarge);
                }
                life.body(length as u64, now);
                pipe.put(input.take(length), own);
                self.body.taken(length);
                // The end may be in memory too, and then nobody need wait for it. What is wrong there is found when it is read.
                if let Ok(Piece::End) = self.body.next(input, life.limits()) {
                    self.body.complete(pipe, life.limits(), own)?;
                }
                Ok(Fed::Something)
            }
            Piece::End => {
                self.body.complete(pipe, life.limits(), own)?;
                Ok(Fed::Something)
            }
            Piece::More if input.ended => Err(Refusal::BodyIncomplete),
            Piece::More => {
                if self.body_began {
                    life.body(0, now);
                }
                Ok(Fed::Hungry)
            }
        }
    }

    /// Drops what is in memory of an unread body, at most `allowance` bytes of content. `None` if that is spent.
    pub(super) fn discard(
        &mut self,
        input: &mut Input,
        allowance: &mut u64,
        limits: &Limits,
    ) -> Result<Option<Piece>, Refusal> {
        loop {
            match self.body.next(input, limits)? {
                Piece::Content(length) if length as u64 > *allowance => return Ok(None),
                Piece::Content(length) => {
                    *allowance -= length as u64;
                    input.bytes.advance(length);
                    self.body.taken(length);
                }
                Piece::End => {
                    self.body = Decoder::Whole;
                    return Ok(Some(Piece::End));
                }
                Piece::More if input.ended => return Err(Refusal::BodyIncomplete),
                Piece::More => return Ok(Some(Piece::More)),
            }
        }
    }

    /// Nobody reads for the application any more.
    pub(super) fn abandon_body(&mut self, error: BodyError, own: &Waker) {
        if let Some(pipe) = self.pipe.take() {
            pipe.fail(error, own);
        }
    }
}

impl Decoder {
    fn complete(&mut self, pipe: &Pipe, limits: &Limits, own: &Waker) -> Result<(), Refusal> {
        let trailers = match std::mem::replace(self, Decoder::Whole) {
            Decoder::Chunked(mut chunked) => match chunked.take_trailers() {
                lines if lines.is_empty() => None,
                lines => Some(head::trailers(&lines, limits)?),
            },
            Decoder::Whole | Decoder::Left(_) => None,
        };
        pipe.complete(trailers, own);
        Ok(())
    }

    fn next(&mut self, input: &mut Input, limits: &Limits) -> Result<Piece, Refusal> {
        match self {
            Decoder::Whole | Decoder::Left(0) => Ok(Piece::End),
            Decoder::Left(_) if input.bytes.is_empty() => Ok(Piece::More),
            Decoder::Left(left) => {
                let left = usize::try_from(*left).unwrap_or(usize::MAX);
                Ok(Piece::Content(left.min(input.bytes.len())))
            }
            Decoder::Chunked(chunked) => chunked.next(&mut input.bytes, limits),
        }
    }

    fn taken(&mut self, length: usize) {
        match self {
            Decoder::Whole => {}
            Decoder::Left(left) => *left = left.saturating_sub(length as u64),
            Decoder::Chunked(chunked) => chunked.taken(length),
        }
    }
}
