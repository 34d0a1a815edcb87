//! A small HTTP/1.1 server that is correct: a task for each connection, and a clock for each wait.
//!
//! Every step of a connection is a hook with this server's code as its default. A guilty server
//! overrides a hook with a version that has one defect, an innocent one with a version that has one
//! habit.

use hangup::net::{TcpListener, TcpStream};
use hangup::server::app::panic_if_asked;
use hangup::server::{Serving, Shutdown};
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
pub(crate) const HEAD_MAX: usize = 16 * 1024;
pub(crate) const BODY_MAX: usize = 1024 * 1024;
/// The size of the answer to `GET /file`.
pub(crate) const FILE: usize = 3 * 1024 * 1024;
/// How long the answer to `GET /report` takes.
pub(crate) const REPORT: Duration = Duration::from_secs(2);
pub(crate) const READ: usize = 8 * 1024;
const READ_AHEAD: usize = 64 * 1024;
const LINE_MAX: usize = 4096;
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long each step may take.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    /// From a connection's first wait to the end of its head.
    pub(crate) head: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// Between two reads of a body.
    pub(crate) gap: Duration,
    /// A whole body.
    pub(crate) body: Duration,
    /// The longest that a client may take nothing of a response.
    pub(crate) write: Duration,
    /// A whole response.
    pub(crate) response: Duration,
    pub(crate) handler: Duration,
    pub(crate) linger: Duration,
    /// A graceful shutdown.
    pub(crate) grace: Duration,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            gap: Duration::from_secs(15),
            body: Duration::from_secs(240),
            write: Duration::from_secs(30),
            response: Duration::from_secs(280),
            handler: Duration::from_secs(4),
            linger: Duration::from_secs(2),
            grace: Duration::from_secs(10),
        }
    }
}

/// Why a connection ends early.
pub(crate) enum End {
    /// The client is told with this status.
    Status(u16),
    /// Nothing can be told.
    Gone,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) http10: bool,
    pub(crate) close: bool,
    pub(crate) expect: bool,
    pub(crate) framing: Framing,
}

impl Request {
    /// Stands for a request that could not be read.
    pub(crate) fn unread() -> Self {
        Self {
            method: "GET".into(),
            target: "/".into(),
            http10: false,
            close: true,
            expect: false,
            framing: Framing::Length(0),
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
        }
    }
}

/// A connection.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Bytes that were read and not yet used.
    pub(crate) buf: Vec<u8>,
    /// How many responses were sent.
    pub(crate) served: u32,
    pub(crate) stop: Shutdown,
    pub(crate) clocks: Clocks,
}

impl Conn {
    /// Reads once; 0 at the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        (&mut self.stream)
            .take(READ as u64)
            .read_buf(&mut self.buf)
            .await
    }

    /// Reads once of a body. The end of the stream is an error.
    pub(crate) async fn more(&mut self) -> Result<(), End> {
        match timeout(self.clocks.gap, self.fill()).await {
            Err(_) => Err(End::Status(408)),
            Ok(Ok(0)) => Err(End::Status(400)),
            Ok(read) => {
                read?;
                Ok(())
            }
        }
    }

    /// The first `count` bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.buf.len() < count {
            self.more().await?;
        }
        Ok(self.buf.drain(..count).collect())
    }

    /// The next line, without its CRLF.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Some(end) = self.buf.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buf.drain(..=end).collect();
                let line = line.strip_suffix(b"\r\n").ok_or(End::Status(400))?;
                return Ok(line.to_vec());
            }
            if self.buf.len() > LINE_MAX {
                return Err(End::Status(400));
            }
            self.more().await?;
        }
    }

    /// Writes all of it, as long as the client takes some within each write clock. A socket becomes
    /// writable only when a third of its queue is free, so the queue is looked at, too.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        let whole = Instant::now() + self.clocks.response;
        let mut queued = self.stream.send_queue()?;
        while !bytes.is_empty() {
            let clock = self.clocks.write.min(whole - Instant::now());
            match timeout(clock, self.stream.write(bytes)).await {
                Ok(written) => bytes = &bytes[written?..],
                Err(_) if self.stream.send_queue()? < queued && Instant::now() < whole => {}
                Err(_) => return self.abort(),
            }
            queued = self.stream.send_queue()?;
        }
        Ok(())
    }

    /// Closes with a reset, so that the kernel keeps nothing.
    pub(crate) fn abort(&mut self) -> Result<(), End> {
        self.stream.set_zero_linger()?;
        Err(End::Gone)
    }
}

