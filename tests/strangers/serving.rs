//! Habits of which tasks accept and serve connections.

use super::admission::{Counted, Open};
use crate::base::*;
use crate::guilty::libraries::router;
use hangup::net::{TcpListener, TcpStream};
use hangup::server::{Serving, Shutdown};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The next connection, `None` at the shutdown; an error is waited out.
pub(super) async fn accepted(
    listener: &TcpListener,
    stop: &Shutdown,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.clone().given() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// 512 workers, started at once, take connections from a channel and serve one at a time.
#[derive(Default)]
pub(crate) struct Workers;

impl Hooks for Workers {
    fn clocks(&self) -> Clocks {
        Clocks {
            idle: Duration::from_secs(5),
            ..Clocks::default()
        }
    }

    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let (queue, queued) = mpsc::channel::<Conn>(1024);
        let queued = Arc::new(tokio::sync::Mutex::new(queued));
        let mut workers = JoinSet::new();
        for _ in 0..512 {
            let (queued, hooks) = (Arc::clone(&queued), Arc::clone(&self));
            workers.spawn(async move {
                loop {
                    let Some(conn) = queued.lock().await.recv().await else {
                        return;
                    };
                    // A panic is the connection's, not the worker's.
                    let serving = Arc::clone(&hooks).connection(conn);
                    let _ = tokio::spawn(serving).await;
                }
            });
        }
        while let Some((stream, peer)) = accepted(&listener, &stop).await {
            let _ = queue.send(opened(&*self, stream, peer, &stop)).await;
        }
        drop((listener, queue));
        let all = async { while workers.join_next().await.is_some() {} };
        let _ = timeout(self.clocks().grace, all).await;
    }
}

/// A worker is started where none is free, and ends when it had nothing to do for two minutes.
#[derive(Default)]
pub(crate) struct WorkersOnDemand {
    open: Arc<Open>,
    free: Mutex<VecDeque<oneshot::Sender<Conn>>>,
}

impl WorkersOnDemand {
    async fn work(self: Arc<Self>, mut conn: Conn) {
        loop {
            let counted = Counted::new(&self.open);
            let _ = exchanges(&*self, &mut conn).await;
            drop((conn, counted));
            let (hand_over, next) = oneshot::channel();
            self.free.lock().unwrap().push_back(hand_over);
            match timeout(Duration::from_secs(120), next).await {
                Ok(Ok(next)) => conn = next,
                _ => return,
            }
        }
    }
}

impl Hooks for WorkersOnDemand {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        while let Some((stream, peer)) = accepted(&listener, &stop).await {
            let mut conn = opened(&*self, stream, peer, &stop);
            loop {
                let Some(free) = self.free.lock().unwrap().pop_back() else {
                    tokio::spawn(Arc::clone(&self).work(conn));
                    break;
                };
                match free.send(conn) {
                    Ok(()) => break,
                    Err(refused) => conn = refused,
                }
            }
        }
        drop(listener);
        let _ = timeout(self.clocks().grace, self.open.none()).await;
    }
}

/// All connections are served by the accept loop's own task, in a `JoinSet` that is polled in one
/// `select!`.
#[derive(Default)]
pub(crate) struct OneTask;

