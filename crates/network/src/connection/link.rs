//! Links that lose segments, and the timers with which hosts notice.

use super::{Connection, Holder, Life};
use crate::agenda::What;
use crate::config::{BlackHole, Link};
use crate::lane::{Cause, Purpose, Segment, Timer};
use crate::medium::Medium;
use crate::observer::{Event, Side};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::time::Instant;

/// The first retransmission timeout; it doubles up to two minutes.
pub(super) const RTO: Duration = Duration::from_millis(200);
/// The first timeout of the handshake.
pub(super) const SYN_RTO: Duration = Duration::from_secs(1);
/// Retransmission timeouts double up to this.
pub(super) const RTO_MOST: Duration = Duration::from_secs(120);
/// Linux's `tcp_retries2` of 15 is this much time without an acknowledgement.
const GIVE_UP: Duration = Duration::from_millis(924_600);
/// The same for a socket that the application has closed (`tcp_orphan_retries`, 8).
const GIVE_UP_ORPHAN: Duration = Duration::from_millis(102_200);
/// A closed socket whose peer keeps the window shut: until the probes are two minutes apart.
const GIVE_UP_ORPHAN_WINDOW: Duration = Duration::from_millis(324_600);
/// No segment is slower than this: a clock must not overflow.
const MOST: Duration = Duration::from_secs(24 * 3600);
/// How many times in a row chance may lose one segment; after that it is a black hole.
const LOSSES: u32 = 15;
/// When Linux sends a SYN again, in seconds (`tcp_syn_retries` 6, `tcp_syn_linear_timeouts` 4).
const SYN_AT: [u64; 10] = [1, 2, 3, 4, 5, 7, 11, 19, 35, 67];
/// When it gives up.
const SYN_GIVE_UP: u64 = 131;
/// When Linux answers a SYN again whose answer was not acknowledged (`tcp_synack_retries` 5).
const SYN_ACK_AT: [u64; 5] = [1, 3, 7, 15, 31];
const SYN_ACK_GIVE_UP: u64 = 63;

/// How long a segment travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay {
    /// From its first departure to its arrival.
    pub(super) travel: Duration,
    /// From its first departure to the one that arrives.
    pub(super) again: Duration,
}

/// What a timer leaves to the network, which has the listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// The server's host waits no longer for the end of the handshake.
    ForgetHandshake,
}

impl Connection {
    /// Whether nothing that this side's host sends arrives.
    pub(crate) fn swallows(&self, from: Side) -> bool {
        let hole = match from {
            Side::Client => matches!(self.link.black_hole, BlackHole::ToServer | BlackHole::Both),
            Side::Server => matches!(self.link.black_hole, BlackHole::ToClient | BlackHole::Both),
        };
        hole || self.vanished
    }

    /// How long a segment travels of which chance makes nothing.
    pub(super) fn latency(&self) -> Delay {
        Delay {
            travel: self.link.latency.min(MOST),
            again: Duration::ZERO,
        }
    }

    /// How long a segment travels that is sent again when it is lost: latency, jitter, and the timeout, `first` and then the double, for each
    /// time that it is. `None` if it never arrives.
    #[inline]
    pub(super) fn delay(&mut self, from: Side, first: Duration) -> Option<Delay> {
        let Link { jitter, loss, .. } = self.link;
        let mut delay = self.latency();
        let random = &mut self.lanes[from as usize].random;
        let jitter = jitter.min(MOST).as_millis() as u64;
        if jitter > 0 {
            delay.travel += Duration::from_millis(random.up_to(jitter));
        }
        if loss > 0.0 {
            let (mut losses, mut timeout) = (0, first);
            while random.chance(loss) {
                losses += 1;
                if losses > LOSSES {
                    return None;
                }
                delay.again += timeout;
                timeout = (timeout * 2).min(RTO_MOST);
            }
            delay.travel += delay.again;
        }
        Some(delay)
    }

