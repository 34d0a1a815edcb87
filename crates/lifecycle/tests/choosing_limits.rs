//! The page "Choosing limits" has the defaults that the code has, a row for each field of `Limits`.

use hangup_lifecycle::{Limits, Rate, Span};
use std::time::Duration;

const PAGE: &str = include_str!("../src/choosing_limits.md");

/// As the page spells a time.
fn spelt(span: Span) -> String {
    let seconds = span.finite().expect("no default is unbounded").as_secs();
    match seconds {
        3600 => "1 h".to_owned(),
        300 | 1200 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[test]
fn every_row_is_the_default() {
    let limits = Limits::default();
    // A field that is new does not compile here until it has a row.
    let Limits {
        handshake,
        opening,
        head,
        expect,
        body,
        read,
        handler,
        response,
        half_close,
        vanished,
        drain,
        linger,
        idle,
        upgrade,
        shutdown,
        shutdown_grace,
        age,
        requests,
        head_bytes,
        head_fields,
        body_bytes,
        queued_bytes,
        connections,
        connections_by_address,
    } = limits;
    assert_eq!(body.rate, Rate::at_least(240, Duration::from_secs(5)));
    assert_eq!(response.rate, body.rate);
    let kib = |bytes: u64| format!("{} KiB", bytes / 1024);
    let rows = [
        ("`handshake`", spelt(handshake)),
        ("`opening`", spelt(opening)),
        ("`head`", spelt(head)),
        ("`expect`", spelt(expect)),
        ("`body.rate`", "240 B/s after 5 s".to_owned()),
        ("`body.gap`", spelt(body.gap)),
        (
            "`body.total`",
            format!("{} + length / rate", spelt(body.total)),
        ),
        ("`read`", spelt(read)),
        ("`handler`", spelt(handler)),
        ("`response.rate`", "as `body`".to_owned()),
        ("`response.gap`", spelt(response.gap)),
        ("`half_close`", spelt(half_close)),
        ("`vanished`", spelt(vanished)),
        ("`response.total`", spelt(response.total)),
        (
            "`drain`",
            format!("{}, {}", kib(drain.bytes), spelt(drain.total)),
        ),
        (
            "`linger`",
            format!("{} gap, {} in all", spelt(linger.gap), spelt(linger.total)),
        ),
        ("`idle`", spelt(idle)),
        ("`age`", format!("{}, {requests} requests", spelt(age))),
        ("`upgrade`", spelt(upgrade)),
        ("`shutdown`", spelt(shutdown)),
        (
            "`shutdown_grace`",
            format!("{} ms", shutdown_grace.finite().unwrap().as_millis()),
        ),
        (
            "`head_bytes`, `head_fields`",
            format!("{}, {head_fields}", kib(head_bytes as u64)),
        ),
        ("`body_bytes`", format!("{} MiB", body_bytes / 1024 / 1024)),
        (
            "`queued_bytes`",
            format!("{} MiB", queued_bytes / 1024 / 1024),
        ),
        (
            "`connections`",
            format!("{connections}, {connections_by_address} from one address"),
        ),
    ];
    for (name, value) in &rows {
        let row = format!("| {name} | {value} | ");
        assert!(PAGE.contains(&row), "no row that begins with {row:?}");
    }
    let told = PAGE.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(told, rows.len());
}
