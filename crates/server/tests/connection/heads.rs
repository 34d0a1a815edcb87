//! What is a request and what is not (RFC 9112 sections 2 to 7): refused with its status, and closed.

use crate::client::{Client, ms, secs};
use hangup_server::Limits;
use tokio::time::sleep;

/// Sends `bytes` and returns the status of the only answer, which must close.
async fn refused(bytes: impl AsRef<[u8]>) -> u16 {
    let mut client = Client::connect();
    client.send(&bytes).await;
    // Behind it, what must not be read as a request.
    client
        .send("\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let shown = String::from_utf8_lossy(bytes.as_ref()).into_owned();
    let said = client.end().await.said;
    assert!(
        said.contains("\r\nconnection: close\r\n") && said.ends_with("\r\n\r\n"),
        "{shown:?}: {said}"
    );
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{shown:?}: {said}");
    assert!(
        !client.seen().iter().any(|seen| seen.contains("smuggled")),
        "{shown:?}"
    );
    said.split(' ').nth(1).unwrap().parse().unwrap()
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

#[tokio::test(start_paused = true)]
async fn grammar() {
    for head in [
        "\x16\x03\x01\x02\0",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / FOO/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1\r.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/x.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/5\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(refused(head).await, 400, "{head:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn versions_and_methods() {
    assert_eq!(refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n").await, 505);
    assert_eq!(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, 505);
    assert_eq!(refused("GET / HTTP/0.9\r\n\r\n").await, 505);
    assert_eq!(
        refused("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n").await,
        501
    );
    assert_eq!(
        refused(format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(33))).await,
        501
    );
}

#[tokio::test(start_paused = true)]
async fn hosts() {
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n").await, 400);
    assert_eq!(refused(get("Host: b\r\n")).await, 400);
    assert_eq!(refused(get("host: a\r\n")).await, 400);
    for host in ["a b", "a/b", "user@a", "a:b", "a,b"] {
        let status = if host == "a,b" {
            continue;
        } else {
            refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await
        };
        assert_eq!(status, 400, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn lengths_and_encodings() {
    for fields in [
        "Content-Length: x\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: \r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \r\n",
    ] {
        assert_eq!(refused(post(fields, "")).await, 400, "{fields:?}");
    }
    assert_eq!(
        refused(post("Transfer-Encoding: gzip, chunked\r\n", "")).await,
        501
    );
    assert_eq!(
        refused("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").await,
        400
    );
    assert_eq!(refused(post("Content-Length: 4194305\r\n", "")).await, 413);
    assert_eq!(
        refused(post("Content-Length: 99999999999999999999999\r\n", "")).await,
        413
    );
}

#[tokio::test(start_paused = true)]
async fn chunks() {
    let chunked = |body: &str| refused(post("Transfer-Encoding: chunked\r\n", body));
    for body in [
        "x\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\r\n0:\r\nT: u\r\n\r\n",
        "5\r\nhello\r\n3x\r\nabc\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "-5\r\n",
        "fffffffffffffffff\r\n",
    ] {
        assert_eq!(chunked(body).await, 400, "{body:?}");
    }
    assert_eq!(chunked("0\r\nA : b\r\n\r\n").await, 400);
    assert_eq!(chunked("0\r\nA: b\n\r\n").await, 400);
    assert_eq!(
        chunked(&format!("1;{}\r\nx\r\n", "x".repeat(20_000))).await,
        400
    );
    assert_eq!(
        chunked(&format!("0\r\nA: {}\r\n\r\n", "x".repeat(70_000))).await,
        431
    );
    assert_eq!(
        chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(101))).await,
        431
    );
}

#[tokio::test(start_paused = true)]
async fn sizes() {
    assert_eq!(
        refused(get(&format!("X: {}\r\n", "x".repeat(65_536)))).await,
        431
    );
    assert_eq!(refused(get(&"X: y\r\n".repeat(100))).await, 431);
    assert_eq!(
        refused(format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "x".repeat(65_536)
        ))
        .await,
        414
    );
    assert_eq!(refused("x".repeat(70_000)).await, 414);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_has_the_limit_too() {
    let mut client = Client::limited(Limits {
        body_bytes: 10,
        ..Limits::default()
    });
    client
        .send(post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"))
        .await;
    client.send("6\r\nworld!\r\n0\r\n\r\n").await;
    assert!(client.end().await.said.starts_with("HTTP/1.1 413 "));

    let mut exact = Client::limited(Limits {
        body_bytes: 11,
        ..Limits::default()
    });
    exact
        .send(post(
            "Transfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n",
        ))
        .await;
    assert_eq!(exact.response().await.1, "helloworld!");
}

#[tokio::test(start_paused = true)]
async fn what_is_allowed_is_served() {
    let mut client = Client::connect();
    for request in [
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        get("X: \x09 y \x09\r\n"),
        get(&format!("X: {}\r\n", "x".repeat(60_000))),
        get(&"X: y\r\n".repeat(99)),
        format!("GET /?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(8_000)),
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost:\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(),
        "PURGE / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n".to_owned(),
    ] {
        client.send(&request).await;
        assert_eq!(client.status().await, "200", "{request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn chunked_bodies_and_trailers_arrive() {
    let mut client = Client::connect();
    client
        .send(post(
            "Transfer-Encoding: chunked\r\n",
            "5;x=\"y\"\r\nhello\r\n00A\r\n, my world\r\n0\r\nX-Sum: 1\r\n\r\n",
        ))
        .await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 200 OK\r\nx-sum: 1\r\ncontent-length: 15"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_length_has_no_body() {
    let mut client = Client::connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.1, "");
    assert_eq!(client.response().await.1, "ok");
}

/// Nor does it hang on the cuts when such a head is refused, where no end of the stream tells.
#[tokio::test(start_paused = true)]
async fn a_hopeless_beginning_is_refused_at_once_however_it_is_cut() {
    let long = format!("GET /{} HTTP/1.1\r\nHost : a\r\nX", "x".repeat(600));
    for head in [
        "GET / GET",
        "\0",
        "GET / HTTP/1.x\r\n",
        "\r\n\r\n/",
        long.as_str(),
    ] {
        for size in [1, 2, 7, 300, 1000] {
            let mut client = Client::connect();
            for piece in head.as_bytes().chunks(size) {
                if !client.try_send(piece).await {
                    break;
                }
                sleep(ms(1)).await;
            }
            let end = client.end().await;
            assert!(
                end.said.starts_with("HTTP/1.1 400 "),
                "{head:?} by {size}: {}",
                end.said
            );
            assert!(end.at < secs(2), "{head:?} by {size}: at {:?}", end.at);
        }
    }
}
