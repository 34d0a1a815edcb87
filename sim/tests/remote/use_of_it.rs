//! The command as people and scripts use it, and servers that are hardly servers.

use super::fake::{OK, answers, hangup, head, server, server_at, text, until_gone};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// What the command says on stderr when it is used in a wrong way: one line, exit status 2.
fn refused(arguments: &[&str]) -> String {
    let output = hangup(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{arguments:?}: {said}");
    said
}

const WATCH: [&str; 4] = ["--watch", "500ms", "--tolerance", "300ms"];

#[test]
fn wrong_use_gets_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let free = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    for (arguments, says) in [
        (vec!["probe"], "--addr"),
        (vec!["probe", "--addr", "127.0.0.1:1"], "--contract"),
        (
            vec!["probe", "--addr", "nowhere", "--watch", "1s"],
            "allowed: HOST:PORT",
        ),
        (
            vec!["probe", "--addr", "198.51.100.7:80", "--watch", "1s"],
            "--i-own-this-server",
        ),
        (
            vec!["probe", "--addr", "[2001:db8::1]:80", "--watch", "1s"],
            "--i-own-this-server",
        ),
        (
            vec!["probe", "--addr", &free, "--watch", "1s"],
            "nobody is to be reached",
        ),
        (
            vec![
                "probe",
                "--addr",
                &free,
                "--watch",
                "1s",
                "--pid",
                "4294967295",
            ],
            "--addr",
        ),
        (
            vec!["probe", "nothing", "--addr", &free, "--watch", "1s"],
            "no incident",
        ),
        (
            vec!["probe", "--addr", &free, "--contract", "stal=1s"],
            "unknown promise \"stal\"",
        ),
        (
            vec!["probe", "--addr", &free, "--contract", "stall=x"],
            "no time",
        ),
        (
            vec!["probe", "--addr", &free, "--known-timer", "lunch=1h"],
            "opening, head, body",
        ),
        (
            vec!["probe", "--addr", &free, "--route", "/nowhere=/x"],
            "/echo",
        ),
        (vec!["probe", "--addr", &free, "--get", "x y"], "a path"),
        (
            vec![
                "probe", "--addr", &free, "--watch", "1s", "--server", "hangup",
            ],
            "--server",
        ),
        (
            vec!["run", "shutdown-idle", "--addr", &free, "--watch", "1s"],
            "server events",
        ),
        (
            vec!["run", "vanish-mid-body", "--addr", &free, "--watch", "1s"],
            "vanish",
        ),
        (vec!["run", "fasthttp-1834", "--second"], "--addr"),
    ] {
        let said = refused(&arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn servers_that_are_none_are_refused_with_what_they_say() {
    let garbage = server(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-\x1b[31mOpen\r\n");
        until_gone(stream);
    });
    let said = refused(&[&["probe", "--addr", &garbage.to_string()], &WATCH[..]].concat());
    assert!(said.contains("SSH-2.0-\\u{1b}"), "{said}");
    let endless = server(|mut stream| while stream.write_all(&[b'x'; 65536]).is_ok() {});
    let said = refused(&[&["probe", "--addr", &endless.to_string()], &WATCH[..]].concat());
    assert!(said.contains("HTTP/1.x"), "{said}");
    let closes = server(drop);
    let said = refused(&[&["probe", "--addr", &closes.to_string()], &WATCH[..]].concat());
    assert!(said.contains("no answer"), "{said}");
}

#[test]
fn a_response_without_an_end_neither_hangs_nor_fills_the_memory() {
    let endless = server(|mut stream| {
        if head(&mut stream)
            && stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
                .is_ok()
        {
            while stream.write_all(&[b'x'; 65536]).is_ok() {}
        }
    });
    let address = endless.to_string();
    let arguments = [
        &[
            "probe",
            "idle-keep-alive",
            "pipeline-bytewise",
            "--addr",
            &address,
            "--max-time",
            "20s",
        ],
        &WATCH[..],
    ];
    let output = hangup(&arguments.concat());
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn ipv6_and_names_are_addresses_too() {
    let six = server_at("[::1]:0", |stream| {
        answers(stream, Duration::from_millis(300))
    });
    let both = server(|stream| answers(stream, Duration::from_millis(300)));
    // Which of the two families a name has is the machine's own business; 127.0.0.1 is there everywhere.
    for address in [six.to_string(), format!("localhost:{}", both.port())] {
        let arguments = [
            &[
                "probe",
                "idle-keep-alive",
                "half-head",
                "--json",
                "--addr",
                &address,
            ],
            &WATCH[..],
        ];
        let output = hangup(&arguments.concat());
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(output.status.code(), Some(0), "{address}: {told}");
        assert_eq!(
            told["sockets_seen"],
            cfg!(target_os = "linux"),
            "{address}: {told}"
        );
        assert_eq!(
            told["cells"].as_array().map(Vec::len),
            Some(4),
            "{address}: {told}"
        );
    }
}

/// Reads the bodies that it is sent, and cuts clients off whose whole request takes longer than `most`, with these last words.
fn reads(mut stream: TcpStream, most: Duration, words: &[u8]) {
    let _ = stream.set_read_timeout(Some(most));
    let mut buffer = [0; 65536];
    let start = std::time::Instant::now();
    let mut seen = Vec::new();
    loop {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => seen.extend_from_slice(&buffer[..count]),
            _ => return,
        }
        if start.elapsed() > most {
            let _ = stream.write_all(words);
            return;
        }
        let Some(head) = seen.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let lower = String::from_utf8_lossy(&seen[..head]).to_lowercase();
        let length = lower
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
        if seen.len() >= head + 4 + length.unwrap_or(0) {
            seen.clear();
            if stream.write_all(OK).is_err() {
                return;
            }
        }
    }
}

#[test]
fn a_server_that_cuts_honest_clients_off_is_convicted() {
    // Ten times faster, the upload takes two seconds, and the idle clients pause for 0.4 s.
    let probe = |most, words: &'static [u8]| {
        let address = server(move |stream| reads(stream, most, words)).to_string();
        hangup(&[
            "probe",
            "healthy-slow-upload",
            "healthy-idle-then-request",
            "healthy-expect-after-idle",
            "--addr",
            &address,
            "--contract",
            "stall=60s,drain=5s",
            "--times",
            "10",
        ])
    };
    let patient = probe(Duration::from_secs(4), b"");
    assert_eq!(
        patient.status.code(),
        Some(0),
        "{}{}",
        text(&patient.stdout),
        text(&patient.stderr)
    );
    // Go's net/http says the second, in most handlers.
    for words in [
        &b""[..],
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    ] {
        let hasty = probe(Duration::from_millis(700), words);
        let told = text(&hasty.stdout);
        assert_eq!(hasty.status.code(), Some(1), "{told}");
        let deaf = told
            .lines()
            .find(|line| line.starts_with("healthy-slow-upload"));
        assert!(deaf.is_some_and(|line| line.contains("deaf")), "{told}");
    }
}

/// Among hundreds of runs at once a client may come too late for a timer of the server; alone it does not.
#[test]
fn an_honest_client_that_is_cut_off_once_and_served_alone_is_served() {
    let once = Arc::new(AtomicBool::new(true));
    let cut = Arc::clone(&once);
    let address = server(move |mut stream| {
        let mut begin = [0; 4096];
        let count = stream.peek(&mut begin).unwrap_or(0);
        let is_upload = String::from_utf8_lossy(&begin[..count]).contains("ength: 10000\r\n");
        match is_upload && cut.swap(false, Ordering::SeqCst) {
            // Closed behind all that has come: no reset takes the place of the FIN.
            true => drop(stream.read(&mut begin)),
            false => reads(stream, Duration::from_secs(4), b""),
        }
    })
    .to_string();
    let probe = hangup(&[
        "probe",
        "healthy-slow-upload",
        "--addr",
        &address,
        "--contract",
        "stall=60s,drain=5s",
        "--times",
        "10",
    ]);
    assert!(!once.load(Ordering::SeqCst), "it was never cut off");
    assert_eq!(probe.status.code(), Some(0), "{}", text(&probe.stdout));
}

#[test]
fn routes_that_are_not_there_are_not_applicable_and_a_user_can_say_where_they_are() {
    let address = server(|mut stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(400)));
        let mut buffer = [0; 65536];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let found = [&b"GET / "[..], b"POST /upload "]
                .iter()
                .any(|line| buffer[..count].starts_with(line));
            let answer: &[u8] = if found {
                OK
            } else {
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            };
            if stream.write_all(answer).is_err() {
                break;
            }
        }
    })
    .to_string();
    let arguments = [
        &[
            "probe",
            "body-never-sent",
            "half-head",
            "--json",
            "--addr",
            &address,
        ],
        &WATCH[..],
    ]
    .concat();
    let without: Value = serde_json::from_slice(&hangup(&arguments).stdout).expect("JSON");
    assert_eq!(without["not_applicable"][0]["scenario"], "body-never-sent");
    let why = without["not_applicable"][0]["why"]
        .as_str()
        .expect("a reason");
    assert!(
        why.contains("POST /echo answers 404") && why.contains("--route /echo=PATH"),
        "{why}"
    );
    let with: Value =
        serde_json::from_slice(&hangup(&[&arguments[..], &["--post", "/upload"]].concat()).stdout)
            .expect("JSON");
    assert_eq!(with["not_applicable"], serde_json::json!([]));
    assert_eq!(with["cells"].as_array().map(Vec::len), Some(4), "{with}");
}

