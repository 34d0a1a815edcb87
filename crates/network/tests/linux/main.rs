//! The model against Linux: random socket scripts are run on the model and on kernel TCP over loopback, and every
//! result is compared, with the step at which an operation that blocked wakes.
//!
//! A machine under load can make Linux look different: an operation wakes after the pause that is meant for it. So
//! a script that differs is run again in the company of few, with longer and longer pauses, and counts only if it differs
//! each time. What counts is shrunk by deleting operations and printed with both lists of results.
//!
//! Scripts are of connect (also cancelled, refused, and to a full backlog), accept, reads and writes of every kind (`poll_*`,
//! `try_*`, vectored, peek, behind `readable` and `writable`, by owned and borrowed halves), shutdown, drop, linger and the
//! rest of the stream's methods. Each pending operation has a waker of its own, as if it were in a task of its own, and
//! is polled only when that is woken: a wake-up that is lost shows.
//!
//! | scripts | what is compared |
//! |---|---|
//! | small | all data fits into the buffers; the network settles after each operation |
//! | big | writes are far larger than the buffers, and wait |
//! | grown | as big, with buffers that grow by themselves: who waits, and whom a read of much or of little wakes |
//! | hasty | nobody waits for the network, nor for tokio to hear of it: what Linux gives must be one of the outcomes that the model gives by some luck |
//! | lost | from some moment on nothing arrives: who gives up, with which error, and what its calls say then. A socket filter makes the black hole, and `TCP_USER_TIMEOUT` stands for Linux's 924.6 s |
//! | timed | what happens while segments are under way, in its order |
//!
//! Loopback delivers at once, so the last kind needs an interface that delays: a TUN device in a network namespace. That test is
//! ignored by default: `unshare --map-root-user --net crates/network/tests/linux/delay.py cargo test --test linux -- --ignored`.
//!
//! `HANGUP_SCRIPTS=40000 cargo test -p hangup-network --test linux` runs that many scripts: three quarters of them small, a fifth
//! hasty, and a fortieth each big, grown and lost. Without it they are 2000. `HANGUP_SEED` is the seed of the first ones, 1 by default.

#![cfg(target_os = "linux")]
#![allow(
    clippy::duplicate_mod,
    reason = "one interpreter for two kinds of sockets is the point"
)]

mod kernel;
mod model;
mod script;

use script::{Class, Script};
use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

/// So many scripts of all kinds are run.
const SCRIPTS: u64 = 2000;

/// So many of them, from the first seed on.
fn seeds(part: impl FnOnce(u64) -> u64) -> (u64, Range<u64>) {
    let (first, count) = (
        number("HANGUP_SEED", 1),
        part(number("HANGUP_SCRIPTS", SCRIPTS)),
    );
    (count, first..first + count)
}

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
    /// When it is run again, and twice as long each time after that.
    alone: Duration,
    /// How often it is run again.
    times: u32,
    /// How many scripts do not disturb each other.
    few: usize,
}

/// Runs all scripts on both sides; the report of those that differ, and how many differed when run together.
fn judge(scripts: &[Script], abreast: usize, pauses: &Pauses) -> (Vec<String>, usize) {
    let suspects = differing(scripts, abreast, pauses.together);
    let again = |few: &[Script]| {
        (0..pauses.times).fold(few.to_vec(), |few, time| {
            differing(&few, pauses.few, pauses.alone * (1 << time))
        })
    };
    // The first few say it all.
    let guilty = suspects.chunks(pauses.few).flat_map(again).take(3);
    let reports = guilty.map(|script| {
        let small = shrink(script.clone(), pauses.alone);
        report(&script, &small, pauses.alone)
    });
    (reports.collect(), suspects.len())
}

/// So few scripts do not disturb each other, if they do without pauses.
const FEW: usize = 4;

fn differing(scripts: &[Script], abreast: usize, pause: Duration) -> Vec<Script> {
    let linux = kernel::run(scripts, abreast, pause);
    let both = scripts.iter().zip(&linux);
    both.filter(|(script, linux)| !may_be(script, linux))
        .map(|(script, _)| script.clone())
        .collect()
}

/// How often a hasty script gets another luck before it counts as different.
const LUCK: u64 = 20_000;

/// Is this what the model gives, or one of the things that it may give?
fn may_be(script: &Script, linux: &[String]) -> bool {
    let lucks = match script.class {
        Class::Hasty => LUCK,
        _ => 0,
    };
    model::run(script) == linux
        || (1..=lucks).any(|luck| model::run(&script.with_luck(luck)) == linux)
}

