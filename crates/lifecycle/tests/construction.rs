//! What does not compile: a phase without a deadline, limits without a phase, a limit that means "off".

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn limits_without_a_phase_and_limits_that_are_off() {
    trybuild::TestCases::new().compile_fail("tests/construction/*.rs");
}

/// This crate's own source, with a phase more and nothing else, does not compile: in each of these places something is missing.
#[test]
fn a_phase_more() {
    let (compiles, said) = compile("as-it-is", "");
    assert!(compiles, "{said}");
    let (compiles, said) = compile(
        "a-phase-more",
        "    /// Which version does the client speak?\n    Sniff,\n",
    );
    assert!(!compiles, "a phase without a deadline compiles");
    for (file, lacks) in [
        ("deadline.rs", "its deadline"),
        ("phase.rs", "its name and sentence"),
        ("reason.rs", "its answer"),
    ] {
        let place = said
            .split("error[E0004]")
            .find(|error| error.contains(&format!("{file}:")));
        assert!(
            place.is_some_and(|error| error.contains("`Phase::Sniff` not covered")),
            "{lacks} is not missed: {said}"
        );
    }
}

/// Compiles a copy of the source, with `phase` as the last of the phases.
fn compile(name: &str, phase: &str) -> (bool, String) {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&copy).unwrap();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let file = file.unwrap();
        // It stands alone: the one crate it uses is a stub.
        let mut source = fs::read_to_string(file.path())
            .unwrap()
            .replace("humantime::", "crate::humantime::");
        match file.file_name().to_str() {
            Some("phase.rs") => {
                assert!(source.contains("    Upgrade,\n}"), "the last phase is not where it was");
                source = source.replacen("    Upgrade,\n}", &format!("    Upgrade,\n{phase}}}"), 1);
            }
            Some("lib.rs") => source.push_str("mod humantime { pub(crate) fn format_duration(time: std::time::Duration) -> String { format!(\"{time:?}\") } }\n"),
            _ => {}
        }
        fs::write(copy.join(file.file_name()), source).unwrap();
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--crate-name=lifecycle",
            "--emit=metadata",
            "lib.rs",
        ])
        .current_dir(copy)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
