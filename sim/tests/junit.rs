//! `--junit`: what CI systems read.

use roxmltree::{Document, Node};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("junit");
    std::fs::create_dir_all(&folder).expect("cargo gives tests a folder to write in");
    folder
}

fn hangup(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(arguments)
        .output()
        .expect("the program was built for this test")
}

/// Runs the command with `--junit`; its exit status, and the file.
fn written(name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let file = folder().join(name);
    let path = file.to_str().expect("UTF-8");
    let output = hangup(&[arguments, &["--junit", path]].concat());
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), text)
}

fn number(node: &Node<'_, '_>, attribute: &str) -> f64 {
    let text = node.attribute(attribute);
    let text = text.unwrap_or_else(|| panic!("{attribute} of {:?}", node.tag_name()));
    text.parse()
        .unwrap_or_else(|_| panic!("{attribute}: {text}"))
}

fn children<'a, 'd>(node: &Node<'a, 'd>, name: &str) -> Vec<Node<'a, 'd>> {
    let elements = node.children().filter(Node::is_element);
    elements
        .inspect(|child| assert_eq!(child.tag_name().name(), name))
        .collect()
}

/// Holds a document against the schema that Jenkins' xunit plugin and Ant use: which elements there are and where, the
/// attributes that each must have, and that the counts are true. Gives (cases, failures).
fn well_formed(text: &str) -> (usize, usize) {
    let document = Document::parse(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let mut totals = (0, 0);
    for suite in children(&root, "testsuite") {
        assert!(suite.attribute("name").is_some_and(|name| !name.is_empty()));
        let mut names = Vec::new();
        let mut failures = 0;
        for case in children(&suite, "testcase") {
            names.push(case.attribute("name").expect("a name"));
            assert!(
                case.attribute("classname")
                    .is_some_and(|name| !name.is_empty())
            );
            for failure in children(&case, "failure") {
                failures += 1;
                assert!(
                    failure
                        .attribute("type")
                        .is_some_and(|kind| !kind.is_empty())
                );
                assert!(
                    failure
                        .attribute("message")
                        .is_some_and(|says| !says.is_empty())
                );
                assert!(
                    failure
                        .text()
                        .is_some_and(|report| report.contains("again: hangup replay "))
                );
            }
        }
        assert_eq!(number(&suite, "tests"), names.len() as f64);
        assert_eq!(number(&suite, "failures"), failures as f64);
        assert_eq!(
            (number(&suite, "errors"), number(&suite, "time") >= 0.0),
            (0.0, true)
        );
        totals = (totals.0 + names.len(), totals.1 + failures);
        names.sort_unstable();
        names.dedup();
        assert_eq!(
            number(&suite, "tests"),
            names.len() as f64,
            "names differ within a suite"
        );
    }
    assert_eq!(number(&root, "tests"), totals.0 as f64);
    assert_eq!(number(&root, "failures"), totals.1 as f64);
    totals
}

#[test]
fn check_writes_a_test_case_a_cell_and_a_failure_a_conviction() {
    let arguments = [
        "check",
        "--server",
        "hangup",
        "--server",
        "hyper-timeouts",
        "--json",
    ];
    let (status, text) = written("check.xml", &arguments);
    assert_eq!(status, Some(1));
    let all: serde_json::Value = serde_json::from_slice(&hangup(&arguments).stdout).expect("JSON");
    let cells = all["cells"].as_array().expect("cells");
    let found = cells
        .iter()
        .filter(|cell| cell["verdict"] != "clean")
        .count();
    assert_eq!(well_formed(&text), (cells.len(), found));

    let document = Document::parse(&text).expect("it was parsed before");
    let suites: Vec<_> = children(&document.root_element(), "testsuite")
        .iter()
        .map(|suite| suite.attribute("name").expect("a name").to_owned())
        .collect();
    assert_eq!(suites, ["hangup", "hyper-timeouts"]);
    let convicted = document.descendants().find(|node| {
        node.attribute("name") == Some("fasthttp-1834")
            && node.attribute("classname") == Some("hyper-timeouts")
    });
    let failure = convicted
        .and_then(|case| case.first_element_child())
        .expect("a failure");
    assert_eq!(failure.attribute("type"), Some("hung"));
    assert!(
        failure
            .attribute("message")
            .is_some_and(|says| says.contains("nothing is armed"))
    );
    let report = failure.text().expect("the report");
    assert!(
        report.contains("gets 25 bytes: HTTP/1.1 100 Continue"),
        "{report}"
    );
    if cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )) {
        assert!(
            report.contains("hyper::proto::h1::decode::Decoder::decode"),
            "{report}"
        );
    }
}

#[test]
fn run_and_replay_write_their_one_cell() {
    let (status, text) = written("run.xml", &["run", "fasthttp-1834", "--server", "hangup"]);
    assert_eq!((status, well_formed(&text)), (Some(0), (1, 0)));
    let (status, text) = written(
        "replay.xml",
        &["replay", "fasthttp-1834", "--server", "hyper"],
    );
    assert_eq!((status, well_formed(&text)), (Some(1), (1, 1)));
}

#[test]
fn fuzz_writes_its_convictions_or_one_test_that_passed() {
    let out = folder();
    let out = out.to_str().expect("UTF-8");
    let fuzz = ["fuzz", "--cases", "300", "--jobs", "1", "--out", out];
    let (status, text) = written("clean.xml", &[&fuzz[..], &["--server", "twin"]].concat());
    assert_eq!((status, well_formed(&text)), (Some(0), (1, 0)), "{text}");
    assert!(text.contains("300 cases"), "{text}");
    let guilty = ["--server", "hyper-timeouts", "--keep-going"];
    let (status, text) = written("guilty.xml", &[&fuzz[..], &guilty].concat());
    let (cases, failures) = well_formed(&text);
    assert_eq!((status, cases), (Some(1), failures));
    assert!(failures > 1, "{text}");
}

#[test]
fn what_a_file_says_cannot_break_the_document() {
    let file = folder().join("hostile.toml");
    let text = "name = \"hostile\"\ntitle = \"]]> </failure> <x a='\\\"'> &amp; \\u001B[31m \\uFFFF \\uFFFE\"\n\
                [[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", head = { method = \"POST\", target = \"/echo\", length = 5 } } ]\n";
    std::fs::write(&file, text).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let (status, text) = written("hostile.xml", &["run", file, "--server", "hyper"]);
    assert_eq!((status, well_formed(&text)), (Some(1), (1, 1)), "{text}");
    assert!(text.contains("]]&gt; &lt;/failure&gt;"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_run() {
    for (arguments, says) in [
        (
            vec!["check", "--junit", "/no/such/folder/x.xml"],
            "--junit: /no/such/folder/x.xml: ",
        ),
        (
            vec!["list", "--junit", "x.xml"],
            "--junit: this command judges no run",
        ),
    ] {
        let output = hangup(&arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(
            (error.lines().count(), output.stdout.len()),
            (1, 0),
            "{error}"
        );
        assert!(
            error.starts_with("hangup: ") && error.contains(says),
            "{error}"
        );
    }
}
