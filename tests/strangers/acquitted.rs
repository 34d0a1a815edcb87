//! What innocent servers were convicted of once, by generated cases far behind those that the regular tests run.

use crate::{innocent, says};
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::exchange::Response;
use hangup::ledger::Connection;
use hangup::run::Detail;
use hangup::server::Server;
use hangup_scenario::Verdict;
use std::sync::Arc;
use std::time::Duration;

/// What still happens in a scenario, since otherwise nothing is acquitted by it.
type Shown = fn(&Connection) -> bool;

/// The server cuts a response.
fn cut(connection: &Connection) -> bool {
    connection.responses.inside() && connection.server_closed.is_some()
}

/// A request whose body did not come is answered, when its client has said that nothing more will.
fn answered_without_its_body(connection: &Connection) -> bool {
    let last = connection.responses.list.last();
    let request = last.and_then(|last| connection.requests.list.get(last.answers));
    request.is_some_and(|request| request.complete_at.is_none())
        && last.map(|last| last.at) > connection.late_fin
}

/// The server closes when the response is written, and the client when it is there.
fn both_close(connection: &Connection) -> bool {
    connection.server_shutdown < connection.client_closed && connection.client_waited
}

/// The server's host learns that its client is gone long after the client has closed: its FIN may be that of a half-close.
fn unheard_for_long(connection: &Connection) -> bool {
    let gone = connection.client_gone.zip(connection.client_closed);
    gone.is_some_and(|(gone, closed)| gone > closed + Duration::from_secs(40))
}

/// Nothing arrives at the client for longer than the contract's stall, between two responses.
fn silent_between_responses(connection: &Connection) -> bool {
    let list = &connection.responses.list;
    let silent = |pair: &[Response]| pair[1].at > pair[0].at + Duration::from_secs(75);
    list.windows(2).any(silent)
}

/// Its client says nothing, and leaves.
fn silent_from_the_start(connection: &Connection) -> bool {
    connection.server_read == 0 && connection.client_closed.is_some()
}

/// The server cuts a response at the instant at which its process ends.
fn cut_at_the_end(connection: &Connection) -> bool {
    let closed = connection.server_closed.map(|(at, _)| at);
    connection.responses.inside() && closed.is_some() && closed == connection.killed
}

/// A response of megabytes comes through a window of a KiB, behind another one.
fn second_through_a_small_window(connection: &Connection) -> bool {
    connection.responses.complete == 2 && connection.bytes_out > 3_000_000
}

/// Both ends close at once.
fn both_close_at_once(connection: &Connection) -> bool {
    let closed = connection.server_closed.map(|(at, _)| at);
    closed.is_some() && closed == connection.client_closed
}

/// A request is not answered, and the connection is closed.
fn closed_unanswered(connection: &Connection) -> bool {
    connection.requests.list.len() > connection.responses.complete
        && connection.server_closed.is_some()
}

