//! `tracing`: a span for each connection, with its phases, requests, responses and its end in it, the application's events among them.

use crate::scene::{Scene, settle};
use hangup_server::Limits;
use http::Response;
use http_body_util::Full;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

/// Whoever listens from `debug` on, and what it hears without the time and the module. Hold it for as long as it is to listen.
pub(crate) struct Hears {
    lines: Lines,
    _default: tracing::subscriber::DefaultGuard,
    _second: tracing::Dispatch,
}

impl Hears {
    pub(crate) fn all() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .with_writer(lines.clone())
            .finish();
        Hears {
            lines,
            // While there is only one subscriber, tracing asks the thread that meets an event first whether anybody listens, and
            // remembers its answer for all: with two it asks them both.
            _second: tracing::Dispatch::new(tracing_subscriber::registry()),
            _default: tracing::subscriber::set_default(subscriber),
        }
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }

    /// What was said within the span of this connection, and that nothing was said outside of a span.
    fn said_by(&self, connection: u16) -> Vec<String> {
        let text = self.text();
        assert!(
            text.lines().all(|line| line.contains(" connection{id=")),
            "{text}"
        );
        let span = format!("connection{{id={connection} peer=10.0.0.1:{connection}}}: ");
        let said = text.lines().filter_map(|line| line.split_once(&span));
        said.map(|(level, said)| format!("{} {said}", level.trim()))
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_tells_its_life() {
    let hears = Hears::all();
    let mut scene = Scene::new(Limits::default());
    let mut client = scene.connect();
    settle().await;
    client.incident().await;
    assert!(client.rest().await.starts_with("HTTP/1.1 408"));
    drop(client);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        hears.said_by(1),
        [
            "DEBUG waits phase=opening left_s=10.0 clock=total",
            r#"DEBUG request method=POST path="/echo""#,
            "DEBUG response status=100",
            "DEBUG waits phase=expect left_s=5.0 clock=total",
            "DEBUG response status=408",
            "DEBUG waits phase=linger left_s=2.0 clock=gap",
            r#"DEBUG closed reason="timeout-expect" age_s=5.001 bytes_in=76 bytes_out=95"#,
        ]
    );
}

/// Two connections at once, an application that speaks before and after it waits, in its response's body, and in its drop.
#[tokio::test(start_paused = true)]
async fn what_the_application_says_is_said_in_its_connections_span() {
    struct Leaves(String);
    impl Drop for Leaves {
        fn drop(&mut self) {
            tracing::info!(path = self.0, "leaves");
        }
    }
    let hears = Hears::all();
    let mut scene = Scene::with(|request| {
        Box::pin(async move {
            let leaves = Leaves(request.uri().path().to_owned());
            tracing::info!(path = leaves.0, "comes");
            sleep(Duration::from_secs(1)).await;
            tracing::warn!(path = leaves.0, "has slept");
            if leaves.0 == "/never" {
                std::future::pending::<()>().await;
            }
            Response::new(Full::from("ok"))
        })
    });
    let (mut one, mut two) = (scene.connect(), scene.connect());
    one.send("GET /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    two.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(one.rest().await.ends_with("ok"));
    assert!(two.rest().await.starts_with("HTTP/1.1 503 "));
    for (connection, path) in [(1, "/one"), (2, "/never")] {
        let said = hears.said_by(connection);
        let own: Vec<&str> = said
            .iter()
            .filter(|said| !said.starts_with("DEBUG"))
            .map(String::as_str)
            .collect();
        let expected = ["INFO comes", "WARN has slept", "INFO leaves"]
            .map(|said| format!("{said} path=\"{path}\""));
        assert_eq!(own, expected);
    }
}
