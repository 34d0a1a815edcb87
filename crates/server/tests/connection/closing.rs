//! Half-closes, ends in the middle, and the last word.

use crate::client::{Client, secs};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_half_close_right_after_a_request_still_gets_the_response() {
    for path in ["/", "/slow/5000", "/big/100000"] {
        let mut client = Client::connect();
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        client.half_close().await;
        let end = client.end().await;
        assert!(
            end.said.starts_with("HTTP/1.1 200 OK\r\n"),
            "{path}: {}",
            end.said
        );
        assert_eq!(client.gone().await.0, "client-closed", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn and_so_do_all_the_requests_before_it() {
    let mut client = Client::connect();
    client
        .send(GET.repeat(2) + "GET /slow/1000 HTTP/1.1\r\nHost: a\r\n\r\n" + &GET.repeat(2))
        .await;
    client.half_close().await;
    let end = client.end().await;
    assert_eq!((end.said.matches(" 200 OK").count(), end.at), (5, secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_close_between_requests_is_no_fault() {
    let mut client = Client::connect();
    client.send(GET).await;
    client.response().await;
    assert_eq!(client.reason().await.name(), "client-closed");
    assert_eq!(Client::connect().reason().await.name(), "client-closed");
}

#[tokio::test(start_paused = true)]
async fn a_half_close_in_a_head_or_a_body_is_a_400_at_once() {
    for part in [
        "GET / HTTP/1.1\r\nHo",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let mut client = Client::connect();
        client.send(part).await;
        client.half_close().await;
        let end = client.end().await;
        assert!(
            end.said.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{part:?}: {}",
            end.said
        );
        assert_eq!(end.at, secs(0));
        assert_eq!(
            client.gone().await,
            ("refused", secs(0)),
            "no linger for a client that has closed"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_close_in_a_body_that_nobody_reads_gets_the_response() {
    let mut client = Client::connect();
    client
        .send("POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
        .await;
    client.half_close().await;
    assert!(client.end().await.said.starts_with("HTTP/1.1 403 "));
    assert_eq!(client.gone().await.1, secs(0));
}

#[tokio::test(start_paused = true)]
async fn a_response_survives_a_client_that_is_still_sending() {
    let mut client = Client::connect();
    client
        .send("POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        .await;
    for _ in 0..100 {
        client.send([b'x'; 10_000]).await;
    }
    assert!(client.end().await.said.starts_with("HTTP/1.1 403 "));
    assert_eq!(client.reason().await.name(), "unread-body");
}

#[tokio::test(start_paused = true)]
async fn lingering_waits_two_seconds_for_the_clients_close() {
    let mut client = Client::connect();
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(client.end().await.at, secs(0));
    assert_eq!(client.gone().await, ("client-asked", secs(2)));
}

#[tokio::test(start_paused = true)]
async fn lingering_ends_with_the_clients_close() {
    let mut client = Client::connect();
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    client.end().await;
    client.until(secs(1)).await;
    client.half_close().await;
    assert_eq!(client.gone().await, ("client-asked", secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_its_handler_with_it() {
    let mut client = Client::connect();
    client
        .send("POST /late/5000 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        .await;
    client.until(secs(1)).await;
    client.half_close().await;
    // It works on, since a half-close is legal; what it then reads is incomplete.
    assert!(client.end().await.said.starts_with("HTTP/1.1 400 "));
    assert_eq!(client.gone().await, ("refused", secs(5)));
}
