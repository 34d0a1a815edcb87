//! Frames that tell what a connection waits for.

/// A frame of a server's stack, and where a connection is that waits in it.
#[derive(Debug)]
pub(super) struct Known {
    /// Part of the frame's text.
    pub(super) frame: &'static str,
    /// The phases that such a connection is in, as seen from outside.
    pub(super) phases: &'static [&'static str],
    /// The last status that it must have got.
    pub(super) status: Option<u16>,
}

const fn known(frame: &'static str, phases: &'static [&'static str], status: Option<u16>) -> Known {
    Known {
        frame,
        phases,
        status,
    }
}

const BETWEEN: &[&str] = &["opening", "head", "idle"];

const ANY: &[&str] = &[
    "opening", "head", "body", "handler", "response", "drain", "idle",
];

/// Frames of Go's servers, which are none of ours: all that can be asked for is the phase. The first that a text contains is taken. That
/// a body is read in `ContinueReadBody` does not mean that a 100 was sent: fasthttp 1.31 reads every body there.
const GO: [Known; 15] = [
    known("expectContinueReader", &["body"], Some(100)),
    known("ContinueReadBody", &["body"], None),
    known("eadLimitBody", &["body"], None),
    known("readBody", &["body"], None),
    known("finishRequest", &["drain", "body"], None),
    known("(*body).Read", &["body"], None),
    known("(*body).readLocked", &["body"], None),
    known("writeResponse", &["response"], None),
    known("checkConnErrorWriter", &["response"], None),
    known("backgroundRead", &["handler"], None),
    known("RequestHeader)", BETWEEN, None),
    known("readRequest", BETWEEN, None),
    known("(*Reader).Peek", &["idle"], None),
    known("serveConn", ANY, None),
    known("(*conn).serve", ANY, None),
];

/// Frames of Go's clients, and of proxies within a handler.
const CLIENTS: [&str; 7] = [
    "ResponseHeader)",
    "(*HostClient).",
    "net/http.(*persistConn)",
    "net/http.(*Transport)",
    "net/http.(*Client)",
    "http2ClientConn)",
    "http2.(*ClientConn)",
];

/// What a goroutine is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// It serves a connection.
    Server {
        /// The frame that tells most.
        frame: &'static str,
        /// The phase, where the frame alone does not tell it.
        phase: Option<&'static str>,
        /// Whether the request has an Expect.
        expects: Option<bool>,
        /// The last status that it must have got.
        status: Option<u16>,
    },
    /// It serves a connection, and its handler waits for another server.
    Proxy,
    /// It waits for the connections of a server that is being shut down.
    Shutdown,
    /// It asks another server.
    Client(&'static str),
}

/// What a goroutine with this stack, innermost frame first, is there for; none if that is no connection.
pub(super) fn place(stack: &[&str]) -> Option<Place> {
    let has = |part: &str| stack.iter().any(|frame| frame.contains(part));
    let at = |part: &str| stack.iter().position(|frame| frame.contains(part));
    let serves = at("fasthttp.(*Server).serveConn")
        .or_else(|| at("net/http.(*conn).serve("))
        .or_else(|| at("net/http.(*conn).serve+"));
    let client = CLIENTS.iter().find(|client| has(client));
    let server = |frame, phase| Place::Server {
        frame,
        phase,
        expects: None,
        status: None,
    };
    // The handler that writes the dump itself.
    if has("runtime/pprof.")
        || has("net/http/pprof.")
        || has("runtime.Stack(")
        || has("runtime/debug.Stack")
    {
        return None;
    }
    if has("(*Server).Shutdown") || has("(*Server).ShutdownWithContext") {
        return Some(Place::Shutdown);
    }
    if let Some(client) = client {
        return Some(match serves {
            Some(_) => Place::Proxy,
            None => Place::Client(client),
        });
    }
    if has("expectContinueReader") {
        return Some(Place::Server {
            frame: "expectContinueReader",
            phase: None,
            expects: Some(true),
            status: Some(100),
        });
    }
    if has("finishRequest") && has("(*body)") {
        return Some(server("finishRequest", None));
    }
    // The caller tells the two ways apart: a body behind a 100 is read by serveConn itself, any other by readLimitBody.
    if let Some(index) = at("ContinueReadBody") {
        let caller = stack[index + 1..]
            .iter()
            .find(|frame| !frame.contains("ContinueReadBody"));
        let expects = match caller {
            Some(caller) if caller.contains("serveConn") => Some(true),
            Some(caller) if caller.to_ascii_lowercase().contains("readlimitbody") => Some(false),
            _ => None,
        };
        return Some(Place::Server {
            frame: "ContinueReadBody",
            phase: None,
            expects,
            status: (expects == Some(true)).then_some(100),
        });
    }
    let writes = ["waitWrite", "net.(*conn).Write", "tls.(*Conn).Write"]
        .iter()
        .any(|it| has(it));
    if let Some(index) = serves {
        let innermost = stack[..index].last();
        return Some(match innermost {
            _ if has("checkConnErrorWriter") => server("checkConnErrorWriter", None),
            _ if has("writeResponse") => server("writeResponse", None),
            _ if writes => server(serve_frame(stack[index]), Some("response")),
            Some(frame) if frame.contains("(*Reader).Peek") => server("(*Reader).Peek", None),
            _ => match GO
                .iter()
                .filter(|known| known.phases != ANY)
                .find(|known| has(known.frame))
            {
                Some(known) => server(known.frame, None),
                // What it calls is a handler.
                None => server(serve_frame(stack[index]), Some("handler")),
            },
        });
    }
    let known = GO.iter().find(|known| has(known.frame))?;
    // A handler's connection is read beside it, and that says no more than the handler does; a peek may be anybody's.
    let is_own = !matches!(
        known.frame,
        "(*Reader).Peek" | "serveConn" | "(*conn).serve"
    );
    is_own.then(|| server(known.frame, None))
}

fn serve_frame(frame: &str) -> &'static str {
    match frame.contains("serveConn") {
        true => "serveConn",
        false => "(*conn).serve",
    }
}

