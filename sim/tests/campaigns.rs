//! `sweep`, `exhaust` and shards, through the command line, as scripts use them.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

fn hangup(command: &str) -> Output {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("campaigns");
    Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(command.split(' '))
        .arg("--out")
        .arg(out)
        .output()
        .expect("the command runs")
}

/// Exit status, findings, totals.
fn json(command: &str) -> (Option<i32>, Vec<Value>, Value) {
    let output = hangup(&format!("{command} --json"));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect();
    let mut totals = lines.pop().expect("totals");
    (output.status.code(), lines, totals["totals"].take())
}

fn counts(totals: &Value) -> (u64, u64) {
    let count = |name: &str| totals[name].as_u64().expect("a count");
    (count("cases"), count("findings"))
}

#[test]
fn the_incident_is_cut_at_every_byte_and_our_server_stands() {
    let (status, found, totals) = json("sweep fasthttp-1834 --server hangup");
    assert_eq!((status, found.len()), (Some(0), 0), "{found:?}");
    // 1086 bytes have 1087 offsets; before and behind the 100, and the response, one more each. Six ways at each.
    assert_eq!(
        (&totals["cuts"], &totals["cases"]),
        (&6534.into(), &6534.into())
    );
}

#[test]
fn hyper_hangs_wherever_the_body_of_the_incident_stops() {
    let (status, found, totals) = json("sweep fasthttp-1834 --server hyper-timeouts");
    assert_eq!(status, Some(1));
    assert!(totals["by_kind"]["hung"].as_u64() > Some(1000), "{totals}");
    let hung = found.iter().find(|finding| finding["kind"] == "hung");
    let hung = hung.expect("one line for each shape");
    assert!(hung["cases"].as_u64() > Some(1000), "{hung}");
    // The file shows it again.
    let file = hung["file"].as_str().expect("a path");
    let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(["replay", file, "--server", "hyper-timeouts", "--json"])
        .output()
        .expect("the command runs");
    let again: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for field in ["kind", "at_s", "never_ends", "phase", "says"] {
        assert_eq!(again["findings"][0][field], hung[field], "{field}");
    }
}

#[test]
fn a_scenario_file_can_be_swept() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("exchange.toml");
    let text = "name = \"mine\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", bytes = \"GET / HTTP/1.0\\r\\n\\r\\n\" } ]\n";
    std::fs::write(&file, text).expect("a file");
    let (status, _, totals) = json(&format!("sweep {} --server hangup", file.display()));
    assert_eq!(status, Some(0));
    // 18 bytes: at each, and behind the last.
    assert_eq!(totals["cuts"], 19 * 6);
}

#[test]
fn every_sequence_of_three_steps_is_clean_on_our_server_and_not_on_hyper() {
    let (status, found, totals) = json("exhaust --depth 3 --server hangup");
    assert_eq!((status, found.len()), (Some(0), 0), "{found:?}");
    assert_eq!(totals["behaviours"], 1 + 15 + 225 + 3375);
    let (status, found, totals) = json("exhaust --depth 3 --server hyper-timeouts");
    assert_eq!(status, Some(1));
    // Thousands of cases, a handful of shapes, each with its own file.
    assert!((2..20).contains(&found.len()), "{found:?}");
    let cases: u64 = found
        .iter()
        .filter_map(|finding| finding["cases"].as_u64())
        .sum();
    assert_eq!(Some(cases), totals["findings"].as_u64());
    // Beside each there is a change with which nothing is found, and it is so.
    let near = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nearest.toml");
    for finding in &found {
        let nearest = &finding["nearest_passing"];
        let text = nearest["scenario"].as_str().expect("a scenario file");
        std::fs::write(&near, text).expect("a file");
        let path = near.to_str().expect("UTF-8");
        let again = Command::new(env!("CARGO_BIN_EXE_hangup"))
            .args(["run", path, "--server", "hyper-timeouts"])
            .output()
            .expect("the command runs");
        assert_eq!(again.status.code(), Some(0), "{nearest}");
    }
    let hung = found.iter().find(|finding| finding["kind"] == "hung");
    let change = hung.map(|finding| &finding["nearest_passing"]["change"]);
    let says = change.and_then(Value::as_str).expect("a change");
    assert!(says.contains("at its end"), "the body that is owed: {says}");
    let mut files: Vec<&str> = found
        .iter()
        .filter_map(|finding| finding["file"].as_str())
        .collect();
    files.dedup();
    assert_eq!(files.len(), found.len());
}

