//! Habits of how bytes are read and answers written.

use crate::base::*;
use std::io::IoSlice;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// Responses are written 40 bytes at a time, up to a KiB, and then as usual.
#[derive(Default)]
pub(crate) struct WritesPieces;

impl Hooks for WritesPieces {
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
        let pieces = bytes.len().min(1024);
        for piece in bytes[..pieces].chunks(40) {
            conn.send(piece).await?;
            tokio::task::yield_now().await;
        }
        conn.send(&bytes[pieces..]).await
    }
}

/// Head and body of a response go out in one vectored write where the socket takes it.
#[derive(Default)]
pub(crate) struct WritesVectored;

impl Hooks for WritesVectored {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let head = response_head(&answer, close);
        if request.method == "HEAD" {
            return conn.send(&head).await;
        }
        let parts = [IoSlice::new(&head), IoSlice::new(&answer.body)];
        let written = timeout(conn.clocks.write, conn.stream.write_vectored(&parts)).await;
        let Ok(written) = written else {
            return conn.abort();
        };
        let mut whole = head;
        whole.extend(answer.body);
        conn.send(&whole[written?..]).await
    }
}

/// Heads are read a byte at a time.
#[derive(Default)]
pub(crate) struct ReadsBytes;

impl Hooks for ReadsBytes {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        // A pipelined head may be there whole.
        if !conn.buf.windows(4).any(|four| four == b"\r\n\r\n") {
            let clock = conn.clocks.head;
            let reading = timeout(clock, read_bytes(conn)).await;
            reading.unwrap_or(Err(End::Status(408)))?;
        }
        head(conn).await
    }
}

async fn read_bytes(conn: &mut Conn) -> Result<(), End> {
    while !conn.buf.ends_with(b"\r\n\r\n") && !conn.buf.ends_with(b"\n\n") {
        if conn.buf.len() > HEAD_MAX {
            return Err(End::Status(431));
        }
        let Ok(byte) = conn.stream.read_u8().await else {
            return Err(End::Status(400));
        };
        conn.buf.push(byte);
    }
    Ok(())
}

/// One read takes up to a MiB.
#[derive(Default)]
pub(crate) struct ReadsMuch;

impl Hooks for ReadsMuch {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        conn.buf.reserve(1024 * 1024);
        wait(conn).await
    }

    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        if let Framing::Length(length @ 1..=BODY_MAX) = request.framing
            && !request.expect
            && !is_left(request)
        {
            let mut body = std::mem::take(&mut conn.buf);
            body.reserve(1024 * 1024);
            let whole = tokio::time::Instant::now() + conn.clocks.body;
            while body.len() < length {
                let due = whole.min(tokio::time::Instant::now() + conn.clocks.gap);
                match tokio::time::timeout_at(due, conn.stream.read_buf(&mut body)).await {
                    Ok(Ok(1..)) => {}
                    Ok(_) => return Err(End::Status(400)),
                    Err(_) => return Err(End::Status(408)),
                }
            }
            conn.buf = body.split_off(length);
            return Ok(body);
        }
        body(conn, request).await
    }
}

/// Every request is first answered `103 Early Hints`, if its client speaks HTTP/1.1.
#[derive(Default)]
pub(crate) struct EarlyHints;

impl Hooks for EarlyHints {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        if !request.http10 && answer.status == 200 {
            let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
            conn.send(hints).await?;
        }
        respond(conn, request, answer, close).await
    }
}

/// A chunked response, with what is put behind each size and before the end.
async fn chunks(
    conn: &mut Conn,
    request: &Request,
    answer: Answer,
    close: bool,
    [extension, trailers]: [&str; 2],
) -> Result<(), End> {
    if request.http10 || answer.body.is_empty() {
        return respond(conn, request, answer, close).await;
    }
    let connection = if close { "close" } else { "keep-alive" };
    let mut bytes = format!(
        "HTTP/1.1 {} Status\r\nTransfer-Encoding: chunked\r\nConnection: {connection}\r\n\r\n",
        answer.status
    )
    .into_bytes();
    if request.method != "HEAD" {
        for chunk in answer.body.chunks(1000) {
            bytes.extend(format!("{:X}{extension}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(format!("0\r\n{trailers}\r\n").into_bytes());
    }
    conn.send(&bytes).await
}

/// Responses are chunked, with an extension in each chunk.
#[derive(Default)]
pub(crate) struct ChunkExtensions;

impl Hooks for ChunkExtensions {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let extras = [";part=\"a;b\"", ""];
        chunks(conn, request, answer, close, extras).await
    }
}

/// Responses are chunked, with trailers.
#[derive(Default)]
pub(crate) struct Trailers;

impl Hooks for Trailers {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let extras = ["", "Server-Timing: total\r\nX-Sum: 0\r\n"];
        chunks(conn, request, answer, close, extras).await
    }
}

/// Names of fields are in lower case, there are many fields, and no space is behind a colon.
#[derive(Default)]
pub(crate) struct LowerCase;

impl Hooks for LowerCase {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let connection = if close { "close" } else { "keep-alive" };
        let mut bytes = format!(
            "HTTP/1.1 {} \r\ndate:Thu, 01 Jan 1970 00:00:00 GMT\r\nserver:stranger\r\n\
             keep-alive:timeout=30\r\nx-empty:\r\ncontent-length:{}\r\nconnection:{connection}\r\n\r\n",
            answer.status,
            answer.body.len()
        )
        .into_bytes();
        if request.method != "HEAD" {
            bytes.extend(answer.body);
        }
        conn.send(&bytes).await
    }
}

/// Responses to requests that came in one read go out in one write.
#[derive(Default)]
pub(crate) struct AnswersBatches;

impl Hooks for AnswersBatches {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        if !wait(conn).await? {
            return Ok(false);
        }
        let (mut batch, mut close) = (Vec::new(), false);
        // Whole requests for the page, without a body, are answered together.
        while !close
            && let Ok(Some((request, length))) = parse(&conn.buf)
            && request.target == "/"
            && request.method == "GET"
            && request.framing == Framing::Length(0)
        {
            conn.buf.drain(..length);
            close = request.close || conn.stop.is_given();
            let answer = Answer::new(200, "hello");
            batch.extend(response_head(&answer, close));
            batch.extend(answer.body);
            conn.served += 1;
        }
        match batch.is_empty() {
            true => exchange(self, conn).await,
            false => conn.send(&batch).await.map(|()| !close),
        }
    }
}

/// An answer is ready after a second, whatever was asked.
#[derive(Default)]
pub(crate) struct SlowHandler;

impl Hooks for SlowHandler {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let app = app(request.method.clone(), request.target.clone(), body);
        let slow = async {
            sleep(Duration::from_secs(1)).await;
            app.await
        };
        handle(conn, slow).await
    }
}

/// Responses are sent at 64 KiB every 10 ms.
#[derive(Default)]
pub(crate) struct PacedWrites;

impl Hooks for PacedWrites {
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
        for (at, part) in bytes.chunks(64 * 1024).enumerate() {
            if at > 0 {
                sleep(Duration::from_millis(10)).await;
            }
            conn.send(part).await?;
        }
        Ok(())
    }
}
