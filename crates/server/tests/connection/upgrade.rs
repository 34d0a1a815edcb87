//! Switching protocols (RFC 9110 section 7.8).

use crate::client::{Client, secs};
use hangup_server::{Limits, Span};
use tokio::io::AsyncReadExt;

const UPGRADE: &str =
    "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";

async fn hears(client: &mut Client, expected: &str) {
    let mut heard = vec![0; expected.len()];
    client.io.read_exact(&mut heard).await.unwrap();
    assert_eq!(String::from_utf8(heard).unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_stream_goes_to_the_application_with_what_was_read_of_it() {
    let mut client = Client::connect();
    client.send(UPGRADE.to_owned() + "at once").await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade"
    );
    hears(&mut client, "at once").await;
    client.until(secs(1000)).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    hears(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let open = client.ledger.open();
    assert_eq!(
        (open.len(), open[0].phase.name()),
        (1, "upgrade"),
        "it is still counted"
    );
    client.half_close().await;
    assert_eq!(client.gone().await, ("upgraded", secs(1000)));
    assert_eq!(client.seen(), ["GET /upgrade", "upgrade Ok(34)"]);
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_has_a_deadline_too() {
    let mut client = Client::limited(Limits {
        upgrade: Span::seconds(100),
        ..Limits::default()
    });
    client.until(secs(5)).await;
    client.send(UPGRADE).await;
    client.head().await;
    assert_eq!(client.end().await.at, secs(105));
    assert_eq!(client.gone().await, ("timeout-upgrade", secs(105)));
    tokio::task::yield_now().await;
    assert_eq!(client.seen(), ["GET /upgrade", "upgrade Err(TimedOut)"]);
}

#[tokio::test(start_paused = true)]
async fn another_answer_is_no_upgrade() {
    let mut client = Client::connect();
    client
        .send(UPGRADE.replace("/upgrade", "/upgrade/not"))
        .await;
    assert_eq!(client.status().await, "403");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.status().await, "200");
    assert_eq!(
        client.seen(),
        ["GET /upgrade/not", "upgrade Err(NotConnected)", "GET /"]
    );
}

#[tokio::test(start_paused = true)]
async fn without_being_asked_nothing_is_upgraded() {
    for request in [
        UPGRADE.replace("HTTP/1.1\r\nHost", "HTTP/1.0\r\nHost"),
        UPGRADE.replace("Connection: keep-alive, Upgrade\r\n", ""),
        UPGRADE.replace("Upgrade: echo\r\n", ""),
    ] {
        let mut client = Client::connect();
        client.send(request).await;
        assert_eq!(client.status().await, "426");
    }
}

#[tokio::test(start_paused = true)]
async fn the_body_comes_first() {
    let mut client = Client::connect();
    client.send("POST /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(client.status().await, "500");
    let mut client = Client::connect();
    client.send("POST /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 5\r\n\r\nhellorest").await;
    assert_eq!(client.status().await, "101");
    hears(&mut client, "rest").await;
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_goes_with_its_server() {
    let mut client = Client::connect();
    client.send(UPGRADE).await;
    client.head().await;
    client.abort();
    assert_eq!(client.end().await.at, secs(0));
    assert_eq!(client.seen(), ["GET /upgrade", "upgrade Err(NotConnected)"]);
}
