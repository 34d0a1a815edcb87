//! `cargo run -p hangup-server --example axum -- 127.0.0.1:8080`: an axum application that runs here unchanged.
//!
//! Instead of `axum::serve(listener, app)` it is `Server::new(app).serve(listener)`.

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query};
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use hangup_server::{Limits, Peer, Server, Span};
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/hello/{name}", get(hello))
        .route(
            "/me",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("{peer}\n") }),
        )
        .route("/events", get(events))
        .route("/upload", post(upload))
}

async fn hello(Path(name): Path<String>, Query(query): Query<BTreeMap<String, String>>) -> String {
    format!("hello {name} {query:?}\n")
}

/// An event a second, for as long as the connection lives.
async fn events() -> impl IntoResponse {
    Sse::new(futures_util::stream::unfold(0, |count| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((
            Ok::<_, Infallible>(Event::default().data(count.to_string())),
            count + 1,
        ))
    }))
}

/// Counts the bytes of a body as they come.
async fn upload(mut body: Body) -> Result<String, String> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        length += frame.data_ref().map_or(0, |data| data.len());
    }
    Ok(format!("{length} bytes\n"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".into());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}", listener.local_addr()?);
    // Event streams may live for a day, and uploads be large; everything else is as the defaults have it.
    let wide = Arc::new(Limits {
        age: Span::seconds(24 * 60 * 60),
        body_bytes: 1 << 30,
        ..Limits::default()
    });
    let server = Server::new(app())
        .route_limits(move |head| {
            matches!(head.uri.path(), "/events" | "/upload").then(|| wide.clone())
        })
        .prepare(|request, peer| {
            if let Peer::Socket(address) = peer {
                request.extensions_mut().insert(ConnectInfo(*address));
            }
        });
    server.serve(listener).await;
    Ok(())
}