const ACQUITTED: [(&str, &[&str], Shown, &str); 15] = [
    (
        "each write fills the buffer and waits for a round trip, and the response's clock ends it",
        &["base", "refuses", "rate-limit", "drains-a-little"],
        cut,
        r#"[network]
latency = "100ms"
send_buffer = "1KiB"
[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/big/0" } },
  { do = "read", bytes = "all" },
]"#,
    ),
    (
        "a client goes on behind its own close, while the server's kernel still delivers",
        &["send-timeout", "base"],
        cut,
        r#"[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/big/0", connection = "close" } },
  { do = "read", bytes = 200601, size = 100300, every = "1s" },
  { do = "send", head = { method = "GET", target = "/" } },
]"#,
    ),
    (
        "a client goes on behind the server's close, which it knows of",
        &["closes-always"],
        cut,
        r#"[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/big/0" } },
  { do = "read", bytes = 110773 },
  { do = "read", bytes = 182701, size = 20300, every = "203ms" },
  { do = "send", head = { method = "GET", target = "/" } },
]"#,
    ),
    (
        "a body comes two seconds behind the FIN of a server that refuses its request",
        &["base"],
        cut,
        r#"[network]
latency = "100ms"
jitter = "30ms"
mtu = 65535
[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/big/0" } },
  { do = "await", status = "final", within = "5s" },
  { do = "send", head = { method = "GET", target = "/reject", length = 1 } },
  { do = "await", status = "final", within = "2s" },
  { do = "send", head = { method = "GET", target = "/" } },
]"#,
    ),
    (
        "a client that has read fast stops reading for longer than the write clock, with a KiB left",
        &["short-clocks"],
        cut,
        r#"[network]
latency = "0s"
jitter = "1ms"
receive_buffer = "1KiB"
[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/big/0" } },
  { do = "await", eof = true, within = "1s" },
]"#,
    ),
    (
        "a client sends more of a refused body than its server drains behind the FIN",
        &["drains-a-little"],
        cut,
        r#"[network]
latency = "100ms"
receive_buffer = "256KiB"
[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/big/0" } },
  { do = "await", status = "final", within = "1s" },
  { do = "send", all = [{ head = { method = "GET", target = "/reject", length = 1 } }, { body = 65540 }] },
]"#,
    ),
    (
        "a final status in place of 100 Continue comes late, behind a slow request and the client's half-close",
        &["final-before-body"],
        answered_without_its_body,
        r#"[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/slow/0" } },
  { do = "send", head = { method = "GET", target = "/stream", chunked = true, expect = "100-continue" } },
  { do = "await", status = 100, within = "1s" },
  { do = "half_close" },
]"#,
    ),
    (
        "client and server both close behind the only response, and the latency says who is first",
        &["writes-pieces"],
        both_close,
        r#"[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/", version = "1.0" } },
  { do = "await", status = "final", within = "1s" },
  { do = "close" },
]"#,
    ),
    (
        "nothing that the server sends to a client that has closed arrives, nor does the reset that would tell it",
        &["send-timeout"],
        unheard_for_long,
        r#"seed = 2803782987
[network]
mtu = 100
loss = 0.5
receive_buffer = "4KiB"
[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/big/0" } },
  { do = "await", status = "final", within = "2ms" },
  { do = "send", head = { method = "GET", target = "/" } },
  { do = "close" },
]"#,
    ),
    (
        "a server answers some thousand pipelined requests, and for more than a minute no acknowledgement arrives",
        &["slow-handler"],
        silent_between_responses,
        r#"seed = 2932656929
[network]
loss = 0.5
rst = "erase"
[[client]]
steps = [
  { do = "connect" },
  { do = "await", status = 100, within = "1s" },
  { do = "send", body = 72738 },
  { do = "await", status = "final", within = "10001ms" },
  { do = "send", last_chunk = true },
  { do = "read", bytes = "all" },
]"#,
    ),
    (
        "the write clock ends a response that nobody reads, and with it a shutdown that waits for nothing else",
        &["log-task"],
        cut_at_the_end,
        r#"seed = 1
[network]
loss = 0.1
[[client]]
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/big/0" } },
]
[[server_event]]
at = "1m"
do = "shutdown""#,
    ),
    (
        "lengths that are drawn change by more than one how many round trips two responses take",
        &["draws-ids"],
        second_through_a_small_window,
        r#"[network]
mtu = 1
receive_buffer = "1KiB"
[[client]]
steps = [
  { do = "connect" },
  { do = "send", all = [{ head = { method = "POST", target = "/stream", chunked = true } }, { chunk = 354 }], part = [0, 136] },
  { do = "send", all = [{ chunk = 354 }, { last_chunk = true }], part = [64, 366] },
  { do = "await", status = "final", within = "1s" },
  { do = "send", head = { method = "GET", target = "/big/0" } },
  { do = "read", bytes = "all" },
]"#,
    ),
    (
        "a handler panics in a task that has not touched its connection yet, beside another one",
        &["hands-back"],
        closed_unanswered,
        r#"seed = 1
[[client]]
count = 2
steps = [
  { do = "connect" },
  { do = "send", head = { method = "GET", target = "/slow/0" } },
  { do = "send", head = { method = "GET", target = "/" } },
]
[[server_event]]
at = "1s"
do = "handler_panic""#,
    ),
    (
        "where nothing takes time, it hangs on threads whether a server hears of a close before its own",
        &["offloads"],
        both_close_at_once,
        r#"seed = 475605278
[network]
latency = "0s"
send_buffer = "16KiB"
receive_buffer = "256KiB"
[[client]]
steps = [
  { do = "connect" },
  { do = "connect" },
  { do = "send", head = { method = "OPTIONS", target = "/" } },
  { do = "send", all = [{ head = { method = "POST", target = "/stream", length = 2164 } }, { body = 2164 }] },
  { do = "send", all = [{ head = { method = "POST", target = "/echo", length = 830 } }, { body = 830 }] },
  { do = "await", status = "final", within = "1s" },
  { do = "close" },
]"#,
    ),
    (
        "workers idle in a stack from which visitors of a warm server, who have made it start more, take the others",
        &["workers-on-demand"],
        silent_from_the_start,
        r#"seed = 1656518136
[network]
loss = 0.1
[[client]]
count = 7
stagger = "12ms"
start = "75s"
steps = [
  { do = "connect" },
  { do = "reconnect", after = "59900ms" },
]"#,
    ),
];

#[test]
fn the_innocent_are_clean_where_they_were_convicted_once() {
    for (what, names, shown, text) in ACQUITTED {
        let scenario = hangup_tests::scenario(&format!("name = \"acquitted\"\n{text}\n"));
        for name in names {
            let stranger = innocent::all().into_iter().find(|one| one.name == *name);
            let server: Arc<dyn Server> = stranger.expect("it is one of them").bed().into();
            let cell = Cell::twice(Engine::Leap, &scenario, &*server, Detail::default());
            assert_eq!(
                cell.verdict(),
                Verdict::Clean,
                "{name}: {what}: {}",
                says(&cell)
            );
            let connection = &cell.run.connections[0];
            assert!(
                shown(connection),
                "{name}: {what}: that does not happen any more"
            );
        }
    }
}
