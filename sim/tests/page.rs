//! `--html`: the page as text. What a browser makes of it is in `browser`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).expect("cargo gives tests a folder to write in");
    folder
}

/// Runs the command with `--html`; its exit status, and the page.
fn written(name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let file = folder().join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(arguments)
        .arg("--html")
        .arg(&file)
        .output()
        .expect("the program was built for this test");
    let page = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), page)
}

/// The values of an attribute, as they stand in the page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let mark = format!(" {attribute}=\"");
    let found = page
        .match_indices(&mark)
        .map(|(at, _)| &page[at + mark.len()..]);
    found
        .map(|rest| rest.split('"').next().unwrap_or_default())
        .collect()
}

/// Loads nothing, leads every cell to its story, names nothing twice.
fn is_whole(page: &str, cells: usize) {
    assert!(page.starts_with("<!DOCTYPE html>"));
    for loading in ["<link", "@import", "url(", "<img", "<iframe", "<object"] {
        assert!(!page.contains(loading), "{loading}");
    }
    let ids = values(page, "id");
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len());
    let (inside, outside): (Vec<&str>, Vec<&str>) = values(page, "href")
        .into_iter()
        .partition(|link| link.starts_with('#'));
    for link in &inside {
        assert!(unique.contains(&link[1..]), "{link} leads nowhere");
    }
    assert!(
        outside.iter().all(|link| link.starts_with("https://")),
        "{outside:?}"
    );
    assert_eq!(page.matches("<section class=\"story\"").count(), cells);
    // One alone needs no matrix.
    let linked = if cells > 1 { cells } else { 0 };
    assert_eq!(page.matches("class=\"pill").count(), linked);
    // What is text has no `<`.
    let mut tags = page.split('<').filter_map(|rest| rest.split('>').next());
    assert!(tags.all(|tag| !tag.contains(" src=") && !tag.contains(" onerror=")));
}

#[test]
fn check_has_every_cell_with_two_verdicts_and_a_picture() {
    let (status, page) = written("check.html", &["check"]);
    assert_eq!(status, Some(1));
    let servers = hangup::server::built_in().len() + hangup::server::canaries().len();
    let cells = servers * hangup::incident::all().len();
    is_whole(&page, cells);
    assert_eq!(page.matches("<svg class=\"swim\"").count(), cells);
    assert!(page.contains("aria-label=\"fasthttp-1834 on hyper: behaviour clean, close hung\""));
    assert!(page.contains("aria-label=\"fasthttp-1834 on hangup: behaviour clean, close clean\""));
    assert!(page.contains("Did the connection, and all that the server held for it, end within"));
    let each = page.len() / cells;
    assert!(each < 20_000, "{each} bytes a cell, {} in all", page.len());
}

#[test]
fn run_tells_phases_deadlines_and_the_stack() {
    let (status, page) = written("run.html", &["run", "fasthttp-1834", "--server", "hangup"]);
    assert_eq!(status, Some(0));
    is_whole(&page, 1);
    assert!(page.contains("expect from 60 ms to 5.06 s, due at 5.06 s (the server says)"));
    assert!(page.contains(">408 Request Timeout + FIN</text>"));
    assert!(page.contains("closed: timeout-expect"));

    let (_, page) = written("hung.html", &["run", "fasthttp-1834", "--server", "hyper"]);
    assert!(page.contains("due at 75.08 s (seen from outside)"));
    assert!(page.contains("never ends") && page.contains("overdue since 75.08 s"));
    if cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )) {
        assert!(page.contains("<code>hyper::proto::h1::decode::Decoder::decode</code>"));
    }
}

#[test]
fn fuzz_shows_its_convictions_or_says_that_there_are_none() {
    let out = folder();
    let out = out.to_str().expect("UTF-8");
    let fuzz = ["fuzz", "--cases", "300", "--jobs", "1", "--out", out];
    let (_, page) = written("clean.html", &[&fuzz[..], &["--server", "twin"]].concat());
    assert!(page.contains("Nothing was found."));
    let guilty = ["--server", "hyper-timeouts", "--keep-going"];
    let (_, page) = written("guilty.html", &[&fuzz[..], &guilty].concat());
    let cells = page.matches("class=\"pill").count();
    assert!(cells > 1);
    is_whole(&page, cells);
}

#[test]
fn what_a_file_says_stays_text() {
    let file = folder().join("hostile.toml");
    let text = "name = \"hostile\"\n\
        title = \"</title><script>alert(1)</script>\"\n\
        source = \"\\\"><img src=x onerror=alert(2)> &amp; \\u001B[2J \\u202E\"\n\
        [[client]]\nsteps = [ { do = \"connect\" }, { do = \"send\", bytes = \"POST /echo HTTP/1.1\\\\r\\\\nHost: a\\\\r\\\\nContent-Length: 9\\\\r\\\\n\\\\r\\\\n\" }, \
        { do = \"send\", bytes = \"<svg onload=alert(3)>\" } ]\n";
    std::fs::write(&file, text).expect("a file");
    let (status, page) = written("hostile.html", &["run", file.to_str().expect("UTF-8")]);
    assert_eq!(status, Some(0));
    is_whole(&page, 1);
    assert!(
        !page.contains("<script>alert") && !page.contains("<img") && !page.contains("<svg onload")
    );
    assert!(
        page.contains("&lt;/title&gt;&lt;script&gt;alert(1)"),
        "it is shown"
    );
    assert!(page.contains("&lt;svg onload=alert(3)"), "it is shown");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
}

#[test]
fn the_page_is_the_same_every_time_but_for_the_time_it_took() {
    let page = || {
        written(
            "again.html",
            &["run", "fasthttp-1834-storm", "--server", "hyper"],
        )
        .1
    };
    assert_eq!(page(), page());
}
