//! An axum application with a graceful shutdown, and every command of hangup for it.
//!
//! | | |
//! |---|---|
//! | `cargo run --example axum -- listen` | serves it on 127.0.0.1:8080, until Ctrl-C |
//! | `cargo run --example axum -- check` | the incident book against it |
//! | `cargo test --example axum` | the same, and generated clients, as tests |

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use hangup::Bed;
use hangup::bed::Route;
use hangup::contract::Contract;
use hangup_server::{Limits, Server};
use std::env;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route(
            "/upload",
            post(async |body: Bytes| format!("{} bytes\n", body.len())),
        )
        .route("/export", get(|| async { vec![b'x'; 8 << 20] }))
}

/// As axum's documentation has it. There is no deadline in it, so a client that stalls keeps its connection, and keeps the
/// server from shutting down.
async fn plainly(
    listener: impl axum::serve::Listener<Addr: std::fmt::Debug>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let serving = axum::serve(listener, app()).with_graceful_shutdown(shutdown);
    // It ends when it is told to shut down, and has no error to give.
    let _ = serving.await;
}

/// The same application, on a server that has a deadline for every phase of a connection.
async fn bounded(
    listener: impl hangup_server::Listener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let server = Server::new(app());
    server.serve_with_shutdown(listener, shutdown).await;
}

fn plain_bed() -> Bed {
    Bed::new("plainly", |listener, shutdown| {
        plainly(listener, shutdown.given())
    })
    .route(Route::ReadsBody, "/upload")
    .route(Route::Big, "/export")
    .contract(Contract {
        shutdown: Some(Duration::from_secs(30)),
        ..Contract::default()
    })
}

fn bounded_bed() -> Bed {
    Bed::new("bounded", |listener, shutdown| {
        bounded(listener, shutdown.given())
    })
    .route(Route::ReadsBody, "/upload")
    .route(Route::Big, "/export")
    .contract(Contract::from(&Limits::default()))
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("listen") {
        return listen();
    }
    hangup::cli(plain_bed()).and(bounded_bed()).main()
}

#[tokio::main(flavor = "current_thread")]
async fn listen() -> ExitCode {
    match tokio::net::TcpListener::bind("127.0.0.1:8080").await {
        Ok(listener) => {
            bounded(listener, async { drop(tokio::signal::ctrl_c().await) }).await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("127.0.0.1:8080: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{bounded_bed, plain_bed};
    use hangup_scenario::Verdict;

    #[test]
    fn no_client_can_hold_a_connection() {
        bounded_bed().check();
    }

    /// What axum alone comes to: a change here is news.
    #[test]
    fn on_axum_alone_stalled_clients_hold_theirs_and_the_shutdown() {
        let outcome = plain_bed().keep_nothing().cases(100).run();
        let convicted = |name: &str| {
            let cells = &outcome.convicted;
            cells
                .iter()
                .find(|cell| cell.scenario.name == name)
                .map(|cell| cell.verdict())
        };
        assert_eq!(convicted("fasthttp-1834"), Some(Verdict::Hung));
        assert_eq!(convicted("half-head"), Some(Verdict::Hung));
        let report = outcome.to_string();
        assert!(report.contains("hyper::proto::h1"), "{report}");
    }
}