/// The steps of the server.
pub(crate) trait Hooks: Default + Send + Sync + 'static {
    fn clocks(&self) -> Clocks {
        Clocks::default()
    }

    /// Accepts until it is told to shut down.
    fn listen(
        self: Arc<Self>,
        listener: TcpListener,
        stop: Shutdown,
    ) -> impl Future<Output = ()> + Send {
        listen(self, listener, stop)
    }

    /// Serves one connection.
    fn connection(self: Arc<Self>, conn: Conn) -> impl Future<Output = ()> + Send {
        connection(self, conn)
    }

    /// One request and its response; false if the connection is to be closed.
    fn exchange(&self, conn: &mut Conn) -> impl Future<Output = Result<bool, End>> + Send {
        exchange(self, conn)
    }

    /// Waits for the first byte of a request; false if the connection is to be closed.
    fn wait(&self, conn: &mut Conn) -> impl Future<Output = Result<bool, End>> + Send {
        wait(conn)
    }

    fn head(&self, conn: &mut Conn) -> impl Future<Output = Result<Request, End>> + Send {
        head(conn)
    }

    fn body(
        &self,
        conn: &mut Conn,
        request: &Request,
    ) -> impl Future<Output = Result<Vec<u8>, End>> + Send {
        body(conn, request)
    }

    fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Answer, End>> + Send {
        handle(
            conn,
            app(request.method.clone(), request.target.clone(), body),
        )
    }

    fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> impl Future<Output = Result<(), End>> + Send {
        respond(conn, request, answer, close)
    }

    /// Closes the connection so that the client can still read what was sent.
    fn finish(&self, conn: &mut Conn) -> impl Future<Output = Result<(), End>> + Send {
        finish(conn)
    }
}

/// The server itself.
#[derive(Default)]
pub(crate) struct Plain;

impl Hooks for Plain {}

/// Runs a server that is made of hooks.
pub(crate) fn run<H: Hooks>(listener: TcpListener, stop: Shutdown) -> Serving {
    Box::pin(Arc::new(H::default()).listen(listener, stop))
}

pub(crate) fn opened<H: Hooks>(
    hooks: &H,
    stream: TcpStream,
    peer: SocketAddr,
    stop: &Shutdown,
) -> Conn {
    Conn {
        stream,
        peer,
        buf: Vec::new(),
        served: 0,
        stop: stop.clone(),
        clocks: hooks.clocks(),
    }
}

pub(crate) async fn listen<H: Hooks>(hooks: Arc<H>, listener: TcpListener, stop: Shutdown) {
    let mut connections = JoinSet::new();
    let mut stopped = pin!(stop.clone().given());
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let conn = opened(&*hooks, stream, peer, &stop);
                    connections.spawn(Arc::clone(&hooks).connection(conn));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(hooks.clocks().grace, all).await;
}

pub(crate) async fn connection<H: Hooks>(hooks: Arc<H>, mut conn: Conn) {
    let _ = exchanges(&*hooks, &mut conn).await;
}

pub(crate) async fn exchanges<H: Hooks>(hooks: &H, conn: &mut Conn) -> Result<(), End> {
    loop {
        match hooks.exchange(conn).await {
            Ok(true) => {}
            Ok(false) => return hooks.finish(conn).await,
            Err(End::Status(status)) => {
                let answer = Answer::new(status, "");
                hooks
                    .respond(conn, &Request::unread(), answer, true)
                    .await?;
                return hooks.finish(conn).await;
            }
            Err(End::Gone) => return Err(End::Gone),
        }
    }
}

