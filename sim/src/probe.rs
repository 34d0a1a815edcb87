//! The fresh, well-behaved client that comes after a scenario: a server that does not serve it is deaf.

use crate::client::opened_by;
use crate::exchange::{Requests, Responses};
use crate::honest;
use crate::ledger::Opener;
use crate::trace::{lasts, record};
use crate::transport::{Dialer, Stream};
use hangup_scenario::Network;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// When it comes, the server is done with what its last client has left behind.
const BREATH: Duration = Duration::from_millis(20);
/// How long it waits for its answer, over a network without latency.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many one-way times of the network it waits on top: handshake, request, answer, and some in reserve.
const TRIPS: u32 = 10;
/// And never less than this in real time.
const MACHINE: Duration = Duration::from_secs(5);
/// Where it is told that there are too many requests (429), it comes again so much later.
const AGAIN: Duration = Duration::from_secs(5);
/// A ban of an address for what its clients did is over then.
const BAN: Duration = Duration::from_secs(60 * 60);
/// "Too many requests": a server that limits rates says so to a client that is to come later.
const TOO_MANY: u16 = 429;
/// How often it looks whether it was accepted.
const LOOK: Duration = Duration::from_millis(10);

/// What it says to an HTTP server that names nothing else.
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: hangup\r\nConnection: close\r\n\r\n";

