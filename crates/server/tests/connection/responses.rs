//! How responses are framed (RFC 9112 section 6), and streaming both ways.

use crate::client::{Client, secs};
use hangup_server::Limits;
use tokio::io::AsyncReadExt;

async fn said(request: &str) -> String {
    let mut client = Client::connect();
    client
        .send(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
        .await;
    client.end().await.said
}

#[tokio::test(start_paused = true)]
async fn a_known_length_is_told_an_unknown_one_chunked() {
    assert_eq!(
        said("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await,
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
    );
    assert_eq!(
        said("GET /big/3 HTTP/1.1\r\nHost: a\r\n\r\n").await,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nxxx\r\n0\r\n\r\n"
    );
}

#[tokio::test(start_paused = true)]
async fn trailers_go_out_behind_the_last_chunk() {
    assert_eq!(
        said("GET /trailers HTTP/1.1\r\nHost: a\r\n\r\n").await,
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n4\r\ndata\r\n0\r\nx-sum: 1\r\n\r\n"
    );
}

/// What a recipient could merge into the head to its harm is no trailer (RFC 9110 section 6.5.1).
#[tokio::test(start_paused = true)]
async fn framing_routing_and_control_fields_are_never_trailers() {
    let trailers = "Content-Length: 5\r\nTransfer-Encoding: gzip\r\nHost: b\r\nSet-Cookie: a=b\r\nCache-Control: no-store\r\nConnection: x\r\nContent-Type: x/y\r\nLocation: /\r\nX-Sum: 1\r\nServer-Timing: a\r\n";
    let request = format!(
        "POST /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\n"
    );
    let mut client = Client::connect();
    client.send(request).await;
    assert_eq!(
        client.end().await.said,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\nx\r\n0\r\nx-sum: 1\r\nserver-timing: a\r\n\r\n"
    );
}

#[tokio::test(start_paused = true)]
async fn head_204_and_304_have_no_body() {
    assert_eq!(
        said("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await,
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(
        said("HEAD /big/3 HTTP/1.1\r\nHost: a\r\n\r\n").await,
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(
        said("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await,
        "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(
        said("GET /unchanged HTTP/1.1\r\nHost: a\r\n\r\n").await,
        "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n"
    );
}

#[tokio::test(start_paused = true)]
async fn the_connection_goes_on_behind_each_framing() {
    let mut client = Client::connect();
    for (path, body) in [
        ("/nothing", ""),
        ("/unchanged", ""),
        ("/big/3", "3\r\nxxx\r\n0\r\n\r\n"),
        ("/trailers", "4\r\ndata\r\n0\r\nx-sum: 1\r\n\r\n"),
        ("/", "ok"),
    ] {
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        client.head().await;
        let mut read = vec![0; body.len()];
        client.io.read_exact(&mut read).await.unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), body, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_chunked_response_arrives_whole_through_a_narrow_pipe() {
    let mut client = Client::connect_with(Limits::default(), 100);
    client
        .send("GET /big/1000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    let said = client.end().await.said;
    let body = said.split_once("\r\n\r\n").unwrap().1;
    let mut rest = body;
    let mut length = 0;
    loop {
        let (size, behind) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            assert_eq!(behind, "\r\n");
            break;
        }
        assert_eq!(&behind[size..size + 2], "\r\n");
        length += size;
        rest = &behind[size + 2..];
    }
    assert_eq!(length, 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_echoed_while_it_comes() {
    let mut client = Client::connect();
    client
        .send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"
    );
    for second in 1..=20 {
        client.send("5\r\nhello\r\n").await;
        let mut chunk = [0; 10];
        client.io.read_exact(&mut chunk).await.unwrap();
        assert_eq!(&chunk, b"5\r\nhello\r\n");
        client
            .until(std::time::Duration::from_millis(second * 20))
            .await;
    }
    client
        .send("0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let mut last = [0; 5];
    client.io.read_exact(&mut last).await.unwrap();
    assert_eq!(&last, b"0\r\n\r\n");
    assert_eq!(client.response().await.1, "ok");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stalls_behind_a_begun_response_is_cut_not_completed() {
    let mut client = Client::connect();
    client
        .send(
            "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        )
        .await;
    let end = client.end().await;
    assert!(
        end.said.ends_with("5\r\nhello\r\n"),
        "no last chunk, no second status: {}",
        end.said
    );
    assert_eq!(client.gone().await.0, "timeout-body");
    assert!(secs(5) < end.at && end.at < secs(6), "{:?}", end.at);
}
