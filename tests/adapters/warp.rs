//! warp 0.4. `Server::incoming` takes listeners of tokio only, since its trait for them is private. What it does with
//! a connection is public: the filter as a service, and hyper-util's `auto` builder.

use hangup::net::TcpListener;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::time::sleep;
use warp::{Filter, Reply};

/// The application.
pub fn routes() -> impl Filter<Extract: Reply, Error = warp::Rejection> + Clone {
    let hello = warp::path::end().and(warp::get()).map(|| "hello\n");
    let upload = warp::path("upload")
        .and(warp::post())
        .and(warp::body::bytes());
    hello.or(upload.map(|body: bytes::Bytes| format!("{} bytes\n", body.len())))
}

/// Serves it as `warp::serve` does, with a clock for request heads where `heads` says so.
pub async fn serve(listener: TcpListener, heads: Option<Duration>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = TowerToHyperService::new(warp::service(routes()));
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            let mut http1 = builder.http1();
            if let Some(heads) = heads {
                http1.timer(TokioTimer::new()).header_read_timeout(heads);
            }
            let stream = TokioIo::new(stream);
            let _ = http1.serve_connection_with_upgrades(stream, service).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::hangs;
    use hangup::Bed;
    use hangup::bed::{Outcome, Route};

    fn run(heads: Option<Duration>) -> Outcome {
        let bed = Bed::new("warp", move |listener, _| serve(listener, heads));
        bed.route(Route::ReadsBody, "/upload")
            .cases(0)
            .keep_nothing()
            .run()
    }

    #[test]
    fn a_clock_for_heads_ends_half_a_head_and_no_body() {
        for (heads, half_head) in [(None, true), (Some(Duration::from_secs(30)), false)] {
            let outcome = run(heads);
            assert_eq!(hangs(&outcome, "half-head"), half_head, "{outcome}");
            assert!(hangs(&outcome, "fasthttp-1834"), "{outcome}");
        }
    }
}
