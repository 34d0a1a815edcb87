//! The incident book: scenarios from the real world, each with its source, as they stand in `tests/incidents`.

use hangup_scenario::Scenario;
use std::sync::{Arc, OnceLock};

/// Name and text of every file, by name.
const FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/incidents.rs"));

/// Every incident, by name.
///
/// # Panics
/// When a file of the book is not a scenario, which a test of this module rules out.
pub fn all() -> &'static [Arc<Scenario>] {
    static ALL: OnceLock<Vec<Arc<Scenario>>> = OnceLock::new();
    ALL.get_or_init(|| {
        FILES
            .iter()
            .map(|(name, text)| {
                match Scenario::from_toml(&format!("tests/incidents/{name}.toml"), text) {
                    Ok(scenario) => Arc::new(scenario),
                    Err(error) => panic!("{error}"),
                }
            })
            .collect()
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
    fn every_incident_is_named_after_its_file_and_has_a_source() {
        assert!(named("fasthttp-1834").is_some());
        for ((file, _), scenario) in FILES.iter().zip(all()) {
            assert_eq!(*file, scenario.name);
            assert!(
                !scenario.source.is_empty() && !scenario.title.is_empty(),
                "{file}"
            );
        }
    }
}
