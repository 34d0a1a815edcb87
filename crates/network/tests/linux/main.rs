//! The model against Linux: random socket scripts are run on the model and on kernel TCP over loopback, and every
//! result is compared, with the step at which an operation that blocked wakes.
//!
//! A machine under load can make Linux look different: an operation wakes after the pause that is meant for it. So
//! a script that differs is run again, alone and with a longer pause, and counts only if it differs there too. What counts is
//! shrunk by deleting operations and printed with both lists of results.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `HANGUP_SCRIPTS` | how many small scripts | 4000 |
//! | `HANGUP_BIG_SCRIPTS` | how many scripts whose data does not fit into the buffers | 300 |
//! | `HANGUP_SEED` | the first one's seed | 1 |

#![cfg(target_os = "linux")]

mod kernel;
mod model;
mod script;

use script::Script;
use std::fmt::Write;
use std::time::Duration;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
        Err(_) => default,
    }
}

/// How long Linux gets for one operation.
struct Pauses {
    together: Duration,
    alone: Duration,
}

/// Runs all scripts on both sides; the report of those that differ, and how many differed when run together.
fn judge(scripts: &[Script], abreast: usize, pauses: &Pauses) -> (Vec<String>, usize) {
    let linux = kernel::run(scripts, abreast, pauses.together);
    let mut reports = Vec::new();
    let mut suspects = 0;
    for (script, linux) in scripts.iter().zip(&linux) {
        if &model::run(script) == linux {
            continue;
        }
        suspects += 1;
        if differs(script, pauses.alone) {
            eprintln!("{script} differs");
            let small = shrink(script.clone(), pauses.alone);
            reports.push(report(script, &small, pauses.alone));
            // Each takes seconds to shrink, and the first few say it all.
            if reports.len() == 3 {
                break;
            }
        }
    }
    (reports, suspects)
}

fn alone(script: &Script, pause: Duration) -> Vec<String> {
    kernel::run(std::slice::from_ref(script), 1, pause).remove(0)
}

fn differs(script: &Script, pause: Duration) -> bool {
    alone(script, pause) != model::run(script)
}

/// Deletes operations, many at a time and then one by one, as long as the script still differs.
fn shrink(mut script: Script, pause: Duration) -> Script {
    let mut width = script.ops.len() / 2;
    while width > 0 {
        let mut start = 0;
        while start < script.ops.len() {
            let mut smaller = script.clone();
            smaller
                .ops
                .drain(start..(start + width).min(script.ops.len()));
            match differs(&smaller, pause) {
                true => script = smaller,
                false => start += width,
            }
        }
        width /= 2;
    }
    script
}

fn report(found: &Script, small: &Script, pause: Duration) -> String {
    let (linux, model) = (alone(small, pause), model::run(small));
    let mut text = format!(
        "{found}, shrunk to {} of {} operations:\n",
        small.ops.len(),
        found.ops.len()
    );
    for ((op, linux), model) in small.ops.iter().zip(&linux).zip(&model) {
        let mark = if linux == model { ' ' } else { '>' };
        let op = format!("{op:?}");
        writeln!(text, "{mark} {op:36} linux {linux:28} model {model}")
            .expect("a string takes all");
    }
    text
}

#[test]
fn small_scripts_give_the_same_results_on_linux() {
    let (first, count) = (number("HANGUP_SEED", 1), number("HANGUP_SCRIPTS", 4000));
    let scripts: Vec<Script> = (first..first + count).map(Script::small).collect();
    let pauses = Pauses {
        together: Duration::from_millis(8),
        alone: Duration::from_millis(25),
    };
    let (reports, suspects) = judge(&scripts, 150, &pauses);
    println!(
        "{count} small scripts, {suspects} run again alone, {} differ",
        reports.len()
    );
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
fn big_scripts_give_the_same_results_on_linux() {
    let (first, count) = (number("HANGUP_SEED", 1), number("HANGUP_BIG_SCRIPTS", 300));
    let scripts: Vec<Script> = (first..first + count).map(Script::big).collect();
    let pauses = Pauses {
        together: Duration::from_millis(250),
        alone: Duration::from_millis(500),
    };
    let (reports, suspects) = judge(&scripts, 60, &pauses);
    println!(
        "{count} big scripts, {suspects} run again alone, {} differ",
        reports.len()
    );
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}
