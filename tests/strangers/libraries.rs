//! Servers on hyper and axum, and one that does not speak HTTP.

use crate::base::ACCEPT_PAUSE;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::routing::{get, post};
use hangup::net::TcpListener;
use hangup::server::{Serving, Shutdown};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::{sleep, timeout};

/// The application, in axum.
pub(crate) fn router() -> Router {
    let upload = async |body: Bytes| format!("{} bytes", body.len());
    let form = async |_: Request| (axum::http::StatusCode::FORBIDDEN, "no");
    let report = async || {
        sleep(Duration::from_secs(2)).await;
        "report"
    };
    let wait = async || {
        std::future::pending::<()>().await;
        "never"
    };
    let broken = async || -> &'static str { panic!("this route is broken") };
    Router::new()
        .route("/", get("hello"))
        .route("/upload", post(upload))
        .route("/form", post(form))
        .route("/file", get(async || vec![b'f'; 3 * 1024 * 1024]))
        .route("/report", get(report))
        .route("/wait", get(wait))
        .route("/broken", get(broken))
}

/// `axum::serve`, as its documentation has it.
pub(crate) fn plain_axum(listener: TcpListener, stop: Shutdown) -> Serving {
    Box::pin(async move {
        let serving = axum::serve(listener, router()).with_graceful_shutdown(stop.given());
        let _ = serving.await;
    })
}

/// hyper with a clock for heads, and none for bodies.
pub(crate) fn hyper_header_clock(listener: TcpListener, stop: Shutdown) -> Serving {
    Box::pin(async move {
        let accepting = async {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let service = TowerToHyperService::new(router());
                tokio::spawn(
                    http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(Duration::from_secs(20))
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.given() => {}
        }
    })
}

/// A line protocol whose reader has a clock, and whose writer has none.
pub(crate) fn line_writer(listener: TcpListener, stop: Shutdown) -> Serving {
    Box::pin(async move {
        let accepting = async {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                tokio::spawn(async move {
                    let (reader, mut writer) = stream.into_split();
                    let mut lines = BufReader::new(reader);
                    let mut line = Vec::new();
                    loop {
                        line.clear();
                        let reading = lines.read_until(b'\n', &mut line);
                        if !matches!(timeout(Duration::from_secs(30), reading).await, Ok(Ok(1..))) {
                            return;
                        }
                        if writer.write_all(&line.repeat(64)).await.is_err() {
                            return;
                        }
                    }
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.given() => {}
        }
    })
}
