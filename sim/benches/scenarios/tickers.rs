//! Servers that tick, to be held against the same one that does not.

use hangup::Bed;
use hangup::net::{TcpListener, TcpStream};
use hangup::server::Server;
use hangup_scenario::Verdict;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::time::{interval, sleep, timeout};

/// How often each ticks, if it does.
pub(crate) const PERIODS: [Option<Duration>; 4] = [
    None,
    Some(Duration::from_secs(10)),
    Some(Duration::from_secs(1)),
    Some(Duration::from_millis(1)),
];

pub(crate) const NAMES: [&str; 4] = [
    "generated case, a small server",
    "the same, with a ticker of 10 s",
    "the same, with a ticker of 1 s",
    "the same, with a ticker of 1 ms",
];

const DEADLINE: Duration = Duration::from_secs(20);

/// One request, one answer, and the end of the connection.
async fn exchange(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    copy(&mut stream, &mut sink()).await?;
    Ok(())
}

async fn serve(listener: TcpListener, period: Option<Duration>) {
    if let Some(period) = period {
        tokio::spawn(async move {
            let mut ticks = interval(period);
            loop {
                ticks.tick().await;
            }
        });
    }
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(timeout(DEADLINE, exchange(stream)))),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The server that ticks so often.
pub(crate) fn server(period: Option<Duration>) -> Arc<dyn Server> {
    let serve = move |listener, _| serve(listener, period);
    let bed = Bed::new("ticks", serve).keep_nothing();
    // It answers whatever is asked, and before a body is there.
    bed.tolerate(Verdict::Protocol)
        .tolerate(Verdict::Lost)
        .into()
}