impl Hooks for OneTask {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        // Futures in a set of their own, without a task for each.
        let mut connections: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
        let mut stopped = std::pin::pin!(stop.clone().given());
        let mut due = None;
        // None once it is told to stop: who comes then is refused.
        let mut listener = Some(listener);
        loop {
            let all = std::future::poll_fn(|cx| {
                connections.retain_mut(|one| {
                    let polled = std::panic::AssertUnwindSafe(|| one.as_mut().poll(cx));
                    match std::panic::catch_unwind(polled) {
                        Ok(polled) => polled.is_pending(),
                        Err(_) => false,
                    }
                });
                match due.is_some() && connections.is_empty() {
                    true => std::task::Poll::Ready(()),
                    false => std::task::Poll::Pending,
                }
            });
            tokio::select! {
                biased;
                () = &mut stopped, if due.is_none() => {
                    due = Some(Instant::now() + self.clocks().grace);
                    listener = None;
                }
                () = async { tokio::time::sleep_until(due.unwrap()).await }, if due.is_some() => return,
                () = all => return,
                accepted = async { listener.as_ref().unwrap().accept().await }, if due.is_none() => match accepted {
                    Ok((stream, peer)) => {
                        let conn = opened(&*self, stream, peer, &stop);
                        connections.push(Box::pin(Arc::clone(&self).connection(conn)));
                    }
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

/// An idle connection goes back to the accept loop, which hands it to a new task when its next
/// request begins.
#[derive(Default)]
pub(crate) struct HandsBack {
    open: Arc<Open>,
}

impl Hooks for HandsBack {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let (give, mut given_back) = mpsc::unbounded_channel::<(Conn, Counted)>();
        let mut stopped = std::pin::pin!(stop.clone().given());
        loop {
            let (mut conn, counted) = tokio::select! {
                biased;
                () = &mut stopped => break,
                Some(back) = given_back.recv() => back,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let conn = opened(&*self, stream, peer, &stop);
                        (conn, Counted::new(&self.open))
                    }
                    Err(_) => {
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let (give, hooks) = (give.clone(), Arc::clone(&self));
            tokio::spawn(async move {
                match exchange(&*hooks, &mut conn).await {
                    Ok(true) => {
                        // Nobody takes connections back in a shutdown.
                        if let Err(mpsc::error::SendError((mut conn, _counted))) =
                            give.send((conn, counted))
                        {
                            let _ = exchanges(&*hooks, &mut conn).await;
                        }
                    }
                    Ok(false) => drop(finish(&mut conn).await),
                    Err(End::Status(status)) => {
                        let answer = Answer::new(status, "");
                        let unread = Request::unread();
                        if respond(&mut conn, &unread, answer, true).await.is_ok() {
                            let _ = finish(&mut conn).await;
                        }
                    }
                    Err(End::Gone) => {}
                }
            });
        }
        drop(listener);
        // Those that were on their way back are idle, unless the next request is there already.
        given_back.close();
        while let Some((mut conn, counted)) = given_back.recv().await {
            let hooks = Arc::clone(&self);
            tokio::spawn(async move {
                let _ = exchanges(&*hooks, &mut conn).await;
                drop(counted);
            });
        }
        let _ = timeout(self.clocks().grace, self.open.none()).await;
    }
}

/// A connection is two tasks, a reader that parses and a writer that answers, with a channel
/// between.
#[derive(Default)]
pub(crate) struct TwoTasks;

impl Hooks for TwoTasks {
    async fn connection(self: Arc<Self>, conn: Conn) {
        let clocks = conn.clocks;
        let stop = conn.stop.clone();
        let (mut reader, mut writer) = conn.stream.into_split();
        let (requests, mut asked) = mpsc::channel::<(Vec<u8>, bool)>(8);
        let writing = tokio::spawn(async move {
            while let Some((response, close)) = asked.recv().await {
                let written = timeout(clocks.write, writer.write_all(&response)).await;
                if !matches!(written, Ok(Ok(()))) || close {
                    break;
                }
            }
            let _ = writer.shutdown().await;
            // The reader lingers.
            asked.close();
        });
        let mut buf = Vec::new();
        let mut done = false;
        let mut due = Instant::now() + clocks.head;
        while !done {
            let read = tokio::select! {
                biased;
                read = timeout_at(due, reader.read_buf(&mut buf)) => read,
                () = stop.clone().given() => break,
            };
            if !matches!(read, Ok(Ok(1..))) {
                break;
            }
            loop {
                let (answer, request, close) = match parse(&buf) {
                    Ok(None) => break,
                    Ok(Some((request, length))) => {
                        buf.drain(..length);
                        due = Instant::now() + clocks.head;
                        let close = request.close
                            || request.framing != Framing::Length(0)
                            || stop.is_given();
                        let status = if request.framing == Framing::Length(0) {
                            200
                        } else {
                            411
                        };
                        (Answer::new(status, "hello"), request, close)
                    }
                    Err(_) => (Answer::new(400, ""), Request::unread(), true),
                };
                let mut bytes = response_head(&answer, close);
                if request.method != "HEAD" {
                    bytes.extend(answer.body);
                }
                done = requests.send((bytes, close)).await.is_err() || close;
                if done {
                    break;
                }
            }
            // A whole head may come together with what is behind it.
            if buf.len() > HEAD_MAX {
                break;
            }
        }
        drop(requests);
        let _ = writing.await;
        let lingering = async {
            let mut rest = [0; 1024];
            while matches!(reader.read(&mut rest).await, Ok(1..)) {}
        };
        let _ = timeout(clocks.linger, lingering).await;
    }
}

/// Four tasks accept from one listener.
#[derive(Default)]
pub(crate) struct FourAcceptors;

impl Hooks for FourAcceptors {
    async fn listen(self: Arc<Self>, listener: TcpListener, stop: Shutdown) {
        let listener = Arc::new(tokio::sync::Mutex::new(listener));
        let mut acceptors = JoinSet::new();
        for _ in 0..4 {
            let (listener, hooks, stop) = (Arc::clone(&listener), Arc::clone(&self), stop.clone());
            acceptors.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    let accepted = tokio::select! {
                        biased;
                        () = stop.clone().given() => break,
                        Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                        accepted = async { listener.lock().await.accept().await } => accepted,
                    };
                    match accepted {
                        Ok((stream, peer)) => {
                            let conn = opened(&*hooks, stream, peer, &stop);
                            connections.spawn(Arc::clone(&hooks).connection(conn));
                        }
                        Err(_) => sleep(ACCEPT_PAUSE).await,
                    }
                }
                drop(listener);
                let all = async { while connections.join_next().await.is_some() {} };
                let _ = timeout(hooks.clocks().grace, all).await;
            });
        }
        drop(listener);
        while acceptors.join_next().await.is_some() {}
    }
}

/// hyper with a clock for heads and one for the whole connection, and a graceful shutdown.
pub(crate) fn hyper_clocked(listener: TcpListener, stop: Shutdown) -> Serving {
    Box::pin(async move {
        let mut connections = JoinSet::new();
        while let Some((stream, _)) = accepted(&listener, &stop).await {
            let service = TowerToHyperService::new(router());
            let stopped = stop.clone();
            connections.spawn(async move {
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .half_close(true)
                    .header_read_timeout(Duration::from_secs(10))
                    .serve_connection(TokioIo::new(stream), service);
                let mut serving = std::pin::pin!(serving);
                let gracefully = async {
                    tokio::select! {
                        biased;
                        _ = serving.as_mut() => return,
                        () = stopped.given() => serving.as_mut().graceful_shutdown(),
                    }
                    let _ = serving.await;
                };
                let _ = timeout(Duration::from_secs(60), gracefully).await;
            });
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_secs(10), all).await;
    })
}

/// A line protocol with a clock for a line and one for an answer.
pub(crate) fn lines(listener: TcpListener, stop: Shutdown) -> Serving {
    Box::pin(async move {
        let mut connections = JoinSet::new();
        while let Some((stream, _)) = accepted(&listener, &stop).await {
            connections.spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader.take(64 * 1024));
                let mut line = Vec::new();
                loop {
                    line.clear();
                    let reading = lines.read_until(b'\n', &mut line);
                    if !matches!(timeout(Duration::from_secs(30), reading).await, Ok(Ok(1..))) {
                        return;
                    }
                    let writing = writer.write_all(&line);
                    if !matches!(timeout(Duration::from_secs(10), writing).await, Ok(Ok(()))) {
                        return;
                    }
                }
            });
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_secs(10), all).await;
    })
}
