//! `cargo run -p hangup-server --example hello -- 127.0.0.1:8080`: a hello, an echo and a slow answer on real TCP.
//!
//! Ctrl-C shuts down gracefully and says how that went.

use bytes::Bytes;
use hangup_server::{Body, Limits, Server, service_fn};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use std::time::Duration;

type Answer = Response<Either<Full<Bytes>, Body>>;

async fn answer(request: Request<Body>) -> Answer {
    let text = |text: &'static str| Response::new(Either::Left(Full::from(text)));
    match request.uri().path() {
        "/" => text("hello\n"),
        "/echo" => match request.into_body().collect().await {
            Ok(body) => Response::new(Either::Left(Full::new(body.to_bytes()))),
            Err(_) => status(StatusCode::BAD_REQUEST),
        },
        "/stream" => Response::new(Either::Right(request.into_body())),
        "/reject" => status(StatusCode::FORBIDDEN),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(3)).await;
            text("at last\n")
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn status(status: StatusCode) -> Answer {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".into());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}\n{}", listener.local_addr()?, Limits::default());
    let signal = async {
        // Without a handler for it, Ctrl-C ends the process as ever.
        let _ = tokio::signal::ctrl_c().await;
    };
    let report = Server::new(service_fn(answer))
        .serve_with_shutdown(listener, signal)
        .await;
    println!("{report:#?}");
    Ok(())
}
