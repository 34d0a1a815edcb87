//! Scenarios from a seed.
//!
//! One `u64`, the case seed, gives exactly one scenario, on any machine. What is drawn is a point of a grid and some
//! noise on top:
//!
//! | axis | points | module |
//! |---|---|---|
//! | swarm mask | which families of steps and faults there are at all in this case | `mask` |
//! | phase | where in an exchange the client is: nothing said, in the head, asked for 100, in the body ... | `grid` |
//! | action | what it then does: nothing, go on slowly, half-close, reset, something else instead ... | `grid` |
//! | ordinal | in which request of the connection: the first, the second, a later one | `grid` |
//! | segmentation | in one segment, split, byte by byte | `message` |
//! | time | half of all delays sit at a known deadline, -1 ms, 0 or +1 ms | `delay` |
//! | server event | what happens to the server meanwhile: shutdown, a panic, a crash ... | `event` |
//! | abuse | now and then many clients, panics or aborts, a large body, a switch of protocols | `abuse` |
//! | rare | now and then clients that are sound and do what few do: pauses in a head, extensions of chunks, a shutdown between head and body | `rare` |
//! | addresses | now and then each of several clients has an address of its own | here |
//! | last seconds | now and then a connection that is an hour old, or caught by a shutdown | `last_seconds` |
//! | noise | steps inserted, left out, repeated, exchanged | `noise` |
//!
//! There are two ways to use it. `proptest` draws the case seeds by itself with [`scenarios`] as any other strategy;
//! a campaign that hands out case seeds uses [`generate`], and [`case`] to shrink what it found.
//!
//! ```
//! use hangup_scenario::strategy::{self, Options};
//! use proptest::strategy::ValueTree;
//!
//! let scenario = strategy::generate(1834, &Options::default());
//! assert_eq!(scenario, strategy::case(1834, &Options::default()).current());
//! ```

mod abuse;
mod delay;
mod event;
mod grid;
mod last_seconds;
mod mask;
mod message;
mod noise;
mod rare;
mod shape;

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use proptest::{
    prelude::Rng as _,
    strategy::{NewTree, Strategy, ValueTree},
    test_runner::TestRunner,
};

use self::{grid::Draw, mask::Mask};
use crate::{
    scenario::{Addresses, Contract, Resources, Scenario},
    shrink::{Depth, Shrink},
    story::Story,
    stream::Stream,
};

/// The deadlines that servers are known to have; half of all delays sit at one of them.
pub const DEADLINES: [Duration; 6] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(75),
];

/// What there may be in generated scenarios.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most clients, each counted as often as its `count` says; at least 1.
    pub clients_max: u32,
    /// Most steps of a client; at least 1.
    pub steps_max: usize,
    /// The deadlines at which half of all delays sit. Where there are none, no delay sits at one.
    pub deadlines: Cow<'static, [Duration]>,
    /// Whether hosts may vanish.
    pub vanish: bool,
    /// Whether links may lose segments and change.
    pub network: bool,
    /// Whether anything may happen to the server itself.
    pub server_events: bool,
    /// Whether now and then a connection is in its last seconds: an hour old, or, where something may happen to the server, busy when that is
    /// told to shut down.
    pub last_seconds: bool,
    /// Whether now and then there is much of something, whatever `clients_max` says: up to 100 clients, hundreds of aborted connections,
    /// bodies of some MiB. Connections that switch protocols come with it.
    pub abuse: bool,
    /// Whether now and then clients are sound and do what few do, also, where something may happen to the server, around a shutdown.
    pub rare: bool,
    /// Whether now and then several clients have addresses of their own.
    pub addresses: bool,
}

/// Most clients of a case that is no crowd.
const FEW: u32 = 3;
/// Fewest of a crowd: as many as a small server has room for.
const CROWD: u64 = 5;
/// They come within so many milliseconds of each other.
const STAGGER_MS: u64 = 50;
/// Of the cases with several clients, in one of so many each has an address of its own.
const OWN_ADDRESSES_ONE_IN: u64 = 4;

impl Default for Options {
    /// Up to 3 clients of up to 12 steps, now and then a crowd of up to 8, [`DEADLINES`], nothing vanishes, nothing is lost, nothing
    /// happens to the server.
    fn default() -> Self {
        Self {
            clients_max: 8,
            steps_max: 12,
            deadlines: Cow::Borrowed(&DEADLINES),
            vanish: false,
            network: false,
            server_events: false,
            last_seconds: false,
            abuse: false,
            rare: false,
            addresses: false,
        }
    }
}

