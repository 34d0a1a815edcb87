//! tokio-tungstenite: it takes the simulated stream as it is.

use futures_util::{SinkExt, StreamExt};
use hangup::net::TcpListener;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// One whole opening handshake, with the key that RFC 6455, section 1.3 has as its example.
pub const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Echoes messages; a client that is silent for `patience` is let go.
pub async fn serve(listener: TcpListener, patience: Duration) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(async move {
            let opening = timeout(patience, tokio_tungstenite::accept_async(stream)).await;
            let Ok(Ok(mut socket)) = opening else { return };
            while let Ok(Some(Ok(message))) = timeout(patience, socket.next()).await {
                if timeout(patience, socket.send(message)).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::hangs;
    use hangup::Bed;

    fn bed(patience: Duration) -> Bed {
        let bed = Bed::new("tungstenite", move |listener, _| serve(listener, patience));
        bed.not_http(HANDSHAKE).keep_nothing()
    }

    #[test]
    fn without_a_deadline_each_await_can_be_held() {
        let outcome = bed(Duration::MAX).cases(0).run();
        for incident in ["connect-silence", "half-head", "idle-keep-alive"] {
            assert!(hangs(&outcome, incident), "{outcome}");
        }
    }

    #[test]
    fn with_one_it_is_clean() {
        let outcome = bed(Duration::from_secs(10)).cases(100).run();
        assert!(outcome.is_clean(), "{outcome}");
    }
}
