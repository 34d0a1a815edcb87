//! `hangup serve`: one clear line and exit status 2 where it must not, and its exit status at the
//! end. What it does for clients that are not ours is in `tests/peers/serve.sh`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The one line on stderr of a `hangup serve` that does not start.
fn refused(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .arg("serve")
        .args(arguments)
        .env_remove("HANGUP_ADMIN_TOKEN")
        .output()
        .expect("the program was built for this test");
    let said = String::from_utf8(output.stderr).expect("errors are UTF-8");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(
        (output.stdout.len(), said.lines().count()),
        (0, 1),
        "{said}"
    );
    said
}

#[test]
fn a_busy_address() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let said = refused(&["--listen", &address]);
    let start = format!("hangup: --listen: cannot listen on \"{address}\": ");
    assert!(said.starts_with(&start), "{said}");
    let said = refused(&["--listen", "127.0.0.1:0", "--admin", &address]);
    assert!(said.starts_with("hangup: --admin: cannot listen"), "{said}");
}

#[test]
fn what_is_no_address() {
    for wrong in ["8080", "127.0.0.1", "127.0.0.1:99999", ""] {
        let said = refused(&["--listen", wrong]);
        let start = format!(
            "hangup: --listen: \"{wrong}\" is no address; allowed: HOST:PORT, as 127.0.0.1:8080"
        );
        assert!(said.starts_with(&start), "{said}");
    }
}

#[test]
fn admin_pages_for_everybody_unless_asked() {
    for open in ["0.0.0.0:0", "[::]:0"] {
        let said = refused(&["--listen", "127.0.0.1:0", "--admin", open]);
        assert!(said.contains("is not a loopback address"), "{said}");
        assert!(said.ends_with("allowed with --admin-anywhere\n"), "{said}");
        let anywhere = [
            "--listen",
            "127.0.0.1:0",
            "--admin",
            open,
            "--admin-anywhere",
        ];
        assert_eq!(
            refused(&anywhere),
            "hangup: --admin-anywhere: a token is required, because the pages show clients' addresses; set --admin-token or HANGUP_ADMIN_TOKEN\n"
        );
        let short = [&anywhere[..], &["--admin-token", "short"]].concat();
        let said = refused(&short);
        assert!(said.contains("at least 16 letters, digits and"), "{said}");
    }
}

/// Too few descriptors for a server.
#[cfg(unix)]
#[test]
fn a_limit_of_open_files_that_leaves_nothing() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 16; exec \"$0\" serve --listen 127.0.0.1:0"])
        .arg(env!("CARGO_BIN_EXE_hangup"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "hangup: the limit of open files is 16, and a server needs at least 56; raise it (ulimit -n, LimitNOFILE= in systemd)\n"
    );
}

