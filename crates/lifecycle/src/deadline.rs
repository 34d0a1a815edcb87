//! The table: phase, limits and progress give the deadline. Total, so that no phase can be without one.

use crate::progress::{Moved, Progress};
use crate::{Limits, Phase, Span, Transfer, queue};
use std::fmt;
use std::time::Duration;

/// When a connection's phase ends by itself, and which clock ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// It ends at this time, counted from the caller's epoch.
    At {
        /// The time.
        at: Duration,
        /// What runs out then.
        clock: Clock,
    },
    /// It does not end: its limit was made unbounded, under this name.
    Never(&'static str),
}

/// Which of a phase's clocks a deadline is from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Clock {
    /// The phase as a whole.
    Total,
    /// The time since the last byte.
    Gap,
    /// The minimum rate.
    Rate,
    /// The request as a whole ([`Limits::read`]).
    Read,
    /// The client has closed its side, and the application is silent ([`Limits::half_close`]).
    HalfClose,
    /// The connection's age.
    Age,
    /// The server shuts down.
    Shutdown,
}

impl Clock {
    /// Every clock.
    pub const ALL: [Clock; 7] = [
        Clock::Total,
        Clock::Gap,
        Clock::Rate,
        Clock::Read,
        Clock::HalfClose,
        Clock::Age,
        Clock::Shutdown,
    ];

