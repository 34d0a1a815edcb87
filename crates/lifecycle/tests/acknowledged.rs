//! What a peer has acknowledged is its progress: honest readers of every kind are never cut, and dead ones are, in time.

use hangup_lifecycle::{Clock, CloseReason, Life, Limits, Phase};
use std::sync::Arc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// A receiver as TCP's are: its system takes what fits into its buffer, the application reads from there, and a window that is
/// closed opens again once a step is free.
struct Receiver {
    buffer: u64,
    step: u64,
    /// Bytes that the application reads at once, and how often it does.
    burst: u64,
    every: Duration,
    taken: u64,
    read: u64,
    reads_at: Duration,
    closed: bool,
}

impl Receiver {
    fn new(buffer: u64, step: u64, burst: u64, per_second: u64) -> Self {
        Receiver {
            buffer,
            step,
            burst,
            every: Duration::from_millis(burst * 1000 / per_second.max(1)),
            taken: 0,
            read: 0,
            reads_at: Duration::ZERO,
            closed: false,
        }
    }

    /// Lives until `now`, with so many bytes sent in all.
    fn until(&mut self, now: Duration, sent: u64) {
        self.take(sent);
        while self.burst > 0 && self.reads_at + self.every <= now {
            self.reads_at += self.every;
            self.read = (self.read + self.burst).min(self.taken);
            self.take(sent);
        }
    }

    fn take(&mut self, sent: u64) {
        let free = self.buffer - (self.taken - self.read);
        if self.closed && free < self.step {
            return;
        }
        self.taken = sent.min(self.taken + free);
        self.closed = self.taken - self.read == self.buffer;
    }
}

