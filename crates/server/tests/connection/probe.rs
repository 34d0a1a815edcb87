//! The application that the tests talk to.

use bytes::Bytes;
use hangup_server::{Body, on_upgrade};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Failure>>;

/// What the application saw and came to, in order: `GET /`, `read Incomplete`, `dropped /never`.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

pub(crate) async fn answer(mut request: Request<Body>, seen: Seen) -> Answer {
    let path = request.uri().path().to_owned();
    let note = |what: String| seen.lock().unwrap().push(what);
    note(format!("{} {path}", request.method()));
    let mut words = path.split('/').skip(1);
    let mut number = || {
        words
            .next()
            .and_then(|word| word.parse::<u64>().ok())
            .unwrap_or_default()
    };
    match path.split('/').nth(1).unwrap_or_default() {
        "" => text("ok"),
        "host" => bytes(Bytes::copy_from_slice(request.headers()["host"].as_bytes())),
        "echo" => match request.into_body().collect().await {
            Ok(body) => {
                let trailers = body.trailers().cloned();
                let mut answer = bytes(body.to_bytes());
                if let Some(trailers) = trailers {
                    answer.headers_mut().extend(trailers);
                }
                answer
            }
            Err(error) => {
                note(format!("read {error:?}"));
                status(StatusCode::IM_A_TEAPOT)
            }
        },
        "stream" => Response::new(request.into_body().map_err(Failure::from).boxed_unsync()),
        "upgrade" => {
            let Some(upgrade) = on_upgrade(&mut request) else {
                return status(StatusCode::UPGRADE_REQUIRED);
            };
            if path.ends_with("/read") {
                let _ = request.into_body().collect().await;
            }
            let seen = seen.clone();
            tokio::spawn(async move {
                let ended = match upgrade.await {
                    // Says what it hears, until it hears nothing more.
                    Ok(stream) => {
                        let (mut reads, mut writes) = tokio::io::split(stream);
                        tokio::io::copy(&mut reads, &mut writes)
                            .await
                            .map_err(|error| error.kind())
                    }
                    Err(error) => Err(error.kind()),
                };
                seen.lock().unwrap().push(format!("upgrade {ended:?}"));
            });
            let mut answer = status(match number() {
                _ if path.ends_with("/not") => StatusCode::FORBIDDEN,
                _ => StatusCode::SWITCHING_PROTOCOLS,
            });
            answer
                .headers_mut()
                .insert("upgrade", "echo".parse().unwrap());
            answer
        }
        "reject" => status(StatusCode::FORBIDDEN),
        "slow" => {
            number();
            tokio::time::sleep(Duration::from_millis(number())).await;
            text("slow")
        }
        // Reads the body, then works.
        "ponder" => {
            number();
            let _ = request.into_body().collect().await;
            tokio::time::sleep(Duration::from_millis(number())).await;
            text("done")
        }
        // Works, then reads the body.
        "late" => {
            number();
            tokio::time::sleep(Duration::from_millis(number())).await;
            let body = request
                .into_body()
                .collect()
                .await
                .map(|body| body.to_bytes());
            body.map_or_else(|_| status(StatusCode::IM_A_TEAPOT), bytes)
        }
        "big" => {
            number();
            let length = number();
            Response::new(
                Pieces {
                    left: length,
                    piece: 64 * 1024,
                    every: None,
                }
                .map_err(never)
                .boxed_unsync(),
            )
        }
        // A byte a second, for so many seconds: an event stream.
        "events" => {
            number();
            Response::new(
                Pieces {
                    left: number(),
                    piece: 1,
                    every: Some(Box::pin(second())),
                }
                .map_err(never)
                .boxed_unsync(),
            )
        }
        // A byte, then nothing, for ever: an event stream without events.
        "silent" => Response::new(
            Silent {
                given: false,
                _dropped: OnDrop(seen.clone(), format!("dropped {path}")),
            }
            .map_err(never)
            .boxed_unsync(),
        ),
        "known" => {
            number();
            let mut answer = text("short");
            answer
                .headers_mut()
                .insert("content-length", number().into());
            answer
        }
        "close" => {
            let mut answer = text("bye");
            answer
                .headers_mut()
                .insert("connection", "close".parse().unwrap());
            answer
        }
        "nothing" => status(StatusCode::NO_CONTENT),
        "unchanged" => status(StatusCode::NOT_MODIFIED),
        "informational" => status(StatusCode::PROCESSING),
        "trailers" => {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-sum", "1".parse().unwrap());
            let body = Full::from("data").with_trailers(async move { Some(Ok(trailers)) });
            let mut answer = Response::new(body.map_err(never).boxed_unsync());
            answer
                .headers_mut()
                .insert("trailer", "x-sum".parse().unwrap());
            answer
        }
        "broken" => Response::new(
            Broken {
                panics: false,
                given: false,
            }
            .boxed_unsync(),
        ),
        "crumbles" => Response::new(
            Broken {
                panics: true,
                given: false,
            }
            .boxed_unsync(),
        ),
        "panic" => panic!("as asked"),
        "never" => {
            let _dropped = OnDrop(seen.clone(), format!("dropped {path}"));
            std::future::pending().await
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn text(text: &'static str) -> Answer {
    bytes(Bytes::from_static(text.as_bytes()))
}

fn bytes(bytes: Bytes) -> Answer {
    Response::new(Full::new(bytes).map_err(never).boxed_unsync())
}

fn status(status: StatusCode) -> Answer {
    let mut answer = bytes(Bytes::new());
    *answer.status_mut() = status;
    answer
}

fn never(never: Infallible) -> Failure {
    match never {}
}

async fn second() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

struct OnDrop(Seen, String);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1.clone());
    }
}

/// A body of unknown length, in pieces, with a pause before each or none.
struct Pieces {
    left: u64,
    piece: u64,
    every: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if let Some(pause) = &mut self.every {
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.every = Some(Box::pin(second()));
        }
        let piece = self.left.min(self.piece);
        self.left -= piece;
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; piece as usize].into()))))
    }
}

/// A body that has little to say.
struct Silent {
    given: bool,
    _dropped: OnDrop,
}

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.given, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

/// A body that begins well.
struct Broken {
    panics: bool,
    given: bool,
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if !self.given {
            self.given = true;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"so far")))));
        }
        assert!(!self.panics, "as asked");
        Poll::Ready(Some(Err("as asked".into())))
    }
}
