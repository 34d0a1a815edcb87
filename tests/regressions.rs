//! What the fuzzer found in our server once, and must not find again: the small file, not the seed.

use hangup_scenario::{Scenario, Verdict};
use hangup_tests::judged;
use std::fs;
use std::path::Path;
use std::sync::Arc;

#[test]
fn what_was_found_once_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("it is part of the checkout")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    assert!(files.len() >= 2);
    for file in files {
        let scenario = Scenario::read(&file).unwrap_or_else(|error| panic!("{error}"));
        let cell = judged(&Arc::new(scenario), "hangup");
        assert_eq!(
            cell.verdict(),
            Verdict::Clean,
            "{}: {:?}",
            file.display(),
            cell.findings
        );
    }
}