/// A response of `length` bytes of which the kernel holds at most `queue`, until it is taken or `end`: when, and by which clock,
/// it is cut.
fn responds(
    limits: &Limits,
    length: u64,
    queue: u64,
    mut receiver: Receiver,
    end: Duration,
) -> Option<(Duration, Clock)> {
    let mut life = Life::new(Arc::new(limits.clone()), Duration::ZERO);
    life.tells();
    life.request_begins(Duration::ZERO);
    life.head(Some(0));
    life.response_begins(200, Duration::ZERO);
    let (mut now, mut sent) = (Duration::ZERO, 0);
    while now < end && receiver.taken < length {
        // The stream accepts more as soon as there is room; that is no news to the clocks by itself.
        receiver.until(now, sent);
        let more = (receiver.taken + queue).min(length) - sent;
        if more > 0 {
            life.sent(more, now);
            sent += more;
        }
        let phase = if sent == length {
            Phase::Kernel
        } else {
            Phase::Response
        };
        let deadline = life.wait(phase, sent < length, now);
        if let Some(CloseReason::TimedOut { clock, .. }) = life.expired(now) {
            return Some((now, clock));
        }
        let due = deadline.at().expect("each phase has a deadline");
        let look = life.look(now).unwrap_or(due);
        // Without an event it is woken by its timers only.
        let room = now + 500 * MS;
        now = due.min(look).min(room).max(now + MS);
        if now >= due.min(look) {
            receiver.until(now, sent);
            life.acknowledged(sent - receiver.taken, now);
        }
    }
    None
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

#[test]
fn no_honest_reader_is_ever_cut() {
    for length in [1, 300, 10_000, 200_000, 2_000_000, 20_000_000] {
        for buffer in [2_000, 16_000, 65_536, 144_000, 1_300_000] {
            for queue in [1_000, 16_000, 128_000, 3_000_000] {
                for (step, burst) in [
                    (1_u64, 1_u64),
                    (1460, 100),
                    (buffer / 16, 300),
                    (buffer / 16, 30_000),
                    (85_000, 1_000),
                    // Linux's default buffer on loopback.
                    (130_000, 300),
                    // The largest that a stock Linux lets a program set.
                    (335_000, 300),
                ] {
                    let (step, burst) = (step.min(buffer), burst.min(buffer));
                    // The gap's promise: 300 B/s for 1185 s, in whole bursts of the application.
                    if step.div_ceil(burst) * burst > 355_500 {
                        continue;
                    }
                    let receiver = Receiver::new(buffer, step, burst, 300);
                    let cut = responds(&Limits::default(), length, queue, receiver, hours(3));
                    assert_eq!(
                        cut, None,
                        "{length} bytes, buffer {buffer}, queue {queue}, step {step}, burst {burst}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_reader_that_is_too_slow_is_cut_however_much_waits() {
    // A response of this length never has less than this in the kernel.
    for queue in [16_000, 128_000, 3_000_000] {
        for buffer in [2_000, 16_000, 65_536] {
            let receiver = Receiver::new(buffer, buffer / 16, 100, 100);
            let cut = responds(&Limits::default(), 20_000_000, queue, receiver, hours(2));
            let (at, clock) = cut.expect("100 B/s are too slow");
            assert_eq!(clock, Clock::Rate, "{queue} {buffer}");
            // What was taken at once pays for its time; the rest comes at 100 of 240 B/s.
            let pays = 5.0 + buffer as f64 / 240.0;
            let at_most = pays / (1.0 - 100.0 / 240.0) + 10.0;
            assert!(at.as_secs_f64() <= at_most, "{queue} {buffer}: {at:?}");
        }
    }
}

#[test]
fn a_reader_that_reads_nothing_is_cut_when_what_it_took_no_longer_pays() {
    for (buffer, at_most) in [(0, 5), (2_400, 15), (65_536, 279), (3_000_000, 1200)] {
        let receiver = Receiver::new(buffer, buffer, 0, 1);
        let cut = responds(
            &Limits::default(),
            20_000_000,
            3_000_000,
            receiver,
            hours(2),
        );
        let (at, _) = cut.expect("it is dead");
        let at_most = Duration::from_secs(at_most);
        assert!(
            at <= at_most && at + Duration::from_secs(16) >= at_most,
            "{buffer}: {at:?}"
        );
    }
}

/// What a client took fast pays for no longer than the gap, so that it cannot hold the connection for hours
/// with a byte now and then.
#[test]
fn a_reader_that_was_fast_and_becomes_too_slow_is_cut() {
    let fast = 10_000_000;
    let mut receiver = Receiver::new(fast, 1, 1, 1);
    receiver.reads_at = Duration::from_secs(1);
    let cut = responds(&Limits::default(), 20_000_000, 128_000, receiver, hours(9));
    let (at, clock) = cut.expect("1 B/s is too slow");
    assert_eq!(clock, Clock::Rate);
    let (least, most) = (Duration::from_secs(1200), Duration::from_secs(1300));
    assert!(least < at && at < most, "{at:?}");
}

/// A connection is not held longer than its age by a client that has taken all that there is.
#[test]
fn the_age_ends_a_response_of_which_nothing_waits() {
    let limits = Limits::default();
    let mut life = Life::new(Arc::new(limits.clone()), Duration::ZERO);
    life.tells();
    life.request_begins(Duration::ZERO);
    life.head(Some(0));
    life.response_begins(200, Duration::ZERO);
    let mut now = Duration::ZERO;
    loop {
        life.sent(1000, now);
        life.acknowledged(0, now);
        let deadline = life.wait(Phase::Response, false, now).at();
        if life.expired(now).is_some() {
            break;
        }
        let due = deadline.expect("a response has a deadline");
        now = due.min(now + Duration::from_secs(1));
    }
    assert_eq!(Some(now), limits.age.finite());
}

/// One small piece each `tick`, each acknowledged a round trip later.
fn ticks(tick: Duration, round_trip: Duration) -> Option<Duration> {
    let mut life = Life::new(Arc::new(Limits::default()), Duration::ZERO);
    life.tells();
    life.request_begins(Duration::ZERO);
    life.head(Some(0));
    life.response_begins(200, Duration::ZERO);
    let (mut now, mut next, mut times) = (Duration::ZERO, Duration::ZERO, Vec::new());
    while now < Duration::from_secs(600) {
        if now >= next {
            life.sent(1, now);
            times.push(now);
            next += tick;
        }
        let deadline = life.wait(Phase::Response, false, now).at();
        if life.expired(now).is_some() {
            return Some(now);
        }
        let due = deadline.into_iter().chain(life.look(now)).min();
        let due = due.expect("a response has a deadline");
        now = next.min(due).max(now + MS);
        if now >= due {
            let waiting = times.iter().filter(|sent| **sent + round_trip > now);
            life.acknowledged(waiting.count() as u64, now);
        }
    }
    None
}

#[test]
fn an_application_with_little_to_say_makes_no_reader_slow() {
    for tick in [1, 50, 500, 1_000, 15_000] {
        for round_trip in [0, 1, 60, 600, 3_000] {
            let cut = ticks(tick * MS, round_trip * MS);
            assert_eq!(cut, None, "a byte each {tick} ms, {round_trip} ms away");
        }
    }
    assert!(
        ticks(1_000 * MS, Duration::from_secs(3600)).is_some(),
        "one that takes nothing is"
    );
}

#[test]
fn the_idle_time_begins_when_the_last_response_is_taken() {
    let at = Duration::from_secs;
    let mut life = Life::new(Arc::new(Limits::default()), at(0));
    life.tells();
    life.request_begins(at(0));
    life.head(Some(0));
    life.response_begins(200, at(0));
    life.sent(60_000, at(0));
    life.request_ends();
    // Not looked for, it is as good as taken.
    assert_eq!(life.wait(Phase::Idle, false, at(0)).at(), Some(at(75)));
    assert_eq!(life.phase(), Phase::Idle);
    life.acknowledged(36_000, at(2));
    // 24,000 bytes pay for 100 s, and there are 5 s of grace.
    assert_eq!(life.wait(Phase::Idle, false, at(2)).at(), Some(at(105)));
    life.acknowledged(0, at(100));
    assert_eq!(life.wait(Phase::Idle, false, at(100)).at(), Some(at(175)));
    assert_eq!(life.queued(), 0);
}

#[test]
fn a_next_response_gives_no_grace_to_what_still_waits() {
    let mut life = Life::new(Arc::new(Limits::default()), Duration::ZERO);
    life.tells();
    for second in 0..10 {
        let now = Duration::from_secs(second);
        life.request_begins(now);
        life.head(Some(0));
        life.response_begins(200, now);
        life.sent(100, now);
        life.request_ends();
        life.acknowledged(100 * (second + 1), now);
        let ends = life.wait(Phase::Idle, false, now).at();
        assert_eq!(ends, Some(Duration::from_secs(5)), "nothing was ever taken");
    }
}

#[test]
fn a_silent_application_and_a_half_closed_client_end_after_their_time() {
    let at = Duration::from_secs;
    let mut life = Life::new(Arc::new(Limits::default()), at(0));
    life.tells();
    life.response_begins(200, at(0));
    life.sent(60, at(0));
    life.acknowledged(0, at(0));
    assert_eq!(
        life.wait(Phase::Response, false, at(1)).at(),
        Some(at(3600))
    );
    life.ended(at(7));
    assert_eq!(life.wait(Phase::Response, false, at(7)).at(), Some(at(12)));
    // What it gives now is taken: the client reads on, and the application may pause again.
    life.sent(60, at(11));
    life.acknowledged(0, at(11));
    assert_eq!(life.wait(Phase::Response, false, at(11)).at(), Some(at(16)));
    let gone = Some(CloseReason::ClientGone(Phase::Response));
    assert_eq!(life.expired(at(16)), gone);
}

#[test]
fn a_request_on_its_way_has_a_grace_at_shutdown() {
    let at = Duration::from_millis;
    for phase in [Phase::Opening, Phase::Idle] {
        let mut life = Life::new(Arc::new(Limits::default()), at(0));
        life.shut_down(at(2_000));
        assert_eq!(life.wait(phase, false, at(2_000)).at(), Some(at(2_500)));
    }
}

#[test]
fn where_the_stream_cannot_tell_after_all_what_it_accepted_is_taken() {
    let at = Duration::from_secs;
    let mut life = Life::new(Arc::new(Limits::default()), at(0));
    life.tells();
    life.response_begins(200, at(0));
    life.sent(2_400, at(0));
    assert_eq!(life.wait(Phase::Response, true, at(0)).at(), Some(at(5)));
    life.tells_not(at(4));
    assert_eq!(life.wait(Phase::Response, true, at(4)).at(), Some(at(15)));
    assert_eq!((life.queued(), life.look(at(4))), (0, None));
}
