//! #1834 as one writes it for the classic `turmoil` crate: a host, a client, and a clock that is walked in ticks of 1 ms.

use bytes::Bytes;
use hangup::server::app::{self, Answer};
use hangup_server::{Peer, Server, service_fn};
use http::Response;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(1);
/// As the incident's network has it.
const LATENCY: Duration = Duration::from_millis(20);
/// What the incident's client sends.
const HEAD: &[u8] =
    b"POST /echo HTTP/1.1\r\nHost: hangup.test\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n";

struct Listener(TcpListener);

impl hangup_server::Listener for Listener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = self.0.accept().await?;
        Ok((stream, address.into()))
    }
}

/// The client asks for 100, gets it, and says nothing for `stall`; gives what it was sent in all.
///
/// # Panics
/// When it gets no 100.
pub(crate) fn expect_and_stall(stall: Duration) -> Vec<u8> {
    let mut sim = turmoil::Builder::new()
        .tick_duration(TICK)
        .simulation_duration(2 * stall)
        .min_message_latency(LATENCY)
        .max_message_latency(LATENCY)
        .rng_seed(1)
        .build();
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let service = service_fn(async |request| {
            let answer = app::answer(request).await;
            answer.unwrap_or_else(|_| Response::new(Answer::Full(Bytes::new())))
        });
        Server::new(service)
            .date_header(false)
            .serve(Listener(listener))
            .await;
        Ok(())
    });
    let (tell, told) = std::sync::mpsc::channel();
    sim.client("client", async move {
        let mut stream = TcpStream::connect("server:80").await?;
        stream.write_all(HEAD).await?;
        let mut seen = vec![0; 1024];
        let count = stream.read(&mut seen).await?;
        seen.truncate(count);
        assert!(seen.starts_with(b"HTTP/1.1 100 "), "{seen:?}");
        tokio::time::sleep(stall).await;
        stream.read_to_end(&mut seen).await?;
        tell.send(seen)?;
        Ok(())
    });
    sim.run().expect("no host fails");
    told.recv().expect("the client has come to its end")
}
