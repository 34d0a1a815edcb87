//! A hyper server with a deadline for everything a client can do. hyper has one for the head; the others are a `timeout`
//! around the body, and one around the whole connection for all that is left: a client that does not read, one that is idle.
//!
//! `cargo run --example hyper` listens on 127.0.0.1:8080, `cargo test --example hyper` puts it on the test bed.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[cfg(test)]
use hangup::net::TcpListener;
#[cfg(not(test))]
use tokio::net::TcpListener;

const HEAD: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);
/// However long a client goes on: then it has to connect again.
const CONNECTION: Duration = Duration::from_secs(60);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn serve(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            // A client may end its side and wait for the answer.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(timeout(CONNECTION, connection));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if !has_its_host(&request) {
        return Ok(text(StatusCode::BAD_REQUEST, "one Host, please\n"));
    }
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => text(StatusCode::OK, "hello\n"),
        (&Method::GET, "/export") => text(StatusCode::OK, vec![b'x'; 8 << 20]),
        (&Method::POST, "/upload") => match timeout(BODY, request.into_body().collect()).await {
            Ok(Ok(body)) => {
                let length = body.to_bytes().len();
                text(StatusCode::OK, format!("{length} bytes\n"))
            }
            Ok(Err(_)) => text(StatusCode::BAD_REQUEST, "not the body that was announced\n"),
            Err(_) => text(StatusCode::REQUEST_TIMEOUT, "too slow\n"),
        },
        _ => text(StatusCode::NOT_FOUND, "not here\n"),
    })
}

/// HTTP/1.1 wants one Host field, and never two (RFC 9112 section 3.2). hyper leaves that to the application.
fn has_its_host(request: &Request<Incoming>) -> bool {
    match request.headers().get_all(HOST).iter().count() {
        0 => request.version() == Version::HTTP_10,
        count => count == 1,
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    #[cfg(not(test))]
    serve(TcpListener::bind("127.0.0.1:8080").await?).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CONNECTION, serve};
    use hangup::Bed;
    use hangup::bed::Route;
    use hangup::contract::Contract;
    use hangup_scenario::Verdict;

    #[test]
    fn no_client_can_hold_a_connection() {
        Bed::new("hyper-with-deadlines", |listener, _shutdown| {
            serve(listener)
        })
        .route(Route::ReadsBody, "/upload")
        .route(Route::Big, "/export")
        .contract(Contract {
            stall: CONNECTION,
            residence: CONNECTION,
            ..Contract::default()
        })
        // hyper does not linger: where it closes with unread bytes, its reset can erase its last answer at a client whose
        // system does not keep what it has not read.
        .tolerate(Verdict::Lost)
        .check();
    }
}
