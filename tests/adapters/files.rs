//! Work on other threads: `tokio::fs`, `spawn_blocking`, and names that are looked up. Nothing is needed for it. The
//! simulated clock stands still until such work is done.

use bytes::Bytes;
use hangup::net::{TcpListener, lookup_host};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::time::Duration;
use tokio::time::sleep;

/// How long a client may take for a head, and for a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// A `GET` is answered with a file, and an upload with its checksum.
async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
    let body = match *request.method() {
        Method::POST => {
            let body = tokio::time::timeout(PATIENCE, request.collect()).await??;
            let body = body.to_bytes();
            let sum = |body: Bytes| body.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            let sum = tokio::task::spawn_blocking(move || sum(body)).await?;
            format!("{sum}\n").into()
        }
        _ => {
            let mut addresses = lookup_host("localhost:80").await?;
            let address = addresses.next().ok_or("localhost has no address")?;
            let mut file = tokio::fs::read(file_of_the_package()).await?;
            file.extend(address.to_string().into_bytes());
            file
        }
    };
    Ok(Response::new(Full::from(body)))
}

fn file_of_the_package() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")
}

/// Serves it, with a clock for request heads.
pub async fn serve(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::hangs;
    use hangup::Bed;
    use hangup::bed::Route;
    use hangup_scenario::Verdict;

    #[test]
    fn work_on_other_threads_is_deterministic() {
        let outcome = Bed::new("files", |listener, _| serve(listener))
            .route(Route::ReadsBody, "/upload")
            .cases(0)
            .keep_nothing()
            .run();
        assert_eq!(outcome.preflight, None);
        let kinds = |cell: &hangup::cell::Cell| {
            let kinds = cell.findings.iter().map(|finding| finding.kind);
            kinds.collect::<Vec<_>>()
        };
        for cell in &outcome.convicted {
            assert!(
                !kinds(cell).contains(&Verdict::Nondeterministic),
                "{outcome}"
            );
        }
        assert!(outcome.incidents > 40, "{outcome}");
        // Its two clocks end what they are for.
        assert!(!hangs(&outcome, "half-head"), "{outcome}");
        assert!(!hangs(&outcome, "fasthttp-1834"), "{outcome}");
    }
}
