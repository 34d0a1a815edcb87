//! What is asked of each part, and what is expected of it.

use crate::bed::route::Route;
use std::time::Duration;

/// What a client that reads nothing leaves in sockets is less than this.
pub(super) const BIG: u64 = 1 << 20;
/// The size that a route is asked for which gives as much as it is asked for.
const BIG_ASKED: u64 = 4 << 20;
/// A slow route takes at least this long.
pub(super) const SLOW: Duration = Duration::from_millis(50);
/// The time in milliseconds that a route is asked for which waits as long as it is told.
const MS_ASKED: u64 = 1_000;
/// How long a client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(60);

const ANSWER: &str = r#"{ do = "await", status = "final", within = "60s" }"#;

const UPGRADE: &str =
    r#"{ target = "/upgrade", connection = "upgrade", headers = [["Upgrade", "echo"]] }"#;

/// What is asked of a part.
pub(super) struct Part {
    /// The steps of its client behind `connect`, as a scenario file has them.
    pub(super) steps: String,
    /// How long they may take.
    pub(super) within: Duration,
    /// What is expected, in words.
    pub(super) expects: &'static str,
}

impl Part {
    pub(super) fn of(route: Route) -> Self {
        let read = format!(r#"{{ do = "read", bytes = {} }}"#, BIG + 1024);
        let (steps, expects) = match route {
            Route::Plain => (get("/", ANSWER), "a 2xx or 3xx"),
            Route::ReadsBody => (
                post(
                    "/echo",
                    r#"{ do = "stall", for = "200ms" }, { do = "send", body = 1000 }, "#,
                ),
                "a 2xx once the body is read to its end",
            ),
            Route::LeavesBody => (post("/reject", ""), "an answer before the body is there"),
            Route::Big => (
                get(&format!("/big/{BIG_ASKED}"), &read),
                "a 2xx with some MiB, more than sockets hold",
            ),
            Route::Slow => (
                get(
                    &format!("/slow/{MS_ASKED}"),
                    r#"{ do = "await", status = "final", within = "10m" }"#,
                ),
                "a 2xx or 3xx that takes its time, 50 ms at least",
            ),
            // Most servers' own clocks take longer than 3 s.
            Route::Never => (
                get(
                    "/never",
                    r#"{ do = "await", status = "final", within = "3s" }"#,
                ),
                "no answer and no close for 3 s",
            ),
            Route::Panics => (get("/panic", ANSWER), "a panic"),
            Route::Events => (
                get("/events", r#"{ do = "stall", for = "10s" }"#),
                "a 2xx whose body has no end, 10 s later either",
            ),
            Route::Ticks => (
                get(
                    &format!("/events/{MS_ASKED}"),
                    r#"{ do = "stall", for = "60s" }"#,
                ),
                "a 2xx whose body has no end and goes on within 60 s",
            ),
            Route::Endless => (
                get("/endless", &read),
                "a 2xx whose body goes on for as long as it is read",
            ),
            Route::Upgrade => (
                format!(
                    r#"{{ do = "send", head = {UPGRADE} }}, {{ do = "await", status = 101, within = "60s" }},
                       {{ do = "send", bytes = "hello" }}, {{ do = "stall", for = "5s" }}"#
                ),
                "a 101 to a GET with Upgrade: echo, and then what is sent comes back",
            ),
        };
        let within = match route {
            Route::Slow => 10 * PATIENCE,
            Route::Upgrade => 2 * PATIENCE,
            _ => PATIENCE,
        };
        Self {
            steps,
            within,
            expects,
        }
    }
}

fn get(target: &str, then: &str) -> String {
    let head = format!(r#"{{ target = "{target}", connection = "close" }}"#);
    format!(r#"{{ do = "send", head = {head} }}, {then}"#)
}

/// A request with a body of 1000 bytes; what comes between the head and the wait for the answer is
/// `then`.
fn post(target: &str, then: &str) -> String {
    let head = format!(
        r#"{{ method = "POST", target = "{target}", length = 1000, connection = "close" }}"#
    );
    format!(r#"{{ do = "send", head = {head} }}, {then}{ANSWER}"#)
}
