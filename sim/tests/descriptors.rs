//! `hangup serve` in a process that runs out of descriptors.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A `hangup serve` of this test's own, which ends with it.
struct Serving {
    child: Child,
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it in a process that may have so many descriptors.
fn serve_with_descriptors(most: u32) -> Serving {
    let program = env!("CARGO_BIN_EXE_hangup");
    let mut child = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -n {most} && exec \"$0\" serve --listen 127.0.0.1:0 --json"),
        ])
        .arg(program)
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let mut line = String::new();
    let said = child.stdout.take().expect("it is piped");
    BufReader::new(said).read_line(&mut line).unwrap();
    let start: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    let address = start["serving"]["address"].as_str().unwrap().to_owned();
    Serving { child, address }
}

/// More clients than the process has descriptors for connect and say nothing. Whoever has waited longest makes room for the next.
#[test]
fn a_crowd_beyond_the_descriptors_makes_room() {
    let serving = serve_with_descriptors(80);
    let connect = || TcpStream::connect(&serving.address).unwrap();
    let _clients: Vec<_> = (0..100).map(|_| connect()).collect();
    let mut last = connect();
    last.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    last.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut said = String::new();
    last.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
}
