//! Requests are taken whole, however their bytes are cut, and responses are given whole: three kinds of servers
//! that do not, each beside one that does.

use hangup::Bed;
use hangup::bed::Route;
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::finding::Finding;
use hangup::net::{TcpListener, TcpStream};
use hangup::run::Detail;
use hangup::server::Server;
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::scenario;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// How long these servers wait for the next bytes.
const DEADLINE: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// All as it should.
    Right,
    /// It announces twice as much as it says, and waits for the next request.
    Truncates,
    /// The second half of a response comes some seconds after the first.
    Pauses,
    /// The end of the stream is the end of a body, too.
    HalvesUpload,
    /// One read is one head: another is refused.
    HeadInOneRead,
    /// What a read brings that is no whole head is forgotten.
    ForgetsHalf,
}

fn server(way: Way) -> Arc<dyn Server> {
    Bed::new("whole", move |listener: TcpListener, _| async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            tokio::spawn(timeout(4 * DEADLINE, serve(stream, way)));
        }
    })
    .route(Route::ReadsBody, "/upload")
    .into()
}

async fn serve(mut stream: TcpStream, way: Way) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break read.drain(..end + 4).collect::<Vec<u8>>();
            }
            if !read.is_empty() {
                match way {
                    Way::HeadInOneRead => {
                        let refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                        stream.write_all(refusal).await?;
                        return close(stream).await;
                    }
                    Way::ForgetsHalf => read.clear(),
                    _ => {}
                }
            }
            if timeout(DEADLINE, stream.read_buf(&mut read)).await?? == 0 {
                return close(stream).await;
            }
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        if way == Way::ForgetsHalf && !head.contains("HTTP/1.1") {
            continue;
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().unwrap_or(0));
        while read.len() < length {
            if timeout(DEADLINE, stream.read_buf(&mut read)).await?? == 0 {
                match way {
                    Way::HalvesUpload => break,
                    _ => return close(stream).await,
                }
            }
        }
        read.drain(..length.min(read.len()));
        let said = match way {
            Way::Truncates => 200,
            _ => 400,
        };
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n")
            .await?;
        stream.write_all(&[b'x'; 200]).await?;
        if way == Way::Pauses {
            sleep(Duration::from_secs(7)).await;
        }
        stream.write_all(&vec![b'x'; said - 200]).await?;
        if head.contains("Connection: close") {
            return close(stream).await;
        }
    }
}

async fn close(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = tokio::io::sink();
    timeout(
        Duration::from_secs(2),
        tokio::io::copy(&mut stream, &mut rest),
    )
    .await??;
    Ok(())
}

fn judged(steps: &str, way: Way) -> Vec<Finding> {
    let text =
        format!("name = \"whole\"\n[[client]]\nsteps = [ {{ do = \"connect\" }},\n{steps} ]\n");
    let scenario: Arc<Scenario> = scenario(&text);
    let cell = Cell::of(Engine::Leap, &scenario, &*server(way), Detail::JUDGED);
    // The fresh client of a server that truncates has not got all either.
    let mut findings = cell.findings;
    findings.retain(|finding| finding.client.is_some());
    findings
}

fn parts(findings: &[Finding]) -> Vec<(Verdict, Option<&'static str>)> {
    findings.iter().map(|one| (one.kind, one.part)).collect()
}

const GET: &str = r#"{ do = "send", head = { method = "GET", target = "/" } }"#;

#[test]
fn a_response_that_ends_before_its_length_is_told_from_one_that_pauses() {
    // The client gives up, or stays until the server does.
    for rest in [
        r#"{ do = "await", status = "final", within = "20s" }, { do = "close" }"#,
        r#"{ do = "await", status = "final", within = "60s" }"#,
    ] {
        let steps = format!("{GET}, {rest}");
        let found = judged(&steps, Way::Truncates);
        assert_eq!(
            parts(&found),
            [(Verdict::Lost, Some("truncated"))],
            "{found:?}"
        );
        for innocent in [Way::Right, Way::Pauses] {
            assert_eq!(judged(&steps, innocent), [], "{innocent:?}");
        }
    }
}

#[test]
fn half_an_upload_is_not_acknowledged() {
    let upload = |end: &str| {
        format!(
            r#"{{ do = "send", all = [ {{ head = {{ method = "POST", target = "/stream", length = 1000 }} }}, {{ body = 500 }} ] }}, {end},
               {{ do = "await", status = "final", within = "5s" }}, {{ do = "close" }}"#
        )
    };
    let cut = upload(r#"{ do = "stall", for = "1s" }, { do = "half_close" }"#);
    let found = judged(&cut, Way::HalvesUpload);
    assert_eq!(
        parts(&found),
        [(Verdict::Lost, Some("halved"))],
        "{found:?}"
    );
    assert!(
        found[0].says.contains("as if all of its body had come"),
        "{}",
        found[0].says
    );
    assert_eq!(judged(&cut, Way::Right), []);
    let whole = upload(r#"{ do = "stall", for = "1s" }, { do = "send", body = 500 }"#);
    for innocent in [Way::Right, Way::HalvesUpload] {
        assert_eq!(judged(&whole, innocent), [], "{innocent:?}");
    }
}

#[test]
fn a_head_may_come_in_two_halves() {
    let halves = |pause: &str| {
        let get = r#"all = [ { head = { method = "GET", target = "/" } } ]"#;
        format!(
            r#"{{ do = "send", {get}, part = [0, 20] }}, {{ do = "stall", for = "{pause}" }}, {{ do = "send", {get}, part = [20, 1000] }},
               {{ do = "await", status = "final", within = "15s" }}, {{ do = "close" }}"#
        )
    };
    for pause in ["300ms", "2s"] {
        for guilty in [Way::HeadInOneRead, Way::ForgetsHalf] {
            let found = judged(&halves(pause), guilty);
            assert_eq!(
                parts(&found),
                [(Verdict::Protocol, Some("refused"))],
                "{guilty:?}, {pause}: {found:?}"
            );
        }
        assert_eq!(judged(&halves(pause), Way::Right), []);
    }
    // A client that stays: the server's idle clock ends what it has made wait.
    let stays = halves("300ms").replace("\"15s\" }, { do = \"close\" }", "\"100s\" }");
    let found = judged(&stays, Way::ForgetsHalf);
    assert_eq!(
        parts(&found),
        [(Verdict::Protocol, Some("refused"))],
        "{found:?}"
    );
}
