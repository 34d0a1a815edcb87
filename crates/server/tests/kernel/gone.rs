//! Clients that go, and responses that break off.

use crate::scene::{LONG, Scene, hastened};
use hangup_server::{Limits, Span};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

async fn asks(scene: &Scene, request: &str) -> TcpStream {
    let mut client = scene.connect(None).await;
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

/// Reads to the end, or to an error.
async fn end(client: &mut TcpStream) -> (Vec<u8>, std::io::Result<usize>) {
    let mut got = Vec::new();
    let read = timeout(LONG, client.read_to_end(&mut got)).await;
    (got, read.expect("it ends"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_or_resets_ends_a_silent_stream() {
    let mut scene = Scene::new(hastened(Limits::default())).await;
    for request in [
        "GET /silent/5 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /silent/5 HTTP/1.0\r\n\r\n",
    ] {
        for resets in [false, true] {
            let mut client = asks(&scene, request).await;
            let mut got = Vec::new();
            while !got.ends_with(b"xxxxx") && !got.ends_with(b"xxxxx\r\n") {
                client.read_buf(&mut got).await.unwrap();
            }
            if resets {
                client.set_zero_linger().unwrap();
            }
            let start = Instant::now();
            drop(client);
            let reason = scene.closed().await;
            assert_eq!(reason.name(), "client-gone", "{request:?}, reset {resets}");
            let took = start.elapsed();
            let at_most = match resets {
                // At once.
                true => Duration::from_millis(200),
                // A FIN says only that it sends no more: 5 s of silence, here 250 ms.
                false => Duration::from_millis(1000),
            };
            assert!(took < at_most, "{took:?}, {request:?}, reset {resets}");
        }
    }
    scene.kernel_has_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_seen_also_by_a_server_that_reads_no_more() {
    // More pipelined requests than are read ahead.
    let mut scene = Scene::new(Limits {
        vanished: Span::seconds(1),
        ..Limits::default()
    })
    .await;
    let request = "GET /silent/5 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = asks(&scene, &request.repeat(2000)).await;
    let mut got = [0; 5];
    client.read_exact(&mut got).await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(scene.closed().await.name(), "client-gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_ends_with_a_client_that_resets() {
    let mut scene = Scene::new(Limits::default()).await;
    let client = asks(&scene, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let begun = async {
        while scene.ledger.open().iter().all(|open| open.requests == 0) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, begun).await.expect("the request comes");
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(scene.closed().await.name(), "client-gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_breaks_off_does_not_look_complete() {
    let scene = Scene::new(Limits::default()).await;
    for path in ["/broken/24", "/crumbles/24", "/broken/3000000"] {
        let mut client = asks(&scene, &format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        let (_, ended) = end(&mut client).await;
        let kind = ended.map_err(|error| error.kind());
        assert_eq!(kind, Err(std::io::ErrorKind::ConnectionReset), "{path}");
        // With a framing that shows it, what was given still arrives.
        let mut client = asks(&scene, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let (got, ended) = end(&mut client).await;
        assert!(ended.is_ok(), "{path}");
        assert!(!got.ends_with(b"0\r\n\r\n"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_a_response_that_its_close_ends_is_a_reset() {
    // By its age, and by a server that is dropped.
    let scene = Scene::new(Limits {
        age: Span::of(Duration::from_millis(300)),
        ..Limits::default()
    })
    .await;
    let mut client = asks(&scene, "GET /silent/24 HTTP/1.0\r\n\r\n").await;
    let (_, ended) = end(&mut client).await;
    assert!(ended.is_err(), "cut by its age");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_has_keepalive_probes_and_a_short_send_queue() {
    use hangup_server::Listener;
    let mut listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Listener::prepare(&mut listener, &Limits::default());
    let address = listener.local_addr().unwrap();
    let _client = TcpStream::connect(address).await.unwrap();
    let (stream, _) = Listener::accept(&mut listener).await.unwrap();
    let socket = socket2::SockRef::from(&stream);
    assert!(socket.keepalive().unwrap());
    let seconds = Duration::from_secs;
    assert_eq!(socket.tcp_keepalive_time().unwrap(), seconds(30));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), seconds(10));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    assert_eq!(socket.tcp_notsent_lowat().unwrap(), 128 * 1024);
}
