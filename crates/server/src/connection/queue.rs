//! What the stream's peer has acknowledged: when it is asked for, and what follows.
//!
//! The kernel tells nobody when a byte is acknowledged. So the one place that waits also wakes to look, as often as
//! [`Life::look`](hangup_lifecycle::Life::look) asks for it, and looks before any deadline ends anything.

use super::{Connection, Gone};
use crate::{Body, Listener};
use hangup_lifecycle::{Limits, Phase};
use http::{Request, Response};
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// While too many bytes wait in all, room is looked for so often at first, and half as often each
/// time that there is none: thousands of clients that read nothing would take the processor.
pub(super) const ROOM: Duration = Duration::from_millis(50);

/// The longest time between two looks for room.
pub(super) const ROOM_MAX: Duration = Duration::from_millis(1600);

/// So many bytes may be written before the next look, though more may wait: they are counted as
/// waiting until then.
pub(super) const UNSEEN_MAX: u64 = 1024 * 1024;

/// What a listener says and does about its streams.
pub(super) struct Kernel<I> {
    pub(super) handshake: fn(&mut I, &mut Context<'_>) -> Poll<io::Result<()>>,
    unacknowledged: fn(&I) -> io::Result<Option<u64>>,
    abort: fn(&mut I),
}

/// The one of a listener, as a constant.
pub(super) struct KernelOf<L>(PhantomData<L>);

impl<L: Listener> KernelOf<L> {
    pub(super) const KERNEL: &'static Kernel<L::Io> = &Kernel {
        handshake: L::poll_handshake,
        unacknowledged: L::unacknowledged,
        abort: L::abort,
    };
}

/// A connection's part of the bytes that wait in all of them.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// What is counted of it.
    counted: u64,
}

impl Share {
    /// This connection has so many bytes waiting. What is within its share of its own is not counted, so that small responses
    /// touch nothing that connections share.
    pub(super) fn is(&mut self, waiting: u64, all: &AtomicU64) {
        let counts = if waiting < Limits::QUEUED_SHARE {
            0
        } else {
            waiting
        };
        // The count may be behind for a moment, and is never wrong for good: no memory depends on it.
        match counts.checked_sub(self.counted) {
            Some(0) => {}
            Some(more) => drop(all.fetch_add(more, Ordering::Relaxed)),
            None => drop(all.fetch_sub(self.counted - counts, Ordering::Relaxed)),
        }
        self.counted = counts;
    }

    /// How many bytes may be written now, where `waiting` wait already: what is left for all, and some in any case.
    pub(super) fn room(&self, waiting: u64, all: &AtomicU64, limits: &Limits) -> u64 {
        let left = limits
            .queued_bytes
            .saturating_sub(all.load(Ordering::Relaxed));
        left.max(Limits::QUEUED_SHARE.saturating_sub(waiting))
    }
}

impl<S, B, I> Connection<S, B, I>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
    I: 'static,
{
    /// Asks the stream what the peer has acknowledged.
    pub(super) fn look(&mut self, now: Duration) -> Result<(), Gone> {
        let (Some(kernel), Some(io), true) = (self.kernel, &self.io.0, self.life.can_tell()) else {
            return Ok(());
        };
        self.looked = now;
        match (kernel.unacknowledged)(io) {
            Ok(Some(waiting)) => self.life.acknowledged(waiting, now),
            Ok(None) => self.life.tells_not(now),
            Err(_) => return Err(Gone),
        }
        self.share.is(self.life.queued(), &self.config.queued);
        Ok(())
    }

    /// Whether the peer has acknowledged everything, our FIN too; or if that cannot be known.
    pub(super) fn is_delivered(&mut self, now: Duration) -> Result<bool, Gone> {
        if self.life.may_wait() {
            self.look(now)?;
        }
        Ok(!self.life.may_wait())
    }

    /// How many bytes may be written now.
    pub(super) fn room(&mut self, now: Duration) -> Result<u64, Gone> {
        let room = |of: &Self| {
            let limits = of.life.limits();
            of.share.room(of.life.queued(), &of.config.queued, limits)
        };
        let most = room(self);
        // Some of its own may be acknowledged by now, which makes room.
        if most < Limits::QUEUED_SHARE && self.life.may_wait() {
            self.look(now)?;
            return Ok(room(self));
        }
        Ok(most)
    }

    /// The next close is a reset, and nothing of the connection stays behind.
    pub(super) fn abort(&mut self) {
        if let (Some(kernel), Some(io)) = (self.kernel, &mut self.io.0) {
            (kernel.abort)(io);
        }
    }

    /// When to look again, in `phase`.
    pub(super) fn next_look(&mut self, phase: Phase, now: Duration) -> Option<Duration> {
        let mut look = self.life.look(now);
        if self.crowded {
            let room = now.saturating_add(self.room_every);
            look = Some(look.map_or(room, |look| look.min(room)));
        }
        // Who does not read is not told of a reset.
        let deaf = !self.hears && matches!(phase, Phase::Handler | Phase::Response | Phase::Kernel);
        if deaf && self.life.can_tell() {
            let every = self.looked.saturating_add(self.life.looks_every());
            look = Some(look.map_or(every, |look| look.min(every)));
        }
        look
    }
}