pub(crate) async fn exchange<H: Hooks>(hooks: &H, conn: &mut Conn) -> Result<bool, End> {
    if !hooks.wait(conn).await? {
        return Ok(false);
    }
    let request = hooks.head(conn).await?;
    let body = hooks.body(conn, &request).await?;
    let answer = hooks.handle(conn, &request, body).await?;
    let close = request.close || conn.stop.is_given() || is_left(&request);
    hooks.respond(conn, &request, answer, close).await?;
    conn.served += 1;
    Ok(!close)
}

pub(crate) async fn wait(conn: &mut Conn) -> Result<bool, End> {
    if !conn.buf.is_empty() {
        return Ok(true);
    }
    let stop = conn.stop.clone();
    let clock = match conn.served {
        0 => conn.clocks.head,
        _ => conn.clocks.idle,
    };
    tokio::select! {
        biased;
        read = timeout(clock, conn.fill()) => match read {
            Ok(read) => Ok(read? > 0),
            Err(_) => Ok(false),
        },
        () = stop.given() => Ok(false),
    }
}

pub(crate) async fn head(conn: &mut Conn) -> Result<Request, End> {
    let clock = conn.clocks.head;
    let reading = timeout(clock, unclocked_head(conn));
    reading.await.unwrap_or(Err(End::Status(408)))
}

/// A head, however long it takes.
pub(crate) async fn unclocked_head(conn: &mut Conn) -> Result<Request, End> {
    loop {
        if let Some((request, length)) = parse(&conn.buf)? {
            conn.buf.drain(..length);
            return Ok(request);
        }
        if conn.buf.len() > HEAD_MAX {
            return Err(End::Status(431));
        }
        if conn.fill().await? == 0 {
            return Err(match conn.buf.trim_ascii().is_empty() {
                true => End::Gone,
                false => End::Status(400),
            });
        }
    }
}

/// The request at the front of `bytes` and the length of its head; none while it is not complete.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, End> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(End::Status(431)),
        Err(_) => return Err(End::Status(400)),
    };
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        http10: parsed.version == Some(0),
        close: parsed.version == Some(0),
        expect: false,
        framing: Framing::Length(0),
    };
    let (mut framed, mut hosts, mut keeps) = (false, 0, false);
    for field in parsed.headers.iter() {
        let value = std::str::from_utf8(field.value).map_err(|_| End::Status(400))?;
        let value = value.trim();
        match field.name.to_ascii_lowercase().as_str() {
            "content-length" | "transfer-encoding" if framed => return Err(End::Status(400)),
            "content-length" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                let length = value.parse().map_err(|_| End::Status(400))?;
                request.framing = Framing::Length(length);
                framed = true;
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") && !request.http10 => {
                request.framing = Framing::Chunked;
                framed = true;
            }
            "content-length" | "transfer-encoding" => return Err(End::Status(400)),
            "host" => hosts += 1,
            "expect" if value.eq_ignore_ascii_case("100-continue") => {
                request.expect = !request.http10;
            }
            "expect" => return Err(End::Status(417)),
            "connection" => {
                let has = |what: &str| {
                    let mut items = value.split(',');
                    items.any(|item| item.trim().eq_ignore_ascii_case(what))
                };
                request.close |= has("close");
                keeps |= has("keep-alive") && !has("close");
            }
            _ => {}
        }
    }
    if request.http10 && keeps {
        request.close = false;
    }
    if hosts > 1 || (hosts == 0 && !request.http10) {
        return Err(End::Status(400));
    }
    Ok(Some((request, length)))
}

/// Nobody reads the body of this request, so that the connection cannot go on behind it.
pub(crate) fn is_left(request: &Request) -> bool {
    request.target == "/form" && request.framing != Framing::Length(0)
}

pub(crate) async fn body(conn: &mut Conn, request: &Request) -> Result<Vec<u8>, End> {
    if is_left(request) {
        return Ok(Vec::new());
    }
    if matches!(request.framing, Framing::Length(length) if length > BODY_MAX) {
        return Err(End::Status(413));
    }
    if request.expect && conn.buf.is_empty() && request.framing != Framing::Length(0) {
        conn.send(CONTINUE).await?;
    }
    let clock = conn.clocks.body;
    let reading = timeout(clock, unclocked_body(conn, request.framing));
    reading.await.unwrap_or(Err(End::Status(408)))
}

