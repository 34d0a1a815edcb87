//! `axum::serve`, which has no timeout to be set.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::time::Duration;

#[tokio::main]
pub(super) async fn serve(listener: std::net::TcpListener) -> anyhow::Result<()> {
    let slow = async |Path(milliseconds): Path<u64>| {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        "ok"
    };
    let app = Router::new()
        .route("/", get("ok"))
        .route("/echo", post(async |body: Bytes| crate::summary(&body)))
        .route("/reject", post((StatusCode::FORBIDDEN, "rejected")))
        .route("/big/{n}", get(async |Path(count)| vec![b'x'; count]))
        .route("/slow/{ms}", get(slow))
        .route(
            "/stream",
            post(async |request: Request<Body>| request.into_body()),
        );
    axum::serve(tokio::net::TcpListener::from_std(listener)?, app).await?;
    Ok(())
}
