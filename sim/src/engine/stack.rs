//! Await stacks of the server's tasks, from tokio's task dumps.
//!
//! tokio has them on Linux for x86_64 and aarch64; elsewhere a report says so.

use crate::run::Stack;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use crate::task::Role;
use crate::task::Tasks;
use std::collections::BTreeMap;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use std::task::Poll;
use tokio::task::Id;

/// The stacks of the server's living tasks, or why there are none.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) stacks: BTreeMap<Id, Stack>,
    pub(crate) unavailable: Option<&'static str>,
}

/// Captures the await stack of every living task of the server. The dump polls the tasks, so nothing may be recorded
/// any more.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(crate) async fn capture(tasks: &Tasks) -> Captured {
    use std::future::{Future, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;

    let runtime = tokio::runtime::Handle::current();
    let mut dumping = pin!(runtime.dump());
    // tokio's dump panics when a task wakes itself in it, as a `JoinSet` does of which a task goes on when it is polled.
    let dump = poll_fn(|cx| {
        let polled = quietly(|| catch_unwind(AssertUnwindSafe(|| dumping.as_mut().poll(cx))));
        match polled {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await;
    let Some(dump) = dump else {
        let why = "tokio could not dump the tasks: one of them goes on when it is polled, so its wake-up was lost";
        return Captured {
            stacks: BTreeMap::new(),
            unavailable: Some(why),
        };
    };
    let of_server = |id| tasks.get(id).is_some_and(|task| task.role == Role::Server);
    let stacks = dump
        .tasks()
        .iter()
        .filter(|task| of_server(task.id()))
        .map(|task| {
            let mut stack = lines(task.trace());
            if stack.is_empty() {
                stack.push(
                    "(nothing of tokio's: it waits for something else, or its wake-up was lost)"
                        .to_owned(),
                );
            }
            (task.id(), stack)
        });
    Captured {
        stacks: stacks.collect(),
        unavailable: None,
    }
}

/// Runs `work` without a word on stderr if it panics on this thread.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn quietly<R>(work: impl FnOnce() -> R) -> R {
    use std::cell::Cell;
    use std::sync::Once;

    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                loud(panic);
            }
        }));
    });
    QUIET.set(true);
    let done = work();
    QUIET.set(false);
    done
}

/// There are no task dumps on this platform.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub(crate) async fn capture(_tasks: &Tasks) -> Captured {
    Captured {
        stacks: BTreeMap::new(),
        unavailable: Some("await stacks are available on Linux (x86_64, aarch64) only"),
    }
}

/// The frames of a trace that mean something to the server's author, innermost first. A task that waits for
/// several things at once has a trace for each; they share their outer frames, which are given once.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn lines(trace: &tokio::runtime::dump::Trace) -> Stack {
    let mut branches: Vec<Stack> = Vec::new();
    for backtrace in trace.resolve_backtraces() {
        let mut branch = Stack::new();
        for symbol in backtrace.frames().flat_map(|frame| frame.symbols()) {
            let Some(name) = symbol.name_demangled() else {
                continue;
            };
            let name = plain_name(name);
            if is_plumbing(&name) {
                continue;
            }
            let line = match (symbol.filename(), symbol.lineno()) {
                (Some(file), Some(line)) => {
                    format!("{name} at {}:{line}", short_path(&file.to_string_lossy()))
                }
                _ => name,
            };
            if branch.last() != Some(&line) {
                branch.push(line);
            }
        }
        if !branches.contains(&branch) {
            branches.push(branch);
        }
    }
    joined(branches)
}

/// One stack of the branches of a task that waits for several things at once: first the whole branch that waits for the
/// network, or else the one that went deepest into the server; then of each other one the frames that it does not share with
/// that, below a line that says so.
fn joined(mut branches: Vec<Stack>) -> Stack {
    let waits_for_network = |branch: &Stack| {
        let innermost = branch.first();
        innermost.is_some_and(|frame| frame.starts_with("hangup_network::"))
    };
    branches.sort_by_key(|branch| (!waits_for_network(branch), std::cmp::Reverse(branch.len())));
    let mut branches = branches.into_iter();
    let mut stack = branches.next().unwrap_or_default();
    let whole = stack.len();
    for branch in branches {
        let first = stack[..whole].iter().rev();
        let shared = branch.iter().rev().zip(first);
        let shared = shared.take_while(|(own, first)| own == first).count();
        let own = &branch[..branch.len() - shared];
        if !own.is_empty() {
            stack.push(OR_IN.to_owned());
            stack.extend_from_slice(own);
        }
    }
    stack
}

