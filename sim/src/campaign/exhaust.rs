//! Every sequence of steps, up to a length: small bounds, no luck involved.
//!
//! The steps come from an alphabet: a request whole and in parts, bodies of both framings, waiting for an answer, waiting
//! past a deadline, and every way to leave. Each sequence has a connection to begin with, since without one nothing
//! happens, and the client stays open and silent behind it, for ever.

use super::walk::Cases;
use hangup_scenario::{Await, Client, Head, Piece, Scenario, Send, Step, Until};
use std::time::Duration;

/// Longest sequences: every sequence of one step more takes fifteen times as long.
pub const DEPTH_MAX: u32 = 8;

/// Length of the body that the alphabet's requests announce: two of its halves.
const BODY: u64 = 10;
/// Longer than the shorter deadlines of the servers that are known (2, 5, 10 s), shorter than the others.
const STALL: Duration = Duration::from_secs(11);
/// Every answer comes before.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every sequence of up to `depth` steps. The shortest come first.
#[derive(Debug)]
pub struct Exhaust {
    alphabet: Vec<Step>,
    depth: u32,
}

/// The steps that sequences are made of.
pub fn alphabet() -> Vec<Step> {
    let post = || Head::new("POST", "/echo");
    let of = |what: Piece| Step::Send(Send::from(what));
    let head = |head: Head| of(Piece::Head(head));
    vec![
        head(Head::default()),
        head(Head {
            connection: Some("close".into()),
            ..Head::default()
        }),
        of(Piece::Bytes(b"GET / HT".to_vec())),
        head(Head {
            length: Some(BODY),
            ..post()
        }),
        head(Head {
            length: Some(BODY),
            expect: Some("100-continue".into()),
            ..post()
        }),
        head(Head {
            chunked: true,
            ..post()
        }),
        of(Piece::Body(BODY / 2)),
        of(Piece::Chunk(BODY / 2)),
        of(Piece::LastChunk),
        Step::Await(Await {
            until: Until::Final,
            within: PATIENCE,
        }),
        Step::Stall { duration: STALL },
        Step::HalfClose,
        Step::Reset,
        Step::Vanish,
        Step::Reconnect {
            after: Duration::ZERO,
        },
    ]
}

impl Exhaust {
    /// Every sequence of up to `depth` steps, but not more than [`DEPTH_MAX`].
    pub fn new(depth: u32) -> Self {
        Self {
            alphabet: alphabet(),
            depth: depth.min(DEPTH_MAX),
        }
    }

    /// The sequence with this index: those of one length are counted like numbers, a digit for each step.
    fn steps(&self, mut index: u64) -> Vec<Step> {
        let letters = self.alphabet.len() as u64;
        let (mut length, mut of_length) = (0, 1);
        while index >= of_length {
            index -= of_length;
            of_length *= letters;
            length += 1;
        }
        let mut steps = vec![Step::Connect; 1 + length];
        for step in steps[1..].iter_mut().rev() {
            *step = self.alphabet[(index % letters) as usize].clone();
            index /= letters;
        }
        steps
    }
}

impl Cases for Exhaust {
    fn count(&self) -> u64 {
        let letters = self.alphabet.len() as u64;
        (0..=self.depth).map(|length| letters.pow(length)).sum()
    }

    fn scenario(&self, index: u64) -> Scenario {
        let mut scenario = Scenario::of(format!("exhaust-{index}"), Vec::new());
        scenario.source = format!("hangup exhaust, sequence {index}");
        scenario.clients = vec![Client {
            steps: self.steps(index),
            ..Client::default()
        }];
        scenario
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_sequence_comes_once_and_the_shortest_first() {
        let all = Exhaust::new(3);
        assert_eq!(all.count(), 1 + 15 + 225 + 3375);
        let sequences: Vec<Vec<Step>> = (0..all.count()).map(|index| all.steps(index)).collect();
        assert!(sequences.is_sorted_by_key(Vec::len));
        assert_eq!(sequences.last().map(Vec::len), Some(4));
        let texts: HashSet<String> = sequences.iter().map(|steps| format!("{steps:?}")).collect();
        assert_eq!(texts.len(), sequences.len());
    }

    #[test]
    fn five_steps_are_under_a_million_sequences() {
        assert_eq!(Exhaust::new(5).count(), 813_616);
    }
}
