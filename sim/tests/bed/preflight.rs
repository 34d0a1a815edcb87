//! What is asked of a server before anything else, and the sentence that comes of it.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use hangup::Bed;
use hangup::bed::Route;
use hangup::net::{TcpListener, TcpStream};
use hangup::server::{Server, app};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// hyper with the probe app, and an hour for each connection.
pub(crate) async fn probe_app(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(app::answer))
            .with_upgrades();
        tokio::spawn(timeout(Duration::from_secs(3600), connection));
    }
}

fn says(bed: Bed) -> Option<String> {
    let server: Arc<dyn Server> = bed.into();
    server.preflight(false).err()
}

#[test]
fn a_route_that_plays_its_part_passes_and_one_that_does_not_is_told() {
    // A target that plays the part, one that does not, and what is said of that one.
    let parts = [
        (Route::Plain, "/", "/nowhere", "GET /nowhere: 404 came"),
        (
            Route::ReadsBody,
            "/echo",
            "/uplod",
            "POST /uplod with a body of 1000 bytes: 404 came",
        ),
        (Route::ReadsBody, "/stream", "/reject", "403 came"),
        (
            Route::LeavesBody,
            "/reject",
            "/echo",
            "nothing came in 60 s",
        ),
        (Route::Big, "/big/{bytes}", "/big/100", "200 came with"),
        (
            Route::Slow,
            "/slow/{ms}",
            "/",
            "200 came 0 ms behind the request",
        ),
        (
            Route::Slow,
            "/slow/{s}",
            "/slow/40",
            "200 came 40 ms behind the request",
        ),
        (Route::Never, "/never", "/slow/2000", "200 came"),
        (Route::Panics, "/panic", "/", "200 came"),
        (
            Route::Events,
            "/events",
            "/",
            "200 came, and its body ended",
        ),
        (
            Route::Ticks,
            "/events/{ms}",
            "/events",
            "200 came, and nothing came behind its head",
        ),
        (Route::Endless, "/endless", "/big/100", "200 came with"),
        (Route::Upgrade, "/upgrade", "/", "200 came"),
        (
            Route::Big,
            "/big/{bytes}",
            "/big/{size}",
            "has {size}, for which a scenario has no number",
        ),
    ];
    for (route, plays, other, expected) in parts {
        let bed = |target: &str| {
            Bed::new("probe-app", |listener, _| probe_app(listener)).route(route, target)
        };
        // Rounded up to a second of a millisecond, /slow/{s} is too fast.
        if plays == "/slow/{s}" {
            assert!(says(bed(plays)).is_some_and(|says| says.contains("behind the request")));
        } else {
            assert_eq!(says(bed(plays)), None, "{route:?} {plays}");
        }
        let said = says(bed(other)).unwrap_or_else(|| panic!("{route:?} {other} passes"));
        assert!(
            said.starts_with(&format!("Route::{route:?} \"{other}\"")),
            "{said}"
        );
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }
}

