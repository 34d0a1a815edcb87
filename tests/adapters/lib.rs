//! Servers as people write them, on the test bed. Each module holds what the framework needs to take a simulated
//! listener, to be copied into a test, and a test that says what the framework promises as it comes.
//!
//! | module | what the framework takes |
//! |---|---|
//! | [`warp`] | nothing of its own: its filter is a service, which hyper-util's `auto` builder serves |
//! | [`poem`] | an implementation of its `Acceptor` |
//! | [`salvo`] | an implementation of its `Acceptor` |
//! | [`tonic`] | a stream of connections that are `Connected` |
//! | [`tungstenite`] | the stream as it is |
//! | [`files`] | nothing: `tokio::fs` and `spawn_blocking` are as they are |

pub mod files;
pub mod poem;
pub mod salvo;
pub mod tonic;
pub mod tungstenite;
pub mod warp;

#[cfg(test)]
mod verdicts {
    use hangup::bed::Outcome;
    use hangup_scenario::Verdict;

    /// Whether a server is hung in this incident.
    pub(crate) fn hangs(outcome: &Outcome, incident: &str) -> bool {
        let mut convicted = outcome.convicted.iter();
        let left_out = outcome.left_out.iter().any(|(name, _)| name == incident);
        assert!(!left_out, "{incident} was not run: {outcome}");
        convicted.any(|cell| cell.scenario.name == incident && cell.verdict() == Verdict::Hung)
    }
}
