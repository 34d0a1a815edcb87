//! The command itself: files in, files out, and what it says of wrong use.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn hangup(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(arguments)
        .output()
        .expect("the program was built for this test")
}

fn folder() -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import");
    fs::create_dir_all(&folder).expect("cargo gives tests a folder to write in");
    folder.to_str().expect("UTF-8").to_owned()
}

fn verdict(file: &str, server: &str) -> String {
    let output = hangup(&["run", file, "--server", server, "--json"]);
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    run["verdict"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_capture_goes_in_and_a_file_with_the_same_verdict_comes_out() {
    let folder = folder();
    let capture = format!("{folder}/an incident.pcap");
    hangup(&[
        "run",
        "fasthttp-1834",
        "--server",
        "hangup",
        "--pcap",
        &capture,
    ]);
    let output = hangup(&["import", &capture, "--connection", "1", "--out", &folder]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let file = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(file.ends_with("/import-anincident-1.toml"), "{file}");
    let text = fs::read_to_string(&file).expect("it was written");
    assert!(
        text.starts_with(
            "# connection 1, after 0 ms: 86 bytes in, 95 out (100, 408); the server closed it\n"
        ),
        "{text}"
    );
    // It was captured against a server that ends it: the client is the same, and hangs the others.
    assert_eq!(verdict(&file, "hangup"), "clean");
    assert_eq!(verdict(&file, "hyper-timeouts"), "hung");

    let output = hangup(&["import", &capture, "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(
        told["connections"][0]["statuses"],
        serde_json::json!([100, 408])
    );
    assert_eq!(told["connections"][1]["bytes_out"], 59);
    let output = hangup(&["import", &capture]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("[[client]]"));
}

#[test]
fn wrong_use_is_one_line_and_status_2() {
    let folder = folder();
    let none = format!("{folder}/no-recording");
    fs::write(&none, "GET / HTTP/1.1\r\n").expect("a file can be written");
    for (arguments, says) in [
        (&["/nonexistent"][..], "/nonexistent: No such file"),
        (&[&none], "no recording begins like this"),
        (&[&folder], "this is a folder"),
        (&[&none, "--connection", "first"], "first"),
        (&[&none, "--target", "a b"], "a target is visible ASCII"),
        (&[&none, "--port", "70000"], "70000"),
        (
            &[&none, "--html", "page.html"],
            "--html: this command judges no run",
        ),
        (&[], "<FILE>"),
    ] {
        let output = hangup(&[&["import"], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(says), "{error}");
    }
}
