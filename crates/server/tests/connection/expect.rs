//! `Expect: 100-continue` (RFC 9110 section 10.1.1).

use crate::client::{Client, secs};

fn upload(path: &str, expect: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: {expect}\r\n\r\n")
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn the_100_comes_when_the_application_reads() {
    let mut client = Client::connect();
    for expect in ["100-continue", "100-Continue", "100-continue, 100-CONTINUE"] {
        client.send(upload("/echo", expect)).await;
        assert_eq!(client.head().await, "HTTP/1.1 100 Continue", "{expect}");
        client.send("hello").await;
        assert_eq!(
            client.response().await,
            ("HTTP/1.1 200 OK".into(), "hello".into())
        );
    }
    assert_eq!(client.now(), secs(0), "nobody waits for anything");
}

#[tokio::test(start_paused = true)]
async fn a_final_status_comes_at_once_if_the_application_does_not_read() {
    let mut client = Client::connect();
    client.send(upload("/reject", "100-continue")).await;
    let head = client.head().await;
    assert_eq!(
        head,
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close"
    );
    // The body comes nevertheless, and reads like a request.
    client.send(SMUGGLED).await;
    assert_eq!(client.end().await.said, "");
    assert_eq!(client.seen(), ["POST /reject"]);
    assert_eq!(client.reason().await.name(), "unread-body");
}

#[tokio::test(start_paused = true)]
async fn no_100_if_body_bytes_are_there_already() {
    let mut client = Client::connect();
    client.send(upload("/echo", "100-continue") + "he").await;
    client.send("llo").await;
    assert_eq!(
        client.response().await,
        ("HTTP/1.1 200 OK".into(), "hello".into())
    );
}

#[tokio::test(start_paused = true)]
async fn no_100_if_the_body_came_while_the_application_worked() {
    let mut client = Client::connect();
    client.send(upload("/late/1000", "100-continue")).await;
    client.send("hello").await;
    assert_eq!(
        client.response().await,
        ("HTTP/1.1 200 OK".into(), "hello".into())
    );
}

#[tokio::test(start_paused = true)]
async fn no_100_without_a_body() {
    let mut client = Client::connect();
    client
        .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.status().await, "200");
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.status().await, "200");
}

#[tokio::test(start_paused = true)]
async fn no_100_to_http_1_0() {
    let mut client = Client::connect();
    client
        .send("POST /echo HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    client.until(secs(1)).await;
    client.send("hello").await;
    assert_eq!(
        client.response().await,
        ("HTTP/1.1 200 OK".into(), "hello".into())
    );
}

#[tokio::test(start_paused = true)]
async fn an_expectation_of_http_1_0_is_ignored_whatever_it_is() {
    let mut client = Client::connect();
    client
        .send("GET / HTTP/1.0\r\nExpect: miracles\r\n\r\n")
        .await;
    assert_eq!(client.status().await, "200");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_expectation_is_417_and_a_close() {
    for expect in ["miracles", "100-continue, miracles", "100-continue=1"] {
        let mut client = Client::connect();
        client.send(upload("/echo", expect) + SMUGGLED).await;
        let end = client.end().await;
        assert_eq!(
            end.said,
            "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "{expect}"
        );
        assert!(client.seen().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_413_and_never_invited() {
    let mut client = Client::connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4194305\r\nExpect: 100-continue\r\n\r\n").await;
    assert!(client.end().await.said.starts_with("HTTP/1.1 413 "));
    assert!(client.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_malformed_request_is_never_invited() {
    let mut client = Client::connect();
    client
        .send("POST /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert!(client.end().await.said.starts_with("HTTP/1.1 400 "));
}

#[tokio::test(start_paused = true)]
async fn the_100_comes_before_the_status_of_a_response_that_is_made_of_the_body() {
    let mut client = Client::connect();
    client.send(upload("/stream", "100-continue")).await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue");
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\ncontent-length: 5");
    client.send("hello").await;
    let mut body = [0; 5];
    tokio::io::AsyncReadExt::read_exact(&mut client.io, &mut body)
        .await
        .unwrap();
    assert_eq!(&body, b"hello");
}

#[tokio::test(start_paused = true)]
async fn what_comes_instead_of_the_body_is_the_body() {
    let mut client = Client::connect();
    let request = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        SMUGGLED.len()
    );
    client.send(request).await;
    client.head().await;
    client.send(SMUGGLED).await;
    assert_eq!(client.response().await.1, SMUGGLED);
    assert_eq!(client.seen(), ["POST /echo"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_after_the_100_takes_everything_with_it() {
    let mut client = Client::connect();
    client.send(upload("/echo", "100-continue")).await;
    client.head().await;
    let seen = client.seen.clone();
    let reason = client.reason().await;
    assert_eq!(
        reason.explain(),
        "refused with 400: the client closed before the end of the body (RFC 9112 section 8)"
    );
    assert_eq!(seen.lock().unwrap().as_slice(), ["POST /echo"]);
}

#[tokio::test(start_paused = true)]
async fn the_100_comes_before_the_101() {
    let mut client = Client::connect();
    client
        .send("POST /upgrade/read HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue");
    client.send("hello").await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
}
