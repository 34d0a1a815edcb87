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

/// Connections that the process has no descriptor for fill the backlog while accepts fail. When some go, it serves again.
#[test]
fn out_of_descriptors_is_waited_out() {
    let serving = serve_with_descriptors(40);
    let ask = |client: &mut TcpStream| {
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    };
    let connect = || TcpStream::connect(&serving.address).unwrap();
    let mut clients: Vec<_> = (0..60).map(|_| connect()).collect();
    // One of the last: it is in the backlog, and the process cannot accept it.
    let mut late = clients.pop().unwrap();
    late.set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    late.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let unserved = late.read(&mut [0; 1]).unwrap_err();
    assert!(
        matches!(
            unserved.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ),
        "{unserved}"
    );
    drop(clients);
    late.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut first = [0; 15];
    late.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    ask(&mut connect());
}
