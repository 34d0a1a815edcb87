//! Mistakes at the top of a file: scenario, contract, network, clients.

use super::{check, message, top_message};

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
            "x.toml:2: unknown field \"titel\"; allowed: <fields>; did you mean \"title\"?",
        ),
        (
            "name = \"x\"\ntitle = true",
            "x.toml:2: title: a boolean is not allowed here; allowed: a string",
        ),
        (
            "name = \"x\"\nhappened = 1",
            "x.toml:2: happened: an integer is not allowed here; allowed: a string",
        ),
        (
            "name = \"x\"\nlinks = \"https://x\"",
            "x.toml:2: links: a string is not allowed here; allowed: an array of addresses that begin with https://",
        ),
        (
            "name = \"x\"\nlinks = [\"https://x\",\n\"http://x\"]",
            "x.toml:3: links[1]: \"http://x\" is not valid: no address; allowed: an array of addresses that begin with https://",
        ),
        (
            "name = \"x\"\nlinks = [true]",
            "x.toml:2: links[0]: a boolean is not allowed here; allowed: an array of addresses that begin with https://",
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
            "x.toml:2: contract: unknown field \"stal\"; allowed: stall, residence, drain, shutdown, buffer, rate, vanished; did you mean \"stall\"?",
        ),
        (
            "name = \"x\"\ncontract = { stall = 75 }",
            "x.toml:2: contract.stall: an integer is not allowed here; allowed: <duration>",
        ),
        (
            "name = \"x\"\ncontract = \"75s\"",
            "x.toml:2: contract: a string is not allowed here; allowed: a table of stall, residence, drain, shutdown, buffer, rate, vanished",
        ),
        (
            "name = \"x\"\n[expect]\nhyper = \"hang\"",
            "x.toml:3: expect.hyper: unknown verdict \"hang\"; allowed: protocol, lost, hung, leftover, late, stuck-shutdown, deaf, spin, hoard, nondeterministic, clean; did you mean \"hung\"?",
        ),
        (
            "name = \"x\"\n[expect]\nhyper = true",
            "x.toml:3: expect.hyper: a boolean is not allowed here; allowed: one of protocol, lost, hung, leftover, late, stuck-shutdown, deaf, spin, hoard, nondeterministic, clean, as a string",
        ),
        (
            "name = \"x\"\ncontract = { buffer = \"0B\" }",
            "x.toml:2: contract.buffer: \"0B\" is not valid: too small or too large; allowed: an integer from 1 to 1099511627776, or a string such as \"64KiB\" or \"1MiB\" (at most \"1048576MiB\")",
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
fn resources() {
    let cases = [
        (
            "descriptors = 0",
            "x.toml:3: server.descriptors: 0 is out of bounds; allowed: an integer from 1 to 1000000",
        ),
        (
            "memory = 1",
            "x.toml:3: server: unknown field \"memory\"; allowed: descriptors",
        ),
    ];
    for (text, expected) in cases {
        check(
            &top_message(&format!("name = \"x\"\n[server]\n{text}")),
            expected,
        );
    }
}

#[test]
fn server_events() {
    const ACTIONS: &str = "shutdown, stop_accepting, accept_error, crash, restart, handler_panic";
    let cases = [
        (
            "server_event = 3\n",
            "x.toml:2: server_event: an integer is not allowed here; allowed: any number of tables [[server_event]]",
        ),
        (
            "[[server_event]]\nat = \"3s\"",
            "x.toml:2: server_event[0].do: missing; allowed: <actions>",
        ),
        (
            "[[server_event]]\ndo = \"crash\"",
            "x.toml:2: server_event[0].at: missing; allowed: <duration>",
        ),
        (
            "[[server_event]]\nat = \"3s\"\ndo = \"stop\"",
            "x.toml:4: server_event[0].do: unknown server event \"stop\"; allowed: <actions>; did you mean \"stop_accepting\"?",
        ),
        (
            "[[server_event]]\nat = 3\ndo = \"crash\"",
            "x.toml:3: server_event[0].at: an integer is not allowed here; allowed: <duration>",
        ),
        (
            "[[server_event]]\nat = \"3s\"\ndo = true",
            "x.toml:4: server_event[0].do: a boolean is not allowed here; allowed: one of <actions>, as a string",
        ),
        (
            "[[server_event]]\nat = \"3s\"\ndo = \"crash\"\nsignal = 9",
            "x.toml:5: server_event[0]: unknown field \"signal\"; allowed: at, do, for, until",
        ),
        (
            "[[server_event]]\nat = \"3s\"\ndo = \"crash\"\nfor = \"9s\"",
            "x.toml:5: server_event[0]: unknown field \"for\"; allowed: at, do",
        ),
        (
            "[[server_event]]\nat = \"3s\"\ndo = \"accept_error\"\nfor = \"0s\"",
            "x.toml:5: server_event[0].for: \"0s\" is not valid: it lasts no time; allowed: a duration of more than 0s",
        ),
        (
            "[[server_event]]\nat = \"3s\"\ndo = \"accept_error\"\nuntil = \"open\"",
            "x.toml:5: server_event[0].until: unknown end \"open\"; allowed: \"close\": until the server closes a connection",
        ),
        (
            "[[server_event]]\nat = \"3s\"\ndo = \"accept_error\"\nfor = \"9s\"\nuntil = \"close\"",
            "x.toml:2: server_event[0]: for and until together; allowed: one of for, until",
        ),
    ];
    for (text, expected) in cases {
        // They come last in a file.
        let text = format!("name = \"x\"\n{text}\n[[client]]\nsteps = []\n");
        check(
            &super::message(text),
            &expected.replace("<actions>", ACTIONS),
        );
    }
    let event = "[[server_event]]\nat = \"3s\"\ndo = \"crash\"\n";
    let text = format!(
        "name = \"x\"\n[[client]]\nsteps = []\n{}",
        event.repeat(1001)
    );
    check(
        &super::message(text),
        "x.toml:4: server_event: 1001 server events are too many; allowed: at most 1000",
    );
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
            "x.toml:5: client[1]: 10001 clients (count, summed over the clients up to here) are too many; allowed: at most 10000",
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
            "[[client]]\naddresses = \"many\"\nsteps = []",
            "x.toml:3: client[0].addresses: unknown addresses \"many\"; allowed: \"shared\" or \"own\"",
        ),
        (
            "[[client]]\nstep = []",
            "x.toml:3: client[0]: unknown field \"step\"; allowed: count, stagger, start, addresses, steps; did you mean \"steps\"?",
        ),
        (
            "[[client]]\ncount = 101\nstagger = \"365d\"\nsteps = [{ do = \"stall\", for = \"1ns\" }]",
            "x.toml:5: client[0].steps: 3153600000s from start to last step is out of bounds; allowed: at most 36500d",
        ),
        (
            "[[client]]\ncount = 65\nsteps = [{ do = \"send\", body = 1_048_576 }]",
            "x.toml:2: client[0]: 68157440 bytes to send (count x bytes of send steps, summed over the clients up to here) are too many; allowed: at most 67108864",
        ),
        (
            "[[client]]\ncount = 10\nsteps = [{ do = \"send\", body = 100_001, size = 1, every = \"0s\" }]",
            "x.toml:2: client[0]: 1000010 writes and reads (count x pieces of send and read steps, summed over the clients up to here) are too many; allowed: at most 1000000",
        ),
    ];
    for (text, expected) in cases {
        check(&message(format!("name = \"x\"\n{text}")), expected);
    }
    let reconnects = "{ do = \"reconnect\" },".repeat(300);
    check(
        &message(format!(
            "name = \"x\"\n[[client]]\ncount = 3000\nsteps = [{reconnects}]"
        )),
        "x.toml:2: client[0]: 900000 connections (count x connect and reconnect steps, summed over the clients up to here) are too many; allowed: at most 100000",
    );
    let steps = "{ do = \"close\" },".repeat(2_000);
    check(
        &message(format!(
            "name = \"x\"\n[[client]]\ncount = 3000\nsteps = [{steps}]"
        )),
        "x.toml:2: client[0]: 6000000 steps (count x steps, summed over the clients up to here) are too many; allowed: at most 1000000",
    );
    let steps = "{ do = \"close\" },".repeat(10_001);
    check(
        &message(format!("name = \"x\"\n[[client]]\nsteps = [{steps}]")),
        "x.toml:3: client[0].steps: 10001 steps are too many; allowed: at most 10000",
    );
}
