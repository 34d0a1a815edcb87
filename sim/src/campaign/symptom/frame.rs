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

/// Frames of Go's servers, which are none of ours: all that can be asked for is the phase. The first that a stack has tells most; the last
/// are those of a connection that may be idle, which is no fault.
const GO: [Known; 9] = [
    known("ContinueReadBody", &["body"], Some(100)),
    known("ReadLimitBody", &["body"], None),
    known("readBody", &["body"], None),
    known("(*body).Read", &["body"], None),
    known("writeResponse", &["response"], None),
    known("(*checkConnErrorWriter).Write", &["response"], None),
    known("backgroundRead", &["handler"], None),
    known("RequestHeader).Read", BETWEEN, None),
    known("readRequest", BETWEEN, None),
];

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
