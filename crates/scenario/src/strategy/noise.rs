//! Steps that have no place in any plan.

use super::{
    grid::Draw,
    mask::{CLOSE, HALF_CLOSE, NETWORK, RECONNECT, RESET, STALL},
};
use crate::step::{Await, Blackhole, LinkChange, Read, Step, Until};

impl Draw<'_> {
    /// Inserts, leaves out, repeats and exchanges a few steps.
    pub(super) fn noise(&mut self, steps: &mut Vec<Step>) {
        for _ in 0..self.stream.between(0, 2) {
            let count = steps.len() as u64;
            let at = self.stream.below(count) as usize;
            match self.stream.below(5) {
                0 if count > 1 => {
                    steps.remove(at);
                }
                // A big body said twice is thousands of requests that are hidden in it.
                1 if small(&steps[at]) => steps.insert(at, steps[at].clone()),
                2 => {
                    let other = self.stream.below(count) as usize;
                    steps.swap(at, other);
                }
                _ => {
                    let step = self.any_step();
                    steps.insert(at + 1, step);
                }
            }
        }
    }

    fn any_step(&mut self) -> Step {
        match self.stream.below(12) {
            0 => Step::Connect,
            1 if self.mask.has(STALL) => Step::Stall {
                duration: self.delay(),
            },
            2 if self.mask.has(HALF_CLOSE) => Step::HalfClose,
            3 if self.mask.has(CLOSE) => Step::Close,
            4 if self.mask.has(RESET) => Step::Reset,
            5 if self.mask.has(RECONNECT) => Step::Reconnect {
                after: self.delay(),
            },
            6 if self.mask.has(NETWORK) => self.link_change(),
            7 => Step::Read(Read::Bytes(self.stream.between(1, 1000))),
            8 => Step::Await(Await {
                until: Until::Bytes(self.stream.between(1, 200)),
                within: self.within(),
            }),
            9 => Step::Await(Await {
                until: Until::Status(100),
                within: self.within(),
            }),
            _ => self.stray(),
        }
    }

    pub(super) fn link_change(&mut self) -> Step {
        let mut change = LinkChange::default();
        match self.stream.below(4) {
            0 => change.heal = true,
            1 => change.latency = Some(self.delay()),
            2 => change.loss = Some(*self.stream.pick(&[0.0, 0.1, 0.5])),
            _ => change.blackhole = Some(self.hole()),
        }
        Step::Network(change)
    }

    pub(super) fn hole(&mut self) -> Blackhole {
        *self
            .stream
            .pick(&[Blackhole::Both, Blackhole::ToServer, Blackhole::ToClient])
    }
}

fn small(step: &Step) -> bool {
    match step {
        Step::Send(send) => send.whole_len() <= 5000,
        _ => true,
    }
}
