//! The send queue: what a write takes, when the socket is writable, how much is queued.

use super::{Connection, Life};
use crate::medium::Medium;
use crate::observer::Side;
use crate::readiness::Place;
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll};

/// The most that Linux puts into one buffer of its send queue. It compares the unsent bytes with
/// `TCP_NOTSENT_LOWAT` once for each such buffer.
const PIECE: usize = 64 * 1024;

impl Connection {
    /// Writes what fits into the send queue, and returns how much that was. `Pending` registers the
    /// task, if there is one.
    pub(crate) fn write(
        &mut self,
        side: Side,
        parts: &[IoSlice<'_>],
        wait: Option<(Place, &Context<'_>)>,
        medium: &mut Medium,
    ) -> Poll<io::Result<usize>> {
        let (end, lane) = (&mut self.ends[side as usize], &self.lanes[side as usize]);
        if end.fault.is_some() || end.life == Life::Gone || lane.fin.asked {
            let fault = end.fault.take().unwrap_or(ErrorKind::BrokenPipe);
            return Poll::Ready(Err(fault.into()));
        }
        if end.blocked || self.room(side) == 0 {
            let end = self.end(side);
            end.blocked = true;
            if let Some((place, cx)) = wait {
                end.writers.add(place, cx, &mut medium.discarded);
            }
            return Poll::Pending;
        }
        let count = self.queue(side, parts, medium);
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        // As epoll's edge: after a short write the next one waits until a third of the buffer is free.
        let full = count < whole || self.room(side) == 0;
        self.end(side).blocked |= full;
        Poll::Ready(Ok(count))
    }

    /// Moves bytes into the send queue, and sends what the window allows.
    fn queue(&mut self, side: Side, parts: &[IoSlice<'_>], medium: &mut Medium) -> usize {
        let most = match self.end_ref(side).unsent_most {
            usize::MAX => usize::MAX,
            _ => PIECE,
        };
        let lane = self.lane(side);
        if lane.unsent() == 0 && !lane.waits_for_ack() {
            // Whoever waits for the window to open waits from now on.
            lane.since = Some(medium.now());
        }
        let mut count = 0;
        'parts: for part in parts {
            let mut rest: &[u8] = part;
            while !rest.is_empty() {
                let taken = rest.len().min(self.room(side)).min(most);
                if taken == 0 {
                    break 'parts;
                }
                let lane = self.lane(side);
                lane.bytes.extend_from_slice(&rest[..taken]);
                lane.written += taken as u64;
                count += taken;
                rest = &rest[taken..];
                if most == PIECE {
                    self.transmit(side, medium);
                }
            }
        }
        medium.put(self.id, side, count);
        self.transmit(side, medium);
        count
    }

    /// How many bytes a write takes now (Linux's `sk_stream_memory_free`).
    fn room(&self, side: Side) -> usize {
        let lane = self.lane_ref(side);
        match lane.unsent() < self.end_ref(side).unsent_most {
            true => lane.buffers.send.saturating_sub(lane.buffered()),
            false => 0,
        }
    }

    /// Wakes the writers that wait for room once there is enough (Linux's `sk_stream_write_space`):
    /// a third of the buffer is free, and less than half of `TCP_NOTSENT_LOWAT` is unsent.
    pub(super) fn make_writable(&mut self, side: Side, medium: &mut Medium) {
        if !self.end_ref(side).blocked {
            return;
        }
        let mtu = self.link.mtu;
        let lane = self.lane(side);
        lane.buffers.expand(mtu, &mut medium.memory);
        let send_buffer = lane.buffers.send;
        let free = send_buffer.saturating_sub(lane.buffered());
        let roomy = free.saturating_mul(3) >= send_buffer;
        let sent = lane.unsent().saturating_mul(2) < self.end_ref(side).unsent_most;
        if roomy && sent {
            let end = self.end(side);
            end.blocked = false;
            end.wake_writer(medium);
        }
    }

    /// Sets `TCP_NOTSENT_LOWAT`; zero stands for no limit, as it does for Linux's default.
    pub(crate) fn set_unsent_most(&mut self, side: Side, bytes: usize, medium: &mut Medium) {
        self.end(side).unsent_most = match bytes {
            0 => usize::MAX,
            bytes => bytes,
        };
        self.make_writable(side, medium);
    }

    /// What `SIOCOUTQ` gives: bytes written and not acknowledged. The end of the stream counts as
    /// one, since it has a sequence number.
    pub(crate) fn send_queue(&self, side: Side) -> usize {
        let lane = self.lane_ref(side);
        lane.buffered() + usize::from(lane.fin.asked && !lane.fin.acked)
    }
}
