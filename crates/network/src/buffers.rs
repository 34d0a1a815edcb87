//! How much the two queues of one direction hold, and how Linux lets them grow.
//!
//! A send buffer that is not fixed begins with room for ten segments' worth of kernel memory, twice,
//! and follows the congestion window up to `tcp_wmem[2]` (`tcp_sndbuf_expand`). A receive buffer that
//! is not fixed begins with a window of 64 KiB and follows what its application reads in a round trip
//! (`tcp_rcv_space_adjust`), so a peer that does not read never gets more.

use std::time::Duration;
use tokio::time::Instant;

/// `tcp_wmem[2]`: a send buffer grows no further.
pub(crate) const SEND_MOST: usize = 4 * 1024 * 1024;
/// The window that belongs to `tcp_rmem[2]` of 6 MiB: a receive window grows no further.
pub(crate) const RECEIVE_MOST: usize = 3 * 1024 * 1024;
/// The window that belongs to `tcp_rmem[1]` of 128 KiB.
const RECEIVE_FIRST: usize = 64 * 1024;
/// The initial congestion window, in segments (RFC 6928).
const INITIAL_WINDOW: usize = 10;
/// No path carries smaller segments (RFC 9293 section 3.7.1). Smaller ones only cut what a read sees.
pub(crate) const SEGMENT_LEAST: usize = 536;
/// An IP packet carries no more.
const SEGMENT_MOST: usize = 65_535;
/// What the headers of a segment cost in kernel memory, and the structure that describes it.
const HEADERS: usize = 640;
const DESCRIPTION: usize = 256;

/// Kernel memory by which the buffers of all connections of a world may grow. Linux, too, lets none
/// grow once TCP as a whole holds `tcp_mem[0]`.
#[derive(Debug)]
pub(crate) struct Memory {
    left: usize,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            left: 64 * 1024 * 1024,
        }
    }
}

impl Memory {
    /// Grows `size` to `wanted`, and counts the difference, unless memory is short.
    fn grow(&mut self, size: &mut usize, wanted: usize, granted: &mut usize) {
        let more = wanted.saturating_sub(*size);
        if more <= self.left {
            self.left -= more;
            *granted += more;
            *size += more;
        }
    }

    /// Takes back what a connection that is gone had been granted.
    pub(crate) fn take_back(&mut self, granted: usize) {
        self.left += granted;
    }
}

/// The buffers of one direction.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// Bytes that the sender's host holds at most.
    pub(crate) send: usize,
    /// Bytes that the receiver's host holds at most.
    pub(crate) receive: usize,
    /// By how much both have grown.
    pub(crate) granted: usize,
    send_is_fixed: bool,
    receive_is_fixed: bool,
    /// The congestion window, in segments. It bounds the send buffer, not what is in flight.
    window: usize,
    /// The most that the application has read in a round trip.
    space: usize,
    /// Where in the stream, and when, the round trip began that is measured.
    round: Option<(u64, Instant)>,
}

impl Buffers {
    /// Buffers of these sizes, or, where none is given, of those that Linux begins with for segments of `mtu` bytes.
    pub(crate) fn new(send: Option<usize>, receive: Option<usize>, mtu: usize) -> Buffers {
        Buffers {
            send: send.unwrap_or(send_buffer(INITIAL_WINDOW, mtu)),
            receive: receive.unwrap_or(RECEIVE_FIRST),
            granted: 0,
            send_is_fixed: send.is_some(),
            receive_is_fixed: receive.is_some(),
            window: INITIAL_WINDOW,
            space: INITIAL_WINDOW * segment(mtu),
            round: None,
        }
    }

    /// The peer has acknowledged `bytes` of `flight` bytes that were under way: in slow start the congestion
    /// window grows by as much, while it is in use to more than its half (RFC 5681 section 3.1, RFC 7661).
    pub(crate) fn acknowledged(&mut self, bytes: usize, flight: usize, mtu: usize) {
        let segment = segment(mtu);
        if !self.send_is_fixed && self.window < 2 * flight.div_ceil(segment) {
            self.window += bytes.div_ceil(segment);
        }
    }

