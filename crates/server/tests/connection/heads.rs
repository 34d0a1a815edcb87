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
    assert_eq!(refused("GET / HTTP/1.2x\r\nHost: a\r\n\r\n").await, 400);
    assert_eq!(refused("GET / HTTP/1.2\nHost: a\r\n\r\n").await, 400);
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
    for host in [
        "a b",
        "a/b",
        "user@a",
        "a:b",
        "[google.com]",
        "[]",
        "[::1::zz:::]",
        "a%zz",
    ] {
        let status = refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(status, 400, "{host}");
    }
    let mut client = Client::connect();
    for host in ["a,b", "a:000080", "a:", "[v1.a]", "%41"] {
        client
            .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!(client.status().await, "200", "{host}");
    }
}

/// The forms of a request-target (RFC 9112 section 3.2).
#[tokio::test(start_paused = true)]
async fn targets() {
    for request_line in [
        "GET example.com:80 HTTP/1.1",
        "GET ! HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /#x HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET http://u@b/ HTTP/1.1",
    ] {
        let status = refused(format!("{request_line}\r\nHost: a\r\n\r\n")).await;
        assert_eq!(status, 400, "{request_line}");
    }
    let mut client = Client::connect();
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // That the server has it, not the application's 404, is in what the application saw.
    client.response().await;
    assert_eq!(client.seen(), ["OPTIONS *"]);
}

/// The host of an absolute-form target counts, whatever the Host field says (RFC 9112 section
/// 3.2.2).
#[tokio::test(start_paused = true)]
async fn the_host_of_an_absolute_target_replaces_the_field() {
    let mut client = Client::connect();
    client
        .send(
            "GET http://b:81/host HTTP/1.1\r\nHost: a\r\n\r\nGET /host HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
    assert_eq!(client.response().await.1, "b:81");
    assert_eq!(client.response().await.1, "a");
}

/// A higher minor version is served as the highest that is spoken (RFC 9110 section 2.5), however
/// it is cut.
#[tokio::test(start_paused = true)]
async fn a_higher_minor_version_is_served_as_1_1() {
    let request = "GET / HTTP/1.2\r\nHost: a\r\n\r\nPOST /echo HTTP/1.9\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    for size in [1, 2, 7, 15, 16, 1000] {
        let mut client = Client::connect();
        for piece in request.as_bytes().chunks(size) {
            client.send(piece).await;
            sleep(ms(1)).await;
        }
        let ok = |body: &str| ("HTTP/1.1 200 OK".to_owned(), body.to_owned());
        assert_eq!(client.response().await, ok("ok"), "by {size}");
        assert_eq!(client.response().await, ok("hi"), "by {size}");
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
    assert_eq!(refused("x".repeat(70_000)).await, 501);
    assert_eq!(refused(format!("GET /{}", "x".repeat(70_000))).await, 414);
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

/// A method longer than any is told as soon as it is that long (RFC 9112 section 3), however it is
/// cut.
#[tokio::test(start_paused = true)]
async fn a_method_longer_than_any_is_501_however_it_is_cut() {
    let head = format!("{}\x01 / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(100));
    for size in [1, 7, 40, 1000] {
        let mut client = Client::connect();
        for piece in head.as_bytes().chunks(size) {
            if !client.try_send(piece).await {
                break;
            }
            sleep(ms(1)).await;
        }
        let said = client.end().await.said;
        assert!(said.starts_with("HTTP/1.1 501 "), "by {size}: {said}");
    }
}
