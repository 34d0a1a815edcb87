//! What is read as a request, and what is sent as a response.

use crate::base::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// The length of a response is kept in 16 bits where it is written.
#[derive(Default)]
pub(crate) struct CutAt64K;

impl Hooks for CutAt64K {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        mut answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let mut bytes = response_head(&answer, close);
        answer.body.truncate(answer.body.len() & 0xffff);
        if request.method != "HEAD" {
            bytes.extend(answer.body);
        }
        conn.send(&bytes).await
    }
}

/// Content-Length is kept in 16 bits, and the body is sent as it is.
#[derive(Default)]
pub(crate) struct LengthIn16Bits;

impl Hooks for LengthIn16Bits {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let said = Answer::new(answer.status, vec![0; answer.body.len() & 0xffff]);
        let mut bytes = response_head(&said, close);
        if request.method != "HEAD" {
            bytes.extend(answer.body);
        }
        conn.send(&bytes).await
    }
}

/// A request that expects `100 Continue` is answered before its body, and once more behind it.
#[derive(Default)]
pub(crate) struct AnswersExpectTwice;

impl Hooks for AnswersExpectTwice {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        let read = body(conn, request).await?;
        if request.expect && !read.is_empty() {
            respond(conn, request, Answer::new(200, "accepted"), false).await?;
        }
        Ok(read)
    }
}

/// A request that expects `100 Continue` gets no other answer.
#[derive(Default)]
pub(crate) struct ContinueIsAll;

impl Hooks for ContinueIsAll {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        match request.expect && answer.status == 200 {
            true => Ok(()),
            false => respond(conn, request, answer, close).await,
        }
    }
}

/// The socket is dropped right behind the last response, whatever is still unread.
#[derive(Default)]
pub(crate) struct NoLinger;

impl Hooks for NoLinger {
    async fn finish(&self, _: &mut Conn) -> Result<(), End> {
        Ok(())
    }
}

/// What was read behind a request is dropped when that is answered.
#[derive(Default)]
pub(crate) struct DropsPipelined;

impl Hooks for DropsPipelined {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        let goes_on = exchange(self, conn).await?;
        conn.buf.clear();
        Ok(goes_on)
    }
}

/// Behind a malformed head it answers 400 and goes on with what follows the next empty line.
#[derive(Default)]
pub(crate) struct GoesOnBehind400;

impl Hooks for GoesOnBehind400 {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        loop {
            match head(conn).await {
                Err(End::Status(400)) => {
                    let end = conn.buf.windows(4).position(|four| four == b"\r\n\r\n");
                    let Some(end) = end else {
                        return Err(End::Status(400));
                    };
                    conn.buf.drain(..end + 4);
                    let answer = Answer::new(400, "");
                    respond(conn, &Request::unread(), answer, false).await?;
                    if conn.buf.is_empty() && !wait(conn).await? {
                        return Err(End::Gone);
                    }
                }
                other => return other,
            }
        }
    }
}

/// `100 Continue` is sent at once and again when the body is read.
#[derive(Default)]
pub(crate) struct ContinueTwice;

impl Hooks for ContinueTwice {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        if request.expect && request.framing != Framing::Length(0) {
            conn.send(CONTINUE).await?;
        }
        body(conn, request).await
    }
}

/// `100 Continue` goes to clients of HTTP/1.0.
#[derive(Default)]
pub(crate) struct ContinueToOld;

impl Hooks for ContinueToOld {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        if request.http10 && request.framing != Framing::Length(0) && conn.buf.is_empty() {
            conn.send(CONTINUE).await?;
        }
        body(conn, request).await
    }
}

/// HEAD is answered with the body of GET.
#[derive(Default)]
pub(crate) struct HeadWithBody;

impl Hooks for HeadWithBody {
    async fn respond(
        &self,
        conn: &mut Conn,
        _: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let mut bytes = response_head(&answer, close);
        bytes.extend(answer.body);
        conn.send(&bytes).await
    }
}

/// Responses are chunked, also to clients of HTTP/1.0.
#[derive(Default)]
pub(crate) struct ChunkedToOld;

