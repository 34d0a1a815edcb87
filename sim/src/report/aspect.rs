//! The two questions that a cell of the matrix answers.

use crate::finding::Finding;
use hangup_scenario::Verdict;

/// One of the two questions, to which each kind of finding belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Was the client answered as HTTP wants?
    Behaviour,
    /// Did the connection, and all that was held for it, end in time?
    Close,
}

impl Aspect {
    /// Both, in the order in which they are shown.
    pub const BOTH: [Self; 2] = [Self::Behaviour, Self::Close];

    /// The question that a kind of finding answers; none for clean, which answers both.
    pub fn of(kind: Verdict) -> Option<Self> {
        match kind {
            Verdict::Clean => None,
            Verdict::Protocol | Verdict::Lost | Verdict::Deaf | Verdict::Nondeterministic => {
                Some(Self::Behaviour)
            }
            Verdict::Hung
            | Verdict::Leftover
            | Verdict::Late
            | Verdict::StuckShutdown
            | Verdict::Spin
            | Verdict::Hoard => Some(Self::Close),
        }
    }

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Behaviour => "behaviour",
            Self::Close => "close",
        }
    }

    /// The question in full.
    pub fn question(self) -> &'static str {
        match self {
            Self::Behaviour => "Was every client answered as HTTP wants, the next one too?",
            Self::Close => {
                "Did the connection, and all that the server held for it, end within its contract?"
            }
        }
    }

    /// The gravest finding of this aspect.
    pub fn verdict(self, findings: &[Finding]) -> Verdict {
        let kinds = findings.iter().map(|finding| finding.kind);
        kinds
            .filter(|kind| Self::of(*kind) == Some(self))
            .max()
            .unwrap_or(Verdict::Clean)
    }
}

/// What a kind of finding means, in one sentence.
pub fn explain(kind: Verdict) -> &'static str {
    match kind {
        Verdict::Clean => "nothing was found",
        Verdict::Protocol => "a rule of RFC 9110 or 9112 was broken",
        Verdict::Lost => "a complete response did not arrive, or came back different",
        Verdict::Hung => "held past its deadline, and nothing is armed that could end it",
        Verdict::Leftover => "the client is gone, and a task or socket of it is not",
        Verdict::Late => "it did end, but after its deadline",
        Verdict::StuckShutdown => "graceful shutdown did not finish within its bound",
        Verdict::Deaf => "a fresh, well-behaved client is not served, afterwards or meanwhile",
        Verdict::Spin => "it wakes itself for ever without the clock moving",
        Verdict::Hoard => "more bytes are buffered for a connection than the server's limit says",
        Verdict::Nondeterministic => "two runs of one seed differ",
    }
}
