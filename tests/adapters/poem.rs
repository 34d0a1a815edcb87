//! poem 3: an [`Acceptor`] over the simulated listener.

use hangup::net::{TcpListener, TcpStream};
use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Route, Server, get, handler, post};
use std::io;
use std::time::Duration;

/// The simulated listener, for `Server::new_with_acceptor`.
pub struct Simulated(pub TcpListener);

impl Acceptor for Simulated {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        let address = self.0.local_addr();
        address
            .map(|address| LocalAddr(address.into()))
            .into_iter()
            .collect()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, LocalAddr, RemoteAddr, Scheme)> {
        let (stream, peer) = self.0.accept().await?;
        let local = LocalAddr(stream.local_addr()?.into());
        Ok((stream, local, RemoteAddr(peer.into()), Scheme::HTTP))
    }
}

#[handler]
fn hello() -> &'static str {
    "hello\n"
}

#[handler]
async fn upload(body: Vec<u8>) -> String {
    format!("{} bytes\n", body.len())
}

/// Serves an application, with poem's idle timeout where `idle` says so.
pub async fn serve(listener: TcpListener, idle: Option<Duration>) -> io::Result<()> {
    let app = Route::new().at("/", get(hello)).at("/upload", post(upload));
    let server = Server::new_with_acceptor(Simulated(listener));
    let server = match idle {
        Some(idle) => server.idle_timeout(idle),
        None => server,
    };
    server.run(app).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::hangs;
    use hangup::Bed;
    use hangup::bed::{Outcome, Route};

    fn run(idle: Option<Duration>) -> Outcome {
        let bed = Bed::new("poem", move |listener, _| serve(listener, idle));
        bed.route(Route::ReadsBody, "/upload")
            .cases(0)
            .keep_nothing()
            .run()
    }

    #[test]
    fn its_idle_timeout_does_not_end_half_a_head() {
        for (idle, silence) in [(None, true), (Some(Duration::from_secs(3)), false)] {
            let outcome = run(idle);
            assert_eq!(hangs(&outcome, "connect-silence"), silence, "{outcome}");
            assert_eq!(hangs(&outcome, "idle-keep-alive"), silence, "{outcome}");
            assert!(hangs(&outcome, "half-head"), "{outcome}");
        }
    }
}
