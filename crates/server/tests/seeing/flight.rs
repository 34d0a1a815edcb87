//! The flight recorder: what is in its file, and what can never be.

use crate::scene::{GET, Scene, UPLOAD, settle};
use hangup_server::{FlightRecorder, Limits};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::sleep;

fn lines(flight: &FlightRecorder) -> Vec<Value> {
    let text = flight.text(UNIX_EPOCH);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn recorded(flight: &FlightRecorder, limits: Limits) -> Scene {
    Scene::watched(limits, Arc::new(flight.clone()))
}

#[tokio::test(start_paused = true)]
async fn the_incident_as_a_later_import_finds_it() {
    let flight = FlightRecorder::new(16);
    let mut scene = recorded(&flight, Limits::unbounded());
    sleep(Duration::from_secs(1)).await;
    let mut client = scene.connect();
    sleep(Duration::from_millis(60)).await;
    client.incident().await;
    sleep(Duration::from_millis(999)).await;
    client.send("ten bytes!").await;
    sleep(Duration::from_secs(100)).await;
    assert_eq!(
        lines(&flight),
        [
            json!({"hangup_flight": 1, "taken": "1970-01-01T00:00:00Z", "now_s": 102.06, "payload": false, "missed": 0}),
            json!({
                "connection": 1, "peer": "10.0.0.1:1", "opened_s": 1.0, "now_s": 101.06, "waits_in": "body",
                "events": [
                    {"at_s": 0.06, "in": UPLOAD.len()},
                    {"at_s": 0.06, "request": {"method": "POST", "version": "1.1", "length": 1000, "expect": "100-continue"}},
                    {"at_s": 0.06, "status": 100},
                    {"at_s": 0.06, "out": 25},
                    {"at_s": 1.06, "in": 10},
                ],
            }),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn ends_are_told_apart() {
    let flight = FlightRecorder::new(16);
    let mut scene = recorded(&flight, Limits::default());
    let mut client = scene.connect();
    client.send(GET).await;
    settle().await;
    drop(client);
    let mut client = scene.connect();
    client.send("GET / HT").await;
    client.rest().await;
    drop(client);
    settle().await;
    let lines = lines(&flight);
    assert_eq!(lines[1]["reason"], "client-closed");
    assert_eq!(lines[1]["closed_s"], 0.001);
    let events = lines[1]["events"].as_array().unwrap();
    assert_eq!(events.last().unwrap(), &json!({"at_s": 0.001, "fin": true}));
    assert_eq!(lines[2]["reason"], "timeout-head");
    let events = lines[2]["events"].as_array().unwrap();
    assert_eq!(events[0], json!({"at_s": 0.0, "in": 8}));
    assert_eq!(events[1], json!({"at_s": 10.0, "status": 408}));
}

#[tokio::test(start_paused = true)]
async fn a_trickle_is_one_event_and_a_pause_in_it_another() {
    let flight = FlightRecorder::new(16);
    let mut scene = recorded(&flight, Limits::unbounded());
    let mut client = scene.connect();
    client.incident().await;
    for pause in [1, 1, 1, 1, 60, 1, 1] {
        sleep(Duration::from_secs(pause)).await;
        client.send("x").await;
    }
    settle().await;
    let lines = lines(&flight);
    let events = lines[1]["events"].as_array().unwrap();
    assert_eq!(
        events[4..],
        [
            json!({"at_s": 1.001, "in": 1, "times": 4, "until_s": 4.001}),
            json!({"at_s": 64.001, "in": 1, "times": 3, "until_s": 66.001}),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn payload_only_if_asked_and_only_so_much() {
    let (plain, asked) = (
        FlightRecorder::new(8),
        FlightRecorder::new(8).with_payload(40),
    );
    let both: Vec<Arc<dyn hangup_server::Watch>> =
        vec![Arc::new(plain.clone()), Arc::new(asked.clone())];
    let mut scene = Scene::watched(Limits::default(), Arc::new(both));
    let mut client = scene.connect();
    let head = "GET /?token=secret HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n";
    client.send(head).await;
    settle().await;
    assert!(!plain.text(UNIX_EPOCH).contains("secret"));
    let lines = lines(&asked);
    assert_eq!(lines[0]["payload"], true);
    assert_eq!(
        lines[1]["events"][0],
        json!({"at_s": 0.0, "in": head.len(), "bytes": head[..40].escape_default().to_string()})
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_a_bounded_number_of_events_and_the_sum_is_kept() {
    let flight = FlightRecorder::new(8);
    let mut scene = recorded(&flight, Limits::default());
    let mut client = scene.connect();
    let mut sent = 0;
    for length in 1..=500 {
        let head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length));
        client.send(&head).await;
        sent += head.len();
        settle().await;
    }
    let lines = lines(&flight);
    let events = lines[1]["events"].as_array().unwrap();
    assert_eq!(events.len(), 32 + 1 + 32);
    assert_eq!(events[32]["skipped"], 500 * 4 - 64);
    let seen: u64 = events.iter().filter_map(|event| event["in"].as_u64()).sum();
    assert_eq!(seen, sent as u64);
}

#[tokio::test(start_paused = true)]
async fn so_many_connections_and_no_more() {
    let flight = FlightRecorder::new(8);
    let mut scene = recorded(&flight, Limits::default());
    let numbers = |lines: &[Value]| -> Vec<u64> {
        lines[1..]
            .iter()
            .filter_map(|line| line["connection"].as_u64())
            .collect()
    };
    let mut kept = Vec::new();
    for _ in 0..8 {
        let mut client = scene.connect();
        client.send(GET).await;
        kept.push(client);
        settle().await;
    }
    drop(scene.connect());
    settle().await;
    let lines_full = lines(&flight);
    assert_eq!(numbers(&lines_full), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(lines_full[0]["missed"], 1);
    kept.clear();
    settle().await;
    for _ in 0..5 {
        drop(scene.connect());
        settle().await;
    }
    // Each takes the place of one whose number is the same modulo eight, where it is kept.
    assert_eq!(numbers(&lines(&flight)), [1, 7, 8, 10, 11, 12, 13, 14]);
}
