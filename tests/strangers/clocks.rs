//! Clocks that are missing, or that something restarts.

use crate::base::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{interval, sleep, timeout};

/// The head clock runs for the first request of a connection only.
#[derive(Default)]
pub(crate) struct HeadClockOnce;

impl Hooks for HeadClockOnce {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        match conn.served {
            0 => head(conn).await,
            _ => unclocked_head(conn).await,
        }
    }
}

/// The idle clock ends at the first byte of a head, and no other starts.
#[derive(Default)]
pub(crate) struct FirstByteClock;

impl Hooks for FirstByteClock {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        unclocked_head(conn).await
    }
}

/// The head clock is restarted by each read.
#[derive(Default)]
pub(crate) struct HeadClockPerRead;

impl Hooks for HeadClockPerRead {
    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        loop {
            if let Some((request, length)) = parse(&conn.buf)? {
                conn.buf.drain(..length);
                return Ok(request);
            }
            if conn.buf.len() > HEAD_MAX {
                return Err(End::Status(431));
            }
            conn.more().await?;
        }
    }
}

/// The clock of a connection is set at its first byte and never reset, so that a request is dropped
/// when it is over.
#[derive(Default)]
pub(crate) struct StaleHeadClock;

impl Hooks for StaleHeadClock {
    async fn connection(self: std::sync::Arc<Self>, mut conn: Conn) {
        let clock = conn.clocks.idle;
        let _ = timeout(clock, exchanges(&*self, &mut conn)).await;
    }
}

/// The idle clock is started where the body of a response has been written, and a HEAD has none.
#[derive(Default)]
pub(crate) struct IdleClockBehindBody;

impl Hooks for IdleClockBehindBody {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        conn.clocks.idle = match request.method.as_str() {
            "HEAD" => Duration::MAX,
            _ => self.clocks().idle,
        };
        respond(conn, request, answer, close).await
    }
}

/// The clocks of the body are stopped by a `100 Continue`.
#[derive(Default)]
pub(crate) struct ContinueStopsClock;

impl Hooks for ContinueStopsClock {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        if request.expect && conn.buf.is_empty() {
            conn.clocks.gap = Duration::MAX;
            conn.clocks.body = Duration::MAX;
        }
        body(conn, request).await
    }
}

/// Empty lines before a request are skipped, and each restarts the idle clock.
#[derive(Default)]
pub(crate) struct EmptyLinesRestart;

impl Hooks for EmptyLinesRestart {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        loop {
            if !wait(conn).await? {
                return Ok(false);
            }
            let blank = |byte: &u8| *byte == b'\r' || *byte == b'\n';
            let lines = conn.buf.iter().take_while(|byte| blank(byte)).count();
            conn.buf.drain(..lines);
            if !conn.buf.is_empty() {
                return Ok(true);
            }
        }
    }
}

/// A response is written with `write_all` and no clock.
#[derive(Default)]
pub(crate) struct UnclockedWrite;

impl Hooks for UnclockedWrite {
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
        Ok(conn.stream.write_all(&bytes).await?)
    }
}

/// Behind a response it waits until the client has acknowledged all of it, without a clock.
#[derive(Default)]
pub(crate) struct UnclockedFlush;

impl Hooks for UnclockedFlush {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        respond(conn, request, answer, close).await?;
        while conn.stream.send_queue()? > 0 {
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

/// A response as a whole has no clock, and a client may take a byte every 20 s.
#[derive(Default)]
pub(crate) struct UnclockedResponse;

impl Hooks for UnclockedResponse {
    fn clocks(&self) -> Clocks {
        Clocks {
            response: Duration::from_secs(30 * 24 * 60 * 60),
            ..Clocks::default()
        }
    }
}

/// A closed connection lingers until the client ends it.
#[derive(Default)]
pub(crate) struct UnclockedLinger;

impl Hooks for UnclockedLinger {
    async fn finish(&self, conn: &mut Conn) -> Result<(), End> {
        conn.stream.shutdown().await?;
        until_end(conn).await
    }
}

/// The clock of the linger is restarted by each read.
#[derive(Default)]
pub(crate) struct LingerPerRead;

impl Hooks for LingerPerRead {
    async fn finish(&self, conn: &mut Conn) -> Result<(), End> {
        conn.stream.shutdown().await?;
        while let Ok(Ok(1..)) = timeout(conn.clocks.linger, conn.fill()).await {
            conn.buf.clear();
        }
        Ok(())
    }
}

/// A body that the application left is read to its end behind the response, without a clock.
#[derive(Default)]
pub(crate) struct UnclockedDrain;

impl Hooks for UnclockedDrain {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        if !wait(conn).await? {
            return Ok(false);
        }
        let request = head(conn).await?;
        let body = body(conn, &request).await?;
        let answer = self.handle(conn, &request, body).await?;
        respond(conn, &request, answer, request.close).await?;
        conn.served += 1;
        if is_left(&request) {
            conn.clocks.gap = Duration::MAX;
            unclocked_body(conn, request.framing).await?;
            conn.clocks.gap = self.clocks().gap;
        }
        Ok(!request.close && !conn.stop.is_given())
    }
}

/// The trailers of a chunked body have no clock.
#[derive(Default)]
pub(crate) struct UnclockedTrailers;

impl Hooks for UnclockedTrailers {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        if request.framing != Framing::Chunked || is_left(request) {
            return body(conn, request).await;
        }
        if request.expect && conn.buf.is_empty() {
            conn.send(CONTINUE).await?;
        }
        let mut body = Vec::new();
        loop {
            let size = chunk_size(&conn.line().await?)?;
            if size == 0 {
                break;
            }
            if size > BODY_MAX - body.len() {
                return Err(End::Status(413));
            }
            body.extend(conn.exactly(size).await?);
            if conn.exactly(2).await? != b"\r\n" {
                return Err(End::Status(400));
            }
        }
        let gap = std::mem::replace(&mut conn.clocks.gap, Duration::MAX);
        while !conn.line().await?.is_empty() {}
        conn.clocks.gap = gap;
        Ok(body)
    }
}

