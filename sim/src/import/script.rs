//! From what a client did to the steps that do it again.

use super::message::Message;
use super::talk::{AT_ONCE, Talk, What};
use hangup_scenario::{Await, Read, Send, Step, Trickle, Until};
use std::ops::Range;
use std::time::Duration;

/// A client waits for what its server said so much longer than it took then.
const PATIENCE: Duration = Duration::from_secs(5);
/// For bytes that are no whole response it waits so much longer only: how many they are may differ.
const BYTES_PATIENCE: Duration = Duration::from_secs(1);
/// So many writes of one size and at an even pace are a trickle.
const TRICKLE_MIN: usize = 4;

/// A write of a client: when, and which part of what it sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Write {
    at: Duration,
    range: Range<usize>,
}

impl Talk {
    /// The steps of its client. Each request goes to `target` instead, if there is one.
    pub(super) fn steps(&self, keep_payload: bool, target: Option<&str>) -> Vec<Step> {
        let message = Message::of(&self.sent, self.whole, keep_payload, target);
        let mut script = Script {
            steps: vec![Step::Connect],
            now: self.connected.unwrap_or(self.opened),
            message,
        };
        let (mut writes, mut sent) = (Vec::new(), 0);
        // What came since the last step: bytes that an `await` has not asked for.
        let (mut taken, mut got, mut answered) = (self.base, None, false);
        let (mut lazy, mut read) = (false, self.base);
        for event in &self.events {
            let is_write = matches!(event.what, What::Sent { .. });
            if is_write && let Some((bytes, at)) = got.take() {
                if !answered && !lazy {
                    script.write_all(&mut writes);
                    script.wait_for(at, Until::Bytes(bytes - taken), BYTES_PATIENCE);
                }
                taken = bytes;
            }
            match &event.what {
                What::Sent { to } => {
                    answered = false;
                    writes.push(Write {
                        at: event.at,
                        range: sent..*to,
                    });
                    sent = *to;
                    continue;
                }
                What::Got(bytes) => {
                    got = (*bytes > taken).then_some((*bytes, event.at));
                    continue;
                }
                _ => script.write_all(&mut writes),
            }
            match &event.what {
                What::Answer(until) if !lazy => {
                    answered = true;
                    script.wait_for(event.at, *until, PATIENCE);
                }
                What::ServerGone if !lazy => {
                    script.wait_for(event.at, Until::Eof, PATIENCE);
                }
                What::Full => lazy = true,
                What::Read(bytes) if *bytes > read => {
                    script.stall(event.at);
                    script.steps.push(Step::Read(Read::Bytes(bytes - read)));
                    read = *bytes;
                }
                What::Fin => {
                    script.stall(event.at);
                    script.steps.push(match self.reads_on {
                        true => Step::HalfClose,
                        false => Step::Close,
                    });
                }
                What::Reset => {
                    script.stall(event.at);
                    script.steps.push(Step::Reset);
                }
                What::Vanished => {
                    script.stall(event.at);
                    script.steps.push(Step::Vanish);
                }
                _ => {}
            }
        }
        script.write_all(&mut writes);
        script.steps
    }
}

struct Script<'a> {
    steps: Vec<Step>,
    /// The time that the last step takes it to.
    now: Duration,
    message: Message<'a>,
}

impl Script<'_> {
    /// Lets time pass until `at`, in whole milliseconds.
    fn stall(&mut self, at: Duration) {
        let pause = milliseconds(at.saturating_sub(self.now));
        if pause >= AT_ONCE {
            self.steps.push(Step::Stall { duration: pause });
            self.now += pause;
        }
    }

    fn wait_for(&mut self, at: Duration, until: Until, patience: Duration) {
        let within = at.saturating_sub(self.now) + patience;
        // In whole seconds: it says how long is enough, not how long it took.
        let within = Duration::from_secs(within.as_secs() + 1);
        self.steps.push(Step::Await(Await { until, within }));
        self.now = self.now.max(at);
    }

    /// Turns the writes that have gathered into steps.
    fn write_all(&mut self, writes: &mut Vec<Write>) {
        let mut rest = &writes[..];
        while let Some(first) = rest.first() {
            self.stall(first.at);
            let (count, every) = even(rest);
            // The trickle pauses behind its last write too; so that the real last one does not, it is a step of its own.
            let range = first.range.start..rest[count - 1].range.end;
            let what = self.message.pieces(range);
            let trickle = every.map(|every| Trickle {
                size: first.range.len() as u64,
                every,
            });
            self.now += every.unwrap_or_default() * u32::try_from(count).unwrap_or(u32::MAX);
            // Of a target that another one stands for nothing may be left.
            if !what.is_empty() {
                self.steps.push(Step::Send(Send {
                    what,
                    part: None,
                    trickle,
                }));
            }
            rest = &rest[count..];
        }
        writes.clear();
    }
}

/// How many of these writes are a trickle, and its pause; or one, and none. The last write of all is no part of one.
fn even(writes: &[Write]) -> (usize, Option<Duration>) {
    let gap = |index: usize| Some(writes.get(index + 1)?.at.saturating_sub(writes[index].at));
    let size = writes[0].range.len();
    let Some(first) = gap(0).filter(|_| size > 0) else {
        return (1, None);
    };
    let slack = AT_ONCE.max(first / 20);
    let alike = |index: &usize| {
        writes[*index].range.len() == size
            && gap(*index).is_some_and(|gap| gap.abs_diff(first) <= slack)
    };
    let count = (0..writes.len()).take_while(alike).count();
    if count < TRICKLE_MIN {
        return (1, None);
    }
    let all = writes[count].at.saturating_sub(writes[0].at);
    let every = milliseconds(all / u32::try_from(count).unwrap_or(u32::MAX));
    (count, Some(every))
}

fn milliseconds(time: Duration) -> Duration {
    let rounded = time.saturating_add(Duration::from_micros(500));
    Duration::from_secs(rounded.as_secs()) + Duration::from_millis(rounded.subsec_millis().into())
}
