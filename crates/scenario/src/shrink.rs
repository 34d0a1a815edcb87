//! Going from a scenario to smaller ones.
//!
//! [`Shrink`] holds the smallest scenario that is known to fail, and tries one reduction of it after the other.
//! Proptest's shrinking and the minimiser are both this walk; the one asks for what is coarse, the other for all.
//!
//! | module | idea |
//! |---|---|
//! | `reduction` | what can be taken from a scenario |
//! | `simpler` | what a step can be replaced with |
//! | `round` | simpler times and numbers |

mod reduction;
mod round;
mod simpler;

pub(crate) use reduction::Depth;
use reduction::Reduction;

use crate::scenario::Scenario;

/// A walk towards smaller scenarios.
#[derive(Clone, Debug)]
pub(crate) struct Shrink {
    /// The smallest scenario that fails, as far as is known.
    smallest: Scenario,
    /// A reduction of it, while it is being tried.
    tried: Option<Scenario>,
    depth: Depth,
    /// What can be taken from `smallest`; `None` until it is asked for, since most cases never fail.
    reductions: Option<Vec<Reduction>>,
    /// The next of them to try.
    next: usize,
    /// Whether a reduction was kept since the walk was last at the first of them.
    progress: bool,
}

impl Shrink {
    pub(crate) fn new(scenario: Scenario, depth: Depth) -> Self {
        Self {
            smallest: scenario,
            tried: None,
            depth,
            reductions: None,
            next: 0,
            progress: false,
        }
    }

    /// The scenario that is being tried, or else the smallest that fails.
    pub(crate) fn current(&self) -> &Scenario {
        self.tried.as_ref().unwrap_or(&self.smallest)
    }

    pub(crate) fn into_current(self) -> Scenario {
        self.tried.unwrap_or(self.smallest)
    }

    /// What was tried fails: from there on.
    pub(crate) fn keep(&mut self) {
        if let Some(tried) = self.tried.take() {
            self.smallest = tried;
            self.progress = true;
            // What was behind the reduction has moved to its place, so `next` stays near where it was.
            self.reductions = None;
            self.next = self.next.saturating_sub(1);
        }
    }

    /// What was tried does not fail: back.
    pub(crate) fn take_back(&mut self) {
        self.tried = None;
    }

    /// Tries the next reduction. False if none is left.
    pub(crate) fn next(&mut self) -> bool {
        loop {
            let reductions = self
                .reductions
                .get_or_insert_with(|| reduction::all(&self.smallest, self.depth));
            if let Some(reduction) = reductions.get(self.next) {
                self.next += 1;
                self.tried = Some(reduction.apply(&self.smallest));
                return true;
            }
            if !self.progress {
                return false;
            }
            // What did not help before may help now.
            self.progress = false;
            self.next = 0;
        }
    }
}
