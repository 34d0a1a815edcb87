//! The first questions to a server: does it answer, which routes are there, does it keep connections, are its sockets seen.

use super::Remote;
use crate::engine::wire::far::Census;
use crate::exchange::{Requests, Responses};
use crate::report::fold::printable;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What has not answered by then counts as never answering.
const NEVER: Duration = Duration::from_secs(1);
/// So much of an answer is read to know what it is.
const READ_MAX: u64 = 64 << 10;

/// What was found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// By route: there, or why it is not.
    there: BTreeMap<&'static str, Result<(), String>>,
    /// A second request on a connection is answered; or why it is not.
    pub second: Result<(), String>,
}

/// Why there is nothing to probe.
#[derive(Debug, thiserror::Error)]
pub enum Silent {
    /// No connection.
    #[error("nobody is to be reached at {0}: {1}")]
    Unreachable(SocketAddr, io::Error),
    /// A connection, and no answer.
    #[error(
        "{0} gives no answer to GET {1} within {PATIENCE:?}, so that nothing can be said about it; --get names another path"
    )]
    NoAnswer(SocketAddr, String),
    /// No such process, or not ours to look at.
    #[error("--pid: process {0} cannot be looked at: {1}")]
    Process(u32, String),
    /// Somebody else's connections.
    #[error("--pid: process {0} does not hold the connections to {1}")]
    Others(u32, SocketAddr),
    /// Something else than HTTP.
    #[error("{0} does not answer GET {1} in HTTP/1.x; it says {2}")]
    NotHttp(SocketAddr, String, String),
}

impl Survey {
    /// Asks for every route, and begins to look at the server's sockets if they are on this machine.
    ///
    /// # Errors
    /// When it does not answer a plain request.
    pub async fn of(remote: &mut Remote, process: Option<u32>) -> Result<Self, Silent> {
        let stream = Self::reach(remote, process).await?;
        let remote = &*remote;
        let address = remote.address;
        let first = remote.routes.place("/");
        let get = |path: &str| request(remote, "GET", path, None);
        let from = stream.local_addr().ok();
        let mut asked = Asked::on(stream);
        asked.ask(&get(&first), PATIENCE).await;
        if asked.responses.broken || (asked.responses.list.is_empty() && !asked.said.is_empty()) {
            let said = String::from_utf8_lossy(&asked.said);
            let said: String = said.chars().take(40).collect();
            return Err(Silent::NotHttp(
                address,
                first,
                format!("\"{}\"", printable(&said)),
            ));
        }
        if asked.responses.finals == 0 {
            return Err(Silent::NoAnswer(address, first));
        }
        if let (Some(census), Some(process), Some(from)) = (&remote.census, process, from) {
            census.look();
            if census.latest().is_of_others(from) {
                return Err(Silent::Others(process, address));
            }
        }
        let second = if asked.ended {
            Err("it closes behind each response".to_owned())
        } else {
            asked.ask(&get(&first), PATIENCE).await;
            match asked.responses.finals {
                2.. => Ok(()),
                _ => Err("a second request on a connection gets no answer".to_owned()),
            }
        };
        drop(asked);
        let asked =
            |path, method, body| async move { (path, ask(remote, path, method, body).await) };
        let there = tokio::join!(
            asked("/echo", "POST", Some(3)),
            asked("/reject", "POST", Some(3)),
            asked("/big/1000000", "GET", None),
            asked("/slow/1", "GET", None),
            asked("/stream", "POST", Some(3)),
            asked("/panic", "GET", None),
            asked("/never", "GET", None),
            asked("/events", "GET", None),
            asked("/endless", "GET", None),
        );
        let (echo, reject, big, slow, stream, panic, never, events, endless) = there;
        let asked = [
            echo, reject, big, slow, stream, panic, never, events, endless,
        ];
        let mut there: BTreeMap<_, _> = asked.into_iter().collect();
        there.insert("/", Ok(()));
        Ok(Self { there, second })
    }

    /// Connects, and begins to look at the server's sockets if they are on this machine.
    ///
    /// # Errors
    /// When there is no connection, or the process is not to be looked at.
    pub async fn reach(remote: &mut Remote, process: Option<u32>) -> Result<TcpStream, Silent> {
        let address = remote.address;
        let opened = timeout(PATIENCE, TcpStream::connect(address)).await;
        let stream = opened
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| Silent::Unreachable(address, error))?;
        let from = stream.local_addr().ok();
        let census = Census::begin(address.port(), process);
        if let (Err(error), Some(process)) = (&census, process) {
            return Err(Silent::Process(process, error.to_string()));
        }
        let seen = |census: &Arc<Census>| from.is_some_and(|from| census.latest().shows(from));
        remote.census = census.ok().filter(seen);
        if let (None, Some(process)) = (&remote.census, process) {
            return Err(Silent::Others(process, address));
        }
        Ok(stream)
    }

    /// Is this route there?
    ///
    /// # Errors
    /// Why not, in words.
    pub fn has(&self, path: &str) -> Result<(), String> {
        self.there.get(path).cloned().unwrap_or(Ok(()))
    }
}

