//! `hangup serve`, where it must not: one clear line and exit status 2. What it does where it may is in `tests/peers/serve.sh`.

use std::net::TcpListener;
use std::process::Command;

/// The one line on stderr of a `hangup serve` that does not start.
fn refused(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .arg("serve")
        .args(arguments)
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
    }
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
