//! What people want to know of an incident, and no run depends on.

/// The story behind a scenario: what an incident of the book says for people. All of it is empty in a scenario that is
/// no incident, and no run depends on any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Addresses of the sources, each beginning with `https://`.
    pub links: Vec<String>,
    /// The part of the book that it stands in.
    pub theme: String,
    /// What happened.
    pub happened: String,
    /// What a server must do instead.
    pub must_hold: String,
    /// How it was verified: against which server, or against which measurement.
    pub verified: String,
}
