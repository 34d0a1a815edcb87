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

/// It asks for `/` and goes; true when it gets a whole answer that is not a server error, or when such a network says nothing about
/// the server.
pub(crate) async fn is_served(dialer: Dialer, network: &Network) -> bool {
    if network.loss > LOSS_MAX {
        return true;
    }
    let attempts = if network.loss > 0.0 { ATTEMPTS } else { 1 };
    for _ in 0..attempts {
        let asked = timeout(patience(network), opened_by(Opener::Probe, ask(dialer)));
        if asked.await.unwrap_or(false) {
            return true;
        }
    }
    false
}

/// It connects, stays until it is accepted, and goes; true when it is, or when such a network says nothing about the server. For
/// servers of which it is not known what to say to them.
pub(crate) async fn is_accepted(dialer: Dialer, network: &Network) -> bool {
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
