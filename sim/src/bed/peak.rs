//! The most memory that a server has at once while one client sends a body without end.
//!
//! What is left behind a round says nothing of a body that was kept as a whole and then dropped. So
//! one upload is sent, many times as long as the contract's [`buffer`](crate::contract::Contract),
//! and what the program had allocated at most is held against what it had before. The sockets'
//! buffers are small, and the client has one chunk at a time, so that what is left is the server's.

use super::Own;
use super::memory::scenario;
use super::route::Route;
use crate::engine::leap;
use crate::finding::Finding;
use crate::server::Server;
use hangup_scenario::{Scenario, Verdict};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// A body is so many times as long as the contract's buffer.
const LENGTHS: u64 = 16;
/// Of a body that is kept, so much is in memory at once. What a server that stops at its limit may
/// need beside that limit, for a copy or for a buffer that doubles, is less.
const KEPT: u64 = LENGTHS / 2;
/// No body is longer: where the contract allows more than a sixteenth of it, none is sent.
const BODY_MAX: u64 = 256 << 20;
/// Nor shorter: the sockets and the client have some hundred KiB, too.
const BODY_MIN: u64 = 4 << 20;
/// What the client sends at once.
const CHUNK: u64 = 64 << 10;
/// The first round fills pools and caches, the last is judged.
const ROUNDS: u32 = 2;

/// Both ways of framing a body: the scenario's name, the finding's word for it.
const FRAMINGS: [(&str, &str, Framing); 2] = [
    ("long chunked upload", "a chunked upload", Framing::Chunked),
    ("long upload", "an upload", Framing::Length),
];

#[derive(Clone, Copy, PartialEq)]
enum Framing {
    Chunked,
    Length,
}

/// Every kind of body of which the server has more in memory than it claims: the scenario, and the
/// finding. The program's global allocator is known to count.
pub(super) fn exceeded(server: &Own) -> Vec<(Arc<Scenario>, Finding)> {
    let routes = &server.routes;
    let Some(limit) = server.contract.buffer else {
        return Vec::new();
    };
    let body = limit.saturating_mul(LENGTHS).max(BODY_MIN);
    let tried = routes.targets.contains_key(&Route::ReadsBody) && body <= BODY_MAX;
    let framings = FRAMINGS.iter().filter(|_| tried);
    let found = framings.filter_map(|&(name, what, framing)| {
        let scenario = scenario(name, &upload(framing, body), NETWORK);
        let played = server.fit(&scenario);
        let most = peak(&played, server);
        (most > body / LENGTHS * KEPT).then(|| (scenario, told(what, (body, most, limit))))
    });
    found.collect()
}

/// Sockets that hold little.
const NETWORK: &str = "[network]\nsend_buffer = \"64KiB\"\nreceive_buffer = \"64KiB\"\n";

fn upload(framing: Framing, body: u64) -> String {
    let (field, piece) = match framing {
        Framing::Chunked => ("chunked = true".to_owned(), "chunk"),
        Framing::Length => (format!("length = {body}"), "body"),
    };
    let mut steps =
        format!(r#"{{ do = "send", head = {{ method = "POST", target = "/echo", {field} }} }}"#);
    for start in (0..body).step_by(CHUNK as usize) {
        let bytes = CHUNK.min(body - start);
        let _ = write!(steps, r#", {{ do = "send", {piece} = {bytes} }}"#);
    }
    steps + r#", { do = "reset" }"#
}

/// How many bytes more than before the program had at most in the last round.
fn peak(played: &Arc<Scenario>, server: &Own) -> u64 {
    let contract = server.contract();
    let pause = contract.stall.max(contract.drain) + Duration::from_secs(60);
    let (mut before, mut most) = (0, 0);
    leap::rounds(played, server, (ROUNDS, pause), || {
        most = hangup_seal::peak_bytes() - before;
        before = hangup_seal::live_bytes().unwrap_or_default();
        hangup_seal::restart_peak();
    });
    most.max(0) as u64
}

fn told(what: &str, (body, most, limit): (u64, u64, u64)) -> Finding {
    Finding {
        kind: Verdict::Hoard,
        part: Some("peak"),
        client: None,
        connection: None,
        at: Duration::ZERO,
        alive_for: None,
        never_ends: false,
        phase: None,
        task: None,
        says: format!(
            "the server had {most} bytes of memory at once for {what} of {body} bytes from one \
             client; its contract allows a connection {limit}"
        ),
    }
}
