//! The servers: the same application on each, a process each.

use crate::machine;
use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use hangup_server::{Limits, service_fn};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;

/// The argument that makes a server of this program.
pub(crate) const FLAG: &str = "--serve";

pub(crate) struct Side {
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hangup,
    Unbounded,
    Hyper,
    HyperTimeouts,
    Axum,
}

const fn side(name: &'static str, kind: Kind) -> Side {
    Side { name, kind }
}

pub(crate) const SIDES: [Side; 5] = [
    side("hangup", Kind::Hangup),
    side("hangup, no clocks", Kind::Unbounded),
    side("hyper, no clocks", Kind::Hyper),
    side("hyper, head clock", Kind::HyperTimeouts),
    side("axum", Kind::Axum),
];

/// A server in a process of its own, which ends with this.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(name: &str) -> Self {
        let program = std::env::current_exe().expect("this program is a file");
        let mut child = Command::new(program)
            .args([FLAG, name])
            .stdout(Stdio::piped())
            .spawn()
            .expect("what runs can be run again");
        let mut line = String::new();
        let said = child.stdout.take().expect("it is piped");
        BufReader::new(said)
            .read_line(&mut line)
            .expect("it says where it is");
        let address = line.trim().parse().expect("an address");
        Server { child, address }
    }

    /// The processor's time that it has had.
    pub(crate) fn processor_time(&self) -> Duration {
        machine::processor_time(self.child.id())
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        machine::resident(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn answer<B: http_body::Body>(
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, B::Error> {
    if request.uri().path() == "/" {
        return Ok(Response::new(Full::from("ok")));
    }
    let body = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(Full::new(body)))
}

/// Serves as this side, until the process is ended.
pub(crate) fn serve(name: &str) {
    let side = SIDES
        .iter()
        .find(|side| side.name == name)
        .expect("one of ours");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("it is bound"));
        match side.kind {
            Kind::Hangup => hangup(Limits::default(), listener).await,
            Kind::Unbounded => hangup(Limits::unbounded(), listener).await,
            Kind::Hyper | Kind::HyperTimeouts => {
                hyper(side.kind == Kind::HyperTimeouts, listener).await
            }
            Kind::Axum => axum(listener).await,
        }
    });
}

async fn hangup(limits: Limits, listener: TcpListener) {
    // Every clock as it is; what is counted must not end the measurement.
    let limits = Limits {
        requests: u32::MAX,
        connections_by_address: 1 << 20,
        connections: 1 << 20,
        ..limits
    };
    let app = service_fn(async |request| answer(request).await.unwrap_or_default());
    hangup_server::Server::new(app)
        .limits(limits)
        .serve(listener)
        .await;
}

async fn hyper(head_clock: bool, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let mut builder = hyper::server::conn::http1::Builder::new();
        if head_clock {
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(60));
        }
        let service = hyper::service::service_fn(answer::<hyper::body::Incoming>);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}

async fn axum(listener: TcpListener) {
    use axum::serve::ListenerExt;
    let app = Router::new()
        .route("/", get(async || "ok"))
        .route("/echo", post(async |body: Bytes| body));
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let _ = axum::serve(listener, app).await;
}
