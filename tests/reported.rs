//! Scenarios from public bug reports, each against a server with that defect, or with that habit: the verdict, and what it
//! says.

use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::run::Detail;
use hangup::server::{self, Server, Serving, Shutdown, UNCLAIMED};
use hangup::transport::{Listener, Stream};
use hangup_scenario::{Scenario, Verdict};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::time::{Instant, sleep, timeout};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const REFUSED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const IDLE: Duration = Duration::from_secs(60);

/// A server that is made of what it does with one connection.
struct Of<F>(F);

impl<F, Fut> Server for Of<F>
where
    F: Fn(Stream) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    fn name(&self) -> &str {
        "reported"
    }

    fn about(&self) -> &str {
        "a server with a defect that was reported"
    }

    fn contract(&self) -> Contract {
        UNCLAIMED
    }

    fn serve(&self, mut listener: Listener, _: Shutdown) -> Serving {
        let serve = self.0.clone();
        Box::pin(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(serve(stream))),
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        })
    }
}

fn played(name: &str, text: &str, server: &dyn Server) -> Cell {
    let scenario = Scenario::from_toml(name, text).unwrap_or_else(|error| panic!("{error}"));
    Cell::twice(Engine::Leap, &Arc::new(scenario), server, Detail::TOLD)
}

fn says(cell: &Cell) -> &str {
    cell.findings.first().map_or("", |finding| &finding.says)
}

/// The next head, `None` at the end of the stream.
async fn head(stream: &mut Stream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if timeout(IDLE, stream.read(&mut byte)).await?? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// The head clock of the first request is looked at for each later one, too.
#[test]
fn a_request_that_was_read_and_dropped_is_no_crossing() {
    let defect = |clock: Duration| {
        move |mut stream: Stream| async move {
            let opened = Instant::now();
            while head(&mut stream).await?.is_some() {
                if opened.elapsed() > clock {
                    return Ok(());
                }
                stream.write_all(OK).await?;
            }
            Ok(())
        }
    };
    let text = include_str!("reported/node-24760.toml");
    let cell = played("node-24760", text, &Of(defect(Duration::from_secs(10))));
    assert_eq!(cell.verdict(), Verdict::Protocol, "{:?}", cell.findings);
    assert!(
        says(&cell).contains("request 4 was whole at "),
        "{}",
        says(&cell)
    );
    assert!(
        says(&cell).contains("the server had read it"),
        "{}",
        says(&cell)
    );
    let cell = played("node-24760", text, &Of(defect(IDLE)));
    assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
}

/// Three seconds behind the begin of the last response the socket is dropped, or when the client has taken all of it.
#[test]
fn a_response_that_is_cut_while_its_client_reads_is_lost() {
    let page = |cut: Option<Duration>| {
        move |mut stream: Stream| async move {
            let Some(head) = head(&mut stream).await? else {
                return Ok(());
            };
            let count = head
                .split(['/', ' '])
                .nth(3)
                .and_then(|count| count.parse().ok());
            let body = vec![b'x'; count.unwrap_or(2)];
            let response = async {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
                stream.shutdown().await?;
                copy(&mut stream, &mut sink()).await.map(drop)
            };
            match cut {
                Some(cut) => timeout(cut, response).await.unwrap_or(Ok(())),
                None => timeout(IDLE, response).await.unwrap_or(Ok(())),
            }
        }
    };
    let text = include_str!("reported/envoy-6392-3s.toml");
    let cell = played(
        "envoy-6392-3s",
        text,
        &Of(page(Some(Duration::from_secs(3)))),
    );
    assert_eq!(cell.verdict(), Verdict::Lost, "{:?}", cell.findings);
    let cell = played("envoy-6392-3s", text, &Of(page(None)));
    assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
}

/// RFC 9112 section 2.2: a recipient MAY take a single LF for a line end. To one that does not, the head is not over, or malformed.
#[test]
fn whether_a_bare_line_feed_ends_a_line_is_the_servers_choice() {
    let text = include_str!("reported/strict-crlf.toml");
    let waits = |mut stream: Stream| async move {
        while head(&mut stream).await?.is_some() {
            stream.write_all(OK).await?;
        }
        Ok(())
    };
    let refuses = |mut stream: Stream| async move {
        let mut some = [0; 1024];
        let count = stream.read(&mut some).await?;
        let bare = some[..count]
            .windows(2)
            .any(|two| two[1] == b'\n' && two[0] != b'\r');
        if bare {
            stream.write_all(REFUSED).await?;
            stream.shutdown().await?;
            return timeout(IDLE, copy(&mut stream, &mut sink()))
                .await
                .map_or(Ok(()), |copied| copied.map(drop));
        }
        stream.write_all(OK).await
    };
    for cell in [
        played("strict-crlf", text, &Of(waits)),
        played("strict-crlf", text, &Of(refuses)),
    ] {
        assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
    }
}

/// More bytes come behind the breach: what is told is how long it was held then.
#[test]
fn the_figure_is_the_one_at_the_breach() {
    for (name, text, verdict) in [
        (
            "hung-msg",
            include_str!("reported/hung-msg.toml"),
            Verdict::Hung,
        ),
        (
            "late-msg",
            include_str!("reported/late-msg.toml"),
            Verdict::Late,
        ),
    ] {
        let server = server::named("hyper-timeouts").expect("it is built in");
        let cell = played(name, text, &*server);
        assert_eq!(cell.verdict(), verdict, "{name}");
        let says = says(&cell);
        assert!(
            says.contains("at 75.06 s, more than 75 s after"),
            "{name}: {says}"
        );
        assert!(!says.contains(" 0 ms "), "{name}: {says}");
        // The stack is there, also of what has ended since.
        let stack = cell.findings[0].task.as_ref().map(|task| &task.stack);
        let waits = |stack: &Vec<String>| stack.iter().any(|frame| frame.contains("poll_read"));
        assert!(stack.is_some_and(waits), "{name}: {stack:?}");
    }
}
