//! Habits of what is sent and read.

use crate::base::*;
use std::io::IoSlice;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// The connection is closed after every response.
#[derive(Default)]
pub(crate) struct ClosesAlways;

impl Hooks for ClosesAlways {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let mut request = head(conn).await?;
        request.close = true;
        Ok(request)
    }
}

/// Five responses are all that a connection gets.
#[derive(Default)]
pub(crate) struct FiveRequests;

impl Hooks for FiveRequests {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let mut request = head(conn).await?;
        request.close |= conn.served == 4;
        Ok(request)
    }
}

/// A line of a head that ends with a bare LF is refused (RFC 9112 section 2.2: a recipient MAY
/// accept it).
#[derive(Default)]
pub(crate) struct StrictLines;

impl Hooks for StrictLines {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let reading = async {
            loop {
                let end = conn.buf.windows(4).position(|four| four == b"\r\n\r\n");
                let looked_at = &conn.buf[..end.unwrap_or(conn.buf.len())];
                let mut pairs = std::iter::once(b' ').chain(looked_at.iter().copied());
                let mut last = pairs.next().unwrap_or_default();
                for byte in pairs {
                    if byte == b'\n' && last != b'\r' {
                        return Err(End::Status(400));
                    }
                    last = byte;
                }
                if end.is_some() {
                    return Ok(());
                }
                if conn.buf.len() > HEAD_MAX {
                    return Err(End::Status(431));
                }
                if conn.fill().await? == 0 {
                    return Err(End::Status(400));
                }
            }
        };
        let clock = Duration::from_secs(10);
        timeout(clock, reading)
            .await
            .unwrap_or(Err(End::Status(408)))?;
        head(conn).await
    }
}

/// HTTP/1.0 clients may not keep the connection.
#[derive(Default)]
pub(crate) struct NoOldKeepAlive;

impl Hooks for NoOldKeepAlive {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let mut request = head(conn).await?;
        request.close |= request.http10;
        Ok(request)
    }
}

/// HTTP/1.0 is answered 505.
#[derive(Default)]
pub(crate) struct RefusesOld;

impl Hooks for RefusesOld {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let request = head(conn).await?;
        match request.http10 {
            true => Err(End::Status(505)),
            false => Ok(request),
        }
    }
}

/// Expectations are answered 417.
#[derive(Default)]
pub(crate) struct RefusesExpect;

impl Hooks for RefusesExpect {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let request = head(conn).await?;
        match request.expect {
            true => Err(End::Status(417)),
            false => Ok(request),
        }
    }
}

/// Expectations are answered with the final status at once; the body is read behind it, and the
/// connection closed.
#[derive(Default)]
pub(crate) struct FinalBeforeBody;

impl Hooks for FinalBeforeBody {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        if !wait(conn).await? {
            return Ok(false);
        }
        let request = head(conn).await?;
        if request.expect {
            let answer = Answer::new(202, "accepted unseen");
            respond(conn, &request, answer, true).await?;
            return Ok(false);
        }
        let body = body(conn, &request).await?;
        let answer = self.handle(conn, &request, body).await?;
        let close = request.close || conn.stop.is_given() || is_left(&request);
        respond(conn, &request, answer, close).await?;
        conn.served += 1;
        Ok(!close)
    }
}

/// `100 Continue` is sent also where the body has already begun.
#[derive(Default)]
pub(crate) struct AlwaysContinues;

impl Hooks for AlwaysContinues {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        let wanted = matches!(
            request.framing,
            Framing::Chunked | Framing::Length(1..=BODY_MAX)
        );
        if !request.expect || !wanted || is_left(request) || conn.buf.is_empty() {
            return body(conn, request).await;
        }
        conn.send(CONTINUE).await?;
        body(conn, request).await
    }
}

/// An idle connection is told 408 before it is closed.
#[derive(Default)]
pub(crate) struct TimeoutIsTold;

