//! The fresh, well-behaved client that comes after a scenario: a server that does not serve it is deaf.

use crate::client::opened_by;
use crate::exchange::{Requests, Responses};
use crate::ledger::Opener;
use crate::transport::Dialer;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long it waits for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// It asks for `/` and goes; true when it is answered 200.
pub(crate) async fn is_served(dialer: Dialer) -> bool {
    timeout(PATIENCE, opened_by(Opener::Probe, ask(dialer)))
        .await
        .unwrap_or(false)
}

async fn ask(dialer: Dialer) -> bool {
    let Ok(mut stream) = dialer.connect().await else {
        return false;
    };
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: hangup\r\nConnection: close\r\n\r\n";
    if stream.write_all(REQUEST).await.is_err() {
        return false;
    }
    let mut requests = Requests::default();
    requests.feed(Duration::ZERO, REQUEST);
    let mut responses = Responses::default();
    let mut buffer = [0; 1024];
    while responses.complete == 0 {
        match stream.read(&mut buffer).await {
            Ok(0) => {
                responses.end();
                break;
            }
            Ok(count) => responses.feed(Duration::ZERO, &buffer[..count], &requests.list),
            Err(_) => return false,
        }
    }
    responses.complete == 1
        && responses
            .list
            .last()
            .is_some_and(|response| response.status == 200)
}
