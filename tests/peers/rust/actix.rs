//! actix-web with its defaults: 5 s for a head, 5 s for an idle connection.

use actix_web::web::{self, Bytes, Payload};
use actix_web::{App, HttpResponse, HttpServer, rt};
use std::time::Duration;

#[actix_web::main]
pub(super) async fn serve(listener: std::net::TcpListener) -> anyhow::Result<()> {
    let app = || {
        App::new()
            .route("/", web::get().to(async || "ok"))
            .route(
                "/echo",
                web::post().to(async |body: Bytes| crate::summary(&body)),
            )
            .route(
                "/reject",
                web::post().to(async || HttpResponse::Forbidden().body("rejected")),
            )
            .route(
                "/big/{n}",
                web::get().to(async |count: web::Path<usize>| vec![b'x'; *count]),
            )
            .route("/slow/{ms}", web::get().to(slow))
            .route(
                "/stream",
                web::post().to(async |body: Payload| HttpResponse::Ok().streaming(body)),
            )
    };
    HttpServer::new(app)
        .workers(2)
        .disable_signals()
        .listen(listener)?
        .run()
        .await?;
    Ok(())
}

async fn slow(milliseconds: web::Path<u64>) -> &'static str {
    rt::time::sleep(Duration::from_millis(*milliseconds)).await;
    "ok"
}
