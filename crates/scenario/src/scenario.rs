//! The scenario: clients, network, contract, what happens to the server.

use std::{collections::BTreeMap, time::Duration};

use crate::{server_event::ServerEvent, step::Step, story::Story, verdict::Verdict};

/// One test case: everything that happens to the server, and the seed of what is left to chance.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Short name in letters, digits, `-`, `_` and `.`; also the name of its file.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Where it comes from: an issue, a CVE, an RFC section, a case seed. Empty where nobody knows.
    pub source: String,
    /// What an incident tells people.
    pub story: Story,
    /// Seed of every draw that is made while it runs (jitter, loss, the order of `select!`).
    pub seed: u64,
    /// What the server is held to here, where that is not what the server claims by itself.
    pub contract: Contract,
    /// The network between each client and the server.
    pub network: Network,
    /// What the server's process may use.
    pub server: Resources,
    /// The clients, which all act at the same time.
    pub clients: Vec<Client>,
    /// What happens to the server itself, in any order; events of one time happen as they stand here.
    pub server_events: Vec<ServerEvent>,
    /// The verdict that is pinned for a server, by the server's name. Says nothing about servers that are not in it.
    pub expect: BTreeMap<String, Verdict>,
}

/// The deadlines that a server is held to. What is `None` is taken from the server's own contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Contract {
    /// The longest that a client which has gone silent may hold a connection, from its last byte.
    pub stall: Option<Duration>,
    /// The longest that any client may hold a connection, from its opening.
    pub residence: Option<Duration>,
    /// The longest after the end of the last client until every task and socket of the server is gone.
    pub drain: Option<Duration>,
    /// The longest that a graceful shutdown may take.
    pub shutdown: Option<Duration>,
    /// The most bytes of one connection that the server may keep, at least 1.
    pub buffer: Option<u64>,
    /// Bytes a second, at least 1: while a client takes so much, the server does not cut a response.
    pub rate: Option<u64>,
    /// The longest that a connection may outlive its client's host while the application has nothing to send.
    pub vanished: Option<Duration>,
}

/// The network between every client and the server. [`Default`] is what a file without `[network]` has.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// How long a segment travels, one way.
    pub latency: Duration,
    /// The most that chance adds to the latency of a segment. Segments of one direction do not overtake.
    pub jitter: Duration,
    /// Largest segment in bytes, at least 1. Up to 536, which is less than any path carries, a read sees one segment at a time.
    pub mtu: usize,
    /// Probability, 0 to 1, that a segment is lost at first; it then arrives a retransmission timeout later.
    pub loss: f64,
    /// What a reset does to data that has arrived and is not read yet.
    pub rst: Rst,
    /// Bytes that a socket takes from its application before a write blocks, at least 1. None: the host decides, and lets it
    /// grow (Linux: to 4 MiB).
    pub send_buffer: Option<usize>,
    /// Bytes that a socket keeps for its application before the peer must wait, at least 1. None: the host decides, and lets it
    /// grow for an application that reads fast.
    pub receive_buffer: Option<usize>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(20),
            jitter: Duration::ZERO,
            mtu: 1500,
            loss: 0.0,
            rst: Rst::Keep,
            send_buffer: None,
            receive_buffer: None,
        }
    }
}

/// What a reset does to data that has arrived and is not read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rst {
    /// It can still be read, then comes the error, as on Linux.
    #[default]
    Keep,
    /// It is gone, as on other stacks.
    Erase,
}

/// What the server's process may use. [`Default`] is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// How many accepted connections the process can hold at once, at least 1. While it holds so many, `accept` fails with
    /// EMFILE. `None`: as many as there are.
    pub descriptors: Option<u32>,
}

/// A client, or several of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// How many of it there are, at least 1.
    pub count: u32,
    /// Time from the start of one of them to the start of the next.
    pub stagger: Duration,
    /// When the first of them starts, from the start of the run.
    pub start: Duration,
    /// From which addresses they connect.
    pub addresses: Addresses,
    /// What each of them does, one after the other. After the last step it stays as it is, open and silent, for ever.
    pub steps: Vec<Step>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            count: 1,
            stagger: Duration::ZERO,
            start: Duration::ZERO,
            addresses: Addresses::Shared,
            steps: Vec::new(),
        }
    }
}

/// From which addresses the clients of one entry connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// All from one address, which all entries have in common that do not say otherwise.
    #[default]
    Shared,
    /// Each from an address of its own, for all of its connections.
    Own,
}

impl Scenario {
    /// A scenario of one client that takes these steps, with everything else as in a file that does not mention it.
    pub fn of(name: impl Into<String>, steps: Vec<Step>) -> Self {
        Self {
            name: name.into(),
            title: String::new(),
            source: String::new(),
            story: Story::default(),
            seed: 1,
            contract: Contract::default(),
            network: Network::default(),
            server: Resources::default(),
            clients: vec![Client {
                steps,
                ..Client::default()
            }],
            server_events: Vec::new(),
            expect: BTreeMap::new(),
        }
    }

    /// How many clients there are in all, each counted as often as its `count` says.
    pub fn client_count(&self) -> u64 {
        self.clients
            .iter()
            .map(|client| u64::from(client.count))
            .sum()
    }
}
