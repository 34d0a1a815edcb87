//! Dumps of tools that are not read: what they are, and what to take instead.

const GDB: &str = "this is gdb's list of threads: a connection that waits is on no thread's stack; allowed: a task dump (tokio's Handle::dump), a \
     goroutine dump (/debug/pprof/goroutine?debug=2), or --stack FRAME and --phase";
const JSTACK: &str = "this is a thread dump of Java, whose servers are none of those that are run here; allowed: --phase and --age of the \
     connection, or hangup exec with the server itself";
const CONSOLE: &str = "this is tokio-console's table, which has no stacks; allowed: a task dump (tokio's Handle::dump), or --stack FRAME and --phase";
const NODE: &str = "this is a report or trace of Node.js, where a connection that waits has no stack; allowed: --phase and --age of the connection, or \
     hangup exec with the server itself";
const PY_SPY: &str = "this is py-spy's dump of Python, whose servers are none of those that are run here; allowed: --phase and --age of the \
     connection, or hangup exec with the server itself";

/// One line for the tool that this text is of.
pub(super) fn named(text: &str) -> Option<&'static str> {
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let line = |is: &dyn Fn(&str) -> bool| text.lines().map(str::trim).any(is);
    let gdb_frame = |line: &str| {
        let rest = line.strip_prefix('#');
        rest.and_then(|rest| rest.split_once(' '))
            .is_some_and(|(number, rest)| {
                !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit())
                    && (rest.trim_start().starts_with("0x") || rest.contains(" ("))
            })
    };
    let py_frame = |line: &str| {
        line.split_once(" (").is_some_and(|(_, place)| {
            place.strip_suffix(')').is_some_and(|place| {
                place.split_once(".py:").is_some_and(|(_, number)| {
                    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
                })
            })
        })
    };
    if has(&[
        "Full thread dump",
        "java.lang.Thread.State",
        "\tat java.",
        " nid=0x",
    ]) {
        Some(JSTACK)
    } else if has(&["nodejsVersion", "node:internal/", "javascriptStack"]) {
        Some(NODE)
    } else if line(&py_frame) {
        Some(PY_SPY)
    } else if has(&["(LWP "]) || line(&gdb_frame) {
        Some(GDB)
    } else if has(&["tokio-console", "Warn  ID", "BUSY", "Sched"]) && has(&["Polls", "POLLS"]) {
        Some(CONSOLE)
    } else {
        None
    }
}
