//! The incident book: scenarios from the real world, each with its source, as they stand in `tests/incidents`.

#[doc = include_str!("../../tests/incidents/README.md")]
pub mod book;

use hangup_scenario::Scenario;
use std::sync::{Arc, OnceLock};

/// Name and text of every file, by name.
const FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/incidents.rs"));

/// A part of the book: the word in the files' `theme`, and its heading.
pub type Theme = (&'static str, &'static str);

/// The parts of the book, in their order: first those of one request from its first byte to the end of its response,
/// then what goes on between requests, then how connections end, then the server as a whole.
pub const THEMES: [Theme; 14] = [
    ("opening", "Before the first byte"),
    ("head", "The head"),
    ("expect", "100 Continue"),
    ("body", "The body"),
    ("framing", "Where a request ends"),
    ("handler", "The handler"),
    ("response", "The response"),
    ("idle", "Between requests"),
    ("pipeline", "Several requests at once"),
    ("half-close", "Half-close"),
    ("leave", "Clients that are gone"),
    ("close", "The server's own close"),
    ("crowd", "Many clients"),
    ("shutdown", "Shutdown"),
];

/// Where a theme stands among [`THEMES`]; behind them if it is none of them.
fn place(theme: &str) -> usize {
    THEMES
        .iter()
        .position(|(name, _)| *name == theme)
        .unwrap_or(THEMES.len())
}

/// The heading of a theme.
pub fn heading(theme: &str) -> Option<&'static str> {
    THEMES.get(place(theme)).map(|(_, heading)| *heading)
}

/// Every incident, by theme and name.
///
/// # Panics
/// When a file of the book is not a scenario, which a test of this module rules out.
pub fn all() -> &'static [Arc<Scenario>] {
    static ALL: OnceLock<Vec<Arc<Scenario>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let read = |(name, text): &(&str, &str)| match Scenario::from_toml(
            &format!("tests/incidents/{name}.toml"),
            text,
        ) {
            Ok(scenario) => Arc::new(scenario),
            Err(error) => panic!("{error}"),
        };
        let mut all: Vec<_> = FILES.iter().map(read).collect();
        all.sort_by_key(|scenario| place(&scenario.story.theme));
        all
    })
}

/// The incident with this name.
pub fn named(name: &str) -> Option<Arc<Scenario>> {
    all().iter().find(|scenario| scenario.name == name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_incident_is_named_after_its_file_and_tells_its_story() {
        for (file, _) in FILES {
            let scenario = named(file).unwrap_or_else(|| panic!("{file} has another name"));
            let story = &scenario.story;
            for told in [
                &scenario.source,
                &scenario.title,
                &story.happened,
                &story.must_hold,
                &story.verified,
            ] {
                assert!(!told.is_empty(), "{file}");
            }
            assert!(!story.links.is_empty(), "{file}");
            assert!(heading(&story.theme).is_some(), "{file}: {}", story.theme);
        }
        assert_eq!(FILES.len(), all().len());
    }
}