    /// The application waits for room in the send buffer, and something was acknowledged.
    pub(crate) fn expand(&mut self, mtu: usize, memory: &mut Memory) {
        if !self.send_is_fixed && self.send < SEND_MOST {
            let wanted = send_buffer(self.window, mtu);
            memory.grow(&mut self.send, wanted, &mut self.granted);
        }
    }

    /// The application has read everything up to `offset`. `round_trip` is how long one takes.
    pub(crate) fn read(
        &mut self,
        offset: u64,
        (now, round_trip): (Instant, Duration),
        mtu: usize,
        memory: &mut Memory,
    ) {
        if self.receive_is_fixed {
            return;
        }
        let (start, begun) = *self.round.get_or_insert((0, now));
        if now < begun + round_trip {
            return;
        }
        self.round = Some((offset, now));
        let copied = (offset - start) as usize;
        if copied <= self.space {
            return;
        }
        // Twice of what was read, some segments, and more where reading becomes faster.
        let window = 2 * copied + 16 * segment(mtu);
        let faster = window as u64 * (copied - self.space) as u64 / self.space as u64;
        let wanted = (window as u64 + 2 * faster).min(RECEIVE_MOST as u64) as usize;
        self.space = copied;
        memory.grow(&mut self.receive, wanted, &mut self.granted);
    }
}

fn segment(mtu: usize) -> usize {
    mtu.clamp(SEGMENT_LEAST, SEGMENT_MOST)
}

/// Linux's send buffer for a congestion window of so many segments: twice of what they take in its memory.
fn send_buffer(window: usize, mtu: usize) -> usize {
    let one = (segment(mtu) + HEADERS).next_power_of_two() + DESCRIPTION;
    one.saturating_mul(2 * window).min(SEND_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_send_buffer_begins_as_linux_sizes_it() {
        // `ss -m` shows these on Ethernet and on loopback.
        assert_eq!(Buffers::new(None, None, 1460).send, 87_040);
        assert_eq!(Buffers::new(None, None, 65_483).send, 2_626_560);
        assert_eq!(Buffers::new(Some(7), Some(9), 1460).send, 7);
        assert_eq!(Buffers::new(None, None, usize::MAX).send, 2_626_560);
    }

    #[test]
    fn buffers_grow_up_to_their_limits_and_fixed_ones_never() {
        let mut memory = Memory::default();
        let start = Instant::now();
        let mut free = Buffers::new(None, None, 1500);
        let mut fixed = Buffers::new(Some(1000), Some(1000), 1500);
        let mut offset = 0;
        for round in 0..40_u32 {
            for buffers in [&mut free, &mut fixed] {
                let flight = buffers.send.min(buffers.receive);
                buffers.acknowledged(flight, flight, 1500);
                buffers.expand(1500, &mut memory);
                let now = start + Duration::from_millis(40) * round;
                let round_trip = Duration::from_millis(40);
                buffers.read(offset, (now, round_trip), 1500, &mut memory);
            }
            offset += free.receive as u64;
        }
        assert_eq!((free.send, free.receive), (SEND_MOST, RECEIVE_MOST));
        assert_eq!((fixed.send, fixed.receive, fixed.granted), (1000, 1000, 0));
        let used = free.granted;
        memory.take_back(used);
        assert_eq!(memory.left, Memory::default().left);
    }

    #[test]
    fn no_buffer_grows_once_memory_is_short() {
        let mut memory = Memory { left: 100 };
        let mut buffers = Buffers::new(None, None, 1500);
        buffers.acknowledged(65_536, 65_536, 1500);
        buffers.expand(1500, &mut memory);
        assert_eq!((buffers.send, memory.left), (87_040, 100));
    }

    #[test]
    fn a_slow_reader_keeps_the_first_window() {
        let mut memory = Memory::default();
        let mut buffers = Buffers::new(None, None, 1500);
        let start = Instant::now();
        for round in 0..1000_u32 {
            let now = start + Duration::from_millis(40) * round;
            let at = (now, Duration::from_millis(40));
            buffers.read(u64::from(round) * 1000, at, 1500, &mut memory);
        }
        assert_eq!(buffers.receive, RECEIVE_FIRST);
    }
}
