//! What a run can be found guilty of.

use crate::nearest::did_you_mean;
use std::{fmt, str::FromStr};

/// The outcome of a run: clean, or the gravest of its findings.
///
/// The order is that of gravity, so that the verdict of a run is the maximum over its findings.
///
/// ```
/// use hangup_scenario::Verdict;
///
/// assert_eq!([Verdict::Late, Verdict::Hung, Verdict::Clean].into_iter().max(), Some(Verdict::Hung));
/// assert_eq!("stuck-shutdown".parse(), Ok(Verdict::StuckShutdown));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// Two runs of one seed differ.
    Nondeterministic,
    /// More bytes are buffered for one connection than the server's own limit says.
    Hoard,
    /// More polls for each simulated second than the bound.
    Spin,
    /// A fresh, well-behaved client is not served after the scenario, or while its clients are stalled.
    Deaf,
    /// Graceful shutdown did not finish within its bound.
    StuckShutdown,
    /// A task is past its deadline, but will end.
    Late,
    /// After the last client and the drain time something is not back to the baseline.
    Leftover,
    /// A task or socket is past its deadline, and nothing is armed that could end it.
    Hung,
    /// A response that was complete did not arrive, or came back different.
    Lost,
    /// A rule of HTTP/1.1 was broken.
    Protocol,
}

impl Verdict {
    /// All of them, the gravest first.
    pub const ALL: [Self; 11] = [
        Self::Protocol,
        Self::Lost,
        Self::Hung,
        Self::Leftover,
        Self::Late,
        Self::StuckShutdown,
        Self::Deaf,
        Self::Spin,
        Self::Hoard,
        Self::Nondeterministic,
        Self::Clean,
    ];

    /// Its name in files and reports, in kebab-case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Nondeterministic => "nondeterministic",
            Self::Hoard => "hoard",
            Self::Spin => "spin",
            Self::Deaf => "deaf",
            Self::StuckShutdown => "stuck-shutdown",
            Self::Late => "late",
            Self::Leftover => "leftover",
            Self::Hung => "hung",
            Self::Lost => "lost",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is not the name of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown verdict {0:?}; allowed: {list}{meant}", list = Verdict::ALL.map(Verdict::name).join(", "),
    meant = did_you_mean(_0, Verdict::ALL.map(Verdict::name)))]
pub struct UnknownVerdict(pub String);

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.name() == word)
            .ok_or_else(|| UnknownVerdict(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_ordered_from_the_gravest_to_clean() {
        assert!(Verdict::ALL.is_sorted_by(|graver, lighter| graver > lighter));
    }

    #[test]
    fn names_are_read_back() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.to_string().parse(), Ok(verdict));
        }
        assert_eq!(
            "hang".parse::<Verdict>().unwrap_err().to_string(),
            "unknown verdict \"hang\"; allowed: protocol, lost, hung, leftover, late, stuck-shutdown, deaf, spin, \
             hoard, nondeterministic, clean; did you mean \"hung\"?"
        );
    }
}