/// A body without a clock for the whole.
pub(crate) async fn unclocked_body(conn: &mut Conn, framing: Framing) -> Result<Vec<u8>, End> {
    match framing {
        Framing::Length(length) => conn.exactly(length).await,
        Framing::Chunked => chunked(conn).await,
    }
}

pub(crate) async fn chunked(conn: &mut Conn) -> Result<Vec<u8>, End> {
    let mut body = Vec::new();
    loop {
        let size = chunk_size(&conn.line().await?)?;
        if size == 0 {
            let mut trailers = 0;
            loop {
                let line = conn.line().await?;
                trailers += line.len();
                match line.is_empty() {
                    true => return Ok(body),
                    false if trailers > HEAD_MAX => return Err(End::Status(431)),
                    false => {}
                }
            }
        }
        if size > BODY_MAX - body.len() {
            return Err(End::Status(413));
        }
        body.extend(conn.exactly(size).await?);
        if conn.exactly(2).await? != b"\r\n" {
            return Err(End::Status(400));
        }
    }
}

pub(crate) fn chunk_size(line: &[u8]) -> Result<usize, End> {
    let size = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let size = size.trim_ascii_end();
    if !size.iter().all(u8::is_ascii_hexdigit) {
        return Err(End::Status(400));
    }
    let size = String::from_utf8_lossy(size);
    usize::from_str_radix(&size, 16).map_err(|_| End::Status(400))
}

/// The application.
pub(crate) async fn app(method: String, target: String, body: Vec<u8>) -> Answer {
    panic_if_asked();
    match (method.as_str(), target.as_str()) {
        ("GET" | "HEAD", "/") => Answer::new(200, "hello"),
        ("POST", "/upload") => Answer::new(200, format!("{} bytes", body.len())),
        ("POST", "/form") => Answer::new(403, "no"),
        ("GET", "/file") => Answer::new(200, vec![b'f'; FILE]),
        ("GET", "/report") => {
            sleep(REPORT).await;
            Answer::new(200, "report")
        }
        ("GET", "/wait") => pending().await,
        ("GET", "/broken") => panic!("this route is broken"),
        _ => Answer::new(404, "nothing here"),
    }
}

/// Waits for the application, and reads ahead meanwhile, since a reset shows there.
pub(crate) async fn handle(
    conn: &mut Conn,
    app: impl Future<Output = Answer> + Send,
) -> Result<Answer, End> {
    let mut answer = pin!(timeout(conn.clocks.handler, app));
    let mut ended = false;
    loop {
        let listens = !ended && conn.buf.len() < READ_AHEAD;
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer.unwrap_or(Answer::new(503, ""))),
            read = conn.fill(), if listens => ended = read? == 0,
        }
    }
}

/// The head of a response.
pub(crate) fn response_head(answer: &Answer, close: bool) -> Vec<u8> {
    let connection = if close { "close" } else { "keep-alive" };
    format!(
        "HTTP/1.1 {} Status\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
        answer.status,
        answer.body.len()
    )
    .into_bytes()
}

pub(crate) async fn respond(
    conn: &mut Conn,
    request: &Request,
    answer: Answer,
    close: bool,
) -> Result<(), End> {
    let mut bytes = response_head(&answer, close);
    if request.method != "HEAD" {
        bytes.extend(answer.body);
    }
    conn.send(&bytes).await
}

pub(crate) async fn finish(conn: &mut Conn) -> Result<(), End> {
    conn.stream.shutdown().await?;
    let clock = conn.clocks.linger;
    let _ = timeout(clock, until_end(conn)).await;
    Ok(())
}

/// Reads and drops until the end of the stream.
pub(crate) async fn until_end(conn: &mut Conn) -> Result<(), End> {
    loop {
        conn.buf.clear();
        if conn.fill().await? == 0 {
            return Ok(());
        }
    }
}