/// Does the server answer a plain request?
pub async fn answers(remote: &Remote) -> bool {
    let opened = timeout(PATIENCE, TcpStream::connect(remote.address)).await;
    let Ok(Ok(stream)) = opened else { return false };
    let mut asked = Asked::on(stream);
    asked.ask(&plain(remote), PATIENCE).await;
    asked
        .responses
        .list
        .iter()
        .any(|response| response.is_final())
}

/// The request that a fresh, well-behaved client makes.
pub(crate) fn plain(remote: &Remote) -> Vec<u8> {
    request(remote, "GET", &remote.routes.place("/"), None)
}

fn request(remote: &Remote, method: &str, path: &str, body: Option<usize>) -> Vec<u8> {
    let host = match &remote.routes.host {
        Some(host) => host.as_str(),
        None => hangup_scenario::Host::DEFAULT,
    };
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    if let Some(length) = body {
        text.push_str(&format!(
            "Content-Length: {length}\r\n\r\n{}",
            "a".repeat(length)
        ));
    } else {
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// Is what the probe app has at `target` there?
async fn ask(
    remote: &Remote,
    target: &str,
    method: &str,
    body: Option<usize>,
) -> Result<(), String> {
    let place = remote.routes.place(target);
    let opened = timeout(PATIENCE, TcpStream::connect(remote.address)).await;
    let Ok(Ok(stream)) = opened else {
        return Err(format!("{method} {place}: no connection"));
    };
    let mut asked = Asked::on(stream);
    let patience = match target {
        "/never" | "/events" => NEVER,
        _ => PATIENCE,
    };
    asked
        .ask(&request(remote, method, &place, body), patience)
        .await;
    let status = asked
        .responses
        .list
        .iter()
        .find(|response| response.is_final())
        .map(|response| response.status);
    let does = match (target, status) {
        ("/never", None) => !asked.ended,
        ("/panic", None) => asked.ended,
        ("/panic", Some(status)) => status >= 500,
        ("/reject", Some(status)) => (400..500).contains(&status),
        (_, Some(status)) => (200..300).contains(&status),
        (_, None) => false,
    };
    if does {
        return Ok(());
    }
    Err(match status {
        Some(status) => format!("{method} {place} answers {status}"),
        None => format!("{method} {place} gets no answer"),
    })
}

/// A connection on which requests are made, one after the other.
struct Asked {
    stream: TcpStream,
    requests: Requests,
    responses: Responses,
    said: Vec<u8>,
    read: u64,
    ended: bool,
}

impl Asked {
    fn on(stream: TcpStream) -> Self {
        Self {
            stream,
            requests: Requests::default(),
            responses: Responses::default(),
            said: Vec::new(),
            read: 0,
            ended: false,
        }
    }

    /// Makes a request, and reads until its response is whole or it is clear what it is.
    async fn ask(&mut self, request: &[u8], patience: Duration) {
        let until = Instant::now() + patience;
        self.requests.feed(Duration::ZERO, request);
        let due = self.requests.list.len();
        let written = timeout_at(until, self.stream.write_all(request)).await;
        self.ended |= !matches!(written, Ok(Ok(())));
        let mut buffer = [0; 4096];
        let from = self.read;
        // What a server said before it closed is read in any case.
        while self.responses.complete < due && self.read - from < READ_MAX && !self.responses.broken
        {
            match timeout_at(until, self.stream.read(&mut buffer)).await {
                Err(_) => break,
                Ok(Ok(0) | Err(_)) => {
                    self.ended = true;
                    self.responses.end(Duration::ZERO);
                    break;
                }
                Ok(Ok(count)) => {
                    if self.said.len() < buffer.len() {
                        self.said.extend_from_slice(&buffer[..count]);
                    }
                    self.read += count as u64;
                    self.responses
                        .feed(Duration::ZERO, &buffer[..count], &self.requests);
                }
            }
        }
        self.ended |= self.responses.list.iter().any(|response| response.close);
    }
}
