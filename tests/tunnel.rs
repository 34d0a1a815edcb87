//! What passes behind a 101: nothing of it is lost, what came with the head of the request included, and a
//! client that is silent or gone there is judged as anywhere else.

use hangup::Bed;
use hangup::bed::Route;
use hangup::campaign::fuzz;
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::finding::Finding;
use hangup::net::{TcpListener, TcpStream};
use hangup::run::Detail;
use hangup::server::Server;
use hangup::{incident, server};
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::{judged, scenario};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

const SILENCE: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What a server does with the stream behind its 101.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Sends everything back, and ends a connection that is silent.
    Right,
    /// Forgets what it has read behind the head.
    LosesEarly,
    /// Waits for the next message for ever.
    Patient,
    /// Sends a ping every 10 s for ever, and looks for no answer.
    Pings,
}

fn server(way: Way) -> Arc<dyn Server> {
    Bed::new("tunnel", move |listener: TcpListener, _| async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            tokio::spawn(serve(stream, way));
        }
    })
    .route(Route::Upgrade, "/socket")
    .into()
}

async fn serve(mut stream: TcpStream, way: Way) -> io::Result<()> {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break read.drain(..end + 4).collect::<Vec<u8>>();
        }
        if timeout(SILENCE, stream.read_buf(&mut read)).await?? == 0 {
            return Ok(());
        }
    };
    if !head.starts_with(b"GET /socket ") {
        stream.write_all(OK).await?;
        return stream.shutdown().await;
    }
    stream.write_all(SWITCHING).await?;
    if way == Way::LosesEarly {
        read.clear();
    }
    loop {
        stream.write_all(&read).await?;
        read.clear();
        let more = stream.read_buf(&mut read);
        let length = match way {
            Way::Patient => more.await?,
            Way::Pings => match timeout(Duration::from_secs(10), more).await {
                Ok(length) => length?,
                Err(_) => {
                    read.extend(b"ping\n");
                    continue;
                }
            },
            _ => timeout(SILENCE, more).await??,
        };
        if length == 0 {
            return stream.shutdown().await;
        }
    }
}

fn found(steps: &str, way: Way) -> Vec<Finding> {
    let scenario = scenario(&format!(
        "name = \"tunnel\"\n[[client]]\nsteps = [ {{ do = \"connect\" }}, {steps} ]\n"
    ));
    let server = server(way);
    Cell::twice(Engine::Leap, &scenario, &*server, Detail::default()).findings
}

/// A request for a tunnel, and these bytes in the same segment.
fn ask(early: &str) -> String {
    let head = r#"{ head = { method = "GET", target = "/upgrade", connection = "upgrade", headers = [["Upgrade", "echo"]] } }"#;
    format!(
        r#"{{ do = "send", all = [ {head}, {{ bytes = "{early}" }} ] }}, {{ do = "await", status = 101, within = "2s" }}"#
    )
}

fn parts(findings: &[Finding]) -> Vec<(Verdict, Option<&str>)> {
    findings
        .iter()
        .map(|finding| (finding.kind, finding.part))
        .collect()
}

#[test]
fn what_came_with_the_head_comes_back() {
    let early = format!(
        r#"{}, {{ do = "stall", for = "15s" }}, {{ do = "close" }}"#,
        ask("hello")
    );
    let later = format!(
        r#"{}, {{ do = "stall", for = "1s" }}, {{ do = "send", bytes = "world" }}, {{ do = "stall", for = "1s" }}, {{ do = "close" }}"#,
        ask("hello")
    );
    for steps in [&early, &later] {
        let lost = found(steps, Way::LosesEarly);
        assert_eq!(
            parts(&lost),
            [(Verdict::Lost, Some("tunnel"))],
            "{steps}: {lost:?}"
        );
        for innocent in [Way::Right, Way::Patient, Way::Pings] {
            assert_eq!(found(steps, innocent), [], "{innocent:?}, {steps}");
        }
    }
}

#[test]
fn who_loses_what_came_early_is_no_liar_where_nothing_did() {
    let steps = format!(
        r#"{}, {{ do = "send", bytes = "hello" }}, {{ do = "stall", for = "15s" }}, {{ do = "close" }}"#,
        ask("")
    );
    for innocent in [Way::Right, Way::LosesEarly] {
        assert_eq!(found(&steps, innocent), [], "{innocent:?}");
    }
}

#[test]
fn a_client_that_is_silent_or_gone_behind_a_101_may_not_stay() {
    let silent = format!(r#"{}, {{ do = "stall", for = "29h" }}"#, ask("hello"));
    let gone = format!(r#"{}, {{ do = "vanish" }}"#, ask("hello"));
    for steps in [&silent, &gone] {
        let found = found(steps, Way::Patient);
        assert_eq!(
            parts(&found),
            [(Verdict::Hung, Some("stall"))],
            "{steps}: {found:?}"
        );
        assert_eq!(found[0].phase, Some("upgrade"), "{found:?}");
    }
    for steps in [&silent, &gone] {
        assert_eq!(found(steps, Way::Right), [], "{steps}");
    }
}

/// A client that takes the server's pings and answers none stays as long as the server pings.
#[test]
fn the_servers_own_writes_do_not_keep_a_connection() {
    let steps = format!(
        r#"{}, {{ do = "read", bytes = 100000, size = 100, every = "1s" }}, {{ do = "stall", for = "29h" }}"#,
        ask("")
    );
    let found = found(&steps, Way::Pings);
    assert_eq!(
        parts(&found),
        [(Verdict::Hung, Some("residence"))],
        "{found:?}"
    );
    assert_eq!(found[0].phase, Some("upgrade"), "{found:?}");
}

/// Our server has a clock behind the 101, an hour in all, and its contract says so.
#[test]
fn our_server_ends_what_it_has_upgraded() {
    let scenario = incident::named("upgrade-silent").expect("it is in the book");
    let cell = judged(&scenario, "hangup");
    assert_eq!(cell.findings, []);
    let connection = &cell.run.connections[0];
    let limits = server::named("hangup").and_then(|server| server.limits().cloned());
    let upgrade = limits.and_then(|limits| limits.upgrade.finite()).unwrap();
    let held = connection.released.unwrap() - connection.opened.unwrap();
    assert!(held >= upgrade, "{held:?}");
    assert!(held < upgrade + Duration::from_secs(60), "{held:?}");
}

/// Generated clients come behind a 101, too, and stay there.
#[test]
fn the_generator_finds_who_waits_there_for_ever() {
    let server = server(Way::Patient);
    let cases = (0..12_000).map(|case| fuzz::scenario(fuzz::case_seed(1, case), &*server));
    let asks = |scenario: &Scenario| scenario.to_toml().contains("/upgrade");
    let found: Vec<Finding> = cases
        .filter(asks)
        .flat_map(|scenario| {
            let scenario = Arc::new(scenario);
            Cell::twice(Engine::Leap, &scenario, &*server, Detail::default()).findings
        })
        .collect();
    let behind = |finding: &&Finding| finding.phase == Some("upgrade");
    let hung = found.iter().filter(behind).count();
    assert!(hung >= 3, "{hung}: {found:#?}");
}