/// Deletes operations, many at a time and then one by one, as long as the script still differs.
fn shrink(mut script: Script, pause: Duration) -> Script {
    let mut width = script.ops.len() / 2;
    while width > 0 {
        let without = |start: usize| script.without(start..(start + width).min(script.ops.len()));
        let smaller: Vec<Script> = (0..script.ops.len()).step_by(width).map(without).collect();
        match differing(&smaller, FEW, pause).pop() {
            Some(smaller) => script = smaller,
            None => width /= 2,
        }
    }
    script
}

fn report(found: &Script, small: &Script, pause: Duration) -> String {
    let linux = kernel::run(std::slice::from_ref(small), 1, pause).remove(0);
    let model = model::run(small);
    let mut text = format!(
        "{found}, shrunk to {} of {} operations:\n",
        small.ops.len(),
        found.ops.len()
    );
    for (n, ((op, linux), model)) in small.ops.iter().zip(&linux).zip(&model).enumerate() {
        let mark = if linux == model { ' ' } else { '>' };
        let op = format!("{op:?}");
        let at = small
            .at
            .get(n)
            .map_or(String::new(), |at| format!("{at:5} ms"));
        writeln!(text, "{mark} {at} {op:36} linux {linux:28} model {model}")
            .expect("a string takes all");
    }
    text
}

#[test]
fn small_scripts_give_the_same_results_on_linux() {
    let (count, seeds) = seeds(|all| all * 3 / 4);
    let scripts: Vec<Script> = seeds.map(Script::small).collect();
    let pauses = Pauses {
        together: Duration::from_millis(8),
        alone: Duration::from_millis(25),
        times: 4,
        few: FEW,
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
    let (count, seeds) = seeds(|all| all / 40);
    let scripts: Vec<Script> = seeds.map(Script::big).collect();
    let pauses = Pauses {
        together: Duration::from_millis(250),
        alone: Duration::from_millis(500),
        times: 3,
        few: 12,
    };
    let (reports, suspects) = judge(&scripts, 60, &pauses);
    println!(
        "{count} big scripts, {suspects} run again alone, {} differ",
        reports.len()
    );
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
fn grown_scripts_give_the_same_results_on_linux() {
    let (count, seeds) = seeds(|all| all / 40);
    let scripts: Vec<Script> = seeds.map(Script::grown).collect();
    let pauses = Pauses {
        together: Duration::from_millis(250),
        alone: Duration::from_millis(500),
        times: 3,
        few: 6,
    };
    let (reports, suspects) = judge(&scripts, 20, &pauses);
    println!(
        "{count} grown scripts, {suspects} run again alone, {} differ",
        reports.len()
    );
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
fn hasty_scripts_give_on_linux_what_the_model_may_give() {
    let (count, seeds) = seeds(|all| all / 5);
    let scripts: Vec<Script> = seeds.map(Script::hasty).collect();
    let pauses = Pauses {
        together: Duration::from_millis(25),
        alone: Duration::from_millis(50),
        // What Linux does by luck must come again.
        times: 2,
        few: FEW,
    };
    let (reports, suspects) = judge(&scripts, 50, &pauses);
    println!(
        "{count} hasty scripts, {suspects} run again alone, {} differ",
        reports.len()
    );
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
fn lost_scripts_give_the_same_results_on_linux() {
    let (count, seeds) = seeds(|all| all / 40);
    let scripts: Vec<Script> = seeds.map(Script::lost).collect();
    let pauses = Pauses {
        together: Duration::from_millis(60),
        alone: Duration::from_millis(100),
        times: 3,
        // They sleep most of the time.
        few: 25,
    };
    let (reports, suspects) = judge(&scripts, 500, &pauses);
    println!(
        "{count} lost scripts, {suspects} run again alone, {} differ",
        reports.len()
    );
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
#[ignore = "needs an interface that delays, see the top"]
fn timed_scripts_give_the_same_results_on_linux() {
    let (count, seeds) = seeds(|all| all);
    let scripts: Vec<Script> = seeds.map(Script::timed).collect();
    let pauses = Pauses {
        together: Duration::ZERO,
        alone: Duration::ZERO,
        times: 3,
        few: FEW,
    };
    let (reports, suspects) = judge(&scripts, 500, &pauses);
    println!(
        "{count} timed scripts, {suspects} run again alone, {} differ",
        reports.len()
    );
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}
