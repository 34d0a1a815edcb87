//! What the probe app does behind a 101: it sends back what comes.
//!
//! It has no clock of its own: how long a silent client may stay is for the server to say, or for nobody.

use super::{Answer, full};
use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The target that switches protocols.
pub(crate) const TARGET: &str = "/upgrade";

/// The protocol in which everything is sent back.
pub(crate) const PROTOCOL: HeaderValue = HeaderValue::from_static("echo");

/// As much as is sent back at a time.
const PIECE: usize = 4096;

/// Switches the connection of a request that asks for it, if its server can; 426 otherwise.
pub(super) fn switch<B, C>(mut request: Request<B>) -> Response<Answer<C>> {
    let asks = request.headers().get(UPGRADE) == Some(&PROTOCOL);
    let offered = request.extensions_mut().remove::<OnUpgrade>();
    let Some(upgrade) = offered.filter(|_| asks) else {
        return named(full(StatusCode::UPGRADE_REQUIRED, "echo only"));
    };
    tokio::spawn(async move {
        // A client that goes, and a server that cuts it off, are no fault of the application's.
        let _ = echo(upgrade).await;
    });
    named(full(StatusCode::SWITCHING_PROTOCOLS, Bytes::new()))
}

fn named<C>(mut response: Response<Answer<C>>) -> Response<Answer<C>> {
    let headers = response.headers_mut();
    headers.insert(UPGRADE, PROTOCOL);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

async fn echo(upgrade: OnUpgrade) -> io::Result<()> {
    let mut stream = TokioIo::new(upgrade.await.map_err(io::Error::other)?);
    let mut piece = vec![0; PIECE];
    loop {
        match stream.read(&mut piece).await? {
            0 => return stream.shutdown().await,
            length => stream.write_all(&piece[..length]).await?,
        }
        stream.flush().await?;
    }
}
