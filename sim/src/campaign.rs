//! Many runs.
//!
//! | module | which |
//! |---|---|
//! | [`check`] | every incident x every server |
//! | [`fuzz`] | generated scenarios, from a seed |
//! | [`hunt`], [`symptom`] | from what somebody saw in production to a seed |
//! | [`sweep`] | every byte offset of an exchange x every way to break it off |
//! | [`exhaust`] | every sequence of steps, up to a length |
//! | `judge` | how many runs a case needs |
//! | [`attack`] | a search for the scenario that holds the most server seconds for each client byte |
//! | [`nearest`] | the smallest change with which nothing is found any more |
//! | [`probe`] | every incident and healthy client against a server that is running |
//! | [`walk`], [`shard`], [`shape`] | going through the cases on all cores and machines, and grouping what was found |

pub mod attack;
pub mod check;
pub mod exchange;
pub mod exhaust;
pub mod fuzz;
pub mod hunt;
pub(crate) mod judge;
pub mod nearest;
pub mod probe;
pub mod shape;
pub mod shard;
pub mod sweep;
pub mod symptom;
pub mod walk;