impl Hooks for TimeoutIsTold {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        match wait(conn).await? {
            false if !conn.stop.is_given() && conn.stream.peer_addr().is_ok() => {
                let mut more = [0];
                let ended = timeout(Duration::ZERO, conn.stream.peek(&mut more)).await;
                match ended {
                    Ok(_) => Ok(false),
                    Err(_) => Err(End::Status(408)),
                }
            }
            goes_on => Ok(goes_on),
        }
    }
}

/// A client that lets a clock run out gets a reset.
#[derive(Default)]
pub(crate) struct ResetsOnTimeout;

impl Hooks for ResetsOnTimeout {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        let started = tokio::time::Instant::now();
        let goes_on = wait(conn).await?;
        if !goes_on && !conn.stop.is_given() && started.elapsed() >= conn.clocks.head {
            conn.abort()?;
        }
        Ok(goes_on)
    }

    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        match head(conn).await {
            Err(End::Status(408)) => {
                conn.abort()?;
                Err(End::Gone)
            }
            other => other,
        }
    }

    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        match body(conn, request).await {
            Err(End::Status(408)) => {
                conn.abort()?;
                Err(End::Gone)
            }
            other => other,
        }
    }
}

/// All clocks are very short.
#[derive(Default)]
pub(crate) struct ShortClocks;

impl Hooks for ShortClocks {
    fn clocks(&self) -> Clocks {
        Clocks {
            head: Duration::from_secs(3),
            idle: Duration::from_secs(2),
            gap: Duration::from_secs(3),
            body: Duration::from_secs(60),
            write: Duration::from_secs(5),
            ..Clocks::default()
        }
    }
}

/// An idle connection may stay for ten minutes, and the contract says so.
#[derive(Default)]
pub(crate) struct LongIdle;

impl Hooks for LongIdle {
    fn clocks(&self) -> Clocks {
        Clocks {
            idle: Duration::from_secs(600),
            ..Clocks::default()
        }
    }
}

/// What the socket takes is the progress of a response, with 60 s for each write, as in nginx.
#[derive(Default)]
pub(crate) struct SendTimeout;

impl Hooks for SendTimeout {
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
        let mut left = &bytes[..];
        while !left.is_empty() {
            match timeout(Duration::from_secs(60), conn.stream.write(left)).await {
                Ok(written) => left = &left[written?..],
                Err(_) => return conn.abort(),
            }
        }
        Ok(())
    }
}

/// A connection is closed when it is a minute old, between two requests.
#[derive(Default)]
pub(crate) struct MinuteOld;

impl Hooks for MinuteOld {
    async fn connection(self: std::sync::Arc<Self>, mut conn: Conn) {
        let opened = tokio::time::Instant::now();
        let serving = async {
            loop {
                if !self.wait(&mut conn).await? {
                    return self.finish(&mut conn).await;
                }
                let mut request = match self.head(&mut conn).await {
                    Ok(request) => request,
                    Err(End::Status(status)) => {
                        let answer = Answer::new(status, "");
                        respond(&mut conn, &Request::unread(), answer, true).await?;
                        return self.finish(&mut conn).await;
                    }
                    Err(End::Gone) => return Err(End::Gone),
                };
                request.close |= opened.elapsed() > Duration::from_secs(60);
                let close = request.close || conn.stop.is_given() || is_left(&request);
                let answer = match self.body(&mut conn, &request).await {
                    Ok(body) => self.handle(&mut conn, &request, body).await?,
                    Err(End::Status(status)) => {
                        let answer = Answer::new(status, "");
                        respond(&mut conn, &request, answer, true).await?;
                        return self.finish(&mut conn).await;
                    }
                    Err(End::Gone) => return Err(End::Gone),
                };
                respond(&mut conn, &request, answer, close).await?;
                conn.served += 1;
                if close {
                    return self.finish(&mut conn).await;
                }
            }
        };
        let _: Result<(), End> = serving.await;
    }
}

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