    /// A segment was lost for good. Who sent it has to notice.
    pub(super) fn swallowed(&mut self, from: Side, segment: Segment, medium: &mut Medium) {
        let client = self.end_ref(Side::Client).life;
        if self.end_ref(Side::Server).life == Life::SynReceived {
            // Whatever it was, the server's host does not see the end of the handshake.
            self.retry_syn_ack(medium);
        }
        match segment {
            Segment::Syn | Segment::SynAck if client == Life::SynSent => self.retry_syn(medium),
            Segment::Syn | Segment::SynAck => {}
            // A probe has nothing to lose.
            Segment::Data { bytes: 0, .. } => self.expect_progress(from, medium),
            Segment::Data { start, .. } | Segment::Fin { start, .. } => {
                self.lane(from).lost.get_or_insert(start);
                self.expect_progress(from, medium);
            }
            // The peer may wait for just this.
            Segment::Ack { next, limit } => {
                self.lane(from.peer()).lost_ack = Some((next, limit));
                self.expect_progress(from.peer(), medium);
            }
            Segment::Reset { .. } => {
                self.lane(from.peer()).lost_ack = Some((u64::MAX, u64::MAX));
                self.expect_progress(from.peer(), medium);
            }
        }
    }

    /// The receiver's host did not take what arrived: it has to be sent again, and all behind it.
    pub(crate) fn dropped_on_arrival(&mut self, from: Side, medium: &mut Medium) {
        let lane = self.lane(from);
        lane.lost = Some(lane.received);
        self.expect_progress(from, medium);
    }

    /// Changes the link. Segments under way are not touched.
    pub(crate) fn set_link(&mut self, link: Link, medium: &mut Medium) {
        self.link = Link {
            mtu: link.mtu.max(1),
            ..link
        };
        self.unreliable = true;
        for side in [Side::Client, Side::Server] {
            let bytes = self.lane_ref(side).acked;
            medium.tell(self.id, Event::Acknowledged { to: side, bytes });
            if let Some(Timer {
                purpose: Purpose::GiveUp,
                ..
            }) = self.lane_ref(side).timer
            {
                self.cancel_timer(side, medium);
            }
            self.watch_window(side, medium);
            self.becomes_orphan(side, medium);
            self.watch_peer(side, medium);
        }
    }

    /// From now on the answers to window probes may be lost.
    fn watch_window(&mut self, from: Side, medium: &mut Medium) {
        let lane = self.lane(from);
        if lane.waits_for_window() && !lane.waits_for_ack() {
            lane.since = Some(medium.now());
        }
        self.expect_progress(from, medium);
    }

    /// The client's host is gone.
    pub(crate) fn vanish(&mut self, medium: &mut Medium) {
        if self.vanished {
            return;
        }
        self.vanished = true;
        medium.tell(self.id, Event::Vanished);
        self.cancel_timer(Side::Client, medium);
        if self.end_ref(Side::Client).holder == Holder::Host {
            self.drop_socket(Side::Client, medium);
        }
        self.watch_window(Side::Server, medium);
        self.becomes_orphan(Side::Server, medium);
        self.watch_peer(Side::Server, medium);
    }

    /// Sees to it that a host which waits for its peer does not wait for ever: what was lost is sent again once
    /// the link lets it through, and given up in the end. While the answer is merely under way no timer is set:
    /// an idle network has none.
    pub(crate) fn expect_progress(&mut self, from: Side, medium: &mut Medium) {
        let (lane, end) = (self.lane_ref(from), self.end_ref(from));
        let waits = lane.waits_for_ack() || lane.waits_for_window();
        let dead = end.life == Life::Gone || (from == Side::Client && self.vanished);
        if !waits
            || dead
            || lane
                .timer
                .is_some_and(|timer| timer.purpose != Purpose::GiveUp)
        {
            return;
        }
        let orphan = end.holder == Holder::Host;
        let patience = if self.swallows(from) || (lane.lost.is_none() && self.swallows(from.peer()))
        {
            if orphan { GIVE_UP_ORPHAN } else { GIVE_UP }
        } else if lane.lost.is_some() || lane.lost_ack.is_some() {
            return self.set_retransmission(from, medium);
        } else if orphan && !lane.waits_for_ack() {
            GIVE_UP_ORPHAN_WINDOW
        } else if end.user_timeout.is_some() && !lane.waits_for_ack() {
            Duration::MAX
        } else {
            return;
        };
        let now = medium.now();
        let since = lane.since.unwrap_or(now);
        let at = match since + self.patience(from, patience) {
            at if at > now => at,
            // The next retransmission or probe finds that it has waited too long.
            _ => next_retry(since, now),
        };
        self.set_timer(
            from,
            Timer {
                at,
                purpose: Purpose::GiveUp,
            },
            medium,
        );
    }

