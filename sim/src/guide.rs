//! The guide. It begins with your own server:
#![doc = include_str!("../guide/your-server.md")]
//! # Further pages
//!
//! | page | |
//! |---|---|
//! | [`concepts`] | the words, the clock, the proof |
//! | [`reading_a_finding`] | what each finding says, and the parts of a report |
//! | [`contracts`] | what a server is held to |
//! | [`writing_scenarios`] | a test case as a file |
//! | [`fuzzing`] | clients that nobody has thought of |
//! | [`adding_an_oracle`] | a rule more |
//! | [`limits_of_the_simulation`] | what a clean verdict does not say |
//! | [`comparison`] | what else there is, and where it fits better |
//! | [`from_production`] | captures become scenarios, and symptoms and dumps become seeds |
//! | [`real_servers`] | what fasthttp, net/http, hyper, axum, actix-web, node and nginx do over real TCP |

#[doc = include_str!("../guide/concepts.md")]
pub mod concepts {}

#[doc = include_str!("../guide/reading-a-finding.md")]
pub mod reading_a_finding {}

#[doc = include_str!("../guide/contracts.md")]
pub mod contracts {}

#[doc = include_str!("../guide/writing-scenarios.md")]
pub mod writing_scenarios {}

#[doc = include_str!("../guide/fuzzing.md")]
pub mod fuzzing {}

#[doc = include_str!("../guide/from-production.md")]
pub mod from_production {}

#[doc = include_str!("../guide/adding-an-oracle.md")]
pub mod adding_an_oracle {}

#[doc = include_str!("../guide/limits-of-the-simulation.md")]
pub mod limits_of_the_simulation {}

#[doc = include_str!("../guide/comparison.md")]
pub mod comparison {}

#[doc = include_str!("../guide/real-servers.md")]
pub mod real_servers {}