/// A body has a clock between two reads and none for the whole.
#[derive(Default)]
pub(crate) struct BodyClockPerRead;

impl Hooks for BodyClockPerRead {
    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        conn.clocks.body = Duration::from_secs(30 * 24 * 60 * 60);
        body(conn, request).await
    }
}

/// Does the request at the front of the buffer ask for an upgrade? Reads up to the end of its head.
async fn asks_for_upgrade(conn: &mut Conn) -> Result<bool, End> {
    const HEAD_MAX: usize = 8 * 1024;
    let asks = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let (head, _) = text.split_once("\r\n\r\n")?;
        Some(head.contains("\r\nupgrade:"))
    };
    let clock = conn.clocks.head;
    let reading = timeout(clock, async {
        while asks(&conn.buf).is_none() && conn.buf.len() < HEAD_MAX {
            if conn.fill().await? == 0 {
                break;
            }
        }
        Ok::<(), End>(())
    });
    // What does not come in time is told by the head's own clock.
    reading.await.unwrap_or(Ok(()))?;
    Ok(asks(&conn.buf).unwrap_or(false))
}

const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// Behind an upgrade the client is echoed, without a clock.
#[derive(Default)]
pub(crate) struct UnclockedUpgrade;

impl Hooks for UnclockedUpgrade {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        if !wait(conn).await? {
            return Ok(false);
        }
        if !asks_for_upgrade(conn).await? {
            return exchange(self, conn).await;
        }
        unclocked_head(conn).await?;
        conn.send(SWITCHING).await?;
        loop {
            let bytes = std::mem::take(&mut conn.buf);
            conn.send(&bytes).await?;
            if conn.fill().await? == 0 {
                return Ok(false);
            }
        }
    }
}

/// Behind an upgrade the client gets a ping every 10 s, and nobody looks for the pongs.
#[derive(Default)]
pub(crate) struct NoPongs;

impl Hooks for NoPongs {
    async fn exchange(&self, conn: &mut Conn) -> Result<bool, End> {
        if !wait(conn).await? {
            return Ok(false);
        }
        if !asks_for_upgrade(conn).await? {
            return exchange(self, conn).await;
        }
        unclocked_head(conn).await?;
        conn.send(SWITCHING).await?;
        let mut pings = interval(Duration::from_secs(10));
        let mut bytes = [0; 1024];
        loop {
            tokio::select! {
                _ = pings.tick() => conn.stream.write_all(b"ping\n").await?,
                read = conn.stream.read(&mut bytes) => if read? == 0 { return Ok(false) },
            }
        }
    }
}

/// A slow answer is preceded by `102 Processing` every 5 s, and the clock of the handler restarts
/// with each.
#[derive(Default)]
pub(crate) struct ProcessingRestarts;

impl Hooks for ProcessingRestarts {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let answer = app(request.method.clone(), request.target.clone(), body);
        let mut answer = std::pin::pin!(answer);
        loop {
            match timeout(Duration::from_secs(5), &mut answer).await {
                Ok(answer) => return Ok(answer),
                Err(_) if request.http10 => return Ok(Answer::new(503, "")),
                Err(_) => conn.send(b"HTTP/1.1 102 Processing\r\n\r\n").await?,
            }
        }
    }
}