    /// One lowercase word.
    pub const fn name(self) -> &'static str {
        match self {
            Clock::Total => "total",
            Clock::Gap => "gap",
            Clock::Rate => "rate",
            Clock::Read => "read",
            Clock::HalfClose => "half-close",
            Clock::Age => "age",
            Clock::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Deadline {
    /// The time, if there is one.
    pub const fn at(self) -> Option<Duration> {
        match self {
            Deadline::At { at, .. } => Some(at),
            Deadline::Never(_) => None,
        }
    }

    /// What runs out then.
    pub const fn clock(self) -> Option<Clock> {
        match self {
            Deadline::At { clock, .. } => Some(clock),
            Deadline::Never(_) => None,
        }
    }

    /// The earlier of the two; of two at the same time the first.
    #[must_use]
    pub fn min(self, other: Deadline) -> Deadline {
        match (self, other) {
            (Deadline::At { at: a, .. }, Deadline::At { at: b, .. }) if b < a => other,
            (Deadline::Never(_), Deadline::At { .. }) => other,
            _ => self,
        }
    }

    fn after(span: Span, since: Duration, clock: Clock) -> Deadline {
        match span.finite() {
            Some(time) => Deadline::At {
                at: since.saturating_add(time),
                clock,
            },
            None => Deadline::Never(span.name().unwrap_or_default()),
        }
    }
}

impl Phase {
    /// The clocks that may end a wait in this phase: those that its row of the table reads. Which of them can come first depends on the
    /// limits.
    pub const fn clocks(self) -> &'static [Clock] {
        use Clock::{Age, Gap, HalfClose, Rate, Read, Shutdown, Total};
        match self {
            Phase::Handshake | Phase::Handler | Phase::Drain | Phase::Idle => {
                &[Total, Age, Shutdown]
            }
            Phase::Opening | Phase::Head => &[Total, Read, Age, Shutdown],
            Phase::Expect | Phase::Body => &[Total, Gap, Rate, Read, Age, Shutdown],
            Phase::Response => &[Total, Gap, Rate, HalfClose, Age, Shutdown],
            Phase::Kernel => &[Total, Gap, Rate, Age, Shutdown],
            Phase::Linger => &[Total, Gap, Age, Shutdown],
            Phase::Upgrade => &[Total, Shutdown],
        }
    }
}

/// When a connection that is in `phase` is out of time.
///
/// A total function of its arguments: what happened in earlier phases is only in `progress` as far as this
/// phase's limits speak of it, so a stale deadline cannot exist.
pub(crate) fn deadline(phase: Phase, limits: &Limits, progress: &Progress) -> Deadline {
    use Clock::{Age, Gap, Read, Shutdown, Total};
    let total = |span| Deadline::after(span, progress.since, Total);
    let read = || Deadline::after(limits.read, progress.request_since, Read);
    // What it was upgraded to may have taken longer than its age.
    let aged = |deadline| match progress.upgraded {
        false => Deadline::after(limits.age, progress.opened, Age).min(deadline),
        true => deadline,
    };
    // Time in which bytes wait for a client that keeps their rate does not count towards the age.
    let aged_in_response = |deadline| match taking(limits, progress) {
        _ if !limits.response.is_paced() || progress.upgraded => aged(deadline),
        Some(taking) => {
            let age = limits.age.then(Span::of(taking));
            Deadline::after(age, progress.opened, Age).min(deadline)
        }
        None => deadline,
    };
    let crossing = |deadline: Deadline| match progress.shutdown {
        Some(asked) => deadline.min(Deadline::after(limits.shutdown_grace, asked, Shutdown)),
        None => deadline,
    };

    let deadline = match phase {
        Phase::Handshake => aged(total(limits.handshake)),
        Phase::Opening => crossing(aged(total(limits.opening).min(read()))),
        Phase::Head => aged(total(limits.head).min(read())),
        Phase::Expect => aged(total(limits.expect).min(body(limits, progress)).min(read())),
        Phase::Body => aged(body(limits, progress).min(read())),
        Phase::Handler => aged(progress.handler.deadline(limits.handler, Total)),
        Phase::Response => aged_in_response(response(limits, progress)),
        Phase::Kernel => aged_in_response(sending(limits, progress)),
        Phase::Drain => aged(total(limits.drain.total)),
        // Who still takes the last response is not idle.
        Phase::Idle if progress.queue.waits() => {
            crossing(aged_in_response(sending(limits, progress)))
        }
        Phase::Idle => {
            let since = progress.since.max(progress.quiet);
            crossing(aged(Deadline::after(limits.idle, since, Total)))
        }
        // Age ends a connection by lingering, for which it leaves the time.
        Phase::Linger => {
            let heard = progress.heard.max(progress.since);
            let lingers =
                total(limits.linger.total).min(Deadline::after(limits.linger.gap, heard, Gap));
            let paid = progress.response.paid(&limits.response);
            let taking = match limits.response.is_paced() {
                true => taking(limits, progress).or(paid).unwrap_or_default(),
                false => Duration::ZERO,
            };
            if progress.upgraded {
                lingers
            } else {
                let age = limits.age.then(limits.linger.total).then(Span::of(taking));
                lingers.min(Deadline::after(age, progress.opened, Age))
            }
        }
        // An upgraded connection has an age of its own.
        Phase::Upgrade => total(limits.upgrade),
    };
    match progress.shutdown {
        Some(asked) => deadline.min(Deadline::after(limits.shutdown, asked, Shutdown)),
        None => deadline,
    }
}

fn body(limits: &Limits, progress: &Progress) -> Deadline {
    let length = progress.body.length.unwrap_or(progress.body.bytes);
    let extra = Span::of(limits.body.rate.time_for(length));
    moving(&limits.body, limits.body.total.then(extra), &progress.body)
}

fn response(limits: &Limits, progress: &Progress) -> Deadline {
    let sending = sending(limits, progress);
    match progress.ended {
        // Nothing waits for the peer, so that only the application can show whether it is still there.
        Some(ended) if !progress.response.clock.runs() => {
            let silent = ended.max(progress.quiet);
            sending.min(Deadline::after(limits.half_close, silent, Clock::HalfClose))
        }
        _ => sending,
    }
}

/// How long the client has taken for bytes of the response that waited for it, and at most what they paid for;
/// `None` while some of them wait.
fn taking(limits: &Limits, progress: &Progress) -> Option<Duration> {
    let ran = progress.response.clock.stands_at()?;
    // Rate and gap do not end a linger, so that the clock may have run for longer.
    let paid = progress.response.paid(&limits.response);
    Some(paid.map_or(ran, |paid| ran.min(paid)))
}

fn sending(limits: &Limits, progress: &Progress) -> Deadline {
    let mut transfer = limits.response;
    if let (true, Some(gap)) = (progress.queue.tells, transfer.gap.finite()) {
        // What is acknowledged is known no later than a look after it, and is taken for as late.
        transfer.gap = Span::of(gap.saturating_sub(queue::interval(limits)));
    }
    let total = match taking(limits, progress) {
        _ if !transfer.is_paced() => transfer.total,
        Some(taking) => transfer.total.then(Span::of(taking)),
        None => Span::unbounded("its bytes wait for a client that keeps their rate"),
    };
    moving(&transfer, total, &progress.response)
}

/// Rate and gap are counted on the transfer's own stopwatch and so only bind while it runs; the total is
/// counted from its beginning, pauses included.
fn moving(limits: &Transfer, total: Span, moved: &Moved) -> Deadline {
    let total = Deadline::after(total, moved.began, Clock::Total);
    if !moved.clock.runs() {
        return total;
    }
    let rate = match moved.paid(limits) {
        Some(paid) => moved.clock.deadline(Span::of(paid), Clock::Rate),
        None => Deadline::Never(limits.rate.name().unwrap_or_default()),
    };
    let gap = match limits.gap.finite() {
        Some(gap) => moved
            .clock
            .deadline(Span::of(moved.last.saturating_add(gap)), Clock::Gap),
        None => Deadline::Never(limits.gap.name().unwrap_or_default()),
    };
    rate.min(gap).min(total)
}

/// A clock that runs and pauses.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Stopwatch {
    ran: Duration,
    since: Option<Duration>,
}