impl Hooks for ChunkedToOld {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let connection = if close { "close" } else { "keep-alive" };
        let status = answer.status;
        let mut bytes = format!(
            "HTTP/1.1 {status} Status\r\nTransfer-Encoding: chunked\r\nConnection: {connection}\r\n\r\n"
        )
        .into_bytes();
        if request.method != "HEAD" {
            if !answer.body.is_empty() {
                bytes.extend(format!("{:x}\r\n", answer.body.len()).into_bytes());
                bytes.extend(answer.body);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        }
        conn.send(&bytes).await
    }
}

/// Read buffers come from a pool, and one that goes back is not cleared: the next client's request
/// begins with what the last one left.
#[derive(Default)]
pub(crate) struct DirtyBuffers(Mutex<Vec<Vec<u8>>>);

impl Hooks for DirtyBuffers {
    async fn connection(self: Arc<Self>, mut conn: Conn) {
        conn.buf = self.0.lock().unwrap().pop().unwrap_or_default();
        let _ = exchanges(&*self, &mut conn).await;
        self.0.lock().unwrap().push(conn.buf);
    }
}

/// An answer is kept in a slot of the server's until it is written, and another connection's answer
/// may come between.
#[derive(Default)]
pub(crate) struct SharedSlot(Mutex<Vec<u8>>);

impl Hooks for SharedSlot {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let mut bytes = response_head(&answer, close);
        if request.method != "HEAD" {
            bytes.extend(answer.body);
        }
        *self.0.lock().unwrap() = bytes;
        // The access log is written first.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let bytes = self.0.lock().unwrap().clone();
        conn.send(&bytes).await
    }
}

/// A head may be of any length, though the server claims to keep 2 MiB of a connection at most.
#[derive(Default)]
pub(crate) struct EndlessHead;

impl Hooks for EndlessHead {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let started = tokio::time::Instant::now();
        loop {
            if let Some((request, length)) = parse(&conn.buf)? {
                conn.buf.drain(..length);
                return Ok(request);
            }
            let left = conn.clocks.head.saturating_sub(started.elapsed());
            match tokio::time::timeout(left, conn.fill()).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Err(End::Gone),
                Err(_) => return Err(End::Status(408)),
            }
        }
    }
}

/// A chunked body may be of any length, though the server claims to keep 2 MiB of a connection at
/// most.
#[derive(Default)]
pub(crate) struct EndlessBody;

impl Hooks for EndlessBody {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        if request.framing != Framing::Chunked || is_left(request) {
            return body(conn, request).await;
        }
        if request.expect && conn.buf.is_empty() {
            conn.send(CONTINUE).await?;
        }
        let clock = conn.clocks.body;
        timeout(clock, endless_chunks(conn))
            .await
            .unwrap_or(Err(End::Status(408)))
    }
}

async fn endless_chunks(conn: &mut Conn) -> Result<Vec<u8>, End> {
    let mut body = Vec::new();
    loop {
        let size = chunk_size(&conn.line().await?)?;
        body.extend(conn.exactly(size).await?);
        if !conn.line().await?.is_empty() {
            return Err(End::Status(400));
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Of two lengths the last one counts, and of a length and chunks the length.
#[derive(Default)]
pub(crate) struct LastLengthCounts;

impl Hooks for LastLengthCounts {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let clock = conn.clocks.head;
        let reading = timeout(clock, last_length(conn)).await;
        reading.unwrap_or(Err(End::Status(408)))
    }
}

async fn last_length(conn: &mut Conn) -> Result<Request, End> {
    loop {
        let end = conn.buf.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let text = String::from_utf8_lossy(&conn.buf[..end]).into_owned();
            let is = |line: &str, name: &str| line.to_ascii_lowercase().starts_with(name);
            let lengths = text
                .split("\r\n")
                .filter(|line| is(line, "content-length:"));
            if let Some(last) = lengths.last() {
                let framing =
                    |line: &str| is(line, "content-length:") || is(line, "transfer-encoding:");
                let others = text.split("\r\n").filter(|line| !framing(line));
                let lines: Vec<&str> = others.chain([last, "", ""]).collect();
                let head = lines.join("\r\n");
                conn.buf.splice(..end + 4, head.into_bytes());
            }
            return unclocked_head(conn).await;
        }
        if conn.buf.len() > HEAD_MAX {
            return Err(End::Status(431));
        }
        if conn.fill().await? == 0 {
            return Err(End::Status(400));
        }
    }
}

/// A chunk with an extension is refused.
#[derive(Default)]
pub(crate) struct NoExtensions;

impl Hooks for NoExtensions {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        if request.framing != Framing::Chunked || is_left(request) {
            return body(conn, request).await;
        }
        if request.expect && conn.buf.is_empty() {
            conn.send(CONTINUE).await?;
        }
        let clock = conn.clocks.body;
        timeout(clock, first_line(conn))
            .await
            .unwrap_or(Err(End::Status(408)))?;
        let mut lines = conn.buf.split(|&byte| byte == b'\n');
        if lines.next().is_some_and(|line| line.contains(&b';')) {
            return Err(End::Status(400));
        }
        body(conn, request).await
    }
}

