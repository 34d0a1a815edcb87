//! `tracing`: a span for each connection, with its phases, requests, responses and its end in it, the application's events among them.

use crate::scene::{Scene, settle};
use hangup_server::Limits;
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

#[tokio::test(start_paused = true)]
async fn a_connection_tells_its_life() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .without_time()
        .with_ansi(false)
        .with_target(false)
        .with_writer(lines.clone())
        .finish();
    // While there is only one subscriber, tracing asks the thread that meets an event first whether anybody listens, and
    // remembers its answer for all: with two it asks them both.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _default = tracing::subscriber::set_default(subscriber);
    let mut scene = Scene::new(Limits::default());
    let mut client = scene.connect();
    settle().await;
    client.incident().await;
    assert!(client.rest().await.starts_with("HTTP/1.1 408"));
    drop(client);
    sleep(Duration::from_secs(1)).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let span = "DEBUG connection{id=1 peer=10.0.0.1:1}: ";
    let said: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix(span).expect(line))
        .collect();
    assert_eq!(
        said,
        [
            "waits phase=opening left_s=10.0 clock=total",
            r#"request method=POST path="/echo""#,
            "response status=100",
            "waits phase=expect left_s=5.0 clock=total",
            "response status=408",
            "waits phase=linger left_s=2.0 clock=gap",
            r#"closed reason="timeout-expect" age_s=5.001 bytes_in=76 bytes_out=95"#,
        ]
    );
}
