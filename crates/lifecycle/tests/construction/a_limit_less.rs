//! Limits name every phase; one cannot be forgotten.

use hangup_lifecycle::{Drain, Limits, Linger, Rate, Span, Transfer};
use std::time::Duration;

fn main() {
    let second = Span::seconds(1);
    let transfer = Transfer { rate: Rate::at_least(1, Duration::ZERO), gap: second, total: second };
    let _ = Limits {
        handshake: second,
        opening: second,
        head: second,
        body: transfer,
        read: second,
        handler: second,
        response: transfer,
        half_close: second,
        vanished: second,
        drain: Drain { bytes: 1, total: second },
        linger: Linger { gap: second, total: second },
        upgrade: second,
        shutdown: second,
        shutdown_grace: second,
        age: second,
        requests: 1,
        head_bytes: 1,
        head_fields: 1,
        body_bytes: 1,
        queued_bytes: 1,
        connections: 1,
        connections_by_address: 1,
    };
}
