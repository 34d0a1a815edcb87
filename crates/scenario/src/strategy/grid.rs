//! Phase, action and ordinal: what a client does.

use std::time::Duration;

use super::{
    Options,
    mask::{
        CHUNKED, CLOSE, EXPECT, Family, HALF_CLOSE, MALFORMED, Mask, NETWORK, NOISE, ORDINAL,
        PACED, PIPELINE, RECONNECT, RESET, SEVERAL, STALL, TRICKLE, UNREAD, VANISH,
    },
    message::Message,
};
use crate::{
    scenario::Client,
    send::{Piece, Send, Trickle},
    step::{Await, LinkChange, Read, Step, Until},
    stream::Stream,
};

/// Everything that the draws of one client need.
pub(super) struct Draw<'o> {
    pub(super) stream: Stream,
    pub(super) mask: Mask,
    pub(super) options: &'o Options,
    /// From sending something to hearing of it at once.
    pub(super) round_trip: Duration,
}

/// Where a client is when it stops behaving.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    /// Connected, nothing said.
    Opening,
    /// Within the head.
    Head,
    /// Has asked for 100 Continue.
    Expect,
    /// Within the body, or right before it.
    Body,
    /// All is said, the server works.
    Handler,
    /// The response is coming, and there is much of it.
    Response,
    /// The response is coming, at the pace of the application.
    Events,
    /// All is said and answered.
    Idle,
    /// What is said makes no sense.
    Nonsense,
}

/// What it does there, and the family without which it does not.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// Nothing, for ever.
    Silence,
    /// Nothing, for a time.
    Stall,
    /// Says the rest, or if there is none, the next thing.
    Rest,
    /// Says something else instead of the rest.
    Instead,
    HalfClose,
    Close,
    Reset,
    Reconnect,
    Vanish,
    Network,
}

const PHASES: [(Phase, Family); 15] = [
    (Phase::Opening, 0),
    (Phase::Head, 0),
    (Phase::Head, 0),
    (Phase::Expect, EXPECT),
    (Phase::Expect, EXPECT),
    (Phase::Expect, EXPECT),
    (Phase::Body, 0),
    (Phase::Body, CHUNKED),
    (Phase::Handler, 0),
    (Phase::Handler, 0),
    (Phase::Response, 0),
    (Phase::Response, PACED),
    (Phase::Events, PACED),
    (Phase::Idle, 0),
    (Phase::Nonsense, MALFORMED),
];

const ACTIONS: [(Action, Family); 12] = [
    (Action::Silence, 0),
    (Action::Stall, STALL),
    (Action::Stall, STALL),
    (Action::Stall, STALL),
    (Action::Rest, 0),
    (Action::Instead, PIPELINE),
    (Action::HalfClose, HALF_CLOSE),
    (Action::Close, CLOSE),
    (Action::Reset, RESET),
    (Action::Reconnect, RECONNECT),
    (Action::Vanish, VANISH),
    (Action::Network, NETWORK),
];

/// How many pieces a slow read has at most.
const PACED_READS_MAX: u64 = 60;

