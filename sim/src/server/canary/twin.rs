//! The twin, with the places where a defect can be put in.

use super::Defect;
use super::message::{self, Body, Head, Malformed};
use crate::transport::{Listener, Stream};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

const HEAD_DEADLINE: Duration = Duration::from_secs(10);
const IDLE_DEADLINE: Duration = Duration::from_secs(30);
const BODY_DEADLINE: Duration = Duration::from_secs(30);
const WRITE_DEADLINE: Duration = Duration::from_secs(20);
const HANDLER_DEADLINE: Duration = Duration::from_secs(10);
const LINGER: Duration = Duration::from_secs(2);
const PERMIT_WAIT: Duration = Duration::from_secs(5);
const PERMITS: usize = 4;
const HEAD_MAX: usize = 64 * 1024;
pub(super) const BODY_MAX: usize = 4 * 1024 * 1024;
/// A deadline longer than any search: none.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

pub(super) async fn serve(mut listener: Listener, defect: Defect) {
    let permits = Arc::new(Semaphore::new(PERMITS));
    while let Ok((stream, _)) = listener.accept().await {
        let permits = Arc::clone(&permits);
        tokio::spawn(async move {
            let mut connection = Connection {
                stream,
                read: Vec::new(),
                defect,
            };
            let Ok(Ok(permit)) = timeout(PERMIT_WAIT, permits.acquire()).await else {
                let _ = connection.refuse(503).await;
                return;
            };
            let closed = Arc::new(Notify::new());
            if defect == Defect::TaskLeak {
                let closed = Arc::clone(&closed);
                tokio::spawn(async move { closed.notified().await });
            }
            match connection.serve().await {
                Ok(()) => closed.notify_one(),
                Err(_) if defect == Defect::PermitLeak => permit.forget(),
                // With the defect of the same name, nobody tells the helper task.
                Err(_) => {}
            }
        });
    }
}

struct Connection {
    stream: Stream,
    /// What has been read and not been used.
    read: Vec<u8>,
    defect: Defect,
}

enum Broken {
    /// The peer is to blame, and gets this status.
    Status(u16),
    /// Nothing more can be said.
    Io,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

impl From<Malformed> for Broken {
    fn from(_: Malformed) -> Self {
        Self::Status(400)
    }
}

impl Connection {
    async fn serve(&mut self) -> io::Result<()> {
        let mut first = true;
        loop {
            match self.exchange(first).await {
                Ok(true) => first = false,
                Ok(false) => return self.linger().await,
                Err(Broken::Status(status)) => {
                    self.refuse(status).await?;
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Err(Broken::Io) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }

    /// One request and its response; false when the connection is to be closed.
    async fn exchange(&mut self, first: bool) -> Result<bool, Broken> {
        let idle = match self.defect {
            _ if first => HEAD_DEADLINE,
            Defect::LongIdle => 20 * IDLE_DEADLINE,
            _ => IDLE_DEADLINE,
        };
        if self.read.is_empty() {
            match timeout(idle, self.fill()).await {
                Ok(Ok(true)) => {}
                Ok(Err(error)) => return Err(error.into()),
                // The end of the stream, or of the patience, between two requests.
                Ok(Ok(false)) | Err(_) => return Ok(false),
            }
        }
        let head = match timeout(HEAD_DEADLINE, self.head()).await {
            Ok(head) => head?,
            Err(_) => return Err(Broken::Status(408)),
        };
        let body = match timeout(BODY_DEADLINE, self.body(&head)).await {
            Ok(body) => body?,
            Err(_) => return Err(Broken::Status(408)),
        };
        let (status, body) = match timeout(HANDLER_DEADLINE, answer(&head, body)).await {
            Ok(answer) => answer,
            Err(_) => (503, Vec::new()),
        };
        self.respond(status, &body, head.close, head.method == "HEAD")
            .await?;
        Ok(!head.close)
    }

    async fn head(&mut self) -> Result<Head, Broken> {
        loop {
            if let Some(head) = message::head(&self.read)? {
                self.read.drain(..head.length);
                return Ok(head);
            }
            if self.read.len() > HEAD_MAX {
                return Err(Broken::Status(431));
            }
            if !self.fill().await? {
                return Err(Broken::Status(400));
            }
        }
    }

    async fn body(&mut self, head: &Head) -> Result<Vec<u8>, Broken> {
        if matches!(head.body, Body::Length(length) if length > BODY_MAX) {
            return Err(Broken::Status(413));
        }
        let mut asked = !head.expects || (head.old && self.defect != Defect::ContinueToOld);
        loop {
            if let Some((length, body)) = message::body(&self.read, head.body)? {
                self.read.drain(..length);
                return Ok(body);
            }
            if !asked {
                asked = true;
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            if self.read.len() > 2 * BODY_MAX {
                return Err(Broken::Status(413));
            }
            if !self.fill().await? {
                if self.defect == Defect::BusyAtEof {
                    tokio::task::yield_now().await;
                    continue;
                }
                return Err(Broken::Status(400));
            }
        }
    }

    async fn respond(
        &mut self,
        status: u16,
        body: &[u8],
        close: bool,
        head_only: bool,
    ) -> io::Result<()> {
        let connection = if close { "close" } else { "keep-alive" };
        let mut bytes = format!(
            "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        if !head_only {
            bytes.extend_from_slice(body);
        }
        self.write(&bytes).await
    }

    async fn refuse(&mut self, status: u16) -> io::Result<()> {
        self.respond(status, b"", true, false).await?;
        self.linger().await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let deadline = if self.defect == Defect::NoWriteDeadline {
            FOREVER
        } else {
            WRITE_DEADLINE
        };
        timeout(deadline, self.stream.write_all(bytes)).await?
    }

    /// Reads once; false at the end of the stream.
    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.read).await? > 0)
    }

    /// Closes so that the peer can still read what was sent (RFC 9112 section 9.6).
    async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let gone = async {
            loop {
                self.read.clear();
                if !self.fill().await? {
                    return Ok(());
                }
            }
        };
        timeout(LINGER, gone).await.unwrap_or(Ok(()))
    }
}

/// The probe app, as far as it can be misused by a client.
async fn answer(head: &Head, body: Vec<u8>) -> (u16, Vec<u8>) {
    let number = |prefix: &str| head.target.strip_prefix(prefix)?.parse::<u64>().ok();
    if let Some(milliseconds) = number("/slow/") {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        return (200, b"ok".to_vec());
    }
    if let Some(count) = number("/big/") {
        return (
            200,
            vec![
                b'x';
                usize::try_from(count)
                    .unwrap_or(usize::MAX)
                    .min(8 * 1024 * 1024)
            ],
        );
    }
    match (head.method.as_str(), head.target.as_str()) {
        (_, "/") => (200, b"ok".to_vec()),
        ("POST", "/echo") => {
            let digest: String = Sha256::digest(&body)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            (200, format!("{} {digest}", body.len()).into_bytes())
        }
        ("POST", "/stream") => (200, body),
        ("POST", "/reject") => (403, b"rejected".to_vec()),
        _ => (404, b"not found".to_vec()),
    }
}
