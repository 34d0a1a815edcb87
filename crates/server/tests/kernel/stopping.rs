//! A server that shuts down, or is dropped, over real sockets.

use crate::scene::{LONG, Scene};
use hangup_server::Limits;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Reads one `ok`. `None` if the connection ends before the first byte of the response.
async fn response(client: &mut TcpStream) -> Option<String> {
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\nok") {
        match client.read_buf(&mut got).await {
            Ok(1..) => {}
            Ok(0) | Err(_) if got.is_empty() => return None,
            ended => panic!("{ended:?} behind {:?}", String::from_utf8_lossy(&got)),
        }
    }
    Some(String::from_utf8(got).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_crosses_the_shutdown_is_answered_with_close() {
    const CLIENTS: usize = 8;
    const LENGTH: usize = 200_000;
    for round in 0..3 {
        let mut scene = Scene::new(Limits::default()).await;
        let head = format!("POST /takes HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n");
        let request = [head.as_bytes(), &[b'x'; LENGTH]].concat();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let (mut client, request) = (scene.connect(None).await, request.clone());
            let (begun, begins) = tokio::sync::oneshot::channel();
            let mut begun = Some(begun);
            let exchanges = async move {
                loop {
                    client.write_all(&request).await.expect("it is taken");
                    // One more was sent, while nothing said that the connection would close.
                    let answer = response(&mut client).await.expect("it is answered");
                    begun.take().map(|begun| begun.send(()));
                    if answer.contains("\r\nconnection: close\r\n") {
                        return;
                    }
                }
            };
            clients.push(tokio::spawn(timeout(LONG, exchanges)));
            begins.await.expect("it is served");
        }
        scene.shut_down();
        for client in clients {
            let answered = client.await;
            answered
                .unwrap_or_else(|error| panic!("round {round}: {error}"))
                .expect("in time");
        }
        let report = scene.report().await;
        assert!(
            report.cut.is_empty() && report.stuck.is_empty(),
            "{report:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shutdown_cuts_does_not_look_complete() {
    // Only its close would tell the length, and the client has taken all that there is so far.
    let mut scene = Scene::new(Limits {
        shutdown: hangup_server::Span::of(Duration::from_millis(300)),
        ..Limits::default()
    })
    .await;
    let mut client = scene.connect(None).await;
    let request = b"GET /silent/24 HTTP/1.0\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(&[b'x'; 24]) {
        client.read_buf(&mut got).await.unwrap();
    }
    scene.shut_down();
    let end = timeout(LONG, client.read_to_end(&mut got)).await;
    let kind = end.expect("it ends").map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::ConnectionReset));
    assert_eq!(scene.report().await.cut.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_server_resets_what_is_under_way() {
    let mut scene = Scene::new(Limits::default()).await;
    let mut client = scene.connect(None).await;
    let request = b"GET /silent/24 HTTP/1.0\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(&[b'x'; 24]) {
        client.read_buf(&mut got).await.unwrap();
    }
    scene.drop_server().await;
    let end = timeout(LONG, client.read_to_end(&mut got)).await;
    let kind = end.expect("it ends").map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::ConnectionReset));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_has_the_time_of_the_shutdown() {
    let mut scene = Scene::new(Limits {
        shutdown: hangup_server::Span::seconds(2),
        ..Limits::default()
    })
    .await;
    let mut clients = Vec::new();
    for length in [100_000, 1_000_000_000] {
        let mut client = scene.connect(Some(2_000)).await;
        let request = format!("GET /big/{length} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 15];
        client.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        clients.push(client);
    }
    scene.shut_down();
    // The first one reads on, and its response is complete; the second one never reads.
    let (mut short, mut long) = (clients.remove(0), clients.remove(0));
    let mut got = Vec::new();
    let read = timeout(LONG, short.read_to_end(&mut got)).await;
    read.expect("it ends").expect("with a FIN");
    assert!(got.ends_with(b"0\r\n\r\n"));
    assert_eq!(got.iter().filter(|byte| **byte == b'x').count(), 100_000);
    let report = scene.report().await;
    assert_eq!(report.cut.len(), 1, "{report:?}");
    scene.kernel_has_nothing().await;
    let mut rest = Vec::new();
    let end = timeout(LONG, long.read_to_end(&mut rest)).await;
    let kind = end.expect("it ends").map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::ConnectionReset));
}
