//! Habits of what is taken and what is refused.

use crate::base::*;
use std::time::Duration;
use tokio::time::timeout;

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
