//! How far a connection that is held had come: what tells two ways into one symptom apart.

use crate::finding::Finding;
use crate::ledger::Connection;
use hangup_scenario::Verdict;
use std::fmt::{self, Display, Formatter};

/// What stands for a phase where a finding is about no connection.
const SERVER: &str = "the server itself";

/// How far a connection had come, in few enough values that the ways into a symptom can be counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Course {
    /// The rule that it broke.
    pub kind: Verdict,
    /// Its phase, as seen from outside.
    pub phase: &'static str,
    /// The last request whose head is whole, if there is one.
    request: Option<Request>,
    /// The last status that it got.
    pub status: Option<u16>,
    client: Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    is_first: bool,
    expects: bool,
    has_body: bool,
}

/// What the client does in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Silent,
    HalfClosed,
    Gone,
}

impl Course {
    /// The course of the connection that a finding is about; none where it is about the server.
    pub(super) fn of(finding: &Finding, connection: Option<&Connection>) -> Self {
        let Some(connection) = connection else {
            return Self {
                kind: finding.kind,
                phase: SERVER,
                request: None,
                status: None,
                client: Client::Silent,
            };
        };
        let requests = &connection.requests.list;
        Self {
            kind: finding.kind,
            phase: connection.phase(),
            request: requests.last().map(|last| Request {
                is_first: requests.len() == 1,
                expects: last.expects,
                has_body: last.has_body,
            }),
            status: connection.responses.list.last().map(|last| last.status),
            client: if connection.client_gone.is_some() || connection.client_closed.is_some() {
                Client::Gone
            } else if connection.client_shutdown.is_some() {
                Client::HalfClosed
            } else {
                Client::Silent
            },
        }
    }
}

impl Display for Course {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.phase == SERVER {
            return write!(f, "{}, {SERVER}", self.kind);
        }
        write!(f, "{} in {}: ", self.kind, self.phase)?;
        match self.request {
            None => write!(f, "no request")?,
            Some(request) => {
                let which = if request.is_first { "first" } else { "later" };
                let what = match (request.expects, request.has_body) {
                    (true, _) => " with Expect",
                    (false, true) => " with a body",
                    (false, false) => "",
                };
                write!(f, "{which} request{what}")?;
            }
        }
        if let Some(status) = self.status {
            write!(f, ", last status {status}")?;
        }
        match self.client {
            Client::Silent => write!(f, ", the client is silent"),
            Client::HalfClosed => write!(f, ", the client has closed its side"),
            Client::Gone => write!(f, ", the client is gone"),
        }
    }
}