    fn set_retransmission(&mut self, from: Side, medium: &mut Medium) {
        let now = medium.now();
        let since = self.lane_ref(from).since.unwrap_or(now);
        let at = next_retry(since, now).min(now.max(since + self.patience(from, GIVE_UP)));
        self.set_timer(
            from,
            Timer {
                at,
                purpose: Purpose::Retransmit,
            },
            medium,
        );
    }

    fn set_timer(&mut self, from: Side, timer: Timer, medium: &mut Medium) {
        let key = self.key;
        if let Some(old) = self.lane_ref(from).timer {
            if (old.at, old.purpose) == (timer.at, timer.purpose) {
                return;
            }
            self.cancel_timer(from, medium);
        }
        let lane = self.lane(from);
        lane.timers += 1;
        lane.timer = Some(timer);
        let serial = lane.timers;
        let order = medium.order();
        medium.schedule(timer.at, order, key, from, What::Timer(serial));
    }

    pub(crate) fn cancel_timer(&mut self, from: Side, medium: &mut Medium) {
        let lane = self.lane(from);
        if let Some(timer) = lane.timer.take() {
            lane.timers += 1;
            medium.cancelled(timer.at);
        }
    }

    /// A SYN, or the answer to it, was lost or not wanted: the client sends another.
    pub(crate) fn retry_syn(&mut self, medium: &mut Medium) {
        if self.vanished {
            return;
        }
        let at = after(self.began, &SYN_AT, SYN_GIVE_UP, medium.now());
        self.set_timer(
            Side::Client,
            Timer {
                at,
                purpose: Purpose::Syn,
            },
            medium,
        );
    }

    /// The server's host has not seen the end of the handshake: it answers the SYN again.
    pub(crate) fn retry_syn_ack(&mut self, medium: &mut Medium) {
        let since = self.lane_ref(Side::Server).since.unwrap_or(self.began);
        let at = after(since, &SYN_ACK_AT, SYN_ACK_GIVE_UP, medium.now());
        self.set_timer(
            Side::Server,
            Timer {
                at,
                purpose: Purpose::SynAck,
            },
            medium,
        );
    }

    /// A timer of this side goes off.
    pub(crate) fn timer(&mut self, from: Side, medium: &mut Medium) -> Due {
        let Some(timer) = self.lane(from).timer.take() else {
            return Due::Nothing;
        };
        match timer.purpose {
            Purpose::Syn if timer.at >= self.began + Duration::from_secs(SYN_GIVE_UP) => {
                self.time_out(from, medium);
            }
            Purpose::Syn => self.launch(from, Segment::Syn, medium),
            Purpose::SynAck => {
                let since = self.lane_ref(from).since.unwrap_or(timer.at);
                if timer.at >= since + Duration::from_secs(SYN_ACK_GIVE_UP) {
                    return Due::ForgetHandshake;
                }
                self.launch(from, Segment::SynAck, medium);
            }
            Purpose::Retransmit => {
                let since = self.lane_ref(from).since.unwrap_or(timer.at);
                match timer.at >= since + self.patience(from, GIVE_UP) {
                    true => self.time_out(from, medium),
                    false => self.retransmit(from, medium),
                }
            }
            Purpose::GiveUp if self.would_open(from) => self.acknowledge(from.peer(), medium),
            Purpose::GiveUp => self.time_out(from, medium),
        }
        Due::Nothing
    }