/// Between the branches of a stack.
pub(crate) const OR_IN: &str = "-- and, in another branch of the same task, in";

/// A symbol's name as one would say it: without hash, generics and the trait that a method comes from.
fn plain_name(name: &str) -> String {
    let name = match name.rsplit_once("::h") {
        Some((name, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            name
        }
        _ => name,
    };
    // `<Type as Trait>::method` and `<Type>::method` are `Type::method`.
    let name = match name.strip_prefix('<').and_then(|rest| split_at_close(rest)) {
        Some((inside, method)) => {
            format!("{}{method}", inside.split(" as ").next().unwrap_or(inside))
        }
        None => name.to_owned(),
    };
    let (mut plain, mut depth) = (String::with_capacity(name.len()), 0_u32);
    for letter in name.chars() {
        match letter {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    // What is left of `module::<impl Type>::method` has a gap.
    plain.replace("::{{closure}}", "").replace("::::", "::")
}

/// Splits behind the `>` that closes what was opened before `text`.
fn split_at_close(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_u32;
    for (index, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if depth == 0 => return Some((&text[..index], &text[index + 1..])),
            '>' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Frames between the server's own: the language's, the runtime's, and the test bed's transport.
fn is_plumbing(name: &str) -> bool {
    const PLUMBING: [&str; 11] = [
        "core::",
        "std::",
        "alloc::",
        "tokio::runtime::",
        "tokio::task::coop::",
        "tokio::io::util::empty",
        "tokio::io::util::read::Read::poll",
        "hangup_network::stream::leaf",
        "hangup_network::stream::TcpStream::poll_",
        "hangup::transport::",
        "hangup::server::hyper::outlined",
    ];
    PLUMBING.iter().any(|prefix| name.starts_with(prefix))
        && name != "hangup_network::stream::TcpStream::poll_read"
}

/// A source file's path from its crate on, without this machine's folders.
pub(crate) fn short_path(path: &str) -> &str {
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        return rest.split_once('/').map_or(rest, |(_, file)| file);
    }
    for root in ["/sim/src/", "/crates/", "/tests/"] {
        if let Some(index) = path.rfind(root) {
            return &path[index + 1..];
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_their_crate() {
        assert_eq!(
            short_path(
                "/home/me/.cargo/registry/src/index-1949/hyper-1.12.0/src/proto/h1/decode.rs"
            ),
            "hyper-1.12.0/src/proto/h1/decode.rs"
        );
        assert_eq!(
            short_path("/home/me/hangup/sim/src/server/hyper.rs"),
            "sim/src/server/hyper.rs"
        );
        assert_eq!(
            short_path("sim/src/server/hyper.rs"),
            "sim/src/server/hyper.rs"
        );
    }

    #[test]
    fn every_branch_of_a_task_is_shown() {
        let branch = |frames: &[&str]| frames.iter().map(|&frame| frame.to_owned()).collect();
        let stack = joined(vec![
            branch(&["tokio::sync::watch", "a::deep", "a::select", "a::serve"]),
            branch(&["hangup_network::read", "a::select", "a::serve"]),
            branch(&["a::select", "a::serve"]),
        ]);
        let expected = [
            "hangup_network::read",
            "a::select",
            "a::serve",
            OR_IN,
            "tokio::sync::watch",
            "a::deep",
        ];
        assert_eq!(stack, expected);
        assert_eq!(joined(Vec::new()), Stack::new());
    }

    #[test]
    fn names_lose_their_hash_only() {
        assert_eq!(plain_name("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(plain_name("a::b::hello"), "a::b::hello");
    }

    #[test]
    fn names_are_types_and_methods() {
        for (name, plain) in [
            (
                "<hyper::Dispatcher<D,Bs> as core::future::future::Future>::poll",
                "hyper::Dispatcher::poll",
            ),
            ("<a::B<C<D>>>::e", "a::B::e"),
            ("a::serve::{{closure}}::{{closure}}", "a::serve"),
            ("a::f<T>", "a::f"),
        ] {
            assert_eq!(plain_name(name), plain);
        }
    }
}
