//! Switching protocols (RFC 9110 section 7.8): the stream goes to the application, the count and the clock stay with the connection.

#[cfg(feature = "hyper-upgrade")]
use crate::hyper_upgrade::Bridge;
use bytes::{Buf, Bytes};
use http::Request;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Takes the right to the stream out of a request that asks for an upgrade; `None` if it does not, or if it was taken.
///
/// The application then answers with 101, its `Upgrade` field and an empty body, and awaits what it has taken:
///
/// ```
/// use hangup_server::{Body, on_upgrade};
/// use http::{Request, Response, StatusCode, header};
/// use tokio::io::AsyncWriteExt;
///
/// async fn answer(mut request: Request<Body>) -> Response<String> {
///     let Some(upgrade) = on_upgrade(&mut request) else {
///         return Response::builder().status(StatusCode::UPGRADE_REQUIRED).body(String::new()).unwrap();
///     };
///     tokio::spawn(async move {
///         let mut stream = upgrade.await?;
///         stream.write_all(b"in the new protocol").await
///     });
///     let switching = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
///     switching.header(header::UPGRADE, "example").body(String::new()).unwrap()
/// }
/// # let _ = answer(Request::new(Body::empty()));
/// ```
///
/// With feature `hyper-upgrade`, which is on by default, such a request has hyper's
/// `hyper::upgrade::OnUpgrade` in its extensions, too, so that axum's `WebSocketUpgrade` works as
/// it does on hyper. It is the same stream: whoever uses one of the two has it.
pub fn on_upgrade<B>(request: &mut Request<B>) -> Option<OnUpgrade> {
    let offer = request.extensions_mut().remove::<Offer>()?;
    let handle = lock(&offer.0).take()?;
    Some(OnUpgrade {
        handle: Some(handle),
    })
}

/// The stream, once the 101 is sent. See [`on_upgrade`].
///
/// It fails with `NotConnected` if the response was another one, or if the connection ended before.
#[derive(Debug)]
pub struct OnUpgrade {
    handle: Option<Handle>,
}

/// The upgraded stream, as the application has it.
///
/// It is still a connection of the server's: in its ledger, in phase `upgrade`, and under that phase's limit, at which the stream is closed and
/// reading and writing fail with `TimedOut`. When this is dropped, the connection ends.
#[derive(Debug)]
pub struct Upgraded {
    handle: Handle,
}

/// What is in a request's extensions, which are cloned with it: the first to take it has it.
#[derive(Clone)]
pub(crate) struct Offer(Arc<Mutex<Option<Handle>>>);

/// The connection's side of an offer.
#[derive(Debug)]
pub(crate) struct Offered {
    tunnel: Arc<Tunnel>,
    #[cfg(feature = "hyper-upgrade")]
    bridge: Option<Bridge>,
}

/// What the connection and the application share.
struct Tunnel(Mutex<State>);

struct Handle(Arc<Tunnel>);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// For the connection that gave it away.
    fn back(self: Box<Self>) -> Box<dyn Any>;
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for I {
    fn back(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

struct State {
    stage: Stage,
    /// What the client sent behind its request.
    prefix: Bytes,
    /// The application has dropped its end.
    dropped: bool,
    moved: Moved,
    owner: Option<Waker>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum Stage {
    Offered,
    Open(Box<dyn Stream>),
    Closed(io::ErrorKind),
}

/// Bytes that were moved in the new protocol.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Moved {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What panics while this is held is a stream, and then it is of no further use anyway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Offer {
    /// Takes the stream, which must be open.
    #[cfg(feature = "hyper-upgrade")]
    pub(crate) fn take(&self) -> Option<Upgraded> {
        let handle = lock(&self.0).take()?;
        Some(Upgraded { handle })
    }
}

impl Offered {
    /// Offers `request` an upgrade.
    pub(crate) fn to<B>(request: &mut Request<B>) -> Self {
        let tunnel = Arc::new(Tunnel(Mutex::new(State {
            stage: Stage::Offered,
            prefix: Bytes::new(),
            dropped: false,
            moved: Moved::default(),
            owner: None,
            reader: None,
            writer: None,
        })));
        let offer = Offer(Arc::new(Mutex::new(Some(Handle(tunnel.clone())))));
        let extensions = request.extensions_mut();
        extensions.insert(offer.clone());
        #[cfg(feature = "hyper-upgrade")]
        let bridge = Bridge::new(offer).map(|(bridge, upgrade)| {
            extensions.insert(upgrade);
            bridge
        });
        Offered {
            tunnel,
            #[cfg(feature = "hyper-upgrade")]
            bridge,
        }
    }

    /// Gives the stream away.
    pub(crate) fn open<I>(&mut self, io: I, prefix: Bytes)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.tunnel.open(io, prefix);
        #[cfg(feature = "hyper-upgrade")]
        if let Some(bridge) = self.bridge.take() {
            bridge.open();
        }
    }

    /// Waits until the application drops its end.
    pub(crate) fn poll_dropped(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.tunnel.poll_dropped(cx)
    }

    /// Ends it: the application's end fails with this, and the stream, if it was given away, is back.
    pub(crate) fn close<I: 'static>(self, error: io::ErrorKind) -> (Moved, Option<I>) {
        self.tunnel.close(error)
    }
}

