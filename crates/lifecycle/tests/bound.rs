//! From any phase, through any events: the next deadline is there, and never past the bound. No I/O, no clock.

use hangup_lifecycle::{CloseReason, Deadline, Life, Limits, Phase, Rate, Span, Transfer};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// What can happen to a connection between two waits.
#[derive(Clone, Copy, Debug)]
enum Event {
    Received(u16),
    Sent(u16),
    RequestBegins,
    Head(Option<u16>),
    ContinueSent,
    Body(u16),
    ResponseBegins(u16),
    RequestEnds,
    ShutDown,
}

/// Events, then a wait: in which phase, with output or without, and how much of the time to its deadline passes (in 1/256).
type Turn = (Vec<Event>, Phase, bool, u8);

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<u16>().prop_map(Event::Received),
        any::<u16>().prop_map(Event::Sent),
        Just(Event::RequestBegins),
        any::<Option<u16>>().prop_map(Event::Head),
        Just(Event::ContinueSent),
        any::<u16>().prop_map(Event::Body),
        (100..600_u16).prop_map(Event::ResponseBegins),
        Just(Event::RequestEnds),
    ]
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let phase = proptest::sample::select(&Phase::ALL[..]);
    let turn = (
        prop::collection::vec(event(), 0..4),
        phase,
        any::<bool>(),
        any::<u8>(),
    );
    prop::collection::vec(turn, 1..60)
}

fn span() -> impl Strategy<Value = Span> {
    (0..100_000_u64).prop_map(|ms| Span::of(Duration::from_millis(ms)))
}

fn transfer() -> impl Strategy<Value = Transfer> {
    let rate = (1..10_000_u32, 0..60_u64)
        .prop_map(|(bytes, grace)| Rate::at_least(bytes, Duration::from_secs(grace)));
    (rate, span(), span()).prop_map(|(rate, gap, total)| Transfer { rate, gap, total })
}

fn limits() -> impl Strategy<Value = Limits> {
    let spans = (
        (span(), span()),
        span(),
        span(),
        span(),
        span(),
        span(),
        span(),
        span(),
        span(),
        span(),
    );
    (spans, transfer(), transfer(), span(), span()).prop_map(
        |(spans, body, response, shutdown, age)| {
            let (
                (handshake, upgrade),
                opening,
                head,
                expect,
                read,
                handler,
                drain,
                linger_gap,
                linger_total,
                idle,
            ) = spans;
            let mut limits = Limits {
                handshake,
                upgrade,
                opening,
                head,
                expect,
                read,
                handler,
                idle,
                body,
                response,
                shutdown,
                age,
                ..Limits::default()
            };
            limits.drain.total = drain;
            (limits.linger.gap, limits.linger.total) = (linger_gap, linger_total);
            limits
        },
    )
}

fn happens(life: &mut Life, event: Event, now: Duration) {
    match event {
        Event::Received(bytes) => life.received(bytes.into(), now),
        Event::Sent(bytes) => life.sent(bytes.into(), now),
        Event::RequestBegins => life.request_begins(now),
        Event::Head(length) => life.head(length.map(u64::from)),
        Event::ContinueSent => life.continue_sent(now),
        Event::Body(bytes) => life.body(bytes.into(), now),
        Event::ResponseBegins(status) => life.response_begins(status, now),
        Event::RequestEnds => life.request_ends(),
        Event::ShutDown => life.shut_down(now),
    }
}

fn finite(deadline: Deadline) -> Duration {
    deadline.at().expect("every phase has a deadline")
}

