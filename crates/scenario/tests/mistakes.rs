//! Every mistake in a file is told in one line: file, line, field, what is wrong, what is allowed.

use hangup_scenario::{Mistake, Scenario};

/// What stands often in the messages below, and what it stands for.
const SHORT: [(&str, &str); 6] = [
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
        &message(vec![b'#'; (16 << 20) + 1]),
        "x.toml: the file is too long; allowed: at most 16 MiB",
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
fn names_and_numbers_at_the_top() {
    let cases = [
        (
            "name = 1",
            "x.toml:1: name: an integer is not allowed here; allowed: <name>",
        ),
        (
            "name = \"\"",
            "x.toml:1: name: \"\" is not valid: too short or too long; allowed: <name>",
        ),
        (
            "name = \"a/b\"",
            "x.toml:1: name: \"a/b\" is not valid: it is also a file name; allowed: <name>",
        ),
        (
            "name = \"..\"",
            "x.toml:1: name: \"..\" is not valid: it is also a file name; allowed: <name>",
        ),
        (
            "name = \"x\"\ntitel = \"\"",
            "x.toml:2: unknown field \"titel\"; allowed: name, title, source, seed, contract, network, expect, client",
        ),
        (
            "name = \"x\"\ntitle = true",
            "x.toml:2: title: a boolean is not allowed here; allowed: a string",
        ),
        (
            "name = \"x\"\nseed = -1",
            "x.toml:2: seed: -1 is out of bounds; allowed: an integer from 0 to 18446744073709551615",
        ),
        (
            "name = \"x\"\nseed = 18446744073709551616",
            "x.toml:2: seed: 18446744073709551616 is out of bounds; allowed: an integer from 0 to 18446744073709551615",
        ),
        (
            "name = \"x\"\nseed = 1.5",
            "x.toml:2: seed: a float is not allowed here; allowed: an integer from 0 to 18446744073709551615",
        ),
        (
            "name = \"x\"\ncontract = { stal = \"1s\" }",
            "x.toml:2: contract: unknown field \"stal\"; allowed: stall, residence, drain",
        ),
        (
            "name = \"x\"\ncontract = { stall = 75 }",
            "x.toml:2: contract.stall: an integer is not allowed here; allowed: <duration>",
        ),
        (
            "name = \"x\"\ncontract = \"75s\"",
            "x.toml:2: contract: a string is not allowed here; allowed: a table of stall, residence, drain",
        ),
        (
            "name = \"x\"\n[expect]\nhyper = \"hang\"",
            "x.toml:3: expect.hyper: unknown verdict \"hang\"; allowed: protocol, lost, hung, leftover, late, stuck-shutdown, deaf, spin, hoard, nondeterministic, clean",
        ),
        (
            "name = \"x\"\n[expect]\nhyper = true",
            "x.toml:3: expect.hyper: a boolean is not allowed here; allowed: one of protocol, lost, hung, leftover, late, stuck-shutdown, deaf, spin, hoard, nondeterministic, clean, as a string",
        ),
        (
            "name = \"x\"\n[[server_event]]\nat = \"3s\"\ndo = \"shutdown\"",
            "x.toml:2: server_event: not part of this version; allowed: name, title, source, seed, contract, network, expect, client",
        ),
    ];
    for (text, expected) in cases {
        check(&top_message(text), expected);
    }
}

#[test]
fn network() {
    let cases = [
        (
            "latency = 20",
            "x.toml:3: network.latency: an integer is not allowed here; allowed: <duration>",
        ),
        (
            "latency = \"20\"",
            "x.toml:3: network.latency: \"20\" is not valid: time unit needed, for example 20sec or 20ms; allowed: <duration>",
        ),
        (
            "latency = \"-1s\"",
            "x.toml:3: network.latency: \"-1s\" is not valid: expected number at 0; allowed: <duration>",
        ),
        (
            "latency = \"366d\"",
            "x.toml:3: network.latency: \"366d\" is not valid: longer than 365d; allowed: <duration>",
        ),
        (
            "jitter = \"5 sekonds\"",
            "x.toml:3: network.jitter: \"5 sekonds\" is not valid: unknown time unit \"sekonds\", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations); allowed: <duration>",
        ),
        (
            "mtu = 0",
            "x.toml:3: network.mtu: 0 is out of bounds; allowed: an integer from 1 to 65535",
        ),
        (
            "mtu = 65536",
            "x.toml:3: network.mtu: 65536 is out of bounds; allowed: an integer from 1 to 65535",
        ),
        (
            "mtu = \"1500\"",
            "x.toml:3: network.mtu: a string is not allowed here; allowed: an integer from 1 to 65535",
        ),
        (
            "loss = 1.01",
            "x.toml:3: network.loss: 1.01 is out of bounds; allowed: a number from 0.0 to 1.0",
        ),
        (
            "loss = nan",
            "x.toml:3: network.loss: nan is out of bounds; allowed: a number from 0.0 to 1.0",
        ),
        (
            "loss = \"1%\"",
            "x.toml:3: network.loss: a string is not allowed here; allowed: a number from 0.0 to 1.0",
        ),
        (
            "rst = \"drop\"",
            "x.toml:3: network.rst: unknown rst \"drop\"; allowed: \"keep\" or \"erase\"",
        ),
        (
            "send_buffer = 0",
            "x.toml:3: network.send_buffer: 0 is out of bounds; allowed: <size>",
        ),
        (
            "send_buffer = \"64 kB\"",
            "x.toml:3: network.send_buffer: \"64 kB\" is not valid: not a number followed by B, KiB or MiB; allowed: <size>",
        ),
        (
            "receive_buffer = \"65MiB\"",
            "x.toml:3: network.receive_buffer: \"65MiB\" is not valid: too small or too large; allowed: <size>",
        ),
        (
            "receive_buffer = 1.5",
            "x.toml:3: network.receive_buffer: a float is not allowed here; allowed: <size>",
        ),
        (
            "bandwidth = 1",
            "x.toml:3: network: unknown field \"bandwidth\"; allowed: latency, jitter, mtu, loss, rst, send_buffer, receive_buffer",
        ),
    ];
    for (text, expected) in cases {
        check(
            &top_message(&format!("name = \"x\"\n[network]\n{text}")),
            expected,
        );
    }
}

#[test]
fn clients() {
    let cases = [
        (
            "client = []",
            "x.toml:2: client: missing; allowed: one or more tables [[client]]",
        ),
        (
            "client = 1",
            "x.toml:2: client: an integer is not allowed here; allowed: one or more tables [[client]]",
        ),
        (
            "[client]\nsteps = []",
            "x.toml:2: client: a table is not allowed here; allowed: one or more tables [[client]]",
        ),
        (
            "[[client]]",
            "x.toml:2: client[0].steps: missing; allowed: an array of steps such as [{ do = \"connect\" }]",
        ),
        (
            "[[client]]\nsteps = 1",
            "x.toml:3: client[0].steps: an integer is not allowed here; allowed: an array of steps such as [{ do = \"connect\" }]",
        ),
        (
            "[[client]]\nsteps = [\n\n  1 ]",
            "x.toml:5: client[0].steps[0]: an integer is not allowed here; allowed: a table such as { do = \"connect\" }",
        ),
        (
            "[[client]]\ncount = 0\nsteps = []",
            "x.toml:3: client[0].count: 0 is out of bounds; allowed: an integer from 1 to 10000",
        ),
        (
            "[[client]]\ncount = 10001\nsteps = []",
            "x.toml:3: client[0].count: 10001 is out of bounds; allowed: an integer from 1 to 10000",
        ),
        (
            "[[client]]\ncount = 9000\nsteps = []\n[[client]]\ncount = 1001\nsteps = []",
            "x.toml:5: client[1]: 10001 clients are too many; allowed: at most 10000",
        ),
        (
            "[[client]]\nstart = \"soon\"\nsteps = []",
            "x.toml:3: client[0].start: \"soon\" is not valid: expected number at 0; allowed: <duration>",
        ),
        (
            "[[client]]\nstagger = 1\nsteps = []",
            "x.toml:3: client[0].stagger: an integer is not allowed here; allowed: <duration>",
        ),
        (
            "[[client]]\nstep = []",
            "x.toml:3: client[0]: unknown field \"step\"; allowed: count, stagger, start, steps",
        ),
        (
            "[[client]]\ncount = 101\nstagger = \"365d\"\nsteps = [{ do = \"stall\", for = \"1ns\" }]",
            "x.toml:5: client[0].steps: 3153600000s from start to last step is out of bounds; allowed: at most 36500d",
        ),
        (
            "[[client]]\ncount = 65\nsteps = [{ do = \"send\", body = 1_048_576 }]",
            "x.toml:2: client[0]: 68157440 bytes to send are too many; allowed: at most 67108864",
        ),
        (
            "[[client]]\ncount = 10\nsteps = [{ do = \"send\", body = 100_001, size = 1, every = \"0s\" }]",
            "x.toml:2: client[0]: 1000010 writes are too many; allowed: at most 1000000",
        ),
    ];
    for (text, expected) in cases {
        check(&message(format!("name = \"x\"\n{text}")), expected);
    }
    let steps = "{ do = \"close\" },".repeat(10_001);
    check(
        &message(format!("name = \"x\"\n[[client]]\nsteps = [{steps}]")),
        "x.toml:3: client[0].steps: 10001 steps are too many; allowed: at most 10000",
    );
}

#[test]
fn steps() {
    let cases = [
        (
            "{ do = \"conect\" }",
            "x.toml:5: client[0].steps[1].do: unknown step \"conect\"; allowed: <steps>",
        ),
        (
            "{ do = 1 }",
            "x.toml:5: client[0].steps[1].do: an integer is not allowed here; allowed: a string, one of <steps>",
        ),
        (
            "{ for = \"1s\" }",
            "x.toml:5: client[0].steps[1].do: missing; allowed: <steps>",
        ),
        (
            "{ do = \"connect\", after = \"1s\" }",
            "x.toml:5: client[0].steps[1]: unknown field \"after\"; allowed: do",
        ),
        (
            "{ do = \"stall\" }",
            "x.toml:5: client[0].steps[1].for: missing; allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = 5 }",
            "x.toml:5: client[0].steps[1].for: an integer is not allowed here; allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = \"5 sekonds\" }",
            "x.toml:5: client[0].steps[1].for: \"5 sekonds\" is not valid: unknown time unit \"sekonds\", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations); allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = \"\" }",
            "x.toml:5: client[0].steps[1].for: \"\" is not valid: value was empty; allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = \"99999999999999999999s\" }",
            "x.toml:5: client[0].steps[1].for: \"99999999999999999999s\" is not valid: number is too large or cannot be represented without a lack of precision (values below 1ns are not supported); allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = \"8761h\" }",
            "x.toml:5: client[0].steps[1].for: \"8761h\" is not valid: longer than 365d; allowed: <duration>",
        ),
        (
            "{ do = \"await\", within = \"1s\" }",
            "x.toml:5: client[0].steps[1]: missing; allowed: one of status, eof, bytes",
        ),
        (
            "{ do = \"await\", status = 100 }",
            "x.toml:5: client[0].steps[1].within: missing; allowed: <duration>",
        ),
        (
            "{ do = \"await\", status = 100, eof = true, within = \"1s\" }",
            "x.toml:5: client[0].steps[1]: status and eof together; allowed: one of status, eof, bytes",
        ),
        (
            "{ do = \"await\", status = 99, within = \"1s\" }",
            "x.toml:5: client[0].steps[1].status: 99 is out of bounds; allowed: an integer from 100 to 999, or \"final\"",
        ),
        (
            "{ do = \"await\", status = \"last\", within = \"1s\" }",
            "x.toml:5: client[0].steps[1].status: unknown status \"last\"; allowed: \"final\", or an integer from 100 to 999",
        ),
        (
            "{ do = \"await\", status = true, within = \"1s\" }",
            "x.toml:5: client[0].steps[1].status: a boolean is not allowed here; allowed: an integer from 100 to 999, or \"final\"",
        ),
        (
            "{ do = \"await\", eof = false, within = \"1s\" }",
            "x.toml:5: client[0].steps[1].eof: false is not allowed here; allowed: true",
        ),
        (
            "{ do = \"await\", bytes = -1, within = \"1s\" }",
            "x.toml:5: client[0].steps[1].bytes: -1 is out of bounds; allowed: an integer from 0 to 1099511627776",
        ),
        (
            "{ do = \"read\" }",
            "x.toml:5: client[0].steps[1].bytes: missing; allowed: an integer from 0 to 1099511627776, or \"all\"",
        ),
        (
            "{ do = \"read\", bytes = \"some\" }",
            "x.toml:5: client[0].steps[1].bytes: unknown amount \"some\"; allowed: an integer from 0 to 1099511627776, or \"all\"",
        ),
        (
            "{ do = \"read\", bytes = 1.0 }",
            "x.toml:5: client[0].steps[1].bytes: a float is not allowed here; allowed: an integer from 0 to 1099511627776, or \"all\"",
        ),
        (
            "{ do = \"read\", bytes = 1099511627777 }",
            "x.toml:5: client[0].steps[1].bytes: 1099511627777 is out of bounds; allowed: an integer from 0 to 1099511627776, or \"all\"",
        ),
        (
            "{ do = \"reconnect\", after = \"1\" }",
            "x.toml:5: client[0].steps[1].after: \"1\" is not valid: time unit needed, for example 1sec or 1ms; allowed: <duration>",
        ),
        (
            "{ do = \"network\", blackhole = \"up\" }",
            "x.toml:5: client[0].steps[1].blackhole: unknown direction \"up\"; allowed: \"both\", \"to_server\" or \"to_client\"",
        ),
        (
            "{ do = \"network\", heal = 1 }",
            "x.toml:5: client[0].steps[1].heal: an integer is not allowed here; allowed: true or false",
        ),
        (
            "{ do = \"network\", loss = 2 }",
            "x.toml:5: client[0].steps[1].loss: 2 is out of bounds; allowed: a number from 0.0 to 1.0",
        ),
    ];
    for (step, expected) in cases {
        check(&step_message(step), expected);
    }
}

#[test]
fn sends() {
    let cases = [
        (
            "{ do = \"send\" }",
            "x.toml:5: client[0].steps[1]: missing; allowed: one of head, body, chunk, last_chunk, bytes, all",
        ),
        (
            "{ do = \"send\", body = 1, head = {} }",
            "x.toml:5: client[0].steps[1]: head and body together; allowed: one of head, body, chunk, last_chunk, bytes, all",
        ),
        (
            "{ do = \"send\", chunk = 1, last_chunk = true, bytes = \"\" }",
            "x.toml:5: client[0].steps[1]: chunk and last_chunk and bytes together; allowed: one of head, body, chunk, last_chunk, bytes, all",
        ),
        (
            "{ do = \"send\", body = -1 }",
            "x.toml:5: client[0].steps[1].body: -1 is out of bounds; allowed: an integer from 0 to 67108864",
        ),
        (
            "{ do = \"send\", body = 67108865 }",
            "x.toml:5: client[0].steps[1].body: 67108865 is out of bounds; allowed: an integer from 0 to 67108864",
        ),
        (
            "{ do = \"send\", body = \"10\" }",
            "x.toml:5: client[0].steps[1].body: a string is not allowed here; allowed: an integer from 0 to 67108864",
        ),
        (
            "{ do = \"send\", last_chunk = false }",
            "x.toml:5: client[0].steps[1].last_chunk: false is not allowed here; allowed: true",
        ),
        (
            "{ do = \"send\", all = {} }",
            "x.toml:5: client[0].steps[1].all: a table is not allowed here; allowed: an array of pieces such as [{ head = {} }, { body = 10 }]",
        ),
        (
            "{ do = \"send\", all = [{ body = 1 },\n\n { body = 1, chunk = 2 }] }",
            "x.toml:7: client[0].steps[1].all[1]: body and chunk together; allowed: one of head, body, chunk, last_chunk, bytes",
        ),
        (
            "{ do = \"send\", all = [{ body = 1 }, 2] }",
            "x.toml:5: client[0].steps[1].all[1]: an integer is not allowed here; allowed: a table with one of head, body, chunk, last_chunk, bytes",
        ),
        (
            "{ do = \"send\", all = [{ }] }",
            "x.toml:5: client[0].steps[1].all[0]: missing; allowed: one of head, body, chunk, last_chunk, bytes",
        ),
        (
            "{ do = \"send\", all = [{ body = 1, part = [0, 1] }] }",
            "x.toml:5: client[0].steps[1].all[0]: unknown field \"part\"; allowed: head, body, chunk, last_chunk, bytes",
        ),
        (
            "{ do = \"send\", body = 9, part = [1] }",
            "x.toml:5: client[0].steps[1].part: [1] is not valid: not two elements; allowed: [from, to], two integers, the second not smaller",
        ),
        (
            "{ do = \"send\", body = 9, part = [3, 2] }",
            "x.toml:5: client[0].steps[1].part: [3, 2] is not valid: it ends before it begins; allowed: [from, to], two integers, the second not smaller",
        ),
        (
            "{ do = \"send\", body = 9, part = [0, \"2\"] }",
            "x.toml:5: client[0].steps[1].part[1]: a string is not allowed here; allowed: an integer from 0 to 67108864",
        ),
        (
            "{ do = \"send\", body = 9, part = 3 }",
            "x.toml:5: client[0].steps[1].part: an integer is not allowed here; allowed: [from, to], two integers, the second not smaller",
        ),
        (
            "{ do = \"send\", body = 9, size = 1 }",
            "x.toml:5: client[0].steps[1].every: missing; allowed: with size, <duration>",
        ),
        (
            "{ do = \"send\", body = 9, every = \"1s\" }",
            "x.toml:5: client[0].steps[1].size: missing; allowed: with every, an integer from 1 to 67108864",
        ),
        (
            "{ do = \"send\", body = 9, size = 0, every = \"1s\" }",
            "x.toml:5: client[0].steps[1].size: 0 is out of bounds; allowed: an integer from 1 to 67108864",
        ),
        (
            "{ do = \"send\", bytes = 1 }",
            "x.toml:5: client[0].steps[1].bytes: an integer is not allowed here; allowed: <escapes>",
        ),
        (
            "{ do = \"send\", bytes = \"\\q\" }",
            "x.toml:5: client[0].steps[1].bytes: \"\\q\" is not valid: unknown escape \\q; allowed: <escapes>",
        ),
        (
            "{ do = \"send\", bytes = '\\x1' }",
            "x.toml:5: client[0].steps[1].bytes: '\\x1' is not valid: \\x without two hexadecimal digits; allowed: <escapes>",
        ),
        (
            "{ do = \"send\", bytes = \"GET / HTTP/1.1\\r\\n\\u00zz\\r\\n and more than fits\" }",
            "x.toml:5: client[0].steps[1].bytes: \"GET / HTTP/1.1\\r\\n\\u00zz\\r\\n and more t... is not valid: \\u without {HEX}; allowed: <escapes>",
        ),
    ];
    for (step, expected) in cases {
        check(&step_message(step), expected);
    }
}

#[test]
fn heads() {
    let cases = [
        (
            "\"GET /\"",
            "x.toml:5: client[0].steps[1].head: a string is not allowed here; allowed: a table of <head>",
        ),
        (
            "{ methd = \"GET\" }",
            "x.toml:5: client[0].steps[1].head: unknown field \"methd\"; allowed: <head>",
        ),
        (
            "{ method = 1 }",
            "x.toml:5: client[0].steps[1].head.method: an integer is not allowed here; allowed: a string",
        ),
        (
            "{ version = \"2\" }",
            "x.toml:5: client[0].steps[1].head.version: unknown version \"2\"; allowed: \"1.0\" or \"1.1\" (others with bytes)",
        ),
        (
            "{ version = 1.1 }",
            "x.toml:5: client[0].steps[1].head.version: a float is not allowed here; allowed: \"1.0\" or \"1.1\" (others with bytes)",
        ),
        (
            "{ host = true }",
            "x.toml:5: client[0].steps[1].head.host: true is not valid: there is no such host; allowed: a string, or false to leave it out",
        ),
        (
            "{ host = 1 }",
            "x.toml:5: client[0].steps[1].head.host: an integer is not allowed here; allowed: a string, or false to leave it out",
        ),
        (
            "{ length = -1 }",
            "x.toml:5: client[0].steps[1].head.length: -1 is out of bounds; allowed: an integer from 0 to 18446744073709551615",
        ),
        (
            "{ chunked = 1 }",
            "x.toml:5: client[0].steps[1].head.chunked: an integer is not allowed here; allowed: true or false",
        ),
        (
            "{ expect = true }",
            "x.toml:5: client[0].steps[1].head.expect: a boolean is not allowed here; allowed: a string",
        ),
        (
            "{ headers = [\"a\"] }",
            "x.toml:5: client[0].steps[1].head.headers[0]: a string is not allowed here; allowed: an array of pairs such as [[\"name\", \"value\"]]",
        ),
        (
            "{ headers = [[\"a\"]] }",
            "x.toml:5: client[0].steps[1].head.headers[0]: [\"a\"] is not valid: not a pair; allowed: an array of pairs such as [[\"name\", \"value\"]]",
        ),
        (
            "{ headers = [[\"a\", 1]] }",
            "x.toml:5: client[0].steps[1].head.headers[0][1]: an integer is not allowed here; allowed: a string",
        ),
        (
            "{ headers = { a = \"b\" } }",
            "x.toml:5: client[0].steps[1].head.headers: a table is not allowed here; allowed: an array of pairs such as [[\"name\", \"value\"]]",
        ),
    ];
    for (head, expected) in cases {
        let step = format!("{{ do = \"send\", head = {head} }}");
        check(&step_message(&step), expected);
    }
}

#[test]
fn lines_are_right_within_steps_that_run_over_several_lines() {
    let text = "name = \"x\"\r\n[[client]]\r\nsteps = []\r\n\r\n[[client]]\r\nsteps = [\r\n  { do = \"connect\" }, # one\r\n\
                \r\n  { do = \"send\",\r\n    all = [\r\n      { head = { method = \"GET\",\r\n        vrsion = \"1.0\" } },\r\n ] },\r\n]\r\n";
    check(
        &message(text),
        "x.toml:12: client[1].steps[1].all[0].head: unknown field \"vrsion\"; allowed: <head>",
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