#[test]
fn all_shards_together_are_the_whole() {
    for command in [
        "fuzz --server hyper-timeouts --seed 5 --cases 300 --keep-going",
        "exhaust --depth 2 --server hyper-timeouts",
        "sweep post --server hyper-timeouts",
    ] {
        let (_, _, whole) = json(command);
        let mut sum = (0, 0);
        for shard in 1..=3 {
            let (_, _, part) = json(&format!("{command} --shard {shard}/3"));
            let (cases, findings) = counts(&part);
            assert!(cases > 0 && cases < counts(&whole).0, "{command} {shard}/3");
            sum = (sum.0 + cases, sum.1 + findings);
        }
        assert_eq!(sum, counts(&whole), "{command}");
        assert!(sum.1 > 0, "{command} should find something to count");
    }
}

#[test]
fn the_attack_finds_something_as_bad_as_the_incident_by_itself() {
    let output = hangup("attack --server hyper-timeouts --cases 1500 --json");
    assert_eq!(output.status.code(), Some(1));
    let worst: Value = serde_json::from_slice(&output.stdout).expect("a JSON object");
    assert_eq!(worst["unended"], true);
    let figure = worst["seconds_per_byte"].as_f64();
    assert!(
        figure >= worst["incident_seconds_per_byte"].as_f64(),
        "{worst}"
    );
    let file = worst["file"].as_str().expect("a path");
    assert!(hangup_scenario::Scenario::read(file).is_ok(), "{file}");
}

#[test]
fn our_servers_worst_case_keeps_within_its_bound_on_any_number_of_cores() {
    let attack = |cases: u32, jobs: u32| {
        let output = hangup(&format!(
            "attack --server hangup --cases {cases} --jobs {jobs} --json"
        ));
        assert_eq!(output.status.code(), Some(0));
        let worst: Value = serde_json::from_slice(&output.stdout).expect("a JSON object");
        worst
    };
    let worst = attack(6000, 2);
    let number = |name: &str| worst[name].as_f64().expect("a number");
    assert_eq!(worst["unended"], false);
    assert!(number("longest_held_s") <= number("residence_s"), "{worst}");
    // A client that stays with a stream in which its application has nothing to say holds it for an hour, which is the connection's
    // age, with the 83 bytes of its SYN and its request.
    assert!(
        (40.0..46.0).contains(&number("seconds_per_byte")),
        "{worst}"
    );
    // A search on one core takes the same way as one on two.
    let [one, two] = [1, 2].map(|jobs| attack(1000, jobs));
    for what in ["seconds_per_byte", "longest_held_s"] {
        assert!(one[what].is_number(), "{one}");
        assert_eq!(one[what], two[what], "{what}");
    }
}

#[test]
fn a_mistake_is_one_line_and_exit_2() {
    for (command, says) in [
        (
            "sweep gett",
            "\"gett\" is no exchange and no file; allowed: get, fasthttp-1834,",
        ),
        ("sweep no/such.toml", "no/such.toml"),
        ("exhaust --depth 9", "--depth"),
        ("fuzz --shard 0/3", "a shard is I/N"),
        ("exhaust --shard 4/3", "a shard is I/N"),
    ] {
        let output = hangup(command);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command}: {error}");
        assert_eq!(error.lines().count(), 1, "{command}: {error}");
        assert!(
            error.starts_with("hangup: ") && error.contains(says),
            "{command}: {error}"
        );
    }
}
