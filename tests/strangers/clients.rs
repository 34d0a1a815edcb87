//! Clients that bring out what the incidents and the generated cases do not.

/// The server, and the scenario of a client that brings its defect out.
pub(crate) const CLIENTS: &[(&str, &str)] = &[(
    "endless-body",
    r#"[[client]]
steps = [ { do = "connect" }, { do = "send", head = { method = "POST", target = "/echo", chunked = true } }, { do = "send", chunk = 4000000 }, { do = "stall", for = "5s" }, { do = "await", eof = true, within = "60s" } ]"#,
)];