/// What it asks for.
#[derive(Clone, Copy)]
enum Ask<'a> {
    /// A whole response to this request, which is no server error.
    Response(&'a [u8]),
    /// Anything at all in answer to this request, which is not HTTP.
    Byte(&'a [u8]),
    /// To be accepted: nobody knows what to say to such a server.
    Accept,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reception {
    Served,
    /// The connection was ended without a whole answer, or the answer was an error of the server's or 429.
    TurnedAway,
    /// Nothing came within the patience.
    Ignored,
}

/// Asks as a server wants to be asked: over HTTP, in a protocol of its own, or, where nobody knows what to say, by connecting alone.
/// True when it is served.
///
/// It comes from the address that the scenario's clients share. A server may ban that for what they did: who is turned away
/// is served at another address, and, once the ban must be over, at the first one.
pub(crate) async fn is_well(
    dialer: Dialer,
    network: &Network,
    (http, request): (bool, Option<&[u8]>),
) -> bool {
    let ask = match (http, request) {
        (true, request) => Ask::Response(request.unwrap_or(GET)),
        (false, Some(request)) => Ask::Byte(request),
        (false, None) => Ask::Accept,
    };
    sleep(lasts(BREATH)).await;
    let other = Some(honest::address(honest::HONEST_MAX));
    match received(dialer, None, network, ask).await {
        Reception::Served => true,
        Reception::TurnedAway if dialer.has_addresses() => {
            received(dialer, other, network, ask).await == Reception::Served
                && is_let_in_again(dialer, network, ask).await
        }
        Reception::TurnedAway | Reception::Ignored => false,
    }
}

/// A ban ends. In real time nobody waits for that.
async fn is_let_in_again(dialer: Dialer, network: &Network, ask: Ask<'_>) -> bool {
    if let Dialer::Wire(_) = dialer {
        return true;
    }
    sleep(lasts(BAN)).await;
    received(dialer, None, network, ask).await == Reception::Served
}

/// Asks from this address, again for as long as it is told to come later.
async fn received(
    dialer: Dialer,
    from: Option<IpAddr>,
    network: &Network,
    ask: Ask<'_>,
) -> Reception {
    let told_later = AtomicBool::new(false);
    let asked = pin!(until_let_in(dialer, from, ask, &told_later));
    let asked = timeout(patience(network), opened_by(Opener::Probe, asked));
    match asked.await {
        Ok(Ok(true)) => Reception::Served,
        Ok(_) => Reception::TurnedAway,
        Err(_) if told_later.load(Relaxed) => Reception::TurnedAway,
        Err(_) => Reception::Ignored,
    }
}

/// Asks again for as long as it is told to come later: who is told so for ever is shut out.
async fn until_let_in(
    dialer: Dialer,
    from: Option<IpAddr>,
    ask: Ask<'_>,
    told_later: &AtomicBool,
) -> io::Result<bool> {
    let Ask::Response(request) = ask else {
        return asked(dialer, from, ask).await;
    };
    loop {
        let stream = dialer.connect_nearby(from).await?;
        match responds(stream, request).await? {
            Some(TOO_MANY) => {
                told_later.store(true, Relaxed);
                sleep(lasts(AGAIN)).await;
            }
            status => return Ok(is_served(status)),
        }
    }
}

/// An honest client comes at `at`, from this address, makes the server's fresh request, and goes when it is
/// answered or out of patience.
pub(crate) async fn honest_client(
    dialer: Dialer,
    at: Duration,
    from: IpAddr,
    request: Option<Vec<u8>>,
) {
    sleep(at).await;
    let ask = Ask::Response(request.as_deref().unwrap_or(GET));
    let asked = pin!(asked(dialer, Some(from), ask));
    // Whether it was served is in the ledger.
    let _ = timeout(honest::PATIENCE, opened_by(Opener::Honest, asked)).await;
}

async fn asked(dialer: Dialer, from: Option<IpAddr>, ask: Ask<'_>) -> io::Result<bool> {
    let mut stream = dialer.connect_nearby(from).await?;
    match ask {
        Ask::Response(request) => Ok(is_served(responds(stream, request).await?)),
        Ask::Byte(request) => {
            stream.write_all(request).await?;
            stream.read_u8().await.map(|_| true)
        }
        Ask::Accept => {
            let is_accepted = || {
                record(|recorder| {
                    let connection = recorder.ledger.get(stream.connection());
                    connection.is_some_and(|connection| connection.accepted.is_some())
                })
            };
            while is_accepted() == Some(false) {
                sleep(LOOK).await;
            }
            Ok(true)
        }
    }
}

/// A well-behaved client comes, asks once `gathering` is over, and leaves with its answer or without one.
pub(crate) async fn visits(
    dialer: Dialer,
    network: &Network,
    (http, request): (bool, Option<&[u8]>),
    gathering: Duration,
) {
    let visit = pin!(async {
        let mut stream = dialer.connect_nearby(None).await?;
        sleep(lasts(gathering)).await;
        match (http, request) {
            (true, request) => responds(stream, request.unwrap_or(GET)).await.map(drop),
            (false, Some(request)) => {
                stream.write_all(request).await?;
                stream.read_u8().await.map(drop)
            }
            (false, None) => io::Result::Ok(()),
        }
    });
    // Whether it was served is not the question.
    let _ = timeout(patience(network), opened_by(Opener::Visitor, visit)).await;
}

fn patience(network: &Network) -> Duration {
    let patience = PATIENCE + (network.latency + network.jitter) * TRIPS;
    // However fast the run's time goes, a machine under load may need some of its own.
    lasts(patience).max(patience.min(MACHINE))
}

/// It got a whole response that is no server error.
fn is_served(status: Option<u16>) -> bool {
    status.is_some_and(|status| status < 500)
}

/// The status of the whole response, if there is one.
async fn responds(mut stream: Stream, request: &[u8]) -> io::Result<Option<u16>> {
    stream.write_all(request).await?;
    let requests = request.starts_with(b"HEAD ").then(|| {
        let mut requests = Requests::without_contents();
        requests.feed(Duration::ZERO, request);
        requests
    });
    let mut responses = Responses::without_contents();
    let mut buffer = [0; 1024];
    while responses.complete == 0 {
        match stream.read(&mut buffer).await? {
            0 => {
                responses.end(Duration::ZERO);
                break;
            }
            count => responses.feed(Duration::ZERO, &buffer[..count], requests.as_ref()),
        }
    }
    let last = responses.list.last();
    let last = last.filter(|_| responses.complete == 1);
    Ok(last.map(|response| response.status))
}
