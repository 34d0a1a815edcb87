//! The guide's steps, followed word for word: its files are written, its commands run, its output compared.
//!
//! It builds a crate outside this workspace, so it is slow and runs only when asked, as CI does:
//! `cargo test -p hangup --test guide -- --ignored`. What it does not take over from the guide: the crate gets this workspace's versions,
//! profile and target folder, so that what is built already is not built again, and it needs no registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One thing that the guide says to do.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    /// Write this file.
    Write { file: String, text: String },
    /// Run this command, which prints these lines in this order, with anything between them where the guide has dots.
    Run {
        command: String,
        output: Vec<String>,
    },
}

/// The files and commands of a page: a file is a block behind a line with its name alone, commands are in `console` blocks.
fn actions(page: &str) -> Vec<Action> {
    let mut actions = Vec::new();
    let (mut named, mut lines) = (None, page.lines());
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if let Some(file) = named.take() {
                let text = block.join("\n") + "\n";
                actions.push(Action::Write { file, text });
            } else if language == "console" {
                actions.extend(commands(&block));
            }
        } else if let Some(file) = line
            .strip_prefix('`')
            .and_then(|rest| rest.strip_suffix("`:"))
        {
            named = Some(file.to_owned());
        }
    }
    actions
}

fn commands(block: &[&str]) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    for line in block {
        if let Some(command) = line.strip_prefix("$ ") {
            actions.push(Action::Run {
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else if let Some(Action::Run { output, .. }) = actions.last_mut()
            && *line != "..."
        {
            output.push((*line).to_owned());
        }
    }
    actions
}

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn follow(page: &str, start: &Path) {
    let mut here = start.to_owned();
    for action in actions(page) {
        match action {
            Action::Write { file, text } => {
                let path = here.join(&file);
                let folder = path.parent().expect("a file is in a folder");
                fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{file}: {error}"));
                fs::write(&path, text).unwrap_or_else(|error| panic!("{file}: {error}"));
            }
            Action::Run { command, output } => match command.strip_prefix("cd ") {
                Some(folder) => {
                    here = here.join(folder);
                    let versions = repository().join("Cargo.lock");
                    fs::copy(versions, here.join("Cargo.lock")).expect("every workspace has one");
                }
                None => run(&command, &output, &here),
            },
        }
    }
}

/// Where this workspace is.
fn repository() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    repository.canonicalize().expect("this file is in it")
}

fn run(command: &str, expected: &[String], here: &Path) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let target = target.expect("cargo's folder for tests is in the target folder");
    let ran = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(here)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "limited")
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_COLOR", "never")
        .output()
        .unwrap_or_else(|error| panic!("{command}: {error}"));
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "$ {command}\n{printed}");
    let mut rest = &*printed;
    for line in expected {
        let at = rest.find(line.as_str());
        let at =
            at.unwrap_or_else(|| panic!("$ {command}\ndoes not print\n{line}\nbut\n{printed}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn a_page_is_its_files_and_its_commands() {
    let page = "text\n\n`a/b.rs`:\n\n```rust,ignore\nfn b() {}\n```\n\n```console\n$ one\n...\ntold\n$ two\n```\n";
    let run = |command: &str, output: &[&str]| Action::Run {
        command: command.to_owned(),
        output: output.iter().map(|line| (*line).to_owned()).collect(),
    };
    let write = Action::Write {
        file: "a/b.rs".to_owned(),
        text: "fn b() {}\n".to_owned(),
    };
    assert_eq!(
        actions(page),
        [write, run("one", &["told"]), run("two", &[])]
    );
}

#[test]
#[ignore = "builds a crate; .ci/run runs it"]
fn the_steps_of_your_own_server_work_word_for_word() {
    // Outside of this workspace, and the same each time, so that cargo knows what it has built there.
    let name = repository().display().to_string().replace('/', "-");
    let folder = std::env::temp_dir().join(format!("hangup-guide{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the system has a folder for such things");
    let folder = Folder(folder);
    std::os::unix::fs::symlink(repository(), folder.0.join("hangup"))
        .expect("a link beside the crate");
    follow(include_str!("../guide/your-server.md"), &folder.0);
}
