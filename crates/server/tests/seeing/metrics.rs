//! What Prometheus reads, and that it adds up.

use crate::scene::{GET, Scene, UPLOAD, settle};
use hangup_server::{Admin, CONTENT_TYPE, FlightRecorder, Limits, Metrics};
use http::{Method, Request, StatusCode, header};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The samples of a scrape: name with labels, and value.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

fn sum(samples: &BTreeMap<&str, f64>, prefix: &str) -> f64 {
    let of = samples.iter().filter(|(name, _)| name.starts_with(prefix));
    of.map(|(_, value)| value).sum()
}

#[tokio::test(start_paused = true)]
async fn one_scrape_adds_up() {
    let mut scene = Scene::new(Limits::default());
    let metrics = Metrics::new(scene.ledger.clone());
    let mut idle = scene.connect();
    idle.send(GET).await;
    let mut stuck = scene.connect();
    stuck.incident().await;
    let mut wrong = scene.connect();
    wrong.send("GET / HTTP/3.0\r\n\r\n").await;
    let mut gone = scene.connect();
    gone.send(GET).await;
    settle().await;
    drop((gone, wrong));
    sleep(Duration::from_millis(999)).await;
    let text = metrics.text();
    let of = samples(&text);
    assert_eq!(of["hangup_connections_opened_total"], 4.0);
    assert_eq!(sum(&of, "hangup_connections_open{"), 2.0);
    assert_eq!(sum(&of, "hangup_connections_closed_total{"), 2.0);
    assert_eq!(of[r#"hangup_connections_open{phase="expect"}"#], 1.0);
    assert_eq!(
        of[r#"hangup_connections_closed_total{reason="refused"}"#],
        1.0
    );
    assert_eq!(sum(&of, "hangup_connections_without_deadline{"), 0.0);
    assert!((of[r#"hangup_connection_oldest_wait_seconds{phase="expect"}"#] - 1.0).abs() < 0.01);
    assert_eq!(of["hangup_requests_total"], 3.0);
    assert_eq!(of[r#"hangup_responses_total{class="1xx"}"#], 1.0);
    assert_eq!(of[r#"hangup_responses_total{class="2xx"}"#], 2.0);
    assert_eq!(of[r#"hangup_responses_total{class="5xx"}"#], 1.0);
    assert_eq!(
        of["hangup_received_bytes_total"],
        (2 * GET.len() + UPLOAD.len() + 18) as f64
    );
    assert_eq!(of[r#"hangup_waits_total{phase="idle"}"#], 1.0);
    assert_eq!(of["hangup_tasks_alive"], 2.0);
    assert!(
        text.contains("# TYPE hangup_connections_closed counter\n"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_a_deadline_is_a_number_to_alert_on() {
    let mut scene = Scene::new(Limits::unbounded());
    let mut stuck = scene.connect();
    stuck.incident().await;
    let text = Metrics::new(scene.ledger.clone()).text();
    assert_eq!(
        samples(&text)[r#"hangup_connections_without_deadline{phase="expect"}"#],
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn the_admin_pages() {
    let flight = FlightRecorder::new(8);
    let mut scene = Scene::watched(Limits::default(), Arc::new(flight.clone()));
    let mut stuck = scene.connect();
    stuck.incident().await;
    let admin = Admin::new(scene.ledger.clone()).flight(flight);
    let get = |target: &str| {
        let response = admin.answer(&Request::get(target).body(()).unwrap());
        let kind = response.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        (response.status(), kind, response.into_body())
    };
    let (status, kind, text) = get("/debug/connections");
    assert_eq!(
        (status, &kind[..]),
        (StatusCode::OK, "text/plain; charset=utf-8")
    );
    assert!(text.contains("1 in expect, oldest "), "{text}");
    let (status, kind, json) = get("/debug/connections?json&rows=0");
    assert_eq!((status, &kind[..]), (StatusCode::OK, "application/json"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["groups"][0]["count"], 1);
    assert_eq!(json["groups"][0]["connections"], serde_json::json!([]));
    let (status, kind, text) = get("/metrics");
    assert_eq!((status, &kind[..]), (StatusCode::OK, CONTENT_TYPE));
    assert_eq!(samples(&text)["hangup_connections_opened_total"], 1.0);
    let (status, _, lines) = get("/debug/flight");
    assert_eq!((status, lines.lines().count()), (StatusCode::OK, 2));
    assert_eq!(
        get("/debug/connections?rows=many").0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(get("/debug").0, StatusCode::NOT_FOUND);
    let post = Request::builder().method(Method::POST).uri("/metrics");
    let refused = admin.answer(&post.body(()).unwrap());
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD");
    assert_eq!(
        Admin::new(scene.ledger.clone())
            .answer(&Request::get("/debug/flight").body(()).unwrap())
            .status(),
        StatusCode::NOT_FOUND
    );
}
