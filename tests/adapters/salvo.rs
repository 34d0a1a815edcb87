//! salvo 1: an [`Acceptor`] over the simulated listener.

use hangup::net::{TcpListener, TcpStream};
use salvo::conn::tcp::TcpCoupler;
use salvo::conn::{Accepted, Acceptor, ConnCtrl, Holding, StraightStream};
use salvo::fuse::ArcFusePolicy;
use salvo::http::Version;
use salvo::http::uri::Scheme;
use salvo::prelude::*;
use std::io;

/// The simulated listener, for `Server::new`.
pub struct Simulated {
    listener: TcpListener,
    holdings: Vec<Holding>,
}

impl Simulated {
    /// Takes the listener that the test bed gives.
    ///
    /// # Errors
    /// Outside of a run.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        let holding = Holding {
            local_addr: listener.local_addr()?.into(),
            http_versions: vec![Version::HTTP_11],
            http_scheme: Scheme::HTTP,
        };
        Ok(Self {
            listener,
            holdings: vec![holding],
        })
    }
}

impl Acceptor for Simulated {
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = StraightStream<TcpStream>;

    fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    async fn accept(
        &mut self,
        _fuses: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let (stream, peer) = self.listener.accept().await?;
        let local_addr = stream.local_addr()?.into();
        let conn_ctrl = ConnCtrl::new();
        Ok(Accepted {
            coupler: TcpCoupler::new(),
            stream: StraightStream::new(stream, None, conn_ctrl.clone(), None),
            fuse_config: None,
            conn_ctrl,
            local_addr,
            remote_addr: peer.into(),
            http_scheme: Scheme::HTTP,
        })
    }
}

#[handler]
async fn hello() -> &'static str {
    "hello\n"
}

#[handler]
async fn upload(request: &mut Request) -> Result<String, StatusError> {
    let body = request.payload().await;
    let body = body.map_err(|_| StatusError::bad_request())?;
    Ok(format!("{} bytes\n", body.len()))
}

/// Serves an application as salvo does by default.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let router = Router::new()
        .get(hello)
        .push(Router::with_path("upload").post(upload));
    Server::new(Simulated::new(listener)?)
        .try_serve(router)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::hangs;
    use hangup::Bed;
    use hangup::bed::Route;

    #[test]
    fn it_has_a_clock_for_heads_and_none_for_bodies() {
        let bed = Bed::new("salvo", |listener, _| serve(listener));
        let outcome = bed
            .route(Route::ReadsBody, "/upload")
            .cases(0)
            .keep_nothing()
            .run();
        assert!(!hangs(&outcome, "half-head"), "{outcome}");
        assert!(!hangs(&outcome, "idle-keep-alive"), "{outcome}");
        assert!(hangs(&outcome, "fasthttp-1834"), "{outcome}");
    }
}
