//! The same bytes to hyper and to us: whatever we serve, hyper serves too, and reads the same in it. Where we differ, we refuse.

use bytes::Bytes;
use hangup_server::{Peer, Server, service_fn};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

/// Requests that were served to the end, each with what was read in it.
type Served = Arc<Mutex<Vec<String>>>;

async fn answer<B: http_body::Body>(request: Request<B>, served: Served) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    // A body that fails has its answer from the server.
    let Ok(body) = body.collect().await else {
        return Response::default();
    };
    let host = head.headers.get("host");
    let read = format!(
        "{} {} {host:?} {:?} {:?}",
        head.method,
        head.uri,
        body.trailers().cloned(),
        body.to_bytes()
    );
    served.lock().unwrap().push(read);
    Response::new(Full::from("ok"))
}

fn hangup(io: DuplexStream, served: Served) {
    let app = service_fn(move |request| answer(request, served.clone()));
    tokio::spawn(Server::new(app).connection(io, Peer::Unnamed));
}

fn hyper(io: DuplexStream, served: Served) {
    let app = hyper::service::service_fn(move |request| {
        let served = served.clone();
        async move { Ok::<_, Infallible>(answer(request, served).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    let connection = builder
        .half_close(true)
        .serve_connection(TokioIo::new(io), app);
    tokio::spawn(async move {
        let _ = connection.await;
    });
}

fn serve(
    runtime: &tokio::runtime::Runtime,
    bytes: &[u8],
    server: fn(DuplexStream, Served),
) -> (Vec<String>, bool) {
    runtime.block_on(async {
        let served = Served::default();
        let (mut client, io) = duplex(1 << 20);
        server(io, served.clone());
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut said = Vec::new();
        let ended = timeout(Duration::from_secs(3600), client.read_to_end(&mut said)).await;
        (served.lock().unwrap().clone(), ended.is_ok())
    })
}

#[test]
fn what_we_serve_hyper_serves_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let good: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\nX: some value\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n",
        b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /y HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\nGET /z HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nPUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ];
    let mut state = 88_172_645_463_325_252_u64;
    let mut below = move |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % end as u64) as usize
    };
    let (mut ours, mut theirs) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = good[below(good.len())].to_vec();
        for _ in 0..below(4) {
            let at = below(bytes.len());
            let byte = b"\r\n\0 :;\t\x7f\xff5a"[below(11)];
            match below(4) {
                0 => bytes[at] = byte,
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.extend_from_slice(good[below(good.len())]),
            }
        }
        // A higher minor version is served here as 1.1 (RFC 9110 section 2.5), and hyper refuses it.
        const HIGHER: &[u8] = b"HTTP/1.5";
        for at in 0..bytes.len().saturating_sub(HIGHER.len()) {
            if bytes[at..].starts_with(HIGHER) {
                bytes[at + HIGHER.len() - 1] = b'1';
            }
        }
        let (us, ended) = serve(&runtime, &bytes, hangup);
        // hyper waits for ever behind some of these; what it has served by then counts.
        let (them, _) = serve(&runtime, &bytes, hyper);
        assert!(ended, "{:?}", String::from_utf8_lossy(&bytes));
        assert!(
            them.starts_with(&us),
            "{:?}\n  hangup {us:#?}\n  hyper {them:#?}",
            String::from_utf8_lossy(&bytes)
        );
        ours += us.len();
        theirs += them.len();
    }
    // Most of it is served by both, or nothing was compared.
    assert!(
        ours > 15_000 && theirs > ours,
        "hangup served {ours}, hyper {theirs}"
    );
}
