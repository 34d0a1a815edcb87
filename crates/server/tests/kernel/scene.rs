//! A server on loopback, clients of every kind, and what the kernel has of its connections.

use bytes::Bytes;
use hangup_server::{
    Body, CloseReason, Entry, Ledger, Limits, Listener, Report, Server, Watch, service_fn,
};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No test here waits longer than this for anything.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// How many times faster the server's clocks run here: 300 B/s are 6 kB/s, 20 minutes are 60 s.
pub(crate) const TIMES: u32 = 20;

pub(crate) fn hastened(limits: Limits) -> Limits {
    limits.hastened(NonZeroU32::new(TIMES).unwrap())
}

pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    pub(crate) ledger: Ledger,
    closed: UnboundedReceiver<CloseReason>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Report>,
}

struct Told(UnboundedSender<CloseReason>);

impl Watch for Told {
    fn phase(
        &self,
        _: u64,
        _: tokio::time::Instant,
        _: hangup_server::Phase,
        _: Option<tokio::time::Instant>,
    ) {
    }

    fn closed(&self, _: u64, _: tokio::time::Instant, reason: CloseReason, _: &Entry) {
        let _ = self.0.send(reason);
    }
}

/// What a test's application answers with.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Failure>>;
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) async fn answer(request: Request<Body>) -> Answer {
    let path = request.uri().path().to_owned();
    let mut words = path.split('/').skip(1);
    let (what, number) = (words.next().unwrap_or_default(), words.next());
    let number = number.and_then(|word| word.parse().ok()).unwrap_or(0);
    let body = match what {
        "big" => Pieces {
            left: number,
            then: Then::End,
        },
        // So many bytes, then nothing more for ever.
        "silent" => Pieces {
            left: number,
            then: Then::Nothing,
        },
        "broken" => Pieces {
            left: number,
            then: Then::Error,
        },
        "crumbles" => Pieces {
            left: number,
            then: Then::Panic,
        },
        "never" => std::future::pending().await,
        // Reads the request's body first.
        "takes" => {
            request.into_body().collect().await.expect("a whole body");
            return ok();
        }
        _ => return ok(),
    };
    Response::new(body.boxed_unsync())
}

fn ok() -> Answer {
    let body = Full::from("ok").map_err(|never| match never {});
    Response::new(body.boxed_unsync())
}

/// A body of unknown length.
struct Pieces {
    left: u64,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    End,
    Nothing,
    Error,
    Panic,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.left == 0 {
            return match self.then {
                Then::End => Poll::Ready(None),
                Then::Nothing => Poll::Pending,
                Then::Error => Poll::Ready(Some(Err("as asked".into()))),
                Then::Panic => panic!("as asked"),
            };
        }
        let piece = self.left.min(64 * 1024);
        self.left -= piece;
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; piece as usize].into()))))
    }
}

impl Scene {
    pub(crate) async fn new(limits: Limits) -> Self {
        Self::over(limits, |listener| listener).await
    }

    /// A server over what `listens` makes of a listener on loopback.
    pub(crate) async fn over<L: Listener>(
        limits: Limits,
        listens: impl FnOnce(TcpListener) -> L,
    ) -> Self {
        let (told, closed) = unbounded_channel();
        let server = Server::new(service_fn(answer))
            .limits(limits)
            .watch(Arc::new(Told(told)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let address = listener.local_addr().unwrap();
        let listener = listens(listener);
        Scene {
            address,
            ledger: server.ledger().clone(),
            closed,
            stop: Some(stop),
            server: tokio::spawn(async move {
                let signal = async {
                    // A scene that is dropped asks for nothing.
                    if stopped.await.is_err() {
                        std::future::pending().await
                    }
                };
                server.serve_with_shutdown(listener, signal).await
            }),
        }
    }

    /// Asks the server to shut down.
    pub(crate) fn shut_down(&mut self) {
        let stop = self.stop.take().expect("it is asked once");
        stop.send(()).expect("the server runs");
    }

    /// What the server says at the end of its shutdown.
    pub(crate) async fn report(&mut self) -> Report {
        let report = timeout(LONG, &mut self.server).await;
        report.expect("it ends").expect("it does not panic")
    }

    /// Drops the server, and all of its connections with it.
    pub(crate) async fn drop_server(&mut self) {
        self.server.abort();
        let ended = timeout(LONG, &mut self.server).await.expect("it ends");
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    /// A client whose receive buffer is of this size, or the system's default.
    pub(crate) async fn connect(&self, buffer: Option<u32>) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(buffer) = buffer {
            socket.set_recv_buffer_size(buffer).unwrap();
        }
        socket.connect(self.address).await.unwrap()
    }

    /// The reason of the next connection that ends.
    pub(crate) async fn closed(&mut self) -> CloseReason {
        let closed = timeout(LONG, self.closed.recv()).await;
        closed.expect("it ends").expect("the server runs")
    }

    /// A connection tells of its end just before its socket goes; behind that, nothing is to be waited for.
    pub(crate) async fn kernel_has_nothing(&self) {
        let gone = async {
            while !self.in_the_kernel().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let soon = timeout(Duration::from_secs(1), gone).await;
        soon.unwrap_or_else(|_| panic!("left in the kernel: {:?}", self.in_the_kernel()));
    }

    /// The server's ends of connections that the kernel has: each one's state (`01` is ESTABLISHED, `04` FIN-WAIT-1), and its
    /// send queue. Those in which nothing but time has to pass (FIN-WAIT-2 without a socket, TIME-WAIT) are left out.
    pub(crate) fn in_the_kernel(&self) -> Vec<(String, u64)> {
        let own = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().skip(1).map(|line| line.split_whitespace());
        let rows = rows.filter_map(|mut row| {
            let (local, state) = (row.nth(1)?, row.nth(1)?);
            let queue = u64::from_str_radix(row.next()?.split(':').next()?, 16).ok()?;
            let listens = state == "0A";
            let passes = matches!(state, "05" | "06") && queue == 0;
            (local.ends_with(&own) && !listens && !passes).then(|| (state.to_owned(), queue))
        });
        rows.collect()
    }
}
