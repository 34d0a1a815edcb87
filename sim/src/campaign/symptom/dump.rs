//! Stacks that somebody pasted: a goroutine dump, a goroutine profile, a task dump, or the page of our server's own connections.

use super::frame::{self, Place};
use super::{Sign, Symptom, prefix, stranger};
use std::collections::BTreeMap;
use std::time::Duration;

/// Why a dump says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No stack in it is known.
    #[error(
        "nothing in it says what a connection waits for; allowed: a goroutine dump or profile with a frame of fasthttp or net/http, a task \
         dump or backtrace of Rust (a::b::c), or /debug/connections of our server"
    )]
    Nothing,
    /// The stacks are of a program that asks servers.
    #[error(
        "{count} goroutines of an HTTP client wait in {frame}, and none of a server's connections: what they wait for is in the server that \
         they ask; allowed: a dump of that server, or --phase and --age of its connection"
    )]
    Client {
        /// How many wait.
        count: u64,
        /// In what.
        frame: String,
    },
    /// It is the dump of another tool.
    #[error("{0}")]
    Stranger(&'static str),
}

/// More frames of a goroutine than this are not looked at.
const STACK_MAX: usize = 1000;
/// What stands before a frame in the trees that tokio draws.
const TREE: [char; 7] = ['╼', '└', '├', '─', '│', ' ', '\t'];

/// A symptom, and what else the dump has: how many wait where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Of those that wait longest, or else of the most.
    pub symptom: Symptom,
    /// The others, in words.
    pub others: Vec<String>,
}

/// Connections that wait in one frame.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    count: u64,
    age: Option<Duration>,
}

pub(super) fn read(text: &str) -> Result<Seen, Unreadable> {
    let text = &prefix::without(text);
    if let Some(seen) = connections(text) {
        return Ok(seen);
    }
    let goroutines = go(text);
    let clients = goroutines
        .iter()
        .filter_map(|(place, waiting)| match place {
            Place::Client(frame) => Some((waiting.count, *frame)),
            _ => None,
        });
    let clients: Vec<_> = clients.collect();
    if let Some(seen) = goroutine(goroutines) {
        return Ok(seen);
    }
    if let Some((_, frame)) = clients.iter().max() {
        return Err(Unreadable::Client {
            count: clients.iter().map(|(count, _)| count).sum(),
            frame: format!("{frame}..."),
        });
    }
    if let Some(line) = stranger::named(text) {
        return Err(Unreadable::Stranger(line));
    }
    by_frame(rust(text)).ok_or(Unreadable::Nothing)
}

/// What a group of goroutines waits in, in words.
fn told(place: Place) -> String {
    match place {
        Place::Server {
            frame,
            phase,
            expects,
            ..
        } => {
            let phase = phase.map_or(String::new(), |phase| format!(" (phase {phase})"));
            let expects = match expects {
                Some(true) => " behind Expect",
                Some(false) => " without Expect",
                None => "",
            };
            format!("{frame}{phase}{expects}")
        }
        Place::Proxy => "a handler that asks another server".to_owned(),
        Place::Shutdown => "a shutdown that waits".to_owned(),
        Place::Client(frame) => format!("a client ({frame}...)"),
    }
}

/// A shutdown that waits is what to look for; then what waits longest is, and last what may be idle, which is no fault. Clients are none.
fn goroutine(waiting: BTreeMap<Place, Waiting>) -> Option<Seen> {
    let mut waiting: Vec<_> = waiting.into_iter().collect();
    waiting.sort_by_key(|(place, waiting)| {
        let may_be_idle =
            |frame: &str| ["RequestHeader)", "readRequest", "(*Reader).Peek"].contains(&frame);
        let idle = match place {
            Place::Server { frame, .. } if may_be_idle(frame) => 2,
            // A handler that works is no fault either.
            Place::Proxy
            | Place::Server {
                phase: Some("handler"),
                ..
            } => 1,
            _ => 0,
        };
        (
            matches!(place, Place::Client(_)),
            *place != Place::Shutdown,
            std::cmp::Reverse(waiting.age),
            idle,
            std::cmp::Reverse(waiting.count),
        )
    });
    let mut waiting = waiting.into_iter();
    let (place, first) = waiting.next()?;
    let symptom = match place {
        Place::Server {
            frame,
            phase,
            expects,
            status,
        } => Symptom {
            stack: Some(frame.to_owned()),
            phase: phase.map(str::to_owned),
            expects,
            status,
            ..Symptom::default()
        },
        Place::Proxy => Symptom {
            phase: Some("handler".to_owned()),
            ..Symptom::default()
        },
        Place::Shutdown => Symptom {
            sign: Some(Sign::Shutdown),
            ..Symptom::default()
        },
        Place::Client(_) => return None,
    };
    let of_connection = place != Place::Shutdown;
    let others = waiting.map(|(place, Waiting { count, age })| {
        let age = age.map_or(String::new(), |age| {
            format!(", {}", crate::finding::spell(age))
        });
        format!("{count} in {}{age}", told(place))
    });
    Some(Seen {
        symptom: Symptom {
            age: first.age.filter(|_| of_connection),
            connections: (first.count > 1 && of_connection).then_some(first.count),
            ..symptom
        },
        others: others.collect(),
    })
}