/// A `hangup serve` that runs, and is ended with the test.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
    admin: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hangup"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json"])
            .args(arguments)
            .env_remove("HANGUP_ADMIN_TOKEN")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| said["serving"][name].as_str().unwrap().to_owned();
        let descriptors = &said["serving"]["descriptors"];
        assert!(
            descriptors["limit"].as_u64() >= descriptors["connections"].as_u64(),
            "{said}"
        );
        Running {
            child,
            stdout,
            address: text("address"),
            admin: text("admin"),
        }
    }

    /// Sends a request, and returns the first line of the answer, if `answered`.
    fn ask(&self, address: &str, request: &str) -> (TcpStream, String) {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(&client).read_line(&mut line).unwrap();
        (client, line.trim_end().to_owned())
    }

    #[cfg(unix)]
    fn signal(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Its exit status, and the report.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const NEVER: &[u8] = b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A client whose request the application has, and never answers.
fn stuck(running: &Running) -> TcpStream {
    let (mut client, status) = running.ask(&running.address, GET);
    assert_eq!(status, "HTTP/1.1 200 OK");
    client.write_all(NEVER).unwrap();
    // Its application has the request once the ledger says so.
    for _ in 0..1000 {
        let mut admin = TcpStream::connect(&running.admin).unwrap();
        admin
            .write_all(
                b"GET /debug/connections HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            )
            .unwrap();
        let mut page = String::new();
        admin.read_to_string(&mut page).unwrap();
        if page.contains("1 in handler") {
            return client;
        }
    }
    panic!("the request did not arrive");
}

#[cfg(unix)]
#[test]
fn exit_status_0_where_all_were_served() {
    let running = Running::start(&[]);
    let (_idle, status) = running.ask(&running.address, GET);
    assert_eq!(status, "HTTP/1.1 200 OK");
    running.signal();
    let (status, report) = running.end();
    assert_eq!(status, Some(0), "{report}");
}

#[cfg(unix)]
#[test]
fn exit_status_1_where_a_client_was_cut() {
    let running = Running::start(&[]);
    let _client = stuck(&running);
    running.signal();
    let (status, report) = running.end();
    assert_eq!(status, Some(1), "{report}");
    assert!(report.contains(r#""phase":"handler""#), "{report}");
}

#[cfg(unix)]
#[test]
fn exit_status_3_for_the_second_signal() {
    let mut running = Running::start(&["--server", "hangup-unbounded"]);
    let _client = stuck(&running);
    running.signal();
    // The listener is closed once the first signal is heard; two at once would be one.
    while TcpStream::connect(&running.address).is_ok() {
        assert!(running.child.try_wait().unwrap().is_none());
    }
    running.signal();
    let (status, report) = running.end();
    assert_eq!(status, Some(3), "{report}");
    assert!(report.contains(r#""graceful":false"#), "{report}");
}

#[test]
fn exit_statuses_are_in_the_help() {
    let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for line in [
        "  0  all",
        "  1  clients were cut",
        "  2  wrong use",
        "  3  a second signal",
    ] {
        assert!(help.contains(line), "{help}");
    }
}

/// The record has clients' addresses, so nobody but its owner reads it, whatever was there before.
#[cfg(unix)]
#[test]
fn the_flight_record_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("hangup-serve-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for before in [false, true] {
        let path = folder.join(format!("flight-{before}"));
        if before {
            std::fs::write(&path, "x".repeat(100_000)).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        }
        let running = Running::start(&["--flight", path.to_str().unwrap()]);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        running.signal();
        assert_eq!(running.end().0, Some(0));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(r#"{"hangup_flight":1,"#) && !text.contains("xx"),
            "{text}"
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_admin_pages_are_for_their_own_host() {
    let running = Running::start(&[]);
    let ask = |host: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n");
        running.ask(&running.admin, &request).1
    };
    assert_eq!(ask(&running.admin), "HTTP/1.1 200 OK");
    assert_eq!(ask("evil.example"), "HTTP/1.1 421 Misdirected Request");
}

#[test]
fn the_admin_pages_of_everybody_need_the_token() {
    let token = "0123456789abcdef";
    let running = Running::start(&[
        "--admin",
        "0.0.0.0:0",
        "--admin-anywhere",
        "--admin-token",
        token,
    ]);
    let port = running.admin.rsplit_once(':').unwrap().1;
    let at = format!("127.0.0.1:{port}");
    let ask = |field: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        running.ask(&at, &request).1
    };
    assert_eq!(ask(""), "HTTP/1.1 401 Unauthorized");
    let right = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(ask(&right), "HTTP/1.1 200 OK");
}

#[test]
fn servers_that_are_not_ours_and_files_that_cannot_be() {
    let said = refused(&["--listen", "127.0.0.1:0", "--server", "hyper"]);
    assert_eq!(
        said,
        "hangup: --server: \"hyper\" is not ours; allowed: hangup, hangup-article, hangup-unbounded\n"
    );
    let said = refused(&[
        "--listen",
        "127.0.0.1:0",
        "--flight",
        "/no/such/folder/flight",
    ]);
    assert!(
        said.starts_with("hangup: --flight: /no/such/folder/flight: "),
        "{said}"
    );
}
