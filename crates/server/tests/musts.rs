//! The table of MUSTs names tests that exist.

use std::fs;
use std::path::Path;

const TABLE: &str = include_str!("../src/musts.md");

#[test]
fn every_test_that_the_table_names_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut named = 0;
    for name in TABLE
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains("::") && *name != "file::test")
    {
        let (file, test) = name.split_once("::").unwrap();
        let places = [
            format!("connection/{file}.rs"),
            format!("kernel/{file}.rs"),
            format!("seeing/{file}.rs"),
            format!("{file}.rs"),
        ];
        let source = places
            .iter()
            .find_map(|place| fs::read_to_string(tests.join(place)).ok());
        let source = source.unwrap_or_else(|| panic!("{name}: no such file"));
        assert!(
            source.contains(&format!("async fn {test}()")),
            "{name}: no such test"
        );
        named += 1;
    }
    assert!(named > 60, "only {named} tests are named");
}
