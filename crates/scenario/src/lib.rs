//! What clients do to a server, as plain data.
//!
//! A [`Scenario`] says which clients there are, what each of them does step by step, and what the network
//! between them and the server is like. It is data and nothing else: it can be written to a file, generated
//! from a seed, shrunk, compared, and driven against any server on any engine. Every [`Step`] is legal in every
//! state, so that a scenario from which anything was deleted is again a scenario.
//!
//! | module | idea |
//! |---|---|
//! | [`scenario`] | the scenario, its clients, its network, the server's contract |
//! | [`story`] | what an incident tells people |
//! | [`step`] | one thing that a client does |
//! | [`server_event`] | one thing that happens to the server itself |
//! | [`send`] | what one write is made of: heads, bodies, chunks, bytes |
//! | [`render`] | the exact bytes of a write, and the request that is hidden in every body |
//! | [`verdict`] | what a run can be found guilty of, and which of two is graver |
//! | [`stream`] | random numbers, one stream for each purpose |
//! | [`strategy`] | scenarios from a seed, for proptest and for campaigns |
//! | [`mod@minimise`] | the smallest scenario that still fails |
//! | [`mod@nearest`] | the nearest right name, for whoever wrote a wrong one |
//! | [`mod@file`] | the TOML file: reading with errors that say where and what is allowed, and writing |
//!
//! ```
//! use hangup_scenario::{Scenario, Step};
//!
//! let text = r#"
//! name = "fasthttp-1834"
//!
//! [[client]]
//! steps = [
//!   { do = "connect" },
//!   { do = "send", head = { method = "POST", target = "/echo", length = 1000, expect = "100-continue" } },
//!   { do = "await", status = 100, within = "2s" },
//!   { do = "stall", for = "1757m" },
//! ]
//! "#;
//! let mut scenario = Scenario::from_toml("incident.toml", text)?;
//! assert_eq!(scenario.clients[0].steps.len(), 4);
//!
//! // Any deletion is again a scenario.
//! scenario.clients[0].steps.remove(2);
//! assert_eq!(Scenario::from_toml("shorter.toml", scenario.to_toml())?, scenario);
//!
//! // A mistake is told with its place and with what is allowed there.
//! let mistake = Scenario::from_toml("incident.toml", text.replace("stall", "stal")).unwrap_err();
//! assert!(mistake.to_string().starts_with("incident.toml:9: client[0].steps[3].do: unknown step \"stal\"; allowed: connect, send,"));
//! # Ok::<(), hangup_scenario::ReadError>(())
//! ```

pub mod file;
pub mod minimise;
pub mod nearest;
pub mod render;
pub mod scenario;
pub mod send;
pub mod server_event;
mod shrink;
pub mod step;
pub mod story;
pub mod strategy;
pub mod stream;
pub mod verdict;

pub use file::{Mistake, ReadError};
pub use minimise::minimise;
pub use scenario::{Addresses, Client, Contract, Network, Resources, Rst, Scenario};
pub use send::{Head, Host, Piece, Send, Text, Trickle, Version};
pub use server_event::{AcceptError, ServerAction, ServerEvent};
pub use step::{Await, Blackhole, LinkChange, Read, Step, Until};
pub use story::Story;
pub use verdict::Verdict;
