//! Graceful shutdown.

use crate::base::*;
use hangup::net::TcpListener;
use hangup::server::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// A shutdown waits until idle connections are closed by their clients, without a bound.
#[derive(Default)]
pub(crate) struct WaitsForIdle;

impl Hooks for WaitsForIdle {
    fn clocks(&self) -> Clocks {
        Clocks {
            grace: Duration::from_secs(24 * 60 * 60),
            ..Clocks::default()
        }
    }

    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        if !conn.buf.is_empty() {
            return Ok(true);
        }
        match timeout(conn.clocks.idle, conn.fill()).await {
            Ok(read) => Ok(read? > 0),
            Err(_) => Ok(false),
        }
    }
}

/// A shutdown waits for requests that are under way, as long as they take.
#[derive(Default)]
pub(crate) struct NoGraceBound;

impl Hooks for NoGraceBound {
    fn clocks(&self) -> Clocks {
        Clocks {
            grace: Duration::from_secs(24 * 60 * 60),
            ..Clocks::default()
        }
    }
}

/// A shutdown ends at once what is under way.
#[derive(Default)]
pub(crate) struct KillsBusy;

impl Hooks for KillsBusy {
    fn clocks(&self) -> Clocks {
        Clocks {
            grace: Duration::ZERO,
            ..Clocks::default()
        }
    }
}

/// A request whose head was read when the shutdown came is dropped.
#[derive(Default)]
pub(crate) struct DropsReadRequest;

impl Hooks for DropsReadRequest {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        if !wait(conn).await? {
            return Ok(false);
        }
        let request = head(conn).await?;
        let body = body(conn, &request).await?;
        if conn.stop.is_given() {
            return Ok(false);
        }
        let close = request.close || is_left(&request);
        let answer = self.handle(conn, &request, body).await?;
        respond(conn, &request, answer, close).await?;
        conn.served += 1;
        Ok(!close)
    }
}

/// A shutdown closes a response that is being written.
#[derive(Default)]
pub(crate) struct CutsResponse;

impl Hooks for CutsResponse {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let stop = conn.stop.clone();
        tokio::select! {
            biased;
            sent = respond(conn, request, answer, close) => sent,
            () = stop.given() => Err(End::Gone),
        }
    }
}

/// A shutdown stops accepting, and keeps the listener until the last connection is done.
#[derive(Default)]
pub(crate) struct KeepsListening;

impl Hooks for KeepsListening {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let mut connections = tokio::task::JoinSet::new();
        let mut stopped = std::pin::pin!(stop.clone().given());
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let conn = opened(&*self, stream, peer, &stop);
                        connections.spawn(Arc::clone(&self).connection(conn));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        }
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(self.clocks().grace, all).await;
        drop(listener);
    }
}

/// A shutdown is noticed by the accept loop only when the next client comes.
#[derive(Default)]
pub(crate) struct StopsAtNextClient;

impl Hooks for StopsAtNextClient {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        while !stop.is_given() {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let conn = opened(&*self, stream, peer, &stop);
                    tokio::spawn(Arc::clone(&self).connection(conn));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
        drop(listener);
        tokio::time::sleep(self.clocks().grace).await;
    }
}

/// A client that is connected when the shutdown comes, and has not said anything, is told 503 with
/// a body that is cut.
#[derive(Default)]
pub(crate) struct HalfAFarewell;

impl Hooks for HalfAFarewell {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        let goes_on = wait(conn).await?;
        if !goes_on && conn.stop.is_given() {
            let farewell = b"HTTP/1.1 503 Stopping\r\nContent-Length: 100\r\n\r\nstopping";
            conn.stream.write_all(farewell).await?;
        }
        Ok(goes_on)
    }
}
