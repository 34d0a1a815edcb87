//! Every mistake in a file is told in one line: file, line, field, what is wrong, what is allowed.

mod steps;
mod top;

use hangup_scenario::{Mistake, Scenario};

/// What stands often in the messages below, and what it stands for.
const SHORT: [(&str, &str); 7] = [
    (
        "<fields>",
        "name, title, source, links, theme, seed, happened, must_hold, verified, contract, network, server, expect, client, server_event",
    ),
    (
        "<name>",
        "a string of 1 to 100 letters, digits, -, _ and ., not beginning with .",
    ),
    (
        "<duration>",
        "a duration up to 365d, such as \"250ms\", \"75s\" or \"29h 17m\"",
    ),
    (
        "<steps>",
        "connect, send, await, stall, read, half_close, close, reset, vanish, reconnect, network",
    ),
    (
        "<size>",
        "an integer from 1 to 67108864, or a string such as \"64KiB\" or \"1MiB\" (at most \"64MiB\")",
    ),
    (
        "<head>",
        "method, target, version, host, length, chunked, expect, connection, headers",
    ),
    (
        "<escapes>",
        "a string with the escapes of Rust: \\n \\r \\t \\0 \\\\ \\\" \\' \\xHH \\u{HEX}, and \\ at the end of a line",
    ),
];

#[track_caller]
fn check(message: &str, expected: &str) {
    let full = SHORT
        .iter()
        .fold(expected.to_owned(), |text, (short, full)| {
            text.replace(short, full)
        });
    assert_eq!(message, full);
}

/// What reading this text says; it must be one line.
#[track_caller]
fn message(text: impl AsRef<[u8]>) -> String {
    let message = Scenario::from_toml("x.toml", text)
        .expect_err("a mistake")
        .to_string();
    assert!(!message.contains('\n'), "{message:?}");
    message
}

/// What reading a file says in which this step stands on line 5.
#[track_caller]
fn step_message(step: &str) -> String {
    message(format!(
        "name = \"x\"\n[[client]]\nsteps = [\n  {{ do = \"connect\" }},\n  {step},\n]\n"
    ))
}

/// The same for the top of a file, from line 1, with a client below it.
#[track_caller]
fn top_message(top: &str) -> String {
    message(format!("{top}\n[[client]]\nsteps = []\n"))
}

#[test]
fn the_file_as_a_whole() {
    check(&message(""), "x.toml:1: name: missing; allowed: <name>");
    check(
        &message("name = \"x\""),
        "x.toml:1: client: missing; allowed: one or more tables [[client]]",
    );
    check(
        &message(b"name = \"x\"\ntitle = \"\xff\""),
        "x.toml:2: not UTF-8; allowed: UTF-8 text (in `bytes`, write other bytes as \\xHH)",
    );
    check(
        &message(vec![b'#'; (4 << 20) + 1]),
        "x.toml: the file is too long; allowed: at most 4 MiB",
    );
    let error = Scenario::read("no/such/file.toml").unwrap_err();
    assert!(matches!(*error.mistake, Mistake::Unreadable(_)));
    assert!(
        error
            .to_string()
            .starts_with("no/such/file.toml: cannot be read: ")
    );
}

#[test]
fn syntax() {
    let cases = [
        (
            "name = ",
            "x.toml:1: not TOML: string values must be quoted, expected literal string",
        ),
        (
            "name = \"x\nseed = 1",
            "x.toml:1: not TOML: invalid basic string, expected `\"`",
        ),
        (
            "name = \"x\"\nname = \"y\"",
            "x.toml:2: not TOML: duplicate key, at \"name = \\\"y\\\"\"",
        ),
        (
            "name = \"x\"\n[network]\nmtu = 1\n[network]\n",
            "x.toml:4: not TOML: duplicate key, at \"network]\"",
        ),
        (
            "name = \"x\"\n\n[[client]\n",
            "x.toml:3: not TOML: unclosed array table, expected `]`",
        ),
        (
            "title = \"\\q\"",
            "x.toml:1: not TOML: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\\`, `\"`, `x`, `u`, `U`, at \"q\\\"\"",
        ),
    ];
    for (text, expected) in cases {
        check(&message(text), expected);
    }
    check(
        &step_message("{ do = \"stall\", for = \"1s\", for = \"2s\" }"),
        "x.toml:5: not TOML: duplicate key, at \"for = \\\"2s\\\" },\"",
    );
    check(
        &step_message("{ do = \"connect\" "),
        "x.toml:6: not TOML: invalid inline table element, expected key, at \"]\"",
    );
}

#[test]
fn lines_are_right_within_steps_that_run_over_several_lines() {
    let text = "name = \"x\"\r\n[[client]]\r\nsteps = []\r\n\r\n[[client]]\r\nsteps = [\r\n  { do = \"connect\" }, # one\r\n\
                \r\n  { do = \"send\",\r\n    all = [\r\n      { head = { method = \"GET\",\r\n        vrsion = \"1.0\" } },\r\n ] },\r\n]\r\n";
    check(
        &message(text),
        "x.toml:12: client[1].steps[1].all[0].head: unknown field \"vrsion\"; allowed: <head>; did you mean \"version\"?",
    );
}

#[test]
fn a_mistake_stays_on_one_line_whatever_the_file_holds() {
    check(
        &step_message("{ do = \"\\n\\u001b[31m\" }"),
        "x.toml:5: client[0].steps[1].do: unknown step \"\\n\\u{1b}[31m\"; allowed: <steps>",
    );
    check(
        &step_message("{ do = \"stall\", for = '''1\n2''' }"),
        "x.toml:5: client[0].steps[1].for: '''1\\n2''' is not valid: time unit needed, for example 12sec or 12ms; allowed: <duration>",
    );
    let error = Scenario::from_toml("a\nb", "").unwrap_err().to_string();
    assert!(error.starts_with("a\\nb:1: name: missing"), "{error}");
}

#[test]
fn a_file_that_is_deep_or_full_of_mistakes_is_an_error_like_any_other() {
    let deep = ["[", "{ a = "].map(|level| format!("x = {}", level.repeat(100_000)));
    let keys = format!("{}x = 1", "a.".repeat(100_000));
    for text in deep.into_iter().chain([keys]) {
        let message = message(text);
        assert!(message.starts_with("x.toml:1: not TOML: "), "{message}");
    }
    let step = "{ do = \"send\", bytes = \"\\0\" },";
    let steps = format!(
        "name = \"x\"\n[[client]]\nsteps = [{}]",
        step.repeat(100_000)
    );
    check(
        &message(steps),
        "x.toml:3: client[0].steps: 100000 steps are too many; allowed: at most 10000",
    );
}
