//! The smallest scenario that still fails.

use crate::{
    scenario::Scenario,
    shrink::{Depth, Shrink},
};

/// Makes a scenario smaller for as long as `still_fails` says that the smaller one fails, too, and gives the smallest.
///
/// Clients and steps go first (in halves, in quarters, one by one), then everything goes back to its default that can,
/// then bodies get shorter, pauses become one, and times and numbers become round. This is done over again until
/// nothing helps any more, or until `still_fails` was asked `budget` times. The contract stays: it is the claim that
/// the server is held to, not something that a client does. The name and the source stay, too.
///
/// The same scenario and the same answers give the same result. If nothing smaller fails, the scenario comes back as it
/// was; that it fails itself is taken for granted.
///
/// ```
/// use hangup_scenario::{Scenario, Step, minimise, strategy};
///
/// let options = strategy::Options::default();
/// let resets = |scenario: &Scenario| scenario.clients.iter().any(|client| client.steps.contains(&Step::Reset));
/// let case = (0..).map(|case_seed| strategy::generate(case_seed, &options)).find(resets).unwrap();
/// assert_eq!(minimise(case, 10_000, resets).clients[0].steps, [Step::Reset]);
/// ```
pub fn minimise(
    scenario: Scenario,
    budget: usize,
    mut still_fails: impl FnMut(&Scenario) -> bool,
) -> Scenario {
    let mut shrink = Shrink::new(scenario, Depth::Fine);
    for _ in 0..budget {
        if !shrink.next() {
            break;
        }
        if still_fails(shrink.current()) {
            shrink.keep();
        } else {
            shrink.take_back();
        }
    }
    shrink.take_back();
    shrink.into_current()
}
