//! Clients that bring out what the incidents and the generated cases do not.

/// The server, and the scenario of a client that brings its defect out.
pub(crate) const CLIENTS: &[(&str, &str)] = &[
    (
        "continue-is-all",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "POST", target = "/echo", length = 5, expect = "100-continue" } },
  { do = "await", status = 100, within = "2s" }, { do = "send", body = 5 }, { do = "await", status = "final", within = "60s" } ]"#,
    ),
    (
        "drops-read-request",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "POST", target = "/echo", length = 5 } }, { do = "stall", for = "1500ms" }, { do = "send", body = 5 }, { do = "await", status = "final", within = "10s" } ]
[[server_event]]
at = "1s"
do = "shutdown""#,
    ),
    (
        "keeps-listening",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/never" } }, { do = "await", status = "final", within = "10s" }, { do = "stall", for = "1s" } ]
[[client]]
steps = [ { do = "stall", for = "1500ms" }, { do = "connect" }, { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "10s" } ]
[[server_event]]
at = "1s"
do = "shutdown""#,
    ),
    (
        "endless-head",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", bytes = "GET / HTTP/1.1\r\nX: <pad>" }, { do = "await", eof = true, within = "20s" } ]"#,
    ),
    (
        "endless-body",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "POST", target = "/echo", chunked = true } }, { do = "send", chunk = 4000000 }, { do = "stall", for = "5s" }, { do = "await", eof = true, within = "60s" } ]"#,
    ),
    (
        "no-extensions",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", bytes = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n" }, { do = "await", status = "final", within = "10s" } ]"#,
    ),
    (
        "select-drops-head",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", bytes = "GET / HTTP/1.1\r\n" }, { do = "stall", for = "6s" }, { do = "send", bytes = "Host: hangup.test\r\n\r\n" }, { do = "await", status = "final", within = "20s" } ]"#,
    ),
    (
        "shared-slot",
        r#"seed = 3
[network]
latency = "0ms"
[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/missing" } }, { do = "await", status = "final", within = "10s" }, { do = "close" } ]"#,
    ),
];
