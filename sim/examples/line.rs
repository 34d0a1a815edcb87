//! A server that does not speak HTTP: a small store, a command a line. `SET name value`, `GET name`.
//!
//! It is written against `tokio::net`; its tests swap that one import. `cargo run --example line` listens on 127.0.0.1:7777,
//! `cargo test --example line` puts it on the test bed.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

#[cfg(test)]
use hangup::net::{TcpListener, TcpStream};
#[cfg(not(test))]
use tokio::net::{TcpListener, TcpStream};

/// How long a client may take for a line, from its first byte or from the answer before it.
const LINE: Duration = Duration::from_secs(30);
/// How long a client may take to take an answer.
const ANSWER: Duration = Duration::from_secs(10);
const LINE_MAX: u64 = 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long those that are still there may go on when the server shuts down.
const GRACE: Duration = Duration::from_secs(10);

type Store = Arc<Mutex<BTreeMap<String, String>>>;

/// Serves until `shutdown`; a line has to come within `line`.
async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>, line: Duration) {
    let store = Store::default();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&store), line));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
    drop(listener);
    // Who is not done by then is dropped with the set.
    let _ = timeout(GRACE, connections.join_all()).await;
}

async fn connection(stream: TcpStream, store: Store, line: Duration) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut command = Vec::new();
        let mut limited = (&mut reader).take(LINE_MAX);
        let reading = limited.read_until(b'\n', &mut command);
        if timeout(line, reading).await?? == 0 || !command.ends_with(b"\n") {
            return Ok(());
        }
        let answer = answer(&String::from_utf8_lossy(&command), &store);
        timeout(ANSWER, writer.write_all(answer.as_bytes())).await??;
    }
}

fn answer(command: &str, store: &Store) -> String {
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    let mut words = command.trim_end().splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("GET"), Some(name), None) => match store.get(name) {
            Some(value) => format!("{value}\n"),
            None => "none\n".to_owned(),
        },
        (Some("SET"), Some(name), Some(value)) => {
            store.insert(name.to_owned(), value.to_owned());
            "ok\n".to_owned()
        }
        _ => "what?\n".to_owned(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    #[cfg(not(test))]
    {
        let listener = TcpListener::bind("127.0.0.1:7777").await?;
        let interrupt = async { drop(tokio::signal::ctrl_c().await) };
        serve(listener, interrupt, LINE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{ANSWER, GRACE, LINE, serve};
    use hangup::Bed;
    use hangup::contract::Contract;
    use std::time::Duration;

    fn bed(line: Duration) -> Bed {
        Bed::new("line", move |listener, shutdown| {
            serve(listener, shutdown.given(), line)
        })
        .not_http("GET name\n")
        .contract(Contract {
            stall: LINE + ANSWER,
            shutdown: Some(GRACE),
            ..Contract::default()
        })
    }

    #[test]
    fn no_client_can_hold_a_connection() {
        bed(LINE).check();
    }

    /// What the test above is worth: without a deadline for a line it fails.
    #[test]
    fn without_a_deadline_for_a_line_any_silent_client_can() {
        let never = Duration::MAX;
        let outcome = bed(never).keep_nothing().run();
        let report = outcome.to_string();
        assert!(!outcome.is_clean(), "{report}");
        assert!(report.contains("; nothing is"), "{report}");
        assert!(report.contains("OwnedReadHalf::poll_read"), "{report}");
    }
}