async fn first_line(conn: &mut Conn) -> Result<(), End> {
    while !conn.buf.contains(&b'\n') && conn.buf.len() < HEAD_MAX {
        conn.more().await?;
    }
    Ok(())
}

/// A response has neither a length nor chunks, and the connection stays open behind it.
#[derive(Default)]
pub(crate) struct NoFraming;

impl Hooks for NoFraming {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        if close {
            return respond(conn, request, answer, close).await;
        }
        let mut bytes = format!("HTTP/1.1 {} Status\r\n\r\n", answer.status).into_bytes();
        if request.method != "HEAD" {
            bytes.extend(answer.body);
        }
        conn.send(&bytes).await
    }
}

/// `close` is honoured only if the name of the field is written `Connection`.
#[derive(Default)]
pub(crate) struct CloseOverlooked;

impl Hooks for CloseOverlooked {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let mut request = head(conn).await?;
        // A response to HTTP/1.1 always keeps the connection.
        request.close &= request.http10 || request.method != "GET";
        Ok(request)
    }
}

/// A body whose end falls on the end of a read loses its last byte to the next request.
#[derive(Default)]
pub(crate) struct ByteTooFew;

impl Hooks for ByteTooFew {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        match request.framing {
            Framing::Length(length @ 1..=BODY_MAX) if !is_left(request) => {
                if request.expect && conn.buf.is_empty() {
                    conn.send(CONTINUE).await?;
                }
                let short = conn.buf.len() < length;
                let (clock, count) = (conn.clocks.body, length - usize::from(short));
                let read = timeout(clock, conn.exactly(count)).await;
                read.unwrap_or(Err(End::Status(408)))
            }
            _ => body(conn, request).await,
        }
    }
}

/// The fields of a response stand in the order of a `HashMap`.
#[derive(Default)]
pub(crate) struct FieldsInHashOrder;

impl Hooks for FieldsInHashOrder {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let mut fields = HashMap::new();
        fields.insert("Content-Length", answer.body.len().to_string());
        fields.insert(
            "Connection",
            if close { "close" } else { "keep-alive" }.to_owned(),
        );
        fields.insert("Server", "stranger".to_owned());
        fields.insert("Cache-Control", "no-store".to_owned());
        let mut bytes = format!("HTTP/1.1 {} Status\r\n", answer.status);
        for (name, value) in fields {
            bytes += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (bytes + "\r\n").into_bytes();
        if request.method != "HEAD" {
            bytes.extend(answer.body);
        }
        conn.send(&bytes).await
    }
}

/// A body that is larger than allowed is refused, and its bytes are then read as requests.
#[derive(Default)]
pub(crate) struct RefusedBodyIsRequest;

impl Hooks for RefusedBodyIsRequest {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        if !wait(conn).await? {
            return Ok(false);
        }
        let request = head(conn).await?;
        let body = match is_left(&request) {
            true => Vec::new(),
            false => body(conn, &request).await?,
        };
        let answer = self.handle(conn, &request, body).await?;
        let close = request.close || conn.stop.is_given();
        respond(conn, &request, answer, close).await?;
        conn.served += 1;
        Ok(!close)
    }
}

/// A response is written in two parts, and an error of the second is taken for the end of an
/// HTTP/1.0 response.
#[derive(Default)]
pub(crate) struct HalfOfAFile;

impl Hooks for HalfOfAFile {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        if answer.body.len() < 1024 * 1024 || request.method == "HEAD" {
            return respond(conn, request, answer, close).await;
        }
        conn.send(&response_head(&answer, close)).await?;
        // What the socket does not take within a second is given up.
        let sending = conn.stream.write_all(&answer.body);
        match tokio::time::timeout(Duration::from_secs(1), sending).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(End::Gone),
        }
    }
}