/// A page with the number of a server's connections, which come down `after` they have gone.
fn counting(after: Duration) -> (String, String) {
    let open = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&open);
    let serving = server(move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        answers(stream, Duration::from_millis(400));
        sleep(after);
        counted.fetch_sub(1, Ordering::SeqCst);
    });
    let page = server(move |mut stream| {
        let _ = head(&mut stream);
        let count = open.load(Ordering::SeqCst);
        let _ = write!(
            stream,
            "HTTP/1.0 200 OK\r\n\r\n# TYPE open gauge\nopen {count}\n"
        );
    });
    (serving.to_string(), format!("http://{page}/metrics#open"))
}

#[test]
fn a_count_has_to_come_back_to_where_it_was() {
    let (address, url) = counting(Duration::from_secs(3));
    let arguments = [
        &[
            "probe",
            "half-head",
            "--json",
            "--addr",
            &address,
            "--count-url",
            &url,
        ],
        &WATCH[..],
    ]
    .concat();
    let output = hangup(&arguments);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let count = &told["counts"][0];
    assert_eq!(
        (&count["back"], output.status.code()),
        (&Value::Bool(true), Some(0)),
        "{told}"
    );
    assert!(count["most"].as_f64() >= Some(2.0), "{told}");
    assert!(count["back_in_s"].as_f64() >= Some(1.0), "{told}");
    let missing = url.replace("#open", "#shut");
    let said = refused(
        &[
            &["probe", "--addr", &address, "--count-url", &missing],
            &WATCH[..],
        ]
        .concat(),
    );
    assert!(said.contains("has no number shut"), "{said}");
}

#[test]
fn few_open_files_make_it_wait_or_refuse_and_convict_nobody() {
    let address = server(|stream| answers(stream, Duration::from_millis(400))).to_string();
    let limited = |files: u32, incidents: &str| {
        let command = format!(
            "ulimit -n {files}; exec {} probe {incidents} --addr {address} {}",
            env!("CARGO_BIN_EXE_hangup"),
            WATCH.join(" ")
        );
        Command::new("sh")
            .arg("-c")
            .arg(command)
            .output()
            .expect("a shell")
    };
    let waits = limited(
        160,
        "half-head idle-keep-alive connect-silence connection-crowd",
    );
    assert_eq!(
        waits.status.code(),
        Some(0),
        "{}{}",
        text(&waits.stdout),
        text(&waits.stderr)
    );
    let refused = limited(40, "half-head");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    assert!(
        text(&refused.stderr).contains("ulimit -n"),
        "{}",
        text(&refused.stderr)
    );
}
