//! hyper's http1 server, as its documentation's example has it; with its one timeout where that is asked for.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::time::Duration;

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn answer(request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let path = request.uri().path().to_owned();
    let number = |prefix| path.strip_prefix(prefix)?.parse().ok();
    if let Some(count) = number("/big/") {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        return Ok(full(StatusCode::OK, vec![b'x'; count]));
    }
    if let Some(milliseconds) = number("/slow/") {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        return Ok(full(StatusCode::OK, "ok"));
    }
    Ok(match (request.method(), path.as_str()) {
        (&Method::GET, "/") => full(StatusCode::OK, "ok"),
        (&Method::POST, "/echo") => {
            let body = request.collect().await?.to_bytes();
            full(StatusCode::OK, crate::summary(&body))
        }
        (&Method::POST, "/reject") => full(StatusCode::FORBIDDEN, "rejected"),
        (&Method::POST, "/stream") => Response::new(request.into_body().boxed()),
        _ => full(StatusCode::NOT_FOUND, "not found"),
    })
}

fn full(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let body = Full::new(text.into()).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status;
    answer
}

#[tokio::main]
pub(super) async fn serve(
    listener: std::net::TcpListener,
    timeouts: Option<Duration>,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut http = http1::Builder::new();
    if let Some(timeouts) = timeouts {
        http.timer(TokioTimer::new()).header_read_timeout(timeouts);
    }
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http.serve_connection(TokioIo::new(stream), service_fn(answer));
        // How a connection failed is the client's business here.
        tokio::spawn(async { drop(connection.await) });
    }
}
