//! Every command, in somebody else's binary, for servers of their own.

use crate::server::Server;
use std::env;
use std::fmt;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

/// A command line over servers of one's own. See [`cli`].
#[derive(Debug)]
#[must_use = "nothing is run before `main`"]
pub struct Program(Own);

/// Servers that a program brings along.
#[derive(Clone, Default)]
pub(super) struct Own(pub(super) Vec<Arc<dyn Server>>);

impl Own {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A name of these that is a built-in server's: what is pinned for that one would be taken for this one's.
    pub(super) fn taken(&self) -> Option<&str> {
        let mut names = self.0.iter().map(|server| server.name());
        names.find(|name| crate::server::named(name).is_some())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|server| server.name() == name)
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|server| server.name()))
            .finish()
    }
}

/// Every command of `hangup` for a server of one's own, to be the `main` of a small binary beside it: `check`, `run`,
/// `fuzz`, `replay` and all others. Where no `--server` is named they are about this one; the built-in servers are there too.
///
/// Each route of a server is asked what it must do before a command runs, as
/// [`Bed::check`](crate::Bed::check) does it: one that does not play its part is told on stderr,
/// and the exit status is 2.
///
/// ```no_run
/// use hangup::Bed;
/// use std::process::ExitCode;
///
/// # async fn serve(listener: hangup::net::TcpListener) {}
/// fn main() -> ExitCode {
///     hangup::cli(Bed::new("orders", |listener, _shutdown| serve(listener))).main()
/// }
/// ```
pub fn cli(server: impl Into<Arc<dyn Server>>) -> Program {
    Program(Own::default()).and(server)
}

impl Program {
    /// Another server. The first is the one that commands are about which take one; `run` and
    /// `replay` say on stderr which that is.
    pub fn and(mut self, server: impl Into<Arc<dyn Server>>) -> Self {
        self.0.0.push(server.into());
        self
    }

    /// Runs the command line of this process.
    pub fn main(self) -> ExitCode {
        let name = env::args().next();
        // It is set once: a process has one command line.
        let _ = NAME.set(name.unwrap_or_else(|| "hangup".to_owned()));
        super::run_with(self.0)
    }
}

static NAME: OnceLock<String> = OnceLock::new();

/// What people type to run this program.
pub(crate) fn program() -> &'static str {
    NAME.get().map_or("hangup", String::as_str)
}