/// The leak is what waits longest. Where no ages are known it is what most wait for, but for frames in which a connection may be idle.
fn by_frame(waiting: BTreeMap<String, Waiting>) -> Option<Seen> {
    let mut waiting: Vec<_> = waiting.into_iter().collect();
    waiting.sort_by_key(|(frame, waiting)| {
        let idle = frame.contains("ead_head") || frame.contains("Request");
        (
            std::cmp::Reverse(waiting.age),
            idle,
            std::cmp::Reverse(waiting.count),
        )
    });
    let mut waiting = waiting.into_iter();
    let (frame, first) = waiting.next()?;
    Some(Seen {
        symptom: Symptom {
            stack: Some(frame),
            age: first.age,
            connections: (first.count > 1).then_some(first.count),
            ..Symptom::default()
        },
        others: waiting
            .map(|(frame, Waiting { count, .. })| format!("{count} in {frame}"))
            .collect(),
    })
}

/// `goroutine 18 [IO wait, 1757 minutes]:`, or `412 @ 0x43a2e5 0x4065d3` of a profile.
fn heading(line: &str) -> Option<Waiting> {
    if let Some(rest) = line.strip_prefix("goroutine ") {
        let (_, state) = rest.split_once('[')?;
        let (state, _) = state.split_once(']')?;
        let minutes = state
            .split(", ")
            .find_map(|part| part.strip_suffix(" minutes")?.parse::<u64>().ok());
        let age = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
        return Some(Waiting { count: 1, age });
    }
    let (count, _) = line.split_once(" @ 0x")?;
    let count = count.parse().ok()?;
    Some(Waiting { count, age: None })
}

/// The frame in a line of a goroutine: in a profile behind its address, elsewhere a line of its own, with its place in the next one.
fn go_frame(line: &str) -> Option<&str> {
    match line.strip_prefix('#') {
        Some(rest) => rest.split_ascii_whitespace().nth(1),
        None => {
            Some(line).filter(|line| !line.contains(".go:") && !line.starts_with("created by "))
        }
    }
}

/// How many goroutines wait in each place.
fn go(text: &str) -> BTreeMap<Place, Waiting> {
    let mut all: BTreeMap<Place, Waiting> = BTreeMap::new();
    // A stack without its heading is one goroutine.
    let mut goroutine = Waiting {
        count: 1,
        age: None,
    };
    let mut stack: Vec<&str> = Vec::new();
    let mut end = |goroutine: Waiting, stack: &mut Vec<&str>| {
        if let Some(place) = frame::place(stack) {
            let waiting = all.entry(place).or_default();
            waiting.count = waiting.count.saturating_add(goroutine.count);
            waiting.age = waiting.age.max(goroutine.age);
        }
        stack.clear();
    };
    for line in text.lines().map(str::trim) {
        if let Some(next) = heading(line) {
            end(goroutine, &mut stack);
            goroutine = next;
        } else if line.is_empty() {
            end(goroutine, &mut stack);
            goroutine = Waiting {
                count: 1,
                age: None,
            };
        } else if let Some(frame) = go_frame(line)
            && stack.len() < STACK_MAX
        {
            stack.push(frame);
        }
    }
    end(goroutine, &mut stack);
    // What is read beside a handler is its connection, too.
    let beside =
        |place: &Place| matches!(place, Place::Server { frame, .. } if *frame == "backgroundRead");
    if all.keys().any(|place| !beside(place)) {
        all.retain(|place, _| !beside(place));
    }
    all
}

/// A path without its type arguments and the hash of its instance.
fn plain(path: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0_usize);
    for letter in path.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            letter if depth == 0 => out.push(letter),
            _ => {}
        }
    }
    if let Some((path, hash)) = out.rsplit_once("::h")
        && hash.len() == 16
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        out = path.to_owned();
    }
    out.replace("::::", "::")
}

