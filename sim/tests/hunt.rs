//! `hangup hunt`: the incident is found from what its operators saw.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn hunt(arguments: &[&str], input: &str) -> Output {
    let out = format!("{}/hunt", env!("CARGO_TARGET_TMPDIR"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(["hunt", "--out", &out])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    // A command that does not read its input may be gone by now.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_incident_is_found_from_its_frame_and_its_age() {
    for (stack, server) in [
        ("ContinueReadBody", "hangup-unbounded"),
        ("Decoder", "hyper"),
    ] {
        let output = hunt(&["--stack", stack, "--age", "29h", "--server", server], "");
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("  fasthttp-1834 ")
                && text.contains(&format!("hangup run NAME --server {server}")),
            "{text}"
        );
        assert!(text.contains("hung in body"), "{text}");
        assert!(text.contains("saved: "), "{text}");
    }
}

#[test]
fn a_pasted_goroutine_dump_is_a_symptom() {
    let dump = "goroutine 51 [IO wait, 1757 minutes]:\n\
        bufio.(*Reader).fill(0xc0000a2000)\n\
        github.com/valyala/fasthttp.(*Request).ContinueReadBody(0xc0000b0000, 0xc0000a2000, 0x400000)\n";
    let output = hunt(&["--dump", "-", "--cases", "2000", "--json"], dump);
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let symptom = told["symptom"].as_str().unwrap_or_default();
    assert!(
        symptom.contains("ContinueReadBody") && symptom.contains("29h 17m"),
        "{symptom}"
    );
    let incidents = told["incidents"].as_array().expect("a list");
    assert!(
        incidents
            .iter()
            .any(|incident| incident["scenario"] == "fasthttp-1834"),
        "{incidents:?}"
    );
}

#[test]
fn the_server_follows_from_the_frame() {
    for (stack, server) in [
        ("ContinueReadBody", "hangup-unbounded"),
        ("Decoder", "hyper"),
        ("axum::serve", "axum"),
    ] {
        let output = hunt(&["--stack", stack, "--cases", "10"], "");
        let first = format!("hunt on {server}: a connection with {stack} in its stack");
        assert!(text(&output).starts_with(&first), "{}", text(&output));
    }
}

#[test]
fn many_connections_are_one_client_often_and_the_only_one_is_none_of_a_crowd() {
    let fitting = |connections: &str| {
        let arguments = ["--phase", "opening", "--cases", "10", "--json"];
        let output = hunt(
            &[&arguments[..], &["--connections", connections]].concat(),
            "",
        );
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let incidents = told["incidents"].as_array().expect("a list").iter();
        let names = incidents.map(|incident| incident["scenario"].to_string());
        names.collect::<Vec<_>>()
    };
    let (alone, crowd) = ("\"connect-silence\"".into(), "\"connection-crowd\"".into());
    let many = fitting("412");
    assert!(many.contains(&alone) && many.contains(&crowd), "{many:?}");
    let only = fitting("1");
    assert!(only.contains(&alone) && !only.contains(&crowd), "{only:?}");
}

#[test]
fn what_is_found_is_saved_and_replays() {
    let found = hunt(&["--phase", "body", "--cases", "500"], "");
    let text = text(&found);
    let saved = text.lines().find_map(|line| line.strip_prefix("saved: "));
    let file = saved.and_then(|line| line.split(" (").next()).expect(&text);
    let again = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(["replay", file, "--server", "hangup-unbounded", "--json"])
        .output()
        .expect("the command can be started");
    let run: serde_json::Value = serde_json::from_slice(&again.stdout).expect("it is JSON");
    assert_eq!(run["verdict"], "hung", "{file}");
}

#[test]
fn a_bounded_server_has_no_such_connection() {
    let output = hunt(
        &[
            "--phase", "body", "--age", "29h", "--server", "hangup", "--cases", "1000",
        ],
        "",
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn wrong_use_is_one_line_and_status_2() {
    for (arguments, input, says) in [
        (&[][..], "", "nothing to look for"),
        (&["--phase", "nowhere"], "", "nowhere"),
        (&["--dump", "-"], "not a dump", "--dump: -: nothing in it"),
        (
            &["--dump", "/nonexistent/dump"],
            "",
            "--dump: /nonexistent/dump",
        ),
        (&["--connections", "many"], "", "many"),
        (
            &["--status", "200", "--engine", "wire"],
            "",
            "--engine wire",
        ),
    ] {
        let output = hunt(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(says), "{error}");
    }
}
