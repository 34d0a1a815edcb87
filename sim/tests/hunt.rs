//! `hangup hunt`: the incident is found from what its operators saw.

use hangup::campaign::symptom::{Sign, Symptom};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn hunt(arguments: &[&str], input: &str) -> Output {
    let out = format!("{}/hunt", env!("CARGO_TARGET_TMPDIR"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(["hunt", "--out", &out])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    // A command that does not read its input may be gone by now.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_incident_is_found_from_its_frame_and_its_age() {
    for (stack, server) in [
        ("ContinueReadBody", "hangup-unbounded"),
        ("Decoder", "hyper"),
    ] {
        let arguments = ["--stack", stack, "--age", "29h", "--server", server];
        let output = hunt(&[&arguments[..], &["--cases", "2000"]].concat(), "");
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("  fasthttp-1834 ")
                && text.contains(&format!("hangup run NAME --server {server}")),
            "{text}"
        );
        assert!(text.contains("hung in body"), "{text}");
        assert!(text.contains("saved: "), "{text}");
    }
}

#[test]
fn a_pasted_goroutine_dump_is_a_symptom() {
    let dump = "goroutine 51 [IO wait, 1757 minutes]:\n\
        bufio.(*Reader).fill(0xc0000a2000)\n\
        github.com/valyala/fasthttp.(*Request).ContinueReadBody(0xc0000b0000, 0xc0000a2000, 0x400000)\n";
    let output = hunt(&["--dump", "-", "--cases", "2000", "--json"], dump);
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let symptom = told["symptom"].as_str().unwrap_or_default();
    assert!(
        symptom.contains("ContinueReadBody") && symptom.contains("29h 17m"),
        "{symptom}"
    );
    let incidents = told["incidents"].as_array().expect("a list");
    assert!(
        incidents
            .iter()
            .any(|incident| incident["scenario"] == "fasthttp-1834"),
        "{incidents:?}"
    );
}

#[test]
fn the_server_follows_from_the_frame() {
    for (stack, server) in [
        ("ContinueReadBody", "hangup-unbounded"),
        ("Decoder", "hyper"),
        ("axum::serve", "axum"),
    ] {
        let output = hunt(&["--stack", stack, "--cases", "10"], "");
        let first = format!("hunt on {server}: a connection with {stack} in its stack");
        assert!(text(&output).starts_with(&first), "{}", text(&output));
    }
}

#[test]
fn many_connections_are_one_client_often_and_the_only_one_is_none_of_a_crowd() {
    let fitting = |connections: &str| {
        let arguments = ["--phase", "opening", "--cases", "10", "--json"];
        let output = hunt(
            &[&arguments[..], &["--connections", connections]].concat(),
            "",
        );
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let incidents = told["incidents"].as_array().expect("a list").iter();
        let names = incidents.map(|incident| incident["scenario"].to_string());
        names.collect::<Vec<_>>()
    };
    let (alone, crowd) = ("\"connect-silence\"".into(), "\"connection-crowd\"".into());
    let many = fitting("412");
    assert!(many.contains(&alone) && many.contains(&crowd), "{many:?}");
    let only = fitting("1");
    assert!(only.contains(&alone) && !only.contains(&crowd), "{only:?}");
}

#[test]
fn what_is_found_is_saved_and_replays() {
    let found = hunt(&["--phase", "body", "--cases", "500"], "");
    let text = text(&found);
    let saved = text.lines().find_map(|line| line.strip_prefix("saved: "));
    let file = saved.and_then(|line| line.split(" (").next()).expect(&text);
    let again = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(["replay", file, "--server", "hangup-unbounded", "--json"])
        .output()
        .expect("the command can be started");
    let run: serde_json::Value = serde_json::from_slice(&again.stdout).expect("it is JSON");
    assert_eq!(run["verdict"], "hung", "{file}");
}

#[test]
fn a_bounded_server_has_no_such_connection() {
    let output = hunt(
        &[
            "--phase", "body", "--age", "29h", "--server", "hangup", "--cases", "1000",
        ],
        "",
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn wrong_use_is_one_line_and_status_2() {
    for (arguments, input, says) in [
        (&[][..], "", "nothing to look for"),
        (&["--phase", "nowhere"], "", "nowhere"),
        (&["--dump", "-"], "not a dump", "--dump: -: nothing in it"),
        (
            &["--dump", "/nonexistent/dump"],
            "",
            "--dump: /nonexistent/dump",
        ),
        (&["--connections", "many"], "", "many"),
        (
            &["--status", "200", "--engine", "wire"],
            "",
            "--engine wire",
        ),
    ] {
        let output = hunt(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(says), "{error}");
    }
}

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hunt");
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn symptom(name: &str) -> Symptom {
    Symptom::from_dump(&file(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .symptom
}

/// `tests/hunt/cases/README.md` says what is in them.
#[test]
fn dumps_from_elsewhere() {
    let body = symptom("cases/body.debug2");
    assert_eq!(body.stack.as_deref(), Some("ContinueReadBody"));
    assert_eq!(
        (body.expects, body.status, body.connections),
        (Some(false), None, Some(3))
    );
    let expect = symptom("cases/expect.debug2");
    assert_eq!(expect.stack.as_deref(), Some("ContinueReadBody"));
    assert_eq!((expect.expects, expect.status), (Some(true), Some(100)));
    let write = symptom("cases/write.debug2");
    assert_eq!(write.stack.as_deref(), Some("checkConnErrorWriter"));
    assert!(write.to_string().contains("phase response"), "{write}");

    let seen = Symptom::from_dump(&file("cases/29-docker-prefix-two-leaks.txt")).expect("a dump");
    assert_eq!(seen.symptom.stack.as_deref(), Some("readRequest"));
    assert_eq!(seen.symptom.age.map(|age| age.as_secs()), Some(900 * 60));
    assert_eq!(seen.others, ["3 in (*body).Read"]);

    let hashed = symptom("cases/14-rust-backtrace-hash-generics.txt");
    let frame = "hyper::proto::h1::conn::Conn::poll_read_head";
    assert_eq!(hashed.stack.as_deref(), Some(frame));
    let seen = Symptom::from_dump(&file("cases/15-tokio-taskdump-reth.txt")).expect("a dump");
    let frame = "hyper::proto::h1::decode::Decoder::decode";
    assert_eq!(seen.symptom.stack.as_deref(), Some(frame));
    assert_eq!(seen.others, <[&str; 0]>::default());

    let seen = Symptom::from_dump(&file("cases/net-http-serve.txt")).expect("a dump");
    assert_eq!(seen.symptom.sign, Some(Sign::Shutdown));
    assert_eq!(seen.others, ["1 in (*Reader).Peek, 35m"]);
    let client = Symptom::from_dump(&file("cases/fasthttp-tryread.txt")).expect_err("a client");
    let said = client.to_string();
    assert!(
        said.starts_with("28576 goroutines of an HTTP client wait"),
        "{said}"
    );
}

#[test]
fn every_case_is_in_the_test_and_in_the_list() {
    let (here, readme) = (include_str!("hunt.rs"), file("cases/README.md"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hunt/cases");
    let names = fs::read_dir(folder).expect("a folder");
    let names = names.map(|entry| entry.expect("a file").file_name());
    let names: Vec<String> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    assert_eq!(names.len(), 9);
    for name in names.iter().filter(|name| *name != "README.md") {
        assert!(here.contains(&format!("\"cases/{name}\"")), "{name}");
        assert!(readme.contains(name.trim_end_matches(".txt")), "{name}");
    }
}

/// What `tests/peers/stacks.sh` captured: the phase that each connection was brought into is the one that is hunted.
#[test]
fn the_stacks_of_real_servers_name_their_phase() {
    for (name, says) in [
        ("fasthttp-opening", "(here: phase opening or head or idle)"),
        ("fasthttp-head", "(here: phase opening or head or idle)"),
        (
            "fasthttp-expect",
            "(here: phase body), whose request has Expect: 100-continue, whose last status was 100",
        ),
        (
            "fasthttp-body",
            "(here: phase body), whose request has no Expect",
        ),
        (
            "fasthttp-chunk",
            "(here: phase body), whose request has no Expect",
        ),
        ("fasthttp-handler", "in phase handler"),
        ("fasthttp-response", "(here: phase response)"),
        ("fasthttp-idle", "(here: phase idle)"),
        ("fasthttp-shutdown", "a server whose shutdown does not end"),
        ("net-http-opening", "(here: phase opening or head or idle)"),
        ("net-http-head", "(here: phase opening or head or idle)"),
        (
            "net-http-expect",
            "(here: phase body), whose request has Expect: 100-continue, whose last status was 100",
        ),
        ("net-http-body", "(here: phase body)"),
        ("net-http-chunk", "(here: phase body)"),
        ("net-http-drain", "(here: phase drain or body)"),
        ("net-http-handler", "in phase handler"),
        ("net-http-response", "(here: phase response)"),
        ("net-http-idle", "(here: phase opening or head or idle)"),
        ("net-http-shutdown", "a server whose shutdown does not end"),
    ] {
        let told = symptom(&format!("stacks/{name}.txt")).to_string();
        assert!(told.contains(says), "{name}: {told}");
        let expects = name.ends_with("expect");
        assert_eq!(
            told.contains("has Expect: 100-continue"),
            expects,
            "{name}: {told}"
        );
    }
    for name in ["fasthttp-client", "net-http-client"] {
        let error = Symptom::from_dump(&file(&format!("stacks/{name}.txt"))).expect_err(name);
        assert!(
            error.to_string().contains("of an HTTP client wait in"),
            "{error}"
        );
    }
}

/// Every dump from a page is written by a handler, which waits for nothing.
#[test]
fn the_handler_that_writes_the_dump_is_no_symptom() {
    let dump = file("stacks/fasthttp-expect.txt");
    assert!(dump.contains("runtime/pprof.writeGoroutine"), "{dump}");
    let seen = Symptom::from_dump(&dump).expect("a dump");
    assert_eq!(seen.symptom.stack.as_deref(), Some("ContinueReadBody"));
    assert_eq!(seen.others, <[&str; 0]>::default());
}

#[test]
fn a_handler_that_asks_another_server_is_a_handler() {
    let proxy = "goroutine 9 [IO wait, 12 minutes]:\n\
        bufio.(*Reader).Peek(0xc0003f9a40, 0x1)\n\
        github.com/valyala/fasthttp.(*ResponseHeader).tryRead(0xc0)\n\
        github.com/valyala/fasthttp.(*HostClient).doNonNilReqResp(0xc0)\n\
        main.proxy(0xc0)\n\
        github.com/valyala/fasthttp.(*Server).serveConn(0xc0, {0x6ab8a0, 0xc0})\n";
    let symptom = Symptom::from_dump(proxy)
        .expect("a server's connection")
        .symptom;
    assert_eq!(symptom.phase.as_deref(), Some("handler"));
    assert_eq!(symptom.age.map(|age| age.as_secs()), Some(12 * 60));
}

#[test]
fn prefixes_of_logs_and_mails_do_not_matter() {
    let plain = file("stacks/fasthttp-expect.txt");
    let expected = Symptom::from_dump(&plain).expect("a dump");
    for prefix in [
        "> ",
        "> > ",
        "web-1  | ",
        "Jan 31 12:00:00 host app[123]: ",
        "2026-01-31T12:00:00.123456789Z ",
        "> web_2 | ",
    ] {
        let lines = plain.lines().map(|line| format!("{prefix}{line}\n"));
        let text: String = lines.collect();
        assert_eq!(Symptom::from_dump(&text), Ok(expected.clone()), "{prefix}");
    }
}

#[test]
fn dumps_of_other_tools_get_one_line_that_helps() {
    for (dump, says) in [
        (
            "Thread 2 (Thread 0x7f1 (LWP 12)):\n#0  0x00007f in epoll_wait () from /lib/libc.so.6\n#1  0x05 in mio::poll::Poll::poll (self=0x1)\n",
            "gdb",
        ),
        (
            "Full thread dump OpenJDK 64-Bit Server VM:\n\"http-1\" #31 daemon prio=5 nid=0x1f waiting\n\tat java.net.SocketInputStream.read(S.java:1)\n",
            "Java",
        ),
        (
            "Warn  ID  State  Name  Total  Busy  Sched  Idle  Polls  Target\n      7   IDLE   conn  29h    1ms   1ms    29h   12     tokio::task\n",
            "tokio-console",
        ),
        (
            "Trace: here\n    at Server.<anonymous> (/app/server.js:3:11)\n    at node:internal/process/task_queues:95:5\n",
            "Node.js",
        ),
        (
            "Process 12: python app.py\nThread 12 (idle): \"MainThread\"\n    readinto (socket.py:704)\n    handle (app.py:12)\n",
            "py-spy",
        ),
    ] {
        let output = hunt(&["--dump", "-"], dump);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(
            error.contains(says) && error.contains("; allowed: "),
            "{error}"
        );
    }
}

#[test]
fn a_symptom_of_the_server_is_hunted_by_its_name() {
    for (name, server, incident) in [
        ("close-wait", "hyper", "descriptors-run-out"),
        ("shutdown", "axum", "shutdown-body"),
        ("lost-response", "hyper", "early-reply-expect"),
        ("cpu", "canary-accept-spins", "accept-errors-last"),
    ] {
        let output = hunt(
            &["--symptom", name, "--server", server, "--cases", "10"],
            "",
        );
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("  {incident}")), "{text}");
    }
}

/// Nothing found is status 0, and what was looked for is said once more.
#[test]
fn where_nothing_fits_it_is_said_what_the_dump_holds() {
    let dump = file("cases/29-docker-prefix-two-leaks.txt");
    let output = hunt(
        &["--dump", "-", "--server", "hangup", "--cases", "100"],
        &dump,
    );
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("the dump holds: a connection with readRequest")
            && text.contains("; 3 in (*body).Read"),
        "{text}"
    );
}