/// The frame in a line of a task dump or of a backtrace, without its number, its address and its place.
fn rust_frame(line: &str) -> Option<String> {
    let mut path = line.trim_start_matches(TREE);
    if let Some((number, rest)) = path.split_once(": ")
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        path = rest.trim_start();
    }
    if let Some((address, rest)) = path.split_once(" - ")
        && address.starts_with("0x")
    {
        path = rest;
    }
    let path = path.split(" at ").next()?.trim();
    // `<Type as Trait>::method` begins with its type.
    let path = match path.strip_prefix('<') {
        Some(inner) if path.contains(" as ") => inner.split(" as ").next()?,
        _ => path.trim_start_matches('<'),
    };
    let path = &*plain(path);
    let is_path = path.contains("::")
        && path.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && !path.contains([' ', '/'])
        && !path.ends_with(".rs");
    is_path.then(|| path.trim_end_matches("::{{closure}}").to_owned())
}

/// How many tasks wait in each frame; a task is counted in the one that tells most.
fn rust(text: &str) -> BTreeMap<String, Waiting> {
    let mut all: BTreeMap<String, Waiting> = BTreeMap::new();
    let mut stack: Vec<String> = Vec::new();
    // tokio draws a tree with the innermost frame at its end; others begin with it.
    let is_tree = text.contains('╼');
    let mut end = |stack: &mut Vec<String>| {
        if is_tree {
            stack.reverse();
        }
        if let Some(frame) = frame::telling(stack) {
            all.entry(frame.clone()).or_default().count += 1;
        }
        stack.clear();
    };
    for line in text.lines() {
        let begins = line.starts_with('╼');
        match rust_frame(line) {
            Some(frame) => {
                if begins {
                    end(&mut stack);
                }
                if !frame::is_plumbing(&frame) {
                    stack.push(frame);
                }
            }
            // The place of a frame may have a line of its own.
            None if line.trim_start().starts_with("at ") => {}
            // A frame of the tree whose name says nothing.
            None if begins => end(&mut stack),
            None if line.contains('╼') => {}
            None => end(&mut stack),
        }
    }
    end(&mut stack);
    all
}

