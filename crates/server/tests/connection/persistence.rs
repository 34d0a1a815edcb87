//! Which request is the last, and in which order responses come (RFC 9112 section 9).

use crate::client::{Client, secs};
use hangup_server::Limits;
use tokio::io::AsyncReadExt;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_order() {
    let mut client = Client::connect();
    client.send("GET /slow/1000 HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.1, "slow");
    assert_eq!(client.response().await.1, "hello");
    assert_eq!(client.response().await.1, "ok");
    assert_eq!(client.now(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_finished_response_does_not_wait_for_the_next_body() {
    let mut client = Client::connect();
    client
        .send(GET.to_owned() + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
        .await;
    assert_eq!(client.response().await.1, "ok");
    assert_eq!(client.now(), secs(0));
    client.send("lo").await;
    assert_eq!(client.response().await.1, "hello");
}

#[tokio::test(start_paused = true)]
async fn nor_for_the_next_handler_or_head() {
    for next in ["GET /slow/5000 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"] {
        let mut client = Client::connect();
        client.send(GET.to_owned() + next).await;
        assert_eq!(client.response().await.1, "ok");
        assert_eq!(client.now(), secs(0), "{next:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn close_ends_it_also_for_what_is_in_the_same_segment() {
    for close in ["close", "Close", "keep-alive, close"] {
        let mut client = Client::connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {close}\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(
            client.head().await,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close"
        );
        assert_eq!(client.end().await.said, "ok");
        assert_eq!(client.seen(), ["GET /"]);
        assert_eq!(client.reason().await.name(), "client-asked");
    }
}

#[tokio::test(start_paused = true)]
async fn the_applications_close_ends_it_too() {
    let mut client = Client::connect();
    client
        .send("GET /close HTTP/1.1\r\nHost: a\r\n\r\n".to_owned() + GET)
        .await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close"
    );
    assert_eq!(client.end().await.said, "bye");
    assert_eq!(client.seen(), ["GET /close"]);
    assert_eq!(client.reason().await.name(), "application-asked");
}

#[tokio::test(start_paused = true)]
async fn http_1_0_closes_unless_asked_to_stay() {
    let mut client = Client::connect();
    client
        .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive"
    );
    assert_eq!(
        client.io.read_u16().await.unwrap(),
        u16::from_be_bytes(*b"ok")
    );
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close"
    );
    assert_eq!(client.end().await.said, "ok");
}

#[tokio::test(start_paused = true)]
async fn to_http_1_0_a_body_of_unknown_length_ends_with_the_connection() {
    let mut client = Client::connect();
    client
        .send("GET /big/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nconnection: close");
    assert_eq!(client.end().await.said, "xxx");
    assert_eq!(client.reason().await.name(), "application-asked");
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_so_many_requests() {
    let mut client = Client::limited(Limits {
        requests: 3,
        ..Limits::default()
    });
    client.send(GET.repeat(4)).await;
    let said = client.end().await.said;
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(said.matches("connection: close").count(), 1);
    assert_eq!(client.seen().len(), 3);
    assert_eq!(client.reason().await.name(), "request-limit");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_says_that_it_closes() {
    let mut client = Client::connect();
    let mut served = 0;
    loop {
        client.send(GET).await;
        served += 1;
        let head = client.head().await;
        client.io.read_u16().await.unwrap();
        if head.contains("connection: close") {
            break;
        }
        client.until(client.now() + secs(60)).await;
    }
    // From 3525 s on, the age would end the 75 idle seconds.
    assert_eq!((served, client.now()), (60, secs(59 * 60)));
    assert_eq!(client.reason().await.name(), "age");
}

#[tokio::test(start_paused = true)]
async fn a_small_unread_body_is_drained_and_the_connection_goes_on() {
    let mut client = Client::connect();
    client
        .send("POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n".to_owned() + GET)
        .await;
    assert_eq!(client.status().await, "403");
    client.send(GET).await;
    assert_eq!(client.status().await, "200");
    assert_eq!(
        client.seen(),
        ["POST /reject", "GET /"],
        "the body was not read as a request"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chunked_unread_body_is_drained_to_its_end() {
    let mut client = Client::connect();
    client
        .send(
            "POST /reject HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n"
                .to_owned()
                + GET,
        )
        .await;
    assert_eq!(client.status().await, "403");
    client
        .send("\r\n0\r\nTrailer: x\r\n\r\n".to_owned() + GET)
        .await;
    assert_eq!(client.status().await, "200");
    assert_eq!(client.seen(), ["POST /reject", "GET /"]);
}

#[tokio::test(start_paused = true)]
async fn a_large_unread_body_closes_and_says_so() {
    let mut client = Client::connect();
    client
        .send("POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        .await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close"
    );
    client.send(GET.repeat(100)).await;
    assert_eq!(client.end().await.said, "");
    assert_eq!(client.seen(), ["POST /reject"]);
    assert_eq!(client.reason().await.name(), "unread-body");
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_bounded_in_bytes_too() {
    let mut client = Client::connect();
    client
        .send("POST /reject HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(client.status().await, "403");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    for _ in 0..20 {
        client.try_send(&chunk).await;
    }
    assert_eq!(client.end().await.at, secs(0));
    assert_eq!(client.reason().await.name(), "unread-body");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_responses_gets_no_further_requests_served() {
    let mut client = Client::connect_with(Limits::default(), 4096);
    let mut pipelined = 0;
    // The pipe holds 4 KiB each way, the server some more; a thousand requests do not fit.
    while tokio::time::timeout(secs(1), client.io.write_all_flat(GET))
        .await
        .is_ok()
    {
        pipelined += 1;
        assert!(pipelined < 2000, "nothing pushes back");
    }
    assert!(client.seen().len() < 1000);
}

trait WriteFlat {
    async fn write_all_flat(&mut self, bytes: &str);
}

impl WriteFlat for tokio::io::DuplexStream {
    async fn write_all_flat(&mut self, bytes: &str) {
        tokio::io::AsyncWriteExt::write_all(self, bytes.as_bytes())
            .await
            .unwrap();
    }
}
