//! Each phase ends at its deadline, to the millisecond, with the answer that the phase has.

use crate::client::{Client, End, ms, secs};
use hangup_server::Limits;

const UPLOAD: &str =
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n";
const BODY: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
const CHUNKED: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn timed_out(at: std::time::Duration) -> End {
    let said = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    End {
        said: said.into(),
        at,
    }
}

fn silence(at: std::time::Duration) -> End {
    End {
        said: String::new(),
        at,
    }
}

#[tokio::test(start_paused = true)]
async fn fasthttp_1834_ends_after_five_seconds() {
    let mut client = Client::connect();
    client.until(ms(60)).await;
    client.send(UPLOAD).await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue");
    assert_eq!(client.end().await, timed_out(ms(5060)));
    // The client still does not close: the linger has its own clock.
    assert_eq!(client.gone().await, ("timeout-expect", ms(7060)));
    assert_eq!(
        client.phases(),
        [
            "0 opening until 10",
            "0.06 expect until 5.06",
            "5.06 linger until 7.06",
            "7.06 closed: timeout-expect, statuses [100, 408]",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn fasthttp_1834_with_only_the_articles_remedy_ends_after_sixty() {
    let mut client = Client::limited(Limits::article());
    client.send(UPLOAD).await;
    client.head().await;
    assert_eq!(client.end().await, timed_out(secs(60)));
    // The article has no linger.
    assert_eq!(client.gone().await, ("timeout-expect", secs(60)));
}

#[tokio::test(start_paused = true)]
async fn fasthttp_1834_with_no_limits_does_not_end() {
    let mut client = Client::limited(Limits::unbounded());
    client.send(UPLOAD).await;
    client.head().await;
    client.send("ten bytes!").await;
    client.until(secs(1757 * 60)).await;
    let open = client.ledger.open();
    assert_eq!((open[0].phase.name(), open[0].deadline), ("body", None));
    assert_eq!(client.phases().last().unwrap(), "0 body until never");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed_in_silence() {
    let mut client = Client::connect();
    assert_eq!(client.end().await, silence(secs(10)));
    assert_eq!(client.gone().await, ("timeout-opening", secs(10)));
}

#[tokio::test(start_paused = true)]
async fn empty_lines_are_no_request() {
    let mut client = Client::connect();
    client.trickle("\r\n\r\n\r\n\r\n", secs(1)).await;
    assert_eq!(client.end().await, silence(secs(10)));
}

#[tokio::test(start_paused = true)]
async fn half_a_head_has_ten_seconds_from_its_first_byte() {
    let mut client = Client::connect();
    client.until(secs(9)).await;
    client.send("GET / HT").await;
    assert_eq!(client.end().await, timed_out(secs(19)));
    assert_eq!(client.gone().await, ("timeout-head", secs(21)));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_no_exception() {
    let mut client = Client::connect();
    client.trickle(GET, ms(999)).await;
    assert_eq!(client.end().await.said, timed_out(secs(0)).said);
    assert_eq!(
        client.phases()[..2],
        ["0 head until 10", "10 linger until 12"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_second_head_has_a_clock_too() {
    let mut client = Client::connect();
    client.send(GET).await;
    client.response().await;
    client.until(secs(74)).await;
    client.send("GET /").await;
    assert_eq!(client.end().await, timed_out(secs(84)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_silence() {
    let mut client = Client::connect();
    client.until(secs(3)).await;
    client.send(GET).await;
    assert_eq!(client.status().await, "200");
    assert_eq!(client.end().await, silence(secs(78)));
    assert_eq!(client.gone().await, ("timeout-idle", secs(78)));
}

#[tokio::test(start_paused = true)]
async fn each_request_gives_a_new_idle_time() {
    let mut client = Client::connect();
    for second in [0, 70, 140] {
        client.until(secs(second)).await;
        client.send(GET).await;
        assert_eq!(client.status().await, "200");
    }
    assert_eq!(client.end().await, silence(secs(215)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_ends_with_the_grace_of_the_rate() {
    let mut client = Client::connect();
    client.send(BODY).await;
    assert_eq!(client.end().await, timed_out(secs(5)));
    assert_eq!(client.gone().await, ("timeout-body", secs(7)));
}

#[tokio::test(start_paused = true)]
async fn ten_bytes_then_silence_pay_for_their_time_and_no_more() {
    let mut client = Client::connect();
    client.send(UPLOAD).await;
    client.head().await;
    client.until(secs(1)).await;
    client.send([b'x'; 60]).await;
    assert_eq!(client.end().await, timed_out(ms(5250)));
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_is_too_slow() {
    let mut client = Client::connect();
    client.send(BODY).await;
    client.trickle([b'x'; 1000], secs(1)).await;
    // Six bytes by then, at 240 a second, on the timer's grid of milliseconds.
    assert_eq!(client.phases()[1], "5.025 linger until 7.025");
}

#[tokio::test(start_paused = true)]
async fn a_body_fast_enough_for_its_rate_is_served() {
    let mut client = Client::connect();
    client
        .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 24000\r\n\r\n")
        .await;
    for _ in 0..100 {
        client.send([b'x'; 240]).await;
        client.until(client.now() + secs(1)).await;
    }
    assert_eq!(client.status().await, "200");
}

#[tokio::test(start_paused = true)]
async fn bytes_in_advance_do_not_buy_a_silence_longer_than_the_gap() {
    let mut client = Client::connect();
    client
        .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n")
        .await;
    client.until(secs(2)).await;
    client.send(vec![b'x'; 100_000]).await;
    assert_eq!(client.end().await, timed_out(secs(32)));
}

#[tokio::test(start_paused = true)]
async fn the_clock_that_comes_first_is_told_also_where_it_changes_within_a_phase() {
    let mut client = Client::connect();
    client
        .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n")
        .await;
    client.until(secs(2)).await;
    client.send(vec![b'x'; 100_000]).await;
    client.gone().await;
    assert_eq!(
        client.clocks(),
        [
            "0 body rate",
            // What came pays for minutes; now silence is what ends it.
            "2 body gap",
            "32 body gap is over",
            "32 linger gap",
            "34 linger gap is over",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn chunked_then_silence_in_a_chunk_or_between_or_in_the_trailers() {
    for begun in [
        "",
        "5",
        "5\r\n",
        "5\r\nhel",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\n",
        "5\r\nhello\r\n0\r\nA: b",
    ] {
        let mut client = Client::connect();
        client.send(CHUNKED).await;
        client.send(begun).await;
        let end = client.end().await;
        assert_eq!(end.said, timed_out(secs(0)).said, "{begun:?}");
        assert!(secs(5) <= end.at && end.at <= ms(5021), "{begun:?} {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn framing_without_content_pays_for_nothing() {
    let mut client = Client::connect();
    client.send(CHUNKED).await;
    client.trickle("000000000000000000", ms(400)).await;
    assert_eq!(client.phases()[1], "5 linger until 7");
}

#[tokio::test(start_paused = true)]
async fn the_rate_pauses_while_the_application_does_not_read() {
    let mut client = Client::connect();
    // Twenty seconds of work, then it reads; the client is not to blame for those.
    client
        .send("POST /late/20000 HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
        .await;
    client.until(secs(24)).await;
    client.send([b'x'; 20]).await;
    assert_eq!(client.status().await, "200");
}

#[tokio::test(start_paused = true)]
async fn the_handlers_time_is_its_own_and_not_the_clients() {
    let mut client = Client::connect();
    client
        .send("POST /ponder/29000 HTTP/1.1\r\nHost: a\r\nContent-Length: 1200\r\n\r\n")
        .await;
    for second in 1..=5 {
        client.until(secs(second)).await;
        client.send([b'x'; 240]).await;
    }
    assert_eq!(client.status().await, "200");
    assert_eq!(client.now(), secs(34));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_answers_is_a_503_after_thirty_seconds() {
    let mut client = Client::connect();
    client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let end = client.end().await;
    assert_eq!(end.at, secs(30));
    assert_eq!(
        end.said,
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(client.seen(), ["GET /never", "dropped /never"]);
    assert_eq!(client.gone().await, ("timeout-handler", secs(32)));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_never_read_is_cut_after_the_gap() {
    // More than what pays for the gap.
    let mut client = Client::connect_with(Limits::default(), 400_000);
    client
        .send("GET /big/1000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.gone().await, ("timeout-response", secs(1200)));
}

#[tokio::test(start_paused = true)]
async fn or_earlier_if_what_was_accepted_does_not_pay_for_the_gap() {
    let mut client = Client::connect_with(Limits::default(), 4096);
    client
        .send("GET /big/1000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    // 5 s and 4096 bytes at 240 a second.
    assert_eq!(client.gone().await, ("timeout-response", ms(22_067)));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_read_too_slowly_is_cut_by_the_rate() {
    let mut client = Client::connect_with(Limits::default(), 64);
    client
        .send("GET /big/1000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let mut byte = [0];
    while client.ledger.counts().open > 0 {
        tokio::io::AsyncReadExt::read(&mut client.io, &mut byte)
            .await
            .unwrap();
        client.until(client.now() + secs(1)).await;
    }
    let closed = client.phases().pop().unwrap();
    assert!(
        closed.starts_with("5.") && closed.contains("timeout-response"),
        "{closed}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_with_nothing_to_say_is_not_a_slow_reader() {
    let mut client = Client::connect();
    client
        .send("GET /events/100 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    client.head().await;
    let mut body = [0; 100 * 6 + 5];
    tokio::io::AsyncReadExt::read_exact(&mut client.io, &mut body)
        .await
        .unwrap();
    assert!(body.ends_with(b"1\r\nx\r\n0\r\n\r\n"));
    assert_eq!(client.now(), secs(100));
    assert_eq!(client.end().await, silence(secs(175)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_event_stream_ends_five_seconds_behind_the_clients_fin() {
    let mut client = Client::connect();
    client.send("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until(secs(100)).await;
    client.half_close().await;
    assert_eq!(client.gone().await, ("client-gone", secs(105)));
    assert_eq!(client.seen(), ["GET /silent", "dropped /silent"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_half_closes_still_gets_a_stream_that_goes_on() {
    let mut client = Client::connect();
    client
        .send("GET /events/20 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    client.half_close().await;
    let end = client.end().await;
    assert!(end.said.ends_with("1\r\nx\r\n0\r\n\r\n"));
    assert_eq!(end.at, secs(20));
}

#[tokio::test(start_paused = true)]
async fn no_connection_is_older_than_its_age() {
    let mut client = Client::connect();
    client
        .send("GET /events/10000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    client.head().await;
    let end = client.end().await;
    assert_eq!(end.at, secs(3600));
    assert_eq!(client.gone().await, ("timeout-age", secs(3600)));
}

#[tokio::test(start_paused = true)]
async fn an_unread_body_is_waited_for_two_seconds() {
    let mut client = Client::connect();
    client
        .send("POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        .await;
    assert_eq!(client.status().await, "403");
    assert_eq!(client.end().await, silence(secs(2)));
    assert_eq!(client.gone().await, ("timeout-drain", secs(4)));
}

#[tokio::test(start_paused = true)]
async fn lingering_is_bounded_also_when_the_client_goes_on_sending() {
    let mut client = Client::connect();
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    client.response().await;
    client.trickle([b'x'; 100], secs(1)).await;
    assert_eq!(client.gone().await.0, "client-asked");
    assert_eq!(
        client.phases().last().unwrap(),
        "5 closed: client-asked, statuses [200]"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_after_a_pause_shorter_than_the_idle_time_is_served_at_its_last_instant() {
    let mut client = Client::connect();
    client.until(ms(9_999)).await;
    client.send("G").await;
    client.until(ms(19_998)).await;
    client.send(&GET[1..]).await;
    assert_eq!(client.status().await, "200");
}
