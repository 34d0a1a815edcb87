//! Shutdown is graceful, bounded, and says whom it cut.

use crate::client::{ms, secs};
use crate::probe::{self, Seen};
use hangup_server::{Limits, Listener, Peer, Phase, Report, Server, service_fn};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Gives what it has, errors included, then nothing more.
struct Given(VecDeque<io::Result<DuplexStream>>);

impl Listener for Given {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        match self.0.pop_front() {
            Some(accepted) => accepted.map(|io| (io, Peer::Unnamed)),
            None => std::future::pending().await,
        }
    }
}

struct Running {
    clients: Vec<DuplexStream>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Report>,
    start: Instant,
}

fn serve(clients: usize, limits: Limits) -> Running {
    let (clients, theirs): (Vec<_>, VecDeque<_>) = (0..clients)
        .map(|_| duplex(1 << 16))
        .map(|(a, b)| (a, Ok(b)))
        .unzip();
    let (stop, stopped) = oneshot::channel();
    let app = service_fn(|request| probe::answer(request, Seen::default()));
    let server = Server::new(app).limits(limits).date_header(false);
    let signal = async { stopped.await.unwrap() };
    let server = tokio::spawn(server.serve_with_shutdown(Given(theirs), signal));
    Running {
        clients,
        stop,
        server,
        start: Instant::now(),
    }
}

impl Running {
    async fn send(&mut self, client: usize, bytes: &str) {
        self.clients[client]
            .write_all(bytes.as_bytes())
            .await
            .unwrap();
    }

    /// Asks for a shutdown after a second, and returns what each client got, when, and the report.
    async fn stop(self) -> (Vec<(String, Duration)>, Report) {
        sleep(secs(1)).await;
        self.stop.send(()).unwrap();
        let start = self.start;
        let ends = self.clients.into_iter().map(|mut client| {
            tokio::spawn(async move {
                let mut said = String::new();
                client.read_to_string(&mut said).await.unwrap();
                (said, start.elapsed())
            })
        });
        let mut got = Vec::new();
        for end in ends.collect::<Vec<_>>() {
            got.push(end.await.unwrap());
        }
        (got, self.server.await.unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn idle_and_silent_connections_go_after_the_grace() {
    let mut running = serve(2, Limits::default());
    running.send(1, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (got, report) = running.stop().await;
    assert_eq!(got[0], (String::new(), ms(1500)));
    assert_eq!(got[1].1, ms(1500));
    assert_eq!(
        (report.open, report.took, report.cut.len()),
        (2, ms(500), 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_on_its_way_is_answered_with_close() {
    let Running {
        mut clients,
        stop,
        server,
        ..
    } = serve(2, Limits::default());
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    clients[0].write_all(get).await.unwrap();
    sleep(secs(1)).await;
    stop.send(()).unwrap();
    sleep(ms(400)).await;
    // Each has heard nothing of it: one is idle, the other has never asked.
    for client in &mut clients {
        client.write_all(get).await.unwrap();
    }
    let closed = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    for mut client in clients {
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert!(said.ends_with(closed), "{said}");
    }
    let report = server.await.unwrap();
    assert_eq!(report.ended, [("shutdown", 2)].into());
    assert!(report.took < secs(1), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_in_the_backlog_is_served() {
    let (mut client, io) = duplex(1 << 16);
    let app = service_fn(|request| probe::answer(request, Seen::default()));
    let server = Server::new(app).date_header(false);
    // The signal comes before anything was accepted.
    let server = server.serve_with_shutdown(Given([Ok(io)].into()), async {});
    let server = tokio::spawn(server);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert!(said.ends_with("connection: close\r\n\r\nok"), "{said}");
    assert_eq!(server.await.unwrap().open, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_is_answered_with_close() {
    let mut running = serve(2, Limits::default());
    running
        .send(
            0,
            "GET /slow/5000 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
    running.send(1, "GET / HTTP/1.1\r\nHo").await;
    sleep(ms(1)).await;
    let (got, report) = running.stop().await;
    assert_eq!(
        got[0],
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nslow".into(),
            secs(5)
        )
    );
    // Half a head is under way too; its own clock ends it.
    assert_eq!(got[1].1, secs(10));
    assert!(got[1].0.starts_with("HTTP/1.1 408 "));
    assert!(report.cut.is_empty(), "{report:?}");
    assert_eq!(report.ended, [("shutdown", 1), ("timeout-head", 1)].into());
}

#[tokio::test(start_paused = true)]
async fn what_is_left_after_ten_seconds_is_cut_and_named() {
    let mut running = serve(3, Limits::default());
    running
        .send(0, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    running
        .send(1, "GET /events/1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let (got, report) = running.stop().await;
    assert_eq!(got[0], (String::new(), secs(11)));
    assert_eq!(got[1].1, secs(11));
    assert_eq!(got[2].1, ms(1500));
    assert_eq!((report.open, report.took), (3, secs(10)));
    let cut: Vec<(u64, Phase)> = report
        .cut
        .iter()
        .map(|open| (open.id, open.phase))
        .collect();
    assert_eq!(cut, [(1, Phase::Handler), (2, Phase::Response)]);
    assert!(report.stuck.is_empty());
    assert_eq!(
        report.ended,
        [("shutdown", 1), ("timeout-shutdown", 2)].into()
    );
}

#[tokio::test(start_paused = true)]
async fn errors_of_accept_are_waited_out() {
    let (mut client, io) = duplex(1024);
    let errors = std::iter::repeat_with(|| Err(io::Error::from_raw_os_error(24))).take(10);
    let accepts = errors
        .chain([Err(io::ErrorKind::ConnectionAborted.into()), Ok(io)])
        .collect();
    let app = service_fn(|request| probe::answer(request, Seen::default()));
    let start = Instant::now();
    let server = tokio::spawn(Server::new(app).serve(Given(accepts)));
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK"));
    // 5, 10, 20 ... 640 ms, then twice a second.
    assert_eq!(start.elapsed(), ms(1275 + 2 * 1000));
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn connections_do_not_outlive_the_server() {
    let running = serve(1, Limits::default());
    sleep(secs(1)).await;
    running.server.abort();
    let mut clients = running.clients;
    let mut said = String::new();
    clients[0].read_to_string(&mut said).await.unwrap();
    assert_eq!(running.start.elapsed(), secs(1));
}
