//! Who may see the admin pages: their own hosts, or who has the token.

use hangup_server::{Admin, Body, Server, service_fn};
use http::{Request, Response, StatusCode, header};

fn admin() -> Admin {
    let server = Server::new(service_fn(async |_: Request<Body>| {
        Response::new(String::new())
    }));
    Admin::new(server.ledger().clone())
}

fn ask(admin: &Admin, host: &str) -> StatusCode {
    let request = Request::get("/metrics").header(header::HOST, host);
    admin.answer(&request.body(()).unwrap()).status()
}

#[tokio::test(start_paused = true)]
async fn only_hosts_of_its_own() {
    let own = admin().host("admin.internal").host("2001:db8::1");
    for host in [
        "localhost",
        "LOCALHOST:9000",
        "127.0.0.1",
        "127.1.2.3:80",
        "[::1]:9000",
        "[::ffff:127.0.0.1]",
        "Admin.Internal:9000",
        "[2001:DB8::0:1]",
    ] {
        assert_eq!(ask(&own, host), StatusCode::OK, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "[2001:db8::2]",
        "",
        "a b",
    ] {
        assert_eq!(ask(&own, host), StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    // The target's host counts before the field's.
    let rebound = Request::get("http://evil.example/metrics").header(header::HOST, "localhost");
    let status = own.answer(&rebound.body(()).unwrap()).status();
    assert_eq!(status, StatusCode::MISDIRECTED_REQUEST);
    let without = Request::get("/metrics").body(()).unwrap();
    assert_eq!(own.answer(&without).status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_required_once_it_is_set() {
    let admin = admin().token("0123456789abcdef");
    let ask = |values: &[&str]| {
        let mut request = Request::get("/metrics").header(header::HOST, "admin.internal");
        for value in values {
            request = request.header(header::AUTHORIZATION, *value);
        }
        admin.answer(&request.body(()).unwrap())
    };
    for right in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef"] {
        assert_eq!(ask(&[right]).status(), StatusCode::OK, "{right}");
    }
    for wrong in [
        &["Bearer 0123456789abcdeg"][..],
        &["Bearer 0123456789abcdef0"],
        &["Bearer "],
        &["Bearer"],
        &["Basic 0123456789abcdef"],
        &["0123456789abcdef"],
        &[],
        &["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"],
    ] {
        let denied = ask(wrong);
        assert_eq!(denied.status(), StatusCode::UNAUTHORIZED, "{wrong:?}");
        assert_eq!(denied.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert!(!denied.body().contains("hangup_connections"), "{wrong:?}");
    }
    assert!(!format!("{admin:?}").contains("0123456789abcdef"));
}
