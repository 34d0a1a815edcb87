//! Keep-alive probes (RFC 1122 section 4.2.3.6), as Linux's `tcp_keepalive_timer` sends them.
//!
//! A probe that is answered changes nothing, so none is simulated while the peer is certain to
//! answer. The timer is set only when the peer may be silent: its host vanished, the link lost a
//! direction, or its application closed the socket, which its host forgets in the end.

use super::{Connection, Holder, Life};
use crate::agenda::What;
use crate::lane::Segment;
use crate::medium::Medium;
use crate::observer::Side;
use std::time::Duration;
use tokio::time::Instant;

/// The settings of `SO_KEEPALIVE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    /// The first probe is sent when nothing has arrived for this long (`TCP_KEEPIDLE`).
    pub(crate) idle: Duration,
    /// Time between two probes (`TCP_KEEPINTVL`).
    pub(crate) interval: Duration,
    /// After so many unanswered probes, and one more interval, the connection is given up
    /// (`TCP_KEEPCNT`).
    pub(crate) count: u32,
}

/// What one host's keep-alive timer knows.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) settings: Option<Keepalive>,
    /// When a segment last arrived.
    pub(super) heard: Option<Instant>,
    /// Probes since then.
    probes: u32,
    /// When the timer goes off.
    pub(crate) due: Option<Instant>,
    /// Tells the timer that is set from those before.
    pub(crate) timers: u32,
}

impl Watch {
    /// A segment arrived.
    #[inline]
    pub(super) fn hears(&mut self, now: Instant) {
        self.heard = Some(now);
        self.probes = 0;
    }
}

impl Connection {
    /// Sets or clears the keep-alive probes of one host.
    pub(crate) fn set_keepalive(
        &mut self,
        side: Side,
        settings: Option<Keepalive>,
        medium: &mut Medium,
    ) {
        let watch = &mut self.end(side).watch;
        watch.settings = settings;
        watch.probes = 0;
        self.stop_watch(side, medium);
        self.watch_peer(side, medium);
    }

    /// Sets the keep-alive timer if probes are on and the peer may leave one without an answer.
    pub(crate) fn watch_peer(&mut self, side: Side, medium: &mut Medium) {
        let watch = &self.end_ref(side).watch;
        let Some(settings) = watch.settings else {
            return;
        };
        if watch.due.is_some() || !self.may_be_silent(side) {
            return;
        }
        let now = medium.now();
        let heard = watch.heard.unwrap_or(now).min(now);
        // Probes were answered until now: each is an idle time and a round trip after the last.
        let period = settings.idle + self.latency().travel * 2;
        let silent = now.duration_since(heard).as_nanos();
        let rounds = silent.checked_div(period.as_nanos()).unwrap_or(0);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let heard = heard + period * rounds;
        self.end(side).watch.heard = Some(heard);
        self.set_watch(side, (heard + settings.idle).max(now), medium);
    }

    /// Whether a probe of this side's host may get no answer, or a reset.
    fn may_be_silent(&self, side: Side) -> bool {
        let (end, peer) = (self.end_ref(side), self.end_ref(side.peer()));
        let away = side == Side::Client && self.vanished;
        end.life == Life::Open
            && end.holder != Holder::Host
            && !away
            && !self.is_finished(side)
            && (self.swallows(side)
                || self.swallows(side.peer())
                || peer.holder == Holder::Host
                || peer.life == Life::Gone)
    }

    fn set_watch(&mut self, side: Side, at: Instant, medium: &mut Medium) {
        let key = self.key;
        let watch = &mut self.end(side).watch;
        watch.timers += 1;
        watch.due = Some(at);
        let serial = watch.timers;
        let order = medium.order();
        medium.schedule(at, order, key, side, What::Keepalive(serial));
    }

    pub(crate) fn stop_watch(&mut self, side: Side, medium: &mut Medium) {
        let watch = &mut self.end(side).watch;
        if let Some(due) = watch.due.take() {
            watch.timers += 1;
            medium.cancelled(due);
        }
    }

    /// The keep-alive timer of this side's host goes off.
    pub(crate) fn probe_peer(&mut self, side: Side, medium: &mut Medium) {
        let (now, user_timeout) = (medium.now(), self.end_ref(side).user_timeout);
        self.end(side).watch.due = None;
        let Some(settings) = self.end_ref(side).watch.settings else {
            return;
        };
        if !self.may_be_silent(side) {
            return;
        }
        let out = self.lane_ref(side);
        // The retransmission timer watches what is not acknowledged.
        if out.waits_for_ack() || out.unsent() > 0 {
            return self.set_watch(side, now + settings.idle, medium);
        }
        let watch = &self.end_ref(side).watch;
        let heard = watch.heard.unwrap_or(now);
        if now < heard + settings.idle {
            return self.set_watch(side, heard + settings.idle, medium);
        }
        let expired = match user_timeout {
            Some(timeout) => watch.probes > 0 && now >= heard + timeout,
            None => watch.probes >= settings.count,
        };
        if expired {
            return self.give_up_peer(side, medium);
        }
        self.end(side).watch.probes += 1;
        self.set_watch(side, now + settings.interval, medium);
        let (start, ack) = (self.lane_ref(side).sent, self.lane_ref(side.peer()).next());
        let probe = Segment::Data {
            start,
            bytes: 0,
            ack,
        };
        self.launch(side, probe, medium);
    }
}
