//! tonic 0.14: a stream of connections that are [`Connected`].

use hangup::net::{TcpListener, TcpStream};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_stream::Stream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;

/// The simulated listener, for `Server::serve_with_incoming`.
pub struct Incoming(pub TcpListener);

impl Stream for Incoming {
    type Item = io::Result<Simulated>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = self.0.poll_accept(cx);
        accepted.map_ok(|(stream, _)| Simulated(stream)).map(Some)
    }
}

/// A simulated stream that tells tonic who its client is.
pub struct Simulated(TcpStream);

impl Connected for Simulated {
    type ConnectInfo = Option<SocketAddr>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.0.peer_addr().ok()
    }
}

impl AsyncRead for Simulated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Simulated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What a client of HTTP/2 says first: the preface and empty settings (RFC 9113, section 3.4). The server answers with its own
/// settings.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Serves no methods at all, with HTTP/2 pings to find clients that are gone where `pings` says how often.
pub async fn serve(listener: TcpListener, pings: Option<Duration>) {
    let mut server = Server::builder()
        .http2_keepalive_interval(pings)
        .http2_keepalive_timeout(pings);
    let serving = server.add_routes(Routes::default());
    let _ = serving.serve_with_incoming(Incoming(listener)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::hangs;
    use hangup::Bed;
    use hangup::bed::Outcome;

    fn run(pings: Option<Duration>) -> Outcome {
        let bed = Bed::new("tonic", move |listener, _| serve(listener, pings));
        bed.not_http(PREFACE).cases(0).keep_nothing().run()
    }

    #[test]
    fn pings_end_a_connection_that_has_begun_and_none_that_has_not() {
        for (pings, idle) in [(None, true), (Some(Duration::from_secs(10)), false)] {
            let outcome = run(pings);
            assert_eq!(hangs(&outcome, "idle-keep-alive"), idle, "{outcome}");
            assert!(hangs(&outcome, "connect-silence"), "{outcome}");
        }
    }
}