/// The end of a response is the end of the connection, and it says no length.
#[derive(Default)]
pub(crate) struct EndsByClose;

impl Hooks for EndsByClose {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let mut request = head(conn).await?;
        request.close = true;
        Ok(request)
    }

    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        _: bool,
    ) -> Result<(), End> {
        let status = answer.status;
        let mut bytes =
            format!("HTTP/1.1 {status} Status\r\nConnection: close\r\n\r\n").into_bytes();
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

/// The FIN comes 50 ms behind the last response.
#[derive(Default)]
pub(crate) struct StagedClose;

impl Hooks for StagedClose {
    async fn finish(&self, conn: &mut Conn) -> Result<(), End> {
        sleep(Duration::from_millis(50)).await;
        finish(conn).await
    }
}

/// What a client still sends behind the last response is read up to 64 KiB; half a second later it
/// gets a reset, as from Go's net/http.
#[derive(Default)]
pub(crate) struct DrainsALittle;

impl Hooks for DrainsALittle {
    async fn finish(&self, conn: &mut Conn) -> Result<(), End> {
        conn.stream.shutdown().await?;
        let drained = async {
            let mut count = 0;
            while count < 64 * 1024 {
                conn.buf.clear();
                match conn.fill().await? {
                    0 => return Ok(false),
                    read => count += read,
                }
            }
            Ok::<_, End>(true)
        };
        match timeout(Duration::from_secs(2), drained).await {
            Ok(Ok(true)) => {
                sleep(Duration::from_millis(500)).await;
                conn.abort()
            }
            _ => Ok(()),
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

/// A body may have a KiB.
#[derive(Default)]
pub(crate) struct SmallBodies;

impl Hooks for SmallBodies {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        match request.framing {
            Framing::Length(1025..) if !is_left(request) => Err(End::Status(413)),
            _ => body(conn, request).await,
        }
    }
}

/// Only GET and HEAD are served; for everything else there is a 405, and the connection is closed.
#[derive(Default)]
pub(crate) struct ReadOnly;

impl Hooks for ReadOnly {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let request = head(conn).await?;
        match request.method.as_str() {
            "GET" | "HEAD" => Ok(request),
            _ => Err(End::Status(405)),
        }
    }
}

/// Bodies must have a length: chunks are answered 411.
#[derive(Default)]
pub(crate) struct WantsLength;

impl Hooks for WantsLength {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        let request = head(conn).await?;
        match request.framing {
            Framing::Chunked => Err(End::Status(411)),
            _ => Ok(request),
        }
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

/// A connection that was upgraded is echoed, and has 20 s between two messages and a minute in all.
#[derive(Default)]
pub(crate) struct ClockedUpgrade;

impl Hooks for ClockedUpgrade {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        if !wait(conn).await? {
            return Ok(false);
        }
        let text = String::from_utf8_lossy(&conn.buf).to_ascii_lowercase();
        let asks = text.contains("\r\nupgrade:") && text.contains("\r\n\r\n");
        if !asks || !text.starts_with("get / http/1.1") {
            return exchange(self, conn).await;
        }
        head(conn).await?;
        conn.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        )
        .await?;
        let echoing = async {
            loop {
                let bytes = std::mem::take(&mut conn.buf);
                conn.send(&bytes).await?;
                match timeout(Duration::from_secs(20), conn.fill()).await {
                    Ok(Ok(1..)) => {}
                    _ => return Ok(false),
                }
            }
        };
        timeout(Duration::from_secs(60), echoing)
            .await
            .unwrap_or(Ok(false))
    }
}

/// A shutdown tells clients that have not asked anything 503, and closes.
#[derive(Default)]
pub(crate) struct Farewell;

impl Hooks for Farewell {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        let goes_on = wait(conn).await?;
        match !goes_on && conn.stop.is_given() && conn.served == 0 {
            true => Err(End::Status(503)),
            false => Ok(goes_on),
        }
    }
}