/// The scenario of a case seed.
pub fn generate(case_seed: u64, options: &Options) -> Scenario {
    let mask = Mask::draw(case_seed, options);
    let network = shape::network(case_seed, mask);
    let mut crowd = Stream::new(case_seed, "crowd");
    let several = mask.has(mask::SEVERAL) && crowd.chance(1, 4);
    let entries = if several { crowd.between(1, 3) } else { 1 };
    let round_trip = network.latency * 2;
    let draw = |stream| Draw {
        stream,
        mask,
        options,
        round_trip,
    };
    // What a server does when it is full is seen only where many come at once, and many are dear.
    let crowded = several && u64::from(options.clients_max) >= CROWD && crowd.chance(1, 24);
    let mut left = match crowded {
        true => options.clients_max,
        false => options.clients_max.clamp(1, FEW),
    };
    let mut clients = Vec::with_capacity(entries as usize);
    for entry in 0..entries {
        if left == 0 {
            break;
        }
        let mut client = draw(Stream::indexed(case_seed, "client", entry)).client(if several {
            left
        } else {
            1
        });
        if crowded && entry == 0 {
            client.count = crowd.between(CROWD, u64::from(left)) as u32;
            client.stagger = Duration::from_millis(crowd.below(STAGGER_MS));
        }
        left -= client.count;
        clients.push(client);
    }
    let digits = case_seed.to_string();
    let mut scenario = Scenario {
        name: ["case-", &digits].concat(),
        title: String::new(),
        source: ["case seed ", &digits].concat(),
        story: Story::default(),
        // Half the digits are as good, and easier to type.
        seed: Stream::new(case_seed, "run").next_u64() >> 32,
        contract: Contract::default(),
        network,
        server: Resources::default(),
        clients,
        server_events: draw(Stream::new(case_seed, "server events")).server_events(),
        expect: BTreeMap::new(),
    };
    if options.last_seconds {
        let mut stream = Stream::new(case_seed, "last seconds");
        if stream.chance(1, last_seconds::ONE_IN) {
            draw(stream).last_seconds(&mut scenario);
            return scenario;
        }
    }
    let mut rare = false;
    if options.rare {
        let mut stream = Stream::new(case_seed, "rare");
        rare = stream.chance(1, rare::ONE_IN);
        if rare {
            draw(stream).rare(&mut scenario);
        }
    }
    if options.abuse && !rare {
        let mut stream = Stream::new(case_seed, "abuse");
        if stream.chance(1, abuse::ONE_IN) {
            draw(stream).abuse(&mut scenario);
        }
    }
    if options.addresses && scenario.client_count() > 1 {
        let mut stream = Stream::new(case_seed, "addresses");
        if stream.chance(1, OWN_ADDRESSES_ONE_IN) {
            for client in &mut scenario.clients {
                client.addresses = Addresses::Own;
            }
        }
    }
    scenario
}

/// The scenario of a case seed, ready to be shrunk.
pub fn case(case_seed: u64, options: &Options) -> ScenarioTree {
    ScenarioTree(Shrink::new(generate(case_seed, options), Depth::Coarse))
}

/// All scenarios, as a strategy of proptest, which draws the case seeds.
pub fn scenarios(options: Options) -> Scenarios {
    Scenarios { options }
}

/// The strategy that [`scenarios`] gives.
#[derive(Clone, Debug)]
pub struct Scenarios {
    options: Options,
}

impl Strategy for Scenarios {
    type Tree = ScenarioTree;
    type Value = Scenario;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        Ok(case(runner.rng().next_u64(), &self.options))
    }
}

/// A scenario that proptest can shrink: clients, steps and whatever is not the default go, as long as the test still
/// fails. [`minimise`](fn@crate::minimise) goes on from there.
#[derive(Clone, Debug)]
pub struct ScenarioTree(Shrink);

impl ValueTree for ScenarioTree {
    type Value = Scenario;

    fn current(&self) -> Scenario {
        self.0.current().clone()
    }

    fn simplify(&mut self) -> bool {
        self.0.keep();
        self.0.next()
    }

    fn complicate(&mut self) -> bool {
        self.0.take_back();
        self.0.next()
    }
}
