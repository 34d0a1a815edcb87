//! The traps of real networks and real servers, each shown by a fake that has it.

use super::fake::{OK, answers, hangup, head, server, text, until_gone};
use serde_json::Value;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, sleep};
use std::time::Duration;

/// A file of its own for a scenario.
struct File(PathBuf);

impl File {
    fn with(name: &str, steps: &str) -> Self {
        let name = format!("hangup-remote-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let text = format!("name = \"trap\"\nseed = 1\n[[client]]\nsteps = [{steps}]\n");
        std::fs::write(&path, text).expect("a temporary file");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const GET: &str = r#"{ do = "connect" }, { do = "send", head = { method = "GET", target = "/" } }"#;

/// The run of these steps, as JSON.
fn run(name: &str, steps: &str, address: SocketAddr, more: &[&str]) -> Value {
    let file = File::with(name, steps);
    let (file, address) = (file.0.display().to_string(), address.to_string());
    let mut arguments = vec!["run", &file, "--addr", &address, "--json"];
    arguments.extend(more);
    let output = hangup(&arguments);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

fn closed_s(run: &Value) -> f64 {
    let closed = &run["connections"][0]["closed_s"];
    closed
        .as_f64()
        .unwrap_or_else(|| panic!("it is not released: {run}"))
}

#[test]
fn a_fin_is_not_the_release() {
    // It says FIN at once and keeps its socket for two seconds more, as a lingering close does.
    let address = server(|mut stream| {
        if head(&mut stream) && stream.write_all(OK).is_ok() {
            let _ = stream.shutdown(Shutdown::Write);
            sleep(Duration::from_secs(2));
        }
    });
    let lingers = run(
        "lingers",
        GET,
        address,
        &["--contract", "stall=4s,drain=1s"],
    );
    assert_eq!(lingers["verdict"], "clean");
    assert!(closed_s(&lingers) >= 1.9, "{lingers}");
    let held = run(
        "lingers-long",
        GET,
        address,
        &["--contract", "stall=200ms,drain=1s", "--tolerance", "300ms"],
    );
    assert_eq!(held["verdict"], "hung", "{held}");
}

#[test]
fn what_is_not_accepted_is_not_held_by_the_process() {
    // Nobody ever accepts: the kernel has the connections, the process has nothing.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let contract = [
        "--contract",
        "stall=500ms,drain=500ms",
        "--tolerance",
        "200ms",
        "--times",
        "10",
    ];
    let waits = run("backlog", GET, address, &contract);
    assert_eq!(waits["verdict"], "deaf", "{waits}");
    assert_eq!(waits["connections"][0]["closed_s"], Value::Null);
    let findings = waits["findings"].as_array().expect("a list");
    assert!(
        findings.iter().all(|finding| finding["kind"] == "deaf"),
        "{waits}"
    );
}

#[test]
fn timers_that_are_looked_at_in_a_sweep_are_late_by_less_than_the_tolerance_says() {
    // A clock of a second, looked at every one and a half, as node looks at its own.
    let address = server(|mut stream| {
        if head(&mut stream) && stream.write_all(OK).is_ok() {
            sleep(Duration::from_millis(2500));
        }
    });
    let contract = "stall=1s,drain=1s";
    let late = run(
        "sweep",
        GET,
        address,
        &["--contract", contract, "--tolerance", "900ms"],
    );
    assert_eq!(late["verdict"], "late", "{late}");
    let known = run(
        "sweep-known",
        GET,
        address,
        &["--contract", contract, "--tolerance", "2s"],
    );
    assert_eq!(known["verdict"], "clean", "{known}");
}

#[test]
fn queued_data_is_read_behind_a_reset() {
    let address = server(|mut stream| {
        if head(&mut stream) && stream.write_all(OK).is_ok() {
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });
    let steps = format!(
        r#"{GET}, {{ do = "stall", for = "300ms" }}, {{ do = "await", status = "final", within = "1s" }}"#
    );
    let reset = run(
        "reset",
        &steps,
        address,
        &["--contract", "stall=2s,drain=1s"],
    );
    assert_eq!(
        reset["connections"][0]["statuses"],
        serde_json::json!([200])
    );
    assert!(closed_s(&reset) < 0.5, "{reset}");
    let told = hangup(&[
        "run",
        "get-with-body",
        "--addr",
        &address.to_string(),
        "--contract",
        "stall=2s,drain=1s",
    ]);
    assert!(
        text(&told.stdout).contains("gets RST"),
        "{}",
        text(&told.stdout)
    );
}

#[test]
fn a_server_that_lets_go_when_its_client_has_waited_in_vain_is_late_and_leaves_nothing() {
    let gone = server(|mut stream| {
        if head(&mut stream) && stream.write_all(OK).is_ok() {
            until_gone(stream);
        }
    });
    let steps = format!(
        r#"{GET}, {{ do = "await", status = "final", within = "1s" }}, {{ do = "await", eof = true, within = "1s" }}, {{ do = "close" }}"#
    );
    let contract = ["--contract", "stall=300ms,drain=1s", "--tolerance", "300ms"];
    let late = run("in-vain", &steps, gone, &contract);
    assert_eq!(late["verdict"], "late", "{late}");
    // The same client, and a server that does not look.
    let (keep, _kept) = mpsc::channel();
    let forgets = server(move |mut stream| {
        let _ = head(&mut stream);
        let _ = stream.write_all(OK);
        let _ = keep.send(stream);
    });
    let held = run("in-vain-held", &steps, forgets, &contract);
    assert_eq!(held["verdict"], "leftover", "{held}");
}

#[test]
fn a_descriptor_that_nobody_closes_is_seen_behind_a_reset_of_the_client() {
    // The kernel knows no more of a connection that was reset; its descriptor is there until somebody closes it.
    fn forgetful(keep: &Sender<TcpStream>) -> impl Fn(TcpStream) + Send + Sync + Clone + use<> {
        let keep = keep.clone();
        move |mut stream: TcpStream| {
            let _ = head(&mut stream);
            let _ = stream.write_all(OK);
            let _ = keep.send(stream);
        }
    }
    let (keep, _kept) = mpsc::channel();
    let address = server(forgetful(&keep));
    let steps = format!(
        r#"{GET}, {{ do = "await", status = "final", within = "1s" }}, {{ do = "stall", for = "300ms" }}, {{ do = "reset" }}"#
    );
    let contract = ["--contract", "stall=2s,drain=500ms", "--tolerance", "300ms"];
    let unseen = run("forgets", &steps, address, &contract);
    assert_eq!(unseen["verdict"], "clean", "{unseen}");
    let process = std::process::id().to_string();
    let seen = run(
        "forgets-pid",
        &steps,
        address,
        &[&contract[..], &["--pid", &process]].concat(),
    );
    assert_eq!(seen["verdict"], "leftover", "{seen}");
}

#[test]
fn a_byte_never_falls_on_a_deadline_in_whole_seconds() {
    let address = server(|stream| answers(stream, Duration::from_secs(1)));
    let steps = r#"{ do = "connect" }, { do = "send", head = { method = "GET", target = "/" }, size = 16, every = "1s" }"#;
    let trickle = run(
        "grid",
        steps,
        address,
        &["--contract", "stall=2s,drain=1s", "--times", "2"],
    );
    let caveats = trickle["caveats"].to_string();
    assert!(
        caveats.contains("a byte at the instant of a deadline"),
        "{caveats}"
    );
}

#[test]
fn a_known_timer_is_told_apart() {
    let address = server(|mut stream| {
        if head(&mut stream) && stream.write_all(OK).is_ok() {
            until_gone(stream);
        }
    });
    let address = address.to_string();
    let watch = [
        "probe",
        "idle-keep-alive",
        "--addr",
        &address,
        "--watch",
        "500ms",
        "--tolerance",
        "300ms",
    ];
    let page = std::env::temp_dir().join(format!("hangup-remote-{}.html", std::process::id()));
    let html = page.display().to_string();
    // The probes mostly wait: all of them do at the same time.
    let kinds: [&[&str]; 3] = [
        &[],
        &["--known-timer", "idle=75s", "--html", &html],
        &["--known-timer", "body=75s"],
    ];
    let [open, known, other] = thread::scope(|scope| {
        let watch = &watch[..];
        let probes = kinds.map(|more| scope.spawn(move || hangup(&[watch, more].concat())));
        probes.map(|probe| probe.join().expect("the command ran"))
    });
    assert_eq!(open.status.code(), Some(1), "{}", text(&open.stderr));
    assert!(
        text(&open.stdout).contains("hung"),
        "{}",
        text(&open.stdout)
    );
    assert_eq!(known.status.code(), Some(0), "{}", text(&known.stdout));
    let told = text(&known.stdout);
    assert!(
        told.contains("(connection 1: its idle timer of 75 s runs)") && told.contains("timer"),
        "{told}"
    );
    let html = std::fs::read_to_string(&page).expect("it was written");
    let _ = std::fs::remove_file(&page);
    assert!(html.contains("(connection 1: its idle timer of 75 s runs)"));
    assert!(html.contains("200 at 0s, open after "));
    assert_eq!(other.status.code(), Some(1), "{}", text(&other.stdout));
}

#[test]
fn a_known_timer_that_counts_in_all_explains_a_trickle_and_one_behind_the_last_byte_does_not() {
    // It has no clock, answers requests, and waits for more of the preface of HTTP/2.
    let address = server(|mut stream| {
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while let Ok(1) = stream.read(&mut byte) {
            seen.push(byte[0]);
            if seen.starts_with(b"GET ") && seen.ends_with(b"\r\n\r\n") {
                seen.clear();
                let _ = stream.write_all(OK);
            }
        }
    });
    let address = address.to_string();
    let explained = |incident, timer| {
        let output = hangup(&[
            "run",
            incident,
            "--addr",
            &address,
            "--contract",
            "stall=10s,residence=20s,drain=5s",
            "--tolerance",
            "300ms",
            "--times",
            "20",
            "--known-timer",
            timer,
            "--json",
        ]);
        let run: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let why = run["caveats"].to_string();
        (run["verdict"] == "clean").then(|| why.contains("its head timer"))
    };
    let cases = [
        ("head-trickle", "head=75s", None),
        ("head-trickle", "head=19s,total", None),
        ("head-trickle", "head=75s,total", Some(true)),
        ("h2-preface-stalls", "head=75s", Some(true)),
        ("h2-preface-stalls", "idle=75s", None),
        // Our reading of a head gives up before this server's does.
        ("head-fields", "head=75s", None),
        ("head-fields", "idle=75s", Some(false)),
    ];
    // The runs mostly wait: all of them do at the same time.
    thread::scope(|scope| {
        for (incident, timer, due) in cases {
            let explained = &explained;
            scope.spawn(move || assert_eq!(explained(incident, timer), due, "{incident} {timer}"));
        }
    });
}

#[test]
fn what_the_server_promises_comes_before_what_a_scenario_would_allow() {
    // The scenario speaks of 75 s, the server's own clock is one of two, and it promises half a second.
    let address = server(|mut stream| {
        let mut method = [0; 4];
        if stream.read_exact(&mut method).is_err() || !head(&mut stream) {
            return;
        }
        if method == *b"POST" {
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            sleep(Duration::from_secs(2));
        } else {
            let _ = stream.write_all(OK);
        }
    });
    let output = hangup(&[
        "run",
        "fasthttp-1834",
        "--addr",
        &address.to_string(),
        "--contract",
        "stall=500ms,drain=1s",
        "--tolerance",
        "300ms",
        "--json",
    ]);
    let held: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(held["verdict"], "hung", "{held}");
}

#[test]
fn what_comes_between_a_look_and_a_read_is_counted_once() {
    const LENGTH: usize = 400_000;
    let begins =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {LENGTH}\r\n\r\n");
    let bytes = begins.len() + LENGTH;
    // It writes all the time, in small pieces, from a thread of its own.
    let address = server(move |mut stream| {
        let _ = stream.set_nodelay(true);
        if head(&mut stream) && stream.write_all(begins.as_bytes()).is_ok() {
            let _ = (0..LENGTH / 100).try_for_each(|_| stream.write_all(&[b'x'; 100]));
            let _ = stream.shutdown(Shutdown::Write);
            until_gone(stream);
        }
    });
    let steps = format!(r#"{GET}, {{ do = "read", bytes = "all" }}, {{ do = "close" }}"#);
    let run = run(
        "swift",
        &steps,
        address,
        &["--contract", "stall=2s,drain=1s"],
    );
    assert_eq!(run["verdict"], "clean", "{run}");
    assert_eq!(run["connections"][0]["bytes_out"], bytes, "{run}");
}
