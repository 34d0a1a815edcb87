//! Habits of when and how a connection ends.

use crate::base::*;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
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

/// A client that lets a clock run out gets a reset, unless a response is still under way to it: a reset would erase that.
/// nginx, too, closes idle connections normally where `reset_timedout_connection` is on.
#[derive(Default)]
pub(crate) struct ResetsOnTimeout;

fn abort_if_all_is_sent(conn: &mut Conn) -> Result<(), End> {
    match conn.stream.send_queue()? {
        0 => conn.abort(),
        _ => Ok(()),
    }
}

impl Hooks for ResetsOnTimeout {
    async fn wait(&self, conn: &mut Conn) -> Result<bool, End> {
        let started = tokio::time::Instant::now();
        let goes_on = wait(conn).await?;
        if !goes_on && !conn.stop.is_given() && started.elapsed() >= conn.clocks.head {
            abort_if_all_is_sent(conn)?;
        }
        Ok(goes_on)
    }

    async fn head(&self, conn: &mut Conn) -> Result<Request, End> {
        match head(conn).await {
            Err(End::Status(408)) => {
                abort_if_all_is_sent(conn)?;
                Err(End::Status(408))
            }
            other => other,
        }
    }

    async fn body(&self, conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
        match body(conn, request).await {
            Err(End::Status(408)) => {
                abort_if_all_is_sent(conn)?;
                Err(End::Status(408))
            }
            other => other,
        }
    }
}

/// A client that lets a clock run out gets a reset, also where a response is still under way to it.
#[derive(Default)]
pub(crate) struct ResetsWithResponse;

impl Hooks for ResetsWithResponse {
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