/// `412 in body, oldest 29h17m, deadline none (...)`: the text of our server's `/debug/connections`.
fn connections(text: &str) -> Option<Seen> {
    let mut groups: Vec<(u64, &str, Duration)> = Vec::new();
    for line in text.lines() {
        let group = || {
            let (count, rest) = line.split_once(" in ")?;
            let (phase, rest) = rest.split_once(", oldest ")?;
            let (oldest, rest) = rest.split_once(", ")?;
            let known = super::PHASES.contains(&phase) && rest.starts_with("deadline ");
            let oldest = humantime::parse_duration(oldest).ok()?;
            Some((count.parse().ok()?, phase, oldest)).filter(|_| known)
        };
        groups.extend(group());
    }
    groups.sort_by_key(|(count, _, oldest)| std::cmp::Reverse((*oldest, *count)));
    let mut groups = groups.into_iter();
    let (count, phase, oldest) = groups.next()?;
    Some(Seen {
        symptom: Symptom {
            phase: Some(phase.to_owned()),
            age: Some(oldest),
            connections: (count > 1).then_some(count),
            ..Symptom::default()
        },
        others: groups
            .map(|(count, phase, _)| format!("{count} in {phase}"))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As fasthttp issue 1834 has it.
    const INCIDENT: &str = "goroutine 51 [IO wait, 1757 minutes]:\n\
        internal/poll.runtime_pollWait(0x7f4b8c0e5f08, 0x72)\n\
        net.(*conn).Read(0xc0001a6008, {0xc0002b4000, 0x1000, 0x1000})\n\
        bufio.(*Reader).fill(0xc0000a2000)\n\
        github.com/valyala/fasthttp.appendBodyFixedSize(0xc0000a2000, {0xc0, 0x0, 0x0}, 0x3e8)\n\
        github.com/valyala/fasthttp.readBody(0xc0000a2000, 0x3e8, 0x400000)\n\
        github.com/valyala/fasthttp.(*Request).ContinueReadBody(0xc0000b0000, 0xc0000a2000, 0x400000)\n\
        github.com/valyala/fasthttp.(*Server).serveConn(0xc0000c2000, {0x6e, 0xc0})\n";

    fn symptom(text: &str) -> Symptom {
        read(text).expect("it is a dump").symptom
    }

    #[test]
    fn the_stack_of_the_incident_is_a_body_and_its_minutes_are_its_age() {
        let symptom = symptom(&format!("{INCIDENT}\n{INCIDENT}"));
        assert_eq!(symptom.age, Some(Duration::from_secs(1757 * 60)));
        assert_eq!(symptom.connections, Some(2));
        assert_eq!(symptom.stack.as_deref(), Some("ContinueReadBody"));
        let (_, without_heading) = INCIDENT.split_once('\n').expect("it has lines");
        let symptom = super::tests::symptom(without_heading);
        assert_eq!(symptom.stack.as_deref(), Some("ContinueReadBody"));
    }

    #[test]
    fn what_waits_longest_is_the_leak_and_the_idle_are_not() {
        let idle = "goroutine 7 [IO wait, 2 minutes]:\nnet/http.(*conn).readRequest(0xc0)\n";
        let seen = read(&format!("{idle}\n{idle}\n{INCIDENT}\n{idle}")).expect("it is a dump");
        assert_eq!(seen.symptom.stack.as_deref(), Some("ContinueReadBody"));
        assert_eq!(seen.others, ["3 in readRequest, 2m"]);
    }

    #[test]
    fn a_profile_has_counts() {
        let profile = "goroutine profile: total 415\n900 @ 0x43a2e5 0x4065d3\n\
            #\t0x62\tnet/http.(*conn).readRequest+0x1\t/server.go:1\n\n412 @ 0x43a2e5 0x4065d3\n\
            #\t0x63\tgithub.com/valyala/fasthttp.(*Request).ContinueReadBody+0x1a3\t/http.go:1\n";
        let symptom = symptom(profile);
        assert_eq!(symptom.connections, Some(412));
        assert_eq!(symptom.stack.as_deref(), Some("ContinueReadBody"));
    }

    #[test]
    fn the_frame_of_rust_that_tells_most() {
        let report = "  tokio::io::poll_evented::PollEvented::poll_read at tokio-1.54.1/src/x.rs:172\n  \
            hyper::proto::h1::io::Buffered::poll_read_from_io\n      at hyper-1.12.0/src/proto/h1/io.rs:249\n  \
            hyper::proto::h1::decode::Decoder::decode at hyper-1.12.0/src/proto/h1/decode.rs:156\n";
        let tree = "╼ server::main::{{closure}} at src/main.rs:3:1\n  └╼ hyper::proto::h1::decode::Decoder::decode at x:1:1\n     \
            └╼ tokio::net::tcp::stream::poll_read at y:1:1\n";
        let backtrace = "   0: 0x55f0 - <hyper_util::rt::tokio::TokioIo<T> as hyper::rt::io::Read>::poll_read\n             at /src/x.rs:1\n   \
            1: hyper::proto::h1::decode::Decoder::decode\n             at /src/proto/h1/decode.rs:156:9\n";
        for text in [report, tree, backtrace] {
            let stack = symptom(text).stack;
            let stack = stack.as_deref();
            assert_eq!(stack, Some("hyper::proto::h1::decode::Decoder::decode"));
        }
        let two = format!("task 1 trace:\n{tree}\ntask 2 trace:\n{tree}\n");
        assert_eq!(symptom(&two).connections, Some(2));
    }

    #[test]
    fn our_server_s_page_of_connections() {
        let page = "512 connections opened, 415 open, 97 client-closed\n\n3 in idle, oldest 20s, deadline in 55s (total)\n    waiting\n\n\
            412 in expect, oldest 29h17m, deadline none (as fasthttp's defaults)\n    waiting for the first byte\n";
        let seen = read(page).expect("it is a dump");
        let symptom = seen.symptom;
        assert_eq!(symptom.phase.as_deref(), Some("expect"));
        assert_eq!(symptom.age, Some(Duration::from_secs(1757 * 60)));
        assert_eq!(
            (symptom.connections, &*seen.others),
            (Some(412), &["3 in idle".to_owned()][..])
        );
    }

    #[test]
    fn what_is_no_dump_is_an_error() {
        for text in [
            "",
            "hello",
            "goroutine",
            "goroutine 1 [",
            "99999999999999999999 @ 0x",
            "::\n@ 0x",
            "GET / HTTP/1.1\r\nHost: a::b c\r\n",
            "1 in body, oldest never, deadline none",
            "https://example.test/a::b",
        ] {
            assert_eq!(read(text), Err(Unreadable::Nothing), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(
            lines in prop::collection::vec(
                prop_oneof![
                    "[ -~\u{2500}-\u{257f}]{0,40}",
                    "goroutine [0-9]{0,30} \\[[a-z ,0-9]{0,30}\\]:",
                    "[0-9]{0,30} in (body|idle), oldest [0-9a-z]{0,30}, deadline",
                    "[0-9]{0,25} @ 0x",
                    Just("ContinueReadBody(".to_owned()),
                    Just("╼ a::b at x".to_owned()),
                ],
                0..20,
            )
        ) {
            let _ = read(&lines.join("\n"));
        }
    }
}
