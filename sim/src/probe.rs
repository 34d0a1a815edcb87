//! The fresh, well-behaved client that comes after a scenario: a server that does not serve it is deaf.

use crate::client::opened_by;
use crate::exchange::{Requests, Responses};
use crate::ledger::Opener;
use crate::trace::{lasts, record};
use crate::transport::Dialer;
use hangup_scenario::Network;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// How long it waits for its answer, over a network without latency.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many one-way times of the network it waits on top: handshake, request, answer, and some in reserve.
const TRIPS: u32 = 10;
/// And never less than this in real time.
const MACHINE: Duration = Duration::from_secs(5);
/// Where segments are lost, it has the patience for some retransmissions.
const LOSSY: Duration = Duration::from_secs(10 * 60);
/// There it comes again if it is not served, as a browser does: half of its segments lost, its request may well arrive only
/// after the server has rightly given it up.
const ATTEMPTS: usize = 20;
/// How often it looks whether it was accepted.
const LOOK: Duration = Duration::from_millis(10);
/// Beyond this probability of loss, silence says nothing about a server.
const LOSS_MAX: f64 = 0.6;

/// What it says to an HTTP server that names nothing else.
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: hangup\r\nConnection: close\r\n\r\n";

/// It makes this request and goes; true when it gets a whole answer that is not a server error, or when such a network says nothing
/// about the server.
async fn is_served(dialer: Dialer, network: &Network, request: &[u8]) -> bool {
    if network.loss > LOSS_MAX {
        return true;
    }
    let attempts = if network.loss > 0.0 { ATTEMPTS } else { 1 };
    for _ in 0..attempts {
        let asked = timeout(
            patience(network),
            opened_by(Opener::Probe, ask(dialer, request)),
        );
        if asked.await.unwrap_or(false) {
            return true;
        }
    }
    false
}

/// It makes this request, which is not HTTP, and goes; true when anything comes back, or when such a network says nothing about
/// the server.
async fn is_answered(dialer: Dialer, network: &Network, request: &[u8]) -> bool {
    if network.loss > LOSS_MAX {
        return true;
    }
    let answered = async {
        let mut stream = dialer.connect().await?;
        stream.write_all(request).await?;
        stream.read_u8().await
    };
    let answered = timeout(patience(network), opened_by(Opener::Probe, answered)).await;
    matches!(answered, Ok(Ok(_)))
}

/// Asks as a server wants to be asked: over HTTP, in a protocol of its own, or, where nobody knows what to say, by connecting alone.
pub(crate) async fn is_well(
    dialer: Dialer,
    network: &Network,
    (http, request): (bool, Option<&[u8]>),
) -> bool {
    match (http, request) {
        (true, request) => is_served(dialer, network, request.unwrap_or(GET)).await,
        (false, Some(request)) => is_answered(dialer, network, request).await,
        (false, None) => is_accepted(dialer, network).await,
    }
}

/// It connects, stays until it is accepted, and goes; true when it is, or when such a network says nothing about the server. For
/// servers of which it is not known what to say to them.
async fn is_accepted(dialer: Dialer, network: &Network) -> bool {
    if network.loss > LOSS_MAX {
        return true;
    }
    let accepted = async {
        let Ok(stream) = opened_by(Opener::Probe, dialer.connect()).await else {
            return false;
        };
        let is_accepted = || {
            record(|recorder| {
                let connection = recorder.ledger.get(stream.connection());
                connection.is_some_and(|connection| connection.accepted.is_some())
            })
        };
        while is_accepted() == Some(false) {
            sleep(LOOK).await;
        }
        true
    };
    timeout(patience(network), accepted).await.unwrap_or(false)
}

fn patience(network: &Network) -> Duration {
    let lossy = if network.loss > 0.0 {
        LOSSY
    } else {
        Duration::ZERO
    };
    let patience = PATIENCE + lossy + (network.latency + network.jitter) * TRIPS;
    // However fast the run's time goes, a machine under load may need some of its own.
    lasts(patience).max(patience.min(MACHINE))
}

async fn ask(dialer: Dialer, request: &[u8]) -> bool {
    let Ok(mut stream) = dialer.connect().await else {
        return false;
    };
    if stream.write_all(request).await.is_err() {
        return false;
    }
    let mut requests = Requests::default();
    requests.feed(Duration::ZERO, request);
    let mut responses = Responses::default();
    let mut buffer = [0; 1024];
    while responses.complete == 0 {
        match stream.read(&mut buffer).await {
            Ok(0) => {
                responses.end(Duration::ZERO);
                break;
            }
            Ok(count) => responses.feed(Duration::ZERO, &buffer[..count], &requests),
            Err(_) => return false,
        }
    }
    responses.complete == 1
        && responses
            .list
            .last()
            .is_some_and(|response| response.status < 500)
}
