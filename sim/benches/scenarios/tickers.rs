//! Servers that tick, to be held against the same one that does not.

use hangup::Bed;
use hangup::net::{TcpListener, TcpStream};
use hangup::server::Server;
use hangup_scenario::Verdict;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::time::{interval, sleep, timeout};

/// What ticks in each.
pub(crate) const TICKS: [Option<Tick>; 7] = [
    None,
    Some(Tick::Task(Duration::from_secs(10))),
    Some(Tick::Task(Duration::from_secs(1))),
    Some(Tick::Task(Duration::from_millis(1))),
    Some(Tick::Accept(Duration::from_secs(10))),
    Some(Tick::Accept(Duration::from_secs(1))),
    Some(Tick::Accept(Duration::from_millis(1))),
];

/// What ticks, and how often.
#[derive(Clone, Copy)]
pub(crate) enum Tick {
    /// A task of its own.
    Task(Duration),
    /// The accept loop.
    Accept(Duration),
}

pub(crate) const NAMES: [&str; 7] = [
    "generated case, a small server",
    "the same, with a ticker of 10 s",
    "the same, with a ticker of 1 s",
    "the same, with a ticker of 1 ms",
    "the same, accept loop ticks, 10 s",
    "the same, accept loop ticks, 1 s",
    "the same, accept loop ticks, 1 ms",
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

async fn serve(listener: TcpListener, ticks: Option<Tick>) {
    if let Some(Tick::Task(period)) = ticks {
        tokio::spawn(async move {
            let mut ticks = interval(period);
            loop {
                ticks.tick().await;
            }
        });
    }
    let mut own = match ticks {
        Some(Tick::Accept(period)) => Some(interval(period)),
        _ => None,
    };
    let mut ticked = async move || match &mut own {
        Some(ticks) => drop(ticks.tick().await),
        None => pending().await,
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(timeout(DEADLINE, exchange(stream)))),
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
            () = ticked() => {}
        }
    }
}

/// The server that ticks like that.
pub(crate) fn server(ticks: Option<Tick>) -> Arc<dyn Server> {
    let serve = move |listener, _| serve(listener, ticks);
    let bed = Bed::new("ticks", serve).keep_nothing();
    // It answers whatever is asked, and before a body is there.
    bed.tolerate(Verdict::Protocol)
        .tolerate(Verdict::Lost)
        .into()
}
