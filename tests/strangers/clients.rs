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
        "empty-lines-restart",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", bytes = "<crlf>", size = 2, every = "9s" } ]"#,
    ),
    (
        "unclocked-upgrade",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", bytes = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n" },
  { do = "await", status = 101, within = "2s" }, { do = "stall", for = "29h" } ]"#,
    ),
    (
        "no-pongs",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", bytes = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n" },
  { do = "await", status = 101, within = "2s" }, { do = "read", bytes = 100000, size = 100, every = "1s" }, { do = "stall", for = "29h" } ]"#,
    ),
    (
        "no-pongs",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", bytes = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n" },
  { do = "await", status = 101, within = "2s" }, { do = "vanish" } ]"#,
    ),
    (
        "inline-sniff",
        r#"[[client]]
count = 20
steps = [ { do = "connect" }, { do = "stall", for = "1h" } ]
[[client]]
steps = [ { do = "stall", for = "100ms" }, { do = "connect" }, { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "10m" }, { do = "close" } ]"#,
    ),
    (
        "panic-stays-counted",
        r#"[[client]]
count = 9
stagger = "10ms"
steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/panic" } }, { do = "await", eof = true, within = "10s" } ]"#,
    ),
    (
        "address-never-forgotten",
        r#"[[client]]
count = 101
stagger = "10ms"
steps = [ { do = "connect" }, { do = "close" } ]"#,
    ),
    (
        "lock-across-handler",
        r#"[[client]]
count = 10
steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/never" } }, { do = "await", status = "final", within = "10m" }, { do = "close" } ]"#,
    ),
    (
        "lock-across-handler",
        r#"[[client]]
count = 40
steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/never" } }, { do = "await", status = "final", within = "10m" }, { do = "close" } ]"#,
    ),
    (
        "audit-blocks",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/never", connection = "close" } }, { do = "await", status = "final", within = "10s" }, { do = "close" } ]
[[client]]
count = 20
steps = [ { do = "stall", for = "10s" }, { do = "connect" }, { do = "send", head = { method = "GET", target = "/", connection = "close" } }, { do = "await", status = "final", within = "10s" }, { do = "close" } ]"#,
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
        "chunked-to-old",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/", version = "1.0" } }, { do = "await", status = "final", within = "10s" }, { do = "await", eof = true, within = "10s" } ]"#,
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
        "no-framing",
        r#"[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "GET", target = "/" } }, { do = "await", bytes = 20, within = "5s" }, { do = "send", head = { method = "GET", target = "/" } }, { do = "await", eof = true, within = "60s" } ]"#,
    ),
    (
        "registry-grows",
        r#"[[client]]
count = 100
stagger = "10ms"
steps = [ { do = "connect" }, { do = "send", bytes = "GET /" }, { do = "reset" } ]"#,
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