/// Methods of hyper and of our server that tell more than what is further in: every wait for bytes ends in the same few frames. In the same order.
const RUST: [&str; 10] = [
    "h1::decode::Decoder",
    "handling::::pump",
    "handling::pump",
    "poll_read_body",
    "Conn::poll_flush",
    "mid_message_detect_eof",
    "poll_drain_or_close_read",
    "Conn::poll_read_head",
    "reading::::read_head",
    "reading::read_head",
];

/// The frame of Go's that is part of `text`.
pub(super) fn go(text: &str) -> Option<&'static Known> {
    GO.iter().find(|known| text.contains(known.frame))
}

/// How much a frame tells, the smaller the more; none if it is not known.
pub(super) fn rank(frame: &str) -> Option<usize> {
    let go = GO.iter().position(|known| known.frame == frame);
    go.or_else(|| RUST.iter().position(|known| frame.contains(known)))
}

/// Crates of Rust whose frames say nothing of what a server waits for.
const PLUMBING: [&str; 8] = [
    "tokio::",
    "hangup_network::",
    "hyper_util::",
    "mio::",
    "core::",
    "std::",
    "alloc::",
    "rust_begin_unwind",
];

/// Does this frame say nothing of what a server waits for?
pub(super) fn is_plumbing(frame: &str) -> bool {
    PLUMBING.iter().any(|crate_| frame.starts_with(crate_))
}

/// The frame among these, innermost first, that tells most.
pub(in crate::campaign) fn telling(stack: &[String]) -> Option<&String> {
    let known = stack.iter().filter(|frame| rank(frame).is_some());
    known
        .min_by_key(|frame| rank(frame))
        .or_else(|| stack.iter().find(|frame| !is_plumbing(frame)))
        .or_else(|| stack.first())
}

/// The server whose stacks have such frames.
pub(super) fn server(frame: &str) -> &'static str {
    let has = |parts: &[&str]| parts.iter().any(|part| frame.contains(part));
    if has(&["axum"]) {
        "axum"
    } else if has(&["hyper", "h1::", "Decoder", "Dispatcher", "Buffered"]) {
        "hyper"
    } else {
        // That of the incident: nothing ends what waits in it.
        "hangup-unbounded"
    }
}