impl Stopwatch {
    pub(crate) fn run(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    pub(crate) fn pause(&mut self, now: Duration) {
        self.ran = self.reading(now);
        self.since = None;
    }

    /// Sets its reading back to this; it runs on, or stands, as before.
    pub(crate) fn rewind(&mut self, reading: Duration, now: Duration) {
        self.ran = self.reading(now).min(reading);
        self.since = self.since.map(|_| now);
    }

    pub(crate) fn runs(&self) -> bool {
        self.since.is_some()
    }

    /// Its reading, if it does not run.
    fn stands_at(&self) -> Option<Duration> {
        self.since.is_none().then_some(self.ran)
    }

    /// How long it has run.
    pub(crate) fn reading(&self, now: Duration) -> Duration {
        self.ran
            + self
                .since
                .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// When its reading will be `span`, if it goes on running.
    fn deadline(&self, span: Span, clock: Clock) -> Deadline {
        match (span.finite(), self.since) {
            // What is overdue is due since it last ran, not since ever.
            (Some(time), Some(since)) => Deadline::At {
                at: since.saturating_add(time.saturating_sub(self.ran)),
                clock,
            },
            (Some(_), None) => Deadline::Never("its clock is paused"),
            (None, _) => Deadline::Never(span.name().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rate, Transfer};

    const LONG: u64 = 10_000;

    /// Limits under which this clock is the shortest of every phase that has it.
    fn hasty(clock: Clock) -> Limits {
        let span = |of| Span::seconds(if clock == of { 1 } else { LONG });
        let grace = Duration::from_secs(if clock == Clock::Rate { 1 } else { LONG });
        let transfer = Transfer {
            rate: Rate::at_least(1, grace),
            gap: span(Clock::Gap),
            total: span(Clock::Total),
        };
        let (mut limits, total) = (Limits::default(), span(Clock::Total));
        (limits.handshake, limits.opening, limits.head) = (total, total, total);
        (limits.expect, limits.handler, limits.idle) = (total, total, total);
        (limits.body, limits.response) = (transfer, transfer);
        (limits.drain.total, limits.linger.total, limits.upgrade) = (total, total, total);
        limits.linger.gap = span(Clock::Gap);
        (limits.half_close, limits.shutdown_grace) =
            (span(Clock::HalfClose), span(Clock::Shutdown));
        limits.read = span(Clock::Read);
        limits.age = span(Clock::Age);
        limits.shutdown = span(Clock::Shutdown);
        limits
    }

    #[test]
    fn the_clocks_of_a_phase_are_those_that_can_end_it() {
        let now = Duration::from_secs(500);
        let mut moved = Moved::new(now, None);
        moved.clock.run(now);
        let mut progress = Progress::new(Duration::ZERO);
        (progress.since, progress.heard) = (now, now);
        progress.shutdown = Some(now);
        progress.handler.run(now);
        (progress.body, progress.response) = (moved, moved);
        for phase in Phase::ALL {
            for clock in Clock::ALL {
                let mut progress = progress.clone();
                if clock == Clock::HalfClose {
                    (progress.ended, progress.quiet) = (Some(now), now);
                }
                if matches!(clock, Clock::HalfClose | Clock::Total | Clock::Age) {
                    // They speak of an application that gives nothing, where the rate is bounded.
                    progress.response.clock.pause(now);
                }
                let ends = deadline(phase, &hasty(clock), &progress).clock();
                let has = phase.clocks().contains(&clock);
                assert_eq!(ends == Some(clock), has, "{phase}, {clock}");
            }
        }
    }
}