    /// How long the host waits for progress. `TCP_USER_TIMEOUT` counts from the first
    /// retransmission, or the first probe of a closed window.
    fn patience(&self, from: Side, usual: Duration) -> Duration {
        let Some(timeout) = self.end_ref(from).user_timeout else {
            return usual;
        };
        match self.lane_ref(from).waits_for_ack() {
            true => timeout + RTO,
            // Other limits of probing stay.
            false => usual.min(timeout + RTO),
        }
    }

    /// Whether the answer to a probe of the closed window, none of which is simulated, would have opened it: a
    /// segment fits, which is less than what the peer's host announces by itself.
    fn would_open(&self, from: Side) -> bool {
        let lane = self.lane_ref(from);
        let heard = !self.swallows(from) && !self.swallows(from.peer());
        let peer = self.end_ref(from.peer());
        let fits = self.link.mtu.min(lane.buffers.receive / 2).max(1) as u64;
        heard
            && !lane.waits_for_ack()
            && peer.life.has_socket()
            && lane.read + lane.buffers.receive as u64 >= lane.limit + fits
    }

    /// Sets `TCP_USER_TIMEOUT`; zero stands for the system's own limits. A host that already
    /// waits looks at it when it next sends something again.
    pub(crate) fn set_user_timeout(&mut self, side: Side, timeout: Duration, medium: &mut Medium) {
        self.end(side).user_timeout = (!timeout.is_zero()).then_some(timeout.min(MOST));
        if let Some(Timer {
            purpose: Purpose::GiveUp,
            ..
        }) = self.lane_ref(side).timer
        {
            self.cancel_timer(side, medium);
        }
        self.expect_progress(side, medium);
        let (now, lane) = (medium.now(), self.lane_ref(side));
        if let (
            Some(Timer {
                at,
                purpose: Purpose::GiveUp,
            }),
            Some(since),
        ) = (lane.timer, lane.since)
        {
            let at = at.max(next_retry(since, now));
            let purpose = Purpose::GiveUp;
            self.set_timer(side, Timer { at, purpose }, medium);
        }
    }

    /// The peer has not answered the keep-alive probes.
    pub(super) fn give_up_peer(&mut self, side: Side, medium: &mut Medium) {
        let sequence = self.lane_ref(side).end();
        let cause = Cause::Close;
        self.launch(side, Segment::Reset { sequence, cause }, medium);
        self.time_out(side, medium);
    }

    fn time_out(&mut self, side: Side, medium: &mut Medium) {
        medium.tell(self.id, Event::TimedOut { side });
        self.fail(side, ErrorKind::TimedOut, medium);
    }

    fn retransmit(&mut self, from: Side, medium: &mut Medium) {
        let lane = self.lane(from);
        let start = lane
            .lost
            .take()
            .map_or(lane.sent, |lost| lost.max(lane.acked));
        let (bytes, fin) = (
            (lane.sent - start) as usize,
            lane.fin.sent && !lane.fin.acked,
        );
        if bytes > 0 || fin {
            return self.send_stream(from, start, bytes, fin, medium);
        }
        // Only acknowledgements were lost: anything that is sent again brings a new one.
        let ack = self.lane_ref(from.peer()).next();
        self.launch(
            from,
            Segment::Data {
                start,
                bytes: 0,
                ack,
            },
            medium,
        );
    }
}

/// The first instant after `now` at which something is sent again that was first sent at `since`.
fn next_retry(since: Instant, now: Instant) -> Instant {
    let mut at = since;
    let mut timeout = RTO;
    while at <= now {
        at += timeout;
        timeout = (timeout * 2).min(Duration::from_secs(120));
    }
    at
}

/// The first of `seconds` after `since` that is after `now`, else `last`.
fn after(since: Instant, seconds: &[u64], last: u64, now: Instant) -> Instant {
    let instants = seconds.iter().map(|&s| since + Duration::from_secs(s));
    instants
        .into_iter()
        .find(|&at| at > now)
        .unwrap_or(since + Duration::from_secs(last))
        .max(now)
}
