//! `hangup::cli` as the `main` of somebody's own program: which server a command is about, and its exit status.
//!
//! This test is that program: it runs itself, with the command line in a variable, since its own is of `cargo test`.

use hangup::Bed;
use hangup::bed::Route;
use hangup::net::TcpListener;
use hangup::server::app;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::env;
use std::process::{Command, ExitCode};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Which route of the server is named, where this process is the program.
const ROUTE: &str = "HANGUP_TEST_ROUTE";

async fn serve(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(app::answer));
        tokio::spawn(timeout(Duration::from_secs(60), connection));
    }
}

fn bed(name: &str) -> Bed {
    Bed::new(name, |listener, _| serve(listener))
}

/// What the program did: exit status, standard output and standard error.
fn program(route: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let this = env::current_exe().expect("Linux knows it");
    let output = Command::new(this)
        .args(arguments)
        .env(ROUTE, route)
        .output()
        .expect("it runs already");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn a_clean_run_exits_with_0_and_says_which_server_it_is_about() {
    let (status, told, error) = program("/echo", &["run", "connect-silence"]);
    assert_eq!(status, Some(0), "{told}{error}");
    assert!(told.contains("server one |"), "{told}");
    let which = "hangup: no --server is named, so this is about one;";
    assert!(error.starts_with(which), "{error}");
    let (_, told, error) = program("/echo", &["run", "connect-silence", "--server", "other"]);
    assert!(told.contains("server other |"), "{told}");
    assert_eq!(error, "");
}

fn a_run_that_says_nothing_exits_with_2() {
    // No upload is named, so that the request has nothing that reads its body.
    let (status, told, error) = program("", &["run", "body-chunked"]);
    assert_eq!(status, Some(2), "{told}{error}");
    assert!(told.contains("not told: "), "{told}");
    let (status, told, _) = program("", &["run", "body-chunked", "--json"]);
    assert_eq!(status, Some(2));
    assert!(told.contains("\"verdict\":\"not-told\""), "{told}");
}

fn a_route_that_does_not_play_its_part_is_one_line_and_exits_with_2() {
    for command in [&["check"][..], &["run", "connect-silence"], &["fuzz"]] {
        let (status, told, error) = program("/uplod", command);
        assert_eq!((status, told), (Some(2), String::new()), "{error}");
        let line = "hangup: one: nothing was run: Route::ReadsBody \"/uplod\" was sent POST /uplod";
        assert!(error.starts_with(line), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

fn main() -> ExitCode {
    let Ok(route) = env::var(ROUTE) else {
        a_clean_run_exits_with_0_and_says_which_server_it_is_about();
        a_run_that_says_nothing_exits_with_2();
        a_route_that_does_not_play_its_part_is_one_line_and_exits_with_2();
        return ExitCode::SUCCESS;
    };
    let one = match &*route {
        "" => bed("one"),
        target => bed("one").route(Route::ReadsBody, target),
    };
    hangup::cli(one).and(bed("other")).main()
}
