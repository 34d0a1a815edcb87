//! Clients that do nothing wrong, only slowly: a server that cuts one of them off has deadlines, but the wrong ones.

use hangup_scenario::Scenario;
use std::sync::Arc;

/// One of them.
#[derive(Clone, Debug)]
pub struct Healthy {
    /// What it does.
    pub scenario: Arc<Scenario>,
    /// What it must get, on its one connection.
    pub statuses: &'static [u16],
}

/// Text and due statuses of every one.
const TEXTS: [(&str, &[u16]); 5] = [
    (
        r#"
        name  = "healthy-slow-upload"
        title = "An upload comes at 500 bytes a second, without a pause"
        seed  = 1
        [[client]]
        steps = [
          { do = "connect" },
          { do = "send", head = { method = "POST", target = "/echo", length = 10000 } },
          { do = "send", body = 10000, size = 252, every = "503ms" },
          { do = "await", status = "final", within = "10s" },
          { do = "close" },
        ]
        "#,
        &[200],
    ),
    (
        r#"
        name  = "healthy-slow-download"
        title = "Of a response of 8 MB a megabyte is read at 33 kB a second, without a pause"
        seed  = 1
        [[client]]
        steps = [
          { do = "connect" },
          { do = "send", head = { method = "GET", target = "/big/8000000" } },
          { do = "read", bytes = 1000000, size = 5000, every = "153ms" },
          { do = "close" },
        ]
        "#,
        &[200],
    ),
    (
        r#"
        name  = "healthy-least-download"
        title = "A response of 9000 bytes is read at 300 bytes a second, without a pause"
        seed  = 1
        [[client]]
        steps = [
          { do = "connect" },
          { do = "send", head = { method = "GET", target = "/big/9000" } },
          { do = "read", bytes = 9000, size = 300, every = "1003ms" },
          { do = "close" },
        ]
        "#,
        &[200],
    ),
    (
        r#"
        name  = "healthy-idle-then-request"
        title = "A connection is idle for four seconds between two requests"
        seed  = 1
        [[client]]
        steps = [
          { do = "connect" },
          { do = "send", head = { method = "GET", target = "/" } },
          { do = "await", status = "final", within = "10s" },
          { do = "stall", for = "4s" },
          { do = "send", head = { method = "GET", target = "/" } },
          { do = "await", status = "final", within = "10s" },
          { do = "close" },
        ]
        "#,
        &[200, 200],
    ),
    (
        r#"
        name  = "healthy-expect-after-idle"
        title = "After four idle seconds a request waits for its 100 Continue, and then sends its body"
        seed  = 1
        [[client]]
        steps = [
          { do = "connect" },
          { do = "send", head = { method = "GET", target = "/" } },
          { do = "await", status = "final", within = "10s" },
          { do = "stall", for = "4s" },
          { do = "send", head = { method = "POST", target = "/echo", length = 1000, expect = "100-continue" } },
          { do = "await", status = 100, within = "2s" },
          { do = "send", body = 1000 },
          { do = "await", status = "final", within = "10s" },
          { do = "close" },
        ]
        "#,
        &[200, 100, 200],
    ),
];

/// Every one.
///
/// # Panics
/// When one of them is no scenario, which a test of this module rules out.
pub fn all() -> impl Iterator<Item = Healthy> {
    TEXTS.into_iter().map(|(text, statuses)| Healthy {
        scenario: match Scenario::from_toml("healthy", text) {
            Ok(scenario) => Arc::new(scenario),
            Err(error) => panic!("{error}"),
        },
        statuses,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_one_is_a_scenario() {
        assert_eq!(super::all().count(), super::TEXTS.len());
    }
}
