//! File descriptors as a resource: how many the process may have, and how many connections may
//! take.

use hangup_lifecycle::Limits;
use std::fs::File;
use std::io;

/// The limit of open files of this process (`RLIMIT_NOFILE`), and how it is shared out.
///
/// | share | of a limit of 1,024 | who takes it |
/// |---|---|---|
/// | [`connections`](Descriptors::connections) | 960 | connections that are served |
/// | [`reserved`](Descriptors::reserved), a sixteenth, 48 to 1,024 | 64 | refusals, connections that make room, an admin listener, what the process has open at its start |
/// | [`application`](Descriptors::application) | 0 unless said | files and connections that the application opens |
///
/// [`Server::serve`](crate::Server::serve) on sockets fits its limit of connections to the limit of
/// open files that it finds. An application that opens descriptors of its own says how many:
///
/// ```no_run
/// use hangup_server::{Descriptors, Server};
///
/// # async fn run(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
/// # let service = hangup_server::service_fn(async |_| http::Response::new(String::new()));
/// let descriptors = Descriptors::raise()?.leave(1_000);
/// Server::new(service).descriptors(descriptors).serve(listener).await;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptors {
    limit: usize,
    application: usize,
}

/// Why there is no [`Descriptors`].
#[derive(Debug, thiserror::Error)]
pub enum DescriptorsError {
    /// The limit can be neither read nor set.
    #[error("the limit of open files cannot be changed: {0}")]
    System(io::Error),
    /// The limit leaves nothing for connections.
    #[error(
        "the limit of open files is {limit}, and a server needs at least {}; raise it (ulimit -n, LimitNOFILE= in systemd)",
        Descriptors::LIMIT_MIN
    )]
    TooFew {
        /// The limit that was found.
        limit: usize,
    },
}

/// The reserve, whatever the limit is.
const RESERVED_MIN: usize = 48;
const RESERVED_MAX: usize = 1024;

/// What counts as no limit: more descriptors than any system gives a process.
const UNLIMITED: u64 = 1 << 30;

impl Descriptors {
    /// The lowest limit of open files with which a server is of use: the reserve and 8 connections.
    pub const LIMIT_MIN: usize = RESERVED_MIN + 8;

    /// Raises the soft limit of this process to its hard limit. Processes that it starts inherit
    /// that.
    ///
    /// # Errors
    /// If the system refuses, or if even the hard limit is below [`Descriptors::LIMIT_MIN`].
    pub fn raise() -> Result<Self, DescriptorsError> {
        #[cfg(unix)]
        {
            use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
            let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
            if current != maximum {
                let raised = Rlimit {
                    current: maximum,
                    maximum,
                };
                setrlimit(Resource::Nofile, raised)
                    .map_err(|error| DescriptorsError::System(error.into()))?;
            }
        }
        Self::current()
    }

    /// The limit as it is.
    ///
    /// # Errors
    /// If it is below [`Descriptors::LIMIT_MIN`].
    pub fn current() -> Result<Self, DescriptorsError> {
        #[cfg(unix)]
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        #[cfg(not(unix))]
        let limit = None;
        Self::of(limit.unwrap_or(UNLIMITED).min(UNLIMITED) as usize)
    }

    fn of(limit: usize) -> Result<Self, DescriptorsError> {
        if limit < Self::LIMIT_MIN {
            return Err(DescriptorsError::TooFew { limit });
        }
        Ok(Descriptors {
            limit,
            application: 0,
        })
    }

    /// Leaves so many to the application.
    #[must_use]
    pub fn leave(self, application: usize) -> Self {
        Descriptors {
            application,
            ..self
        }
    }

    /// How many the process may have.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many connections that are served may not take, so that others can be refused in words,
    /// and an admin listener answers.
    pub fn reserved(&self) -> usize {
        (self.limit / 16).clamp(RESERVED_MIN, RESERVED_MAX)
    }

    /// How many are left to the application.
    pub fn application(&self) -> usize {
        self.application
    }

    /// How many connections can be served at once; at least one.
    pub fn connections(&self) -> usize {
        let others = self.reserved().saturating_add(self.application);
        self.limit.saturating_sub(others).max(1)
    }

    /// How many of the reserve any one of its uses may take.
    pub(crate) fn share(&self) -> usize {
        self.reserved() / 8
    }

    /// The same limits with as many connections as there are descriptors for.
    #[must_use]
    pub fn fit(&self, limits: Limits) -> Limits {
        Limits {
            connections: limits.connections.min(self.connections()),
            ..limits
        }
    }

    /// The limits of an admin listener beside the server: connections from the reserve.
    #[must_use]
    pub fn fit_admin(&self, limits: Limits) -> Limits {
        Limits {
            connections: limits.connections.min(self.share()),
            ..limits
        }
    }
}

/// A descriptor that is given up when there is no other, so that the connection that waits to be
/// accepted can be told so.
#[derive(Debug)]
pub(crate) struct Spare {
    wanted: bool,
    file: Option<File>,
}

impl Spare {
    /// `wanted` is whether connections take descriptors.
    pub(crate) fn new(wanted: bool) -> Self {
        Spare {
            wanted: wanted && cfg!(unix),
            file: None,
        }
    }

    /// Takes one again, if there is none and it can be had.
    pub(crate) fn renew(&mut self) {
        if self.wanted && self.file.is_none() {
            self.file = File::open("/dev/null").ok();
        }
    }

    /// Gives it up. `false` if there is none.
    pub(crate) fn release(&mut self) -> bool {
        self.file.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_the_limit() {
        for (limit, reserved, connections) in [
            (56, 48, 8),
            (1_024, 64, 960),
            (20_000, 1_024, 18_976),
            (1 << 20, 1_024, (1 << 20) - 1_024),
        ] {
            let descriptors = Descriptors::of(limit).unwrap();
            assert_eq!(
                (descriptors.reserved(), descriptors.connections()),
                (reserved, connections)
            );
        }
        let descriptors = Descriptors::of(1_024).unwrap().leave(500);
        assert_eq!(descriptors.connections(), 460);
        assert_eq!(descriptors.leave(5_000).connections(), 1);
        let fitted = descriptors.fit(Limits::default());
        assert_eq!(fitted.connections, 460);
        let admin = descriptors.fit_admin(Limits::default());
        assert_eq!(admin.connections, 8);
    }

    #[test]
    fn a_limit_that_leaves_nothing_is_refused_in_one_line() {
        let error = Descriptors::of(16).unwrap_err().to_string();
        assert_eq!(
            error,
            "the limit of open files is 16, and a server needs at least 56; raise it (ulimit -n, LimitNOFILE= in systemd)"
        );
    }

    #[test]
    fn a_spare_is_there_until_it_is_released() {
        let mut spare = Spare::new(true);
        assert!(!spare.release());
        spare.renew();
        assert_eq!((spare.release(), spare.release()), (true, false));
        let mut none = Spare::new(false);
        none.renew();
        assert!(!none.release());
    }
}
