//! What a stream has accepted and the peer has not acknowledged, and when to ask for it.
//!
//! The kernel does not say when a byte is acknowledged; it can be asked. Between two looks the clock of the response runs. A
//! look finds out what was acknowledged since, and whether the time counts: what waited at the last look and was taken
//! within the time that it pays for was not slow, however late the look. So a client that keeps up with an application that
//! has little to say is charged nothing, and one that is slow is charged every second.

use crate::{Limits, Phase};
use std::time::Duration;

/// In phase `kernel` nothing else wakes the connection, so that the first look comes soon, and the next ones at growing
/// distances.
const SOON: Duration = Duration::from_millis(20);

/// The send queue of one connection, as far as it is known.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Queue {
    /// The stream can say what is acknowledged. Else what it accepts is taken for that, and nothing below is used.
    pub(crate) tells: bool,
    /// Bytes that the stream has accepted in all, and those of them that are known to be acknowledged.
    written: u64,
    acknowledged: u64,
    /// The last look found bytes that wait.
    found: bool,
    mark: Option<Mark>,
    /// When to look next.
    look: Option<Duration>,
}

/// What waited at some time: taken in time, it was not slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    written: u64,
    at: Duration,
    /// The response's clock then.
    reading: Duration,
    /// By then it must be taken; `None` if there is no rate.
    due: Option<Duration>,
}

/// What a look came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// Bytes that were acknowledged since the last look.
    pub(crate) acknowledged: u64,
    /// The reading to which the response's clock goes back, since nothing was slow since then.
    pub(crate) forgiven: Option<Duration>,
    /// Bytes waited at the last look, and none do now.
    pub(crate) emptied: bool,
}

impl Queue {
    /// Whether bytes may wait in the stream for the peer.
    pub(crate) fn may_wait(&self) -> bool {
        self.tells && self.written > self.acknowledged
    }

    /// Whether the last look found bytes that wait.
    pub(crate) fn waits(&self) -> bool {
        self.found && self.may_wait()
    }

    /// Bytes that wait, as far as is known: no fewer do.
    pub(crate) fn waiting(&self) -> u64 {
        self.written.saturating_sub(self.acknowledged)
    }

    /// The stream has accepted bytes. `reading` is the response's clock.
    pub(crate) fn written(
        &mut self,
        bytes: u64,
        reading: Duration,
        limits: &Limits,
        now: Duration,
    ) {
        self.written = self.written.saturating_add(bytes);
        if self.mark.is_none() {
            self.mark(reading, limits, now);
        }
    }

    /// The FIN is written, which is acknowledged as a byte is.
    pub(crate) fn closed(&mut self, reading: Duration, limits: &Limits, now: Duration) {
        if self.tells {
            self.written(1, reading, limits, now);
        }
    }

    fn mark(&mut self, reading: Duration, limits: &Limits, now: Duration) {
        let pays = limits.response.rate.pays_for(self.waiting());
        self.mark = Some(Mark {
            written: self.written,
            at: now,
            reading,
            due: pays.map(|pays| now.saturating_add(pays)),
        });
        self.look = None;
    }

    /// A look: the stream says that so many bytes are not acknowledged.
    pub(crate) fn looked(
        &mut self,
        waiting: u64,
        reading: Duration,
        limits: &Limits,
        now: Duration,
    ) -> Seen {
        // Beneath TLS the stream counts its records' own bytes, too: they are no more of ours than there are.
        let waiting = waiting.min(self.waiting());
        let acknowledged = self.waiting() - waiting;
        self.acknowledged += acknowledged;
        let taken = |mark: &Mark| self.acknowledged >= mark.written;
        let in_time = |mark: &Mark| mark.due.is_none_or(|due| now <= due);
        let mark = self.mark.take();
        let forgiven = mark.filter(|mark| taken(mark) && in_time(mark));
        let emptied = self.found && waiting == 0;
        self.found = waiting > 0;
        self.look = None;
        if waiting > 0 {
            match mark {
                // It still has time.
                Some(mark) if !taken(&mark) && in_time(&mark) => self.mark = Some(mark),
                Some(Mark { reading, .. }) if forgiven.is_some() => {
                    self.mark(reading, limits, now);
                }
                _ => self.mark(reading, limits, now),
            }
        }
        Seen {
            acknowledged,
            forgiven: forgiven.map(|mark| mark.reading),
            emptied,
        }
    }

    /// When to look next, if bytes may wait; `since` is when the wait in `phase` began.
    pub(crate) fn look(
        &mut self,
        phase: Phase,
        since: Duration,
        limits: &Limits,
        now: Duration,
    ) -> Option<Duration> {
        // After a switch of protocols the stream is not ours to ask.
        if !self.may_wait() || phase == Phase::Upgrade {
            return None;
        }
        let soon = (phase == Phase::Kernel).then(|| now.saturating_sub(since).max(SOON));
        if let Some(look) = self.look {
            let soon = soon.map(|soon| now.saturating_add(soon));
            self.look = Some(soon.map_or(look, |soon| soon.min(look)));
            return self.look;
        }
        let due = self.mark.and_then(|mark| mark.due);
        // Halfway to the time at which the mark is slow, and then again; and so often that the gap, and a peer that is gone, are seen.
        let half = due.map_or(Duration::MAX, |due| due.saturating_sub(now) / 2);
        let every = half
            .max(limits.response.rate.grace() / 8)
            .max(Duration::from_millis(1))
            .min(interval(limits));
        let every = soon.map_or(every, |soon| every.min(soon));
        self.look = Some(now.saturating_add(every));
        self.look
    }
}

/// The longest time between two looks.
pub(crate) fn interval(limits: &Limits) -> Duration {
    /// Without finite limits nothing depends on it but what is shown.
    const SHOWN: Duration = Duration::from_secs(15);
    let gap = limits.response.gap.finite().map_or(SHOWN, |gap| gap / 16);
    let vanished = limits.vanished.finite().map_or(SHOWN, |gone| gone / 4);
    gap.min(vanished).max(Duration::from_millis(1))
}