async fn each<F>(listener: TcpListener, talk: fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(timeout(Duration::from_secs(3600), talk(stream)));
        } else {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn says_and_holds(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

#[test]
fn a_server_that_is_not_on_the_bed_is_one_sentence() {
    let silent = || {
        Bed::new("silent", |listener, _| {
            each(listener, |stream| async move {
                says_and_holds(stream, b"").await
            })
        })
    };
    let mail = || {
        Bed::new("mail", |listener, _| {
            each(listener, |stream| async move {
                says_and_holds(stream, b"220 ready\r\n").await
            })
        })
    };
    let tls = Bed::new("tls", |listener, _| {
        each(listener, |mut stream| async move {
            stream.write_all(&[0x15, 3, 1, 0, 2, 2, 70]).await
        })
    });
    let fails = Bed::new("fails", |listener, _| async move {
        drop(listener);
        Err::<(), _>(io::Error::other("the database is not there"))
    });
    let fails_locally = Bed::local("fails-locally", |listener, _| async move {
        drop(listener);
        Err::<(), _>("the database\n is not there either")
    });
    let panics = Bed::new("panics", |_, _| async { panic!("no configuration") });
    let panics_at_once = Bed::new("panics-at-once", |listener, _| {
        assert!(listener.local_addr().is_err(), "no listener is wanted");
        pending::<()>()
    });
    let elsewhere = Bed::new("elsewhere", |_, _| async {
        let listener = TcpListener::bind("0.0.0.0:8080").await?;
        probe_app(listener).await;
        io::Result::Ok(())
    });
    let real = Bed::new("real", |_, _| async {
        tokio::net::TcpListener::bind("127.0.0.1:0").await.map(drop)
    });
    let signals = Bed::new("signals", |listener, _| async {
        tokio::spawn(probe_app(listener));
        tokio::signal::ctrl_c().await
    });
    let never_accepts = Bed::new("never-accepts", |listener, _| async {
        pending::<()>().await;
        drop(listener);
    });
    let closes = Bed::new("closes", |listener, _| {
        each(listener, |stream| async move {
            drop(stream);
            Ok(())
        })
    });
    for (bed, expected) in [
        (silent(), "GET /: nothing came in 60 s"),
        (
            mail(),
            "11 bytes came that are no HTTP/1.1 response, \"220 ready\\r\\n\"",
        ),
        (tls, "that is TLS"),
        (
            fails,
            "ended by itself with Err(Custom { kind: Other, error: \"the database is not there\" })",
        ),
        (fails_locally, "the database\\n is not there either"),
        (panics, "no configuration"),
        (panics_at_once, "no listener is wanted"),
        (elsewhere, "the connection was refused"),
        (real, "there are no real sockets, signals and processes"),
        (signals, "there are no real sockets, signals and processes"),
        (never_accepts, "the connection was not accepted in 60 s"),
        (closes, "a reset came, and no answer"),
        (
            silent().not_http("hello\n"),
            "was sent its request: nothing came in 60 s",
        ),
    ] {
        let said = says(bed).unwrap_or_else(|| panic!("{expected}"));
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }
    assert_eq!(says(mail().not_http("HELO hangup\r\n")), None);
}

#[test]
fn nothing_is_run_and_nothing_saved_behind_a_failure() {
    let folder = super::folder("bed-preflight");
    let bed = || {
        Bed::new("typo", |listener, _| probe_app(listener))
            .route(Route::ReadsBody, "/uplod")
            .regressions(&folder)
    };
    let outcome = bed().run();
    assert!(!outcome.is_clean());
    assert_eq!((outcome.incidents, outcome.cases), (0, 0));
    assert!(outcome.convicted.is_empty() && !folder.join("typo").exists());
    let failure = outcome
        .preflight
        .as_ref()
        .expect("it is not the target's name");
    assert_eq!(
        (failure.route, &*failure.target),
        (Route::ReadsBody, "/uplod")
    );
    let panic = std::panic::catch_unwind(|| bed().check()).expect_err("check panics");
    let text = panic.downcast_ref::<String>().expect("with a text");
    assert_eq!(text, &outcome.to_string());
    // As the guide has it.
    let expected = "typo: nothing was run: Route::ReadsBody \"/uplod\" was sent POST /uplod with a \
        body of 1000 bytes: 404 came, where a 2xx once the body is read to its end is expected (is \
        the target spelt as the server spells it?)";
    assert_eq!(text, expected);
}

/// Routes that want more than a target: a method, a field, a number in a unit of their own.
async fn orders(listener: TcpListener) -> io::Result<()> {
    let replace = async |headers: HeaderMap, body: Bytes| match headers.get("x-tenant") {
        Some(_) => Ok(format!("{}\n", body.len())),
        None => Err(StatusCode::UNAUTHORIZED),
    };
    let export = async |Query(query): Query<HashMap<String, u32>>| {
        let mib = query.get("mib").copied().unwrap_or(0);
        vec![b'x'; (mib as usize) << 20]
    };
    let wait = async |Query(query): Query<HashMap<String, u64>>| {
        let seconds = query.get("seconds").copied().unwrap_or(0);
        sleep(Duration::from_secs(seconds)).await;
    };
    let app = Router::new()
        .route("/", get("hello").put(replace))
        .route("/export", get(export))
        .route("/wait", get(wait));
    axum::serve(listener, app).await
}

#[test]
fn a_closure_makes_a_request_that_the_server_takes() {
    let bed = || Bed::new("orders", |listener, _| orders(listener));
    let put_it = |tenant: bool| {
        move |request: &mut hangup::bed::Request| {
            request.method = "PUT".into();
            let tenant = tenant.then(|| ("X-Tenant".to_owned(), "7".to_owned()));
            request.headers.extend(tenant);
        }
    };
    // One target plays two parts.
    let routed = bed()
        .route_with(Route::ReadsBody, put_it(true))
        .route_with(Route::Big, |request| {
            let mib = request.number.unwrap_or(0).div_ceil(1 << 20);
            request.target = format!("/export?mib={mib}");
        })
        .route(Route::Slow, "/wait?seconds={s}");
    assert_eq!(says(routed), None);
    let unnamed = says(bed().route(Route::ReadsBody, "/")).expect("it takes no POST");
    assert!(
        unnamed.contains("405 came") && unnamed.contains("route_with"),
        "{unnamed}"
    );
    let let_out = says(bed().route_with(Route::ReadsBody, put_it(false)));
    let let_out = let_out.expect("it is not let in");
    assert!(
        let_out.contains("PUT / with a body") && let_out.contains("401 came"),
        "{let_out}"
    );
    assert!(let_out.contains("Bed::header"), "{let_out}");
}
