//! What happens to the server itself while its clients are at work: shutdown, crash, restart.

use std::time::Duration;

/// One thing that happens to the server, at its time. Each is legal in every state: what has no server to happen to
/// does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerEvent {
    /// When, from the start of the run.
    pub at: Duration,
    /// What.
    pub action: ServerAction,
}

/// How long `accept` fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AcceptError {
    /// The next `accept` fails, and the one behind it succeeds.
    #[default]
    Once,
    /// Every `accept` fails that is called within this time, at least a nanosecond.
    Lasts(Duration),
    /// Every `accept` fails until the server closes a connection.
    UntilClose,
}

/// What can happen to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerAction {
    /// It is told to shut down gracefully: its shutdown signal is given. When its own future has ended, its process
    /// exits, and what it still held is closed by the kernel. A server that claims no graceful shutdown dies at once,
    /// as a process does at a SIGTERM that it does not handle.
    Shutdown,
    /// Its listening socket is closed under it, as when it is handed over to another process: connections that it has not
    /// accepted are reset, new ones are refused, `accept` gives nothing any more. Connections that it has go on.
    StopAccepting,
    /// Its `accept` fails with EMFILE, as it does for a process that has no file descriptor left. The connection stays in
    /// the backlog.
    AcceptError(AcceptError),
    /// Its process dies: every task is gone, and the kernel closes every socket, with a reset where data was unread, else
    /// with a FIN. Later connections are refused.
    Crash,
    /// It is started again on the same address. What is left of the instance before dies first.
    Restart,
    /// The handler of the next request panics (in the probe app, and in any handler that asks for it).
    HandlerPanic,
}

impl ServerAction {
    /// All of them, an accept error as the file has it that names no duration.
    pub const ALL: [Self; 6] = [
        Self::Shutdown,
        Self::StopAccepting,
        Self::AcceptError(AcceptError::Once),
        Self::Crash,
        Self::Restart,
        Self::HandlerPanic,
    ];

    /// The word in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::StopAccepting => "stop_accepting",
            Self::AcceptError(_) => "accept_error",
            Self::Crash => "crash",
            Self::Restart => "restart",
            Self::HandlerPanic => "handler_panic",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own() {
        for (index, action) in ServerAction::ALL.iter().enumerate() {
            let first = ServerAction::ALL
                .iter()
                .position(|other| other.name() == action.name());
            assert_eq!(first, Some(index));
        }
    }
}
