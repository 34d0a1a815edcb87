//! The report on a run, as it stands on a terminal.

use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::incident;
use hangup::report::fold::COLUMNS_MAX;
use hangup::report::text::Report;
use hangup::run::Detail;
use hangup::server;
use std::process::Command;

fn plain(cell: &Cell) -> String {
    anstream::adapter::strip_str(&Report(cell).to_string()).to_string()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Every incident against every server and every canary.
#[test]
fn no_line_is_wider_than_a_terminal_and_no_frame_is_lost() {
    let servers = || server::built_in().into_iter().chain(server::canaries());
    let mut stacks = 0;
    for incident in incident::all() {
        for server in servers() {
            let cell = Cell::of(Engine::Leap, incident, &*server, Detail::TOLD);
            let report = plain(&cell);
            for line in report.lines() {
                let width = line.chars().count();
                assert!(
                    width <= COLUMNS_MAX,
                    "{} on {}, {width} columns:\n{line}",
                    incident.name,
                    server.name()
                );
            }
            let squeezed_report = squeezed(&report);
            if let Some(finding) = cell.findings.first() {
                assert!(squeezed_report.contains(&squeezed(&finding.says)));
                for frame in finding.task.iter().flat_map(|task| &task.stack) {
                    stacks += 1;
                    assert!(
                        squeezed_report.contains(&squeezed(frame)),
                        "{frame}\n{report}"
                    );
                }
            }
        }
    }
    if cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )) {
        assert!(stacks > 100, "{stacks} frames in all");
    }
}

/// What a scenario file or a server's name says is shown, and steers nothing.
#[test]
fn names_from_a_file_do_not_steer_the_terminal() {
    let text = "name = \"bell\"\ntitle = \"a\\u001B[2Jb \\u0007\"\nsource = \"\\u001B]0;title\\u0007\"\n\
                [[client]]\nsteps = [ { do = \"connect\" } ]\n";
    let scenario = hangup_scenario::Scenario::from_toml("test", text)
        .map(std::sync::Arc::new)
        .expect("a scenario");
    let server = server::named("hyper").expect("a built-in server");
    let cell = Cell::of(Engine::Leap, &scenario, &*server, Detail::TOLD);
    let report = Report(&cell).to_string();
    assert!(!report.contains("\u{1b}[2J") && !report.contains("\u{1b}]"));
    assert!(!report.contains('\u{7}'));
    assert!(report.contains("\\u{1b}[2Jb"), "{report}");
}

fn coloured(color: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args([
            "run",
            "fasthttp-1834",
            "--server",
            "hyper",
            "--color",
            color,
        ])
        .output()
        .expect("the program was built for this test");
    String::from_utf8(output.stdout).expect("a report is UTF-8")
}

#[test]
fn colours_are_there_when_they_are_asked_for_and_change_no_text() {
    let (always, never) = (coloured("always"), coloured("never"));
    assert!(always.contains("\u{1b}[1m\u{1b}[31mhung"), "{always}");
    assert!(always.contains("\u{1b}[36mclient 0"), "{always}");
    assert!(!never.contains('\u{1b}'), "{never}");
    assert_eq!(anstream::adapter::strip_str(&always).to_string(), never);
    // A pipe is no terminal.
    assert_eq!(coloured("auto"), never);
}