impl Tunnel {
    fn open<I>(&self, io: I, prefix: Bytes)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut state = lock(&self.0);
        state.prefix = prefix;
        state.stage = Stage::Open(Box::new(io));
        state.wake();
    }

    fn poll_dropped(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.dropped {
            return Poll::Ready(());
        }
        state.owner = Some(cx.waker().clone());
        Poll::Pending
    }

    fn close<I: 'static>(&self, error: io::ErrorKind) -> (Moved, Option<I>) {
        let mut state = lock(&self.0);
        let io = match std::mem::replace(&mut state.stage, Stage::Closed(error)) {
            Stage::Open(io) => io.back().downcast().ok().map(|io| *io),
            Stage::Offered | Stage::Closed(_) => None,
        };
        state.wake();
        (state.moved, io)
    }
}

impl State {
    fn wake(&mut self) {
        let waiting = [self.reader.take(), self.writer.take()];
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    fn stream(&mut self) -> io::Result<&mut Box<dyn Stream>> {
        match &mut self.stage {
            Stage::Open(io) => Ok(io),
            Stage::Offered => Err(io::ErrorKind::NotConnected.into()),
            Stage::Closed(error) => Err((*error).into()),
        }
    }

    fn reading(&mut self, cx: &Context<'_>) -> io::Result<&mut Box<dyn Stream>> {
        self.reader = Some(cx.waker().clone());
        self.stream()
    }

    fn writing(&mut self, cx: &Context<'_>) -> io::Result<&mut Box<dyn Stream>> {
        self.writer = Some(cx.waker().clone());
        self.stream()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let owner = {
            let mut state = lock(&self.0.0);
            state.dropped = true;
            state.owner.take()
        };
        owner.into_iter().for_each(Waker::wake);
    }
}

impl Future for OnUpgrade {
    type Output = io::Result<Upgraded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Upgraded>> {
        let Some(handle) = self.handle.take() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let closed = {
            let mut state = lock(&handle.0.0);
            match state.stage {
                Stage::Offered => {
                    state.reader = Some(cx.waker().clone());
                    drop(state);
                    self.handle = Some(handle);
                    return Poll::Pending;
                }
                Stage::Open(_) => None,
                Stage::Closed(error) => Some(error),
            }
        };
        Poll::Ready(closed.map_or(Ok(Upgraded { handle }), |error| Err(error.into())))
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = lock(&self.handle.0.0);
        let before = buffer.filled().len();
        if state.prefix.has_remaining() {
            let length = state.prefix.remaining().min(buffer.remaining());
            buffer.put_slice(&state.prefix.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(state.reading(cx)?).poll_read(cx, buffer);
        state.moved.received += (buffer.filled().len() - before) as u64;
        read
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.handle.0.0);
        let wrote = Pin::new(state.writing(cx)?).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(length)) = wrote {
            state.moved.sent += length as u64;
        }
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.handle.0.0)
            .stream()
            .is_ok_and(|io| io.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(lock(&self.handle.0.0).writing(cx)?).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(lock(&self.handle.0.0).writing(cx)?).poll_shutdown(cx)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

#[cfg(feature = "hyper-upgrade")]
impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bridge")
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel")
    }
}