impl Draw<'_> {
    /// A client, not more than `left` of them.
    pub(super) fn client(mut self, left: u32) -> Client {
        let mut client = Client::default();
        if self.mask.has(SEVERAL) && left > 1 && self.stream.chance(1, 3) {
            client.count = self.stream.between(2, u64::from(left)) as u32;
            client.stagger = self.delay();
        }
        if self.stream.chance(1, 8) {
            client.start = self.delay();
        }
        let mut steps = Vec::with_capacity(self.options.steps_max);
        self.steps(&mut steps);
        if self.mask.has(NOISE) {
            self.noise(&mut steps);
        }
        steps.truncate(self.options.steps_max.max(1));
        client.steps = steps;
        client
    }

    fn steps(&mut self, steps: &mut Vec<Step>) {
        steps.push(Step::Connect);
        if self.mask.has(ORDINAL) {
            self.earlier_requests(steps);
        }
        let (message, mut at) = self.reach(steps);
        for _ in 0..self.stream.between(1, 3) {
            let action = match self.stream.chance(1, 2) {
                true => self.allowed(&ACTIONS, Action::Rest),
                false => self.allowed(&ACTIONS, Action::Silence),
            };
            match action {
                Action::Silence => return,
                action => self.act(action, &message, &mut at, steps),
            }
        }
        match self.stream.below(4) {
            0 => self.await_final(steps),
            1 => {
                let within = self.within();
                steps.push(Step::Await(Await {
                    until: Until::Eof,
                    within,
                }));
            }
            2 if !self.mask.has(UNREAD) => steps.push(Step::Read(Read::All)),
            _ => {}
        }
    }

    /// One or several whole requests before the one that it is about.
    fn earlier_requests(&mut self, steps: &mut Vec<Step>) {
        let count = *self.stream.pick(&[1, 1, 2, 3]);
        let pipelined = self.mask.has(PIPELINE) && self.stream.chance(1, 2);
        for _ in 0..count {
            let message = match self.stream.chance(1, 3) {
                true => self.post(false),
                false => self.get(),
            };
            self.send(&message, 0, message.end, steps);
            if !pipelined {
                self.await_final(steps);
            }
        }
    }

    fn allowed<T: Copy>(&mut self, of: &[(T, Family)], otherwise: T) -> T {
        let (point, family) = *self.stream.pick(of);
        if family == 0 || self.mask.has(family) {
            point
        } else {
            otherwise
        }
    }

    /// Comes to where it stops behaving. Gives the message, and how much of it has been sent.
    fn reach(&mut self, steps: &mut Vec<Step>) -> (Message, u64) {
        let phase = self.allowed(&PHASES, Phase::Body);
        let message = self.message(phase);
        let message = match self.mask.has(PIPELINE) && self.stream.chance(1, 4) {
            true => self.in_one_write_before(message),
            false => message,
        };
        let at = self.point(phase, &message);
        self.send(&message, 0, at, steps);
        match phase {
            Phase::Idle => self.await_final(steps),
            Phase::Expect if self.stream.chance(3, 4) => {
                let within = self.within();
                steps.push(Step::Await(Await {
                    until: Until::Status(100),
                    within,
                }));
            }
            // Not so often that a run is all of this, and so slowly that it outlives most clocks.
            Phase::Response if self.mask.has(PACED) && self.stream.chance(1, 2) => {
                let read = self.paced();
                steps.push(Step::Read(read));
            }
            Phase::Events if self.stream.chance(3, 4) => {
                let within = self.within();
                let until = Until::Bytes(self.stream.between(1, 200));
                steps.push(Step::Await(Await { until, within }));
            }
            Phase::Response if self.stream.chance(1, 2) => {
                let bytes = self.stream.between(1, 2000);
                steps.push(Step::Read(Read::Bytes(bytes)));
            }
            _ => {}
        }
        (message, at)
    }

    /// A message that has this phase.
    pub(super) fn message(&mut self, phase: Phase) -> Message {
        match phase {
            Phase::Expect => self.post(true),
            Phase::Body => self.post(false),
            Phase::Handler => {
                let target = self.slow();
                self.get_of(target)
            }
            Phase::Response => {
                let target = self.big();
                self.get_of(target)
            }
            Phase::Events => {
                let target = *self.stream.pick(&["/events", "/events", "/events/7000"]);
                self.get_of(target.into())
            }
            Phase::Nonsense => self.malformed(),
            Phase::Opening | Phase::Head | Phase::Idle => match self.stream.chance(1, 3) {
                true => self.post(false),
                false => self.get(),
            },
        }
    }

    /// How much of it has been sent when the client is in this phase.
    pub(super) fn point(&mut self, phase: Phase, message: &Message) -> u64 {
        match phase {
            Phase::Opening => 0,
            Phase::Head => {
                let last = message.head_end.saturating_sub(1);
                self.stream.between(message.start + 1, last)
            }
            Phase::Expect => message.head_end,
            Phase::Body => self
                .stream
                .between(message.head_end, message.end.saturating_sub(1)),
            _ => message.end,
        }
    }

    /// Does something at this point of the message.
    pub(super) fn act(
        &mut self,
        action: Action,
        message: &Message,
        at: &mut u64,
        steps: &mut Vec<Step>,
    ) {
        match action {
            Action::Silence => {}
            Action::Stall => {
                let duration = self.delay();
                steps.push(Step::Stall { duration });
                // And now and then a little more, so that a clock is wound up again.
                if self.stream.chance(1, 3) {
                    let to = message.end.min(*at + self.stream.between(1, 20));
                    self.send(message, *at, to, steps);
                    *at = to;
                }
            }
            Action::Rest => {
                if *at < message.end {
                    self.send(message, *at, message.end, steps);
                    *at = message.end;
                } else {
                    let next = self.get();
                    self.send(&next, 0, next.end, steps);
                }
                if !self.mask.has(UNREAD) || self.stream.chance(1, 2) {
                    self.await_final(steps);
                }
            }
            Action::Instead => {
                let other = match self.stream.below(4) {
                    0 => self.post(false),
                    1 if self.mask.has(MALFORMED) => self.malformed(),
                    _ => self.get(),
                };
                self.send(&other, 0, other.end, steps);
            }
            Action::HalfClose => steps.push(Step::HalfClose),
            Action::Close => steps.push(Step::Close),
            Action::Reset => steps.push(Step::Reset),
            Action::Reconnect => {
                let after = if self.stream.chance(1, 2) {
                    Duration::ZERO
                } else {
                    self.delay()
                };
                steps.push(Step::Reconnect { after });
                *at = 0;
            }
            Action::Vanish => steps.push(Step::Vanish),
            Action::Network => {
                let change = self.link_change();
                let hole = matches!(&change, Step::Network(change) if change.blackhole.is_some());
                steps.push(change);
                // What a link swallowed comes late, if it comes: hear of it.
                if hole && self.stream.chance(1, 2) {
                    let duration = self.delay();
                    steps.push(Step::Stall { duration });
                    steps.push(Step::Network(LinkChange {
                        heal: true,
                        ..LinkChange::default()
                    }));
                }
            }
        }
    }

    /// A read that is slow and honest: 300 B/s or more, in pieces of which each takes less than a gap clock.
    pub(super) fn paced(&mut self) -> Read {
        let every = Duration::from_millis(*self.stream.pick(&[203, 1003, 3007]));
        let rate = *self.stream.pick(&[300, 1000, 10_000, 100_000]);
        let size = (rate * every.as_millis() as u64).div_ceil(1000);
        let pieces = self.stream.between(1, PACED_READS_MAX);
        Read::Paced {
            bytes: size * pieces,
            pace: Trickle { size, every },
        }
    }

    pub(super) fn await_final(&mut self, steps: &mut Vec<Step>) {
        let within = self.within();
        steps.push(Step::Await(Await {
            until: Until::Final,
            within,
        }));
    }

    /// A few bytes of body, without regard to what was announced.
    pub(super) fn stray(&mut self) -> Step {
        let what = match self.stream.below(3) {
            0 => Piece::Chunk(self.stream.below(50)),
            1 => Piece::LastChunk,
            _ => Piece::Body(self.stream.below(50)),
        };
        let mut send = Send::from(what);
        if self.mask.has(TRICKLE) && self.stream.chance(1, 2) {
            let every = self.delay();
            send.trickle = Some(Trickle { size: 1, every });
        }
        Step::Send(send)
    }
}