/// Lives through these turns, up to a deadline: `None` if one came.
fn lives(life: &mut Life, now: &mut Duration, turns: Vec<Turn>) -> Option<Duration> {
    for (events, phase, output, part) in turns {
        for event in events {
            happens(life, event, *now);
        }
        let deadline = finite(life.wait(phase, output, *now));
        if deadline <= *now {
            return None;
        }
        *now += (deadline - *now) * u32::from(part) / 256;
    }
    Some(*now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_deadline_is_past_the_residence(limits in limits(), turns in turns(), stop in any::<Option<u8>>()) {
        let opened = Duration::from_secs(1_000);
        let last = opened + limits.bound().residence.finite().unwrap();
        let shutdown = limits.shutdown.finite().unwrap();
        let upgrade = limits.upgrade.finite().unwrap();
        let rate = limits.response.rate;
        let mut life = Life::new(Arc::new(limits), opened);
        let (mut now, mut sent) = (opened, 0);
        let mut stopped = None;
        for (turn, (events, phase, output, part)) in turns.into_iter().enumerate() {
            for event in events {
                if let Event::Sent(bytes) = event {
                    sent += u64::from(bytes);
                }
                happens(&mut life, event, now);
            }
            let last = last + rate.time_for(sent);
            if stop == Some(turn as u8) {
                happens(&mut life, Event::ShutDown, now);
                stopped = Some(now);
            }
            let deadline = finite(life.wait(phase, output, now));
            // What it was upgraded to has its own age on top, and nothing comes behind it.
            let last = if phase == Phase::Upgrade { last + upgrade } else { last };
            prop_assert!(deadline <= last, "{phase}: {deadline:?} is past {last:?}");
            if let Some(stopped) = stopped {
                prop_assert!(deadline <= stopped + shutdown);
            }
            prop_assert_eq!(life.expired(now).is_some(), deadline <= now);
            if deadline <= now {
                // A driver ends the phase now; only the close may follow, and that has its own bound.
                let closing = finite(life.wait(Phase::Linger, true, now));
                prop_assert!(closing <= last);
                return Ok(());
            }
            if phase == Phase::Upgrade {
                return Ok(());
            }
            now += (deadline - now) * u32::from(part) / 256;
        }
    }

    /// A client that is never heard of again is gone within the silence, whatever it did before. Only clocks that run
    /// for the client count: in `handler`, and in a `response` with nothing to send, the application is waited for.
    #[test]
    fn no_deadline_is_past_the_silence(limits in limits(), turns in turns(), phase in proptest::sample::select(&Phase::ALL[..11]), output: bool) {
        prop_assume!(phase != Phase::Handler && (!matches!(phase, Phase::Response | Phase::Kernel) || output));
        let silence = limits.bound().silence.finite().unwrap();
        let mut life = Life::new(Arc::new(limits), Duration::ZERO);
        let mut now = Duration::ZERO;
        let Some(now) = lives(&mut life, &mut now, turns) else {
            return Ok(());
        };
        // The last that is heard.
        happens(&mut life, Event::Received(1), now);
        happens(&mut life, Event::Sent(1), now);
        happens(&mut life, Event::Body(1), now);
        let waits = finite(life.wait(phase, output, now)).saturating_sub(now);
        prop_assert!(waits <= silence, "{phase}: {waits:?} is longer than {silence:?}");
    }

    /// A client that is gone, and takes nothing more, holds the connection no longer than `gone`: what may still be waited for behind its FIN is that it
    /// takes the response, and the close. (That the application answers is the application's time.)
    #[test]
    fn no_deadline_is_past_the_end_of_the_gone(limits in limits(), turns in turns(), phase in proptest::sample::select(&[Phase::Response, Phase::Kernel, Phase::Linger][..])) {
        let gone = limits.bound().gone.finite().unwrap();
        let mut life = Life::new(Arc::new(limits), Duration::ZERO);
        let mut now = Duration::ZERO;
        let Some(now) = lives(&mut life, &mut now, turns) else {
            return Ok(());
        };
        happens(&mut life, Event::Received(0), now);
        let waits = finite(life.wait(phase, true, now)).saturating_sub(now);
        prop_assert!(waits <= gone, "{phase}: {waits:?} is longer than {gone:?}");
    }

    /// Waiting again in the same phase, with nothing new, changes nothing: a clock is entered, not restarted.
    #[test]
    fn waiting_again_is_no_new_phase(limits in limits(), turns in turns(), pause in 0..1000_u64) {
        let mut life = Life::new(Arc::new(limits), Duration::ZERO);
        let mut now = Duration::ZERO;
        for (events, phase, output, part) in turns {
            for event in events {
                happens(&mut life, event, now);
            }
            let deadline = life.wait(phase, output, now);
            let later = now + Duration::from_millis(pause);
            let again = life.wait(phase, output, later);
            prop_assert_eq!(deadline, again);
            now = later + Duration::from_millis(u64::from(part));
        }
    }

    /// What was said first stays the reason.
    #[test]
    fn one_reason(first in 0..Phase::ALL.len(), second in 0..Phase::ALL.len()) {
        let mut life = Life::new(Arc::new(Limits::default()), Duration::ZERO);
        let reason = CloseReason::ClientGone(Phase::ALL[first]);
        life.because(reason);
        life.because(CloseReason::ClientGone(Phase::ALL[second]));
        prop_assert_eq!(life.close(CloseReason::Dropped, Duration::from_secs(1)), reason);
        prop_assert_eq!(life.close(CloseReason::Dropped, Duration::from_secs(2)), reason);
        prop_assert_eq!(life.entry().closed, Some(Duration::from_secs(1)));
    }
}

#[test]
fn an_unbounded_phase_is_never_without_its_name() {
    let mut life = Life::new(Arc::new(Limits::unbounded()), Duration::ZERO);
    for phase in Phase::ALL {
        let deadline = life.wait(phase, false, Duration::ZERO);
        match phase {
            // fasthttp has neither: it closes at once.
            Phase::Drain | Phase::Linger => assert_eq!(deadline.at(), Some(Duration::ZERO)),
            _ => assert_eq!(
                deadline,
                Deadline::Never("as fasthttp's defaults"),
                "{phase}"
            ),
        }
    }
}

#[test]
fn the_default_table() {
    let mut life = Life::new(Arc::new(Limits::default()), Duration::ZERO);
    let seconds =
        |life: &mut Life, phase, output| finite(life.wait(phase, output, Duration::ZERO)).as_secs();
    for (phase, expected) in [
        (Phase::Handshake, 10),
        (Phase::Opening, 10),
        (Phase::Head, 10),
        (Phase::Expect, 5),
        (Phase::Body, 5),
        (Phase::Handler, 30),
        (Phase::Response, 3600),
        (Phase::Drain, 2),
        (Phase::Kernel, 3600),
        (Phase::Linger, 2),
        (Phase::Idle, 75),
        (Phase::Upgrade, 3600),
    ] {
        assert_eq!(seconds(&mut life, phase, false), expected, "{phase}");
    }
    // Without a byte accepted, the rate's grace comes before the gap.
    assert_eq!(seconds(&mut life, Phase::Response, true), 5);
}

#[test]
fn hastened_limits_have_a_bound_that_is_as_much_shorter() {
    let ten = std::num::NonZeroU32::new(10).expect("it is not zero");
    let (slow, fast) = (Limits::default(), Limits::default().hastened(ten));
    let tenth = |span: Span| span.finite().map(|time| time / 10);
    assert_eq!(fast.bound().silence.finite(), tenth(slow.bound().silence));
    assert_eq!(fast.bound().gone.finite(), tenth(slow.bound().gone));
    assert_eq!(
        Limits::unbounded().hastened(ten),
        Limits::unbounded(),
        "there is nothing to shorten"
    );
}
