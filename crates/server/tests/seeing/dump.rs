//! The dump: grouped, oldest first, the incident at one glance.

use crate::scene::{GET, Scene, settle};
use hangup_server::Limits;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::sleep;

const INCIDENT: Duration = Duration::from_secs(1757 * 60);

fn json(scene: &Scene) -> Value {
    serde_json::from_str(&scene.ledger.dump().to_json()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_incident_is_one_glance() {
    let mut scene = Scene::new(Limits::unbounded());
    let mut clients = Vec::new();
    for _ in 0..412 {
        let mut client = scene.connect();
        client.incident().await;
        client.send("ten bytes!").await;
        clients.push(client);
    }
    let mut idle = scene.connect();
    idle.send(GET).await;
    drop(scene.connect());
    sleep(INCIDENT).await;
    let dump = scene.ledger.dump();
    let text = dump.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "414 connections opened, 413 open, 1 client-closed",
            "",
            "412 in body, oldest 29h17m, deadline none (as fasthttp's defaults)",
            "    waiting for the rest of the request's body; 35432 bytes in, 10300 bytes out",
        ]
    );
    assert_eq!(
        lines[4],
        "    #1      10.0.0.1:1             waits 29h17m  age 29h17m  silent 29h17m  in 86 out 25, 1 requests, last 100, deadline none"
    );
    assert_eq!(lines[9], "    and 407 more");
    assert_eq!(
        lines[11],
        "1 in idle, oldest 29h17m, deadline none (as fasthttp's defaults)"
    );
    assert_eq!(dump.groups[0].connections.len(), 412);
}

#[tokio::test(start_paused = true)]
async fn json_has_the_same_in_seconds() {
    let mut scene = Scene::new(Limits::default());
    let mut client = scene.connect();
    client.incident().await;
    sleep(Duration::from_millis(1499)).await;
    let dump = json(&scene);
    assert_eq!(
        dump,
        json!({
            "opened": 1, "open": 1, "closed": {},
            "groups": [{
                "phase": "expect",
                "waits_for": "the first byte of the body, for which 100 Continue was sent",
                "count": 1, "oldest_s": 1.5, "clock": "total", "unbounded": null,
                "first_deadline_in_s": 3.5, "last_deadline_in_s": 3.5, "bytes_in": 76, "bytes_out": 25, "queued": 0,
                "connections": [{
                    "id": 1, "peer": "10.0.0.1:1", "age_s": 1.5, "in_phase_s": 1.5, "silent_s": 1.5,
                    "deadline_in_s": 3.5, "bytes_in": 76, "bytes_out": 25, "queued": 0, "requests": 1, "status": 100,
                }],
            }],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_says_when_its_first_and_its_last_deadline_are() {
    let mut scene = Scene::new(Limits::default());
    let _first = scene.connect();
    settle().await;
    sleep(Duration::from_secs(4)).await;
    let _second = scene.connect();
    settle().await;
    let text = scene.ledger.dump().to_string();
    assert!(
        text.contains("2 in opening, oldest 4.0s, deadline in 5.9s to 9.9s (total)\n"),
        "{text}"
    );
    assert!(!text.contains("more"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn by_the_calendar_if_one_is_given() {
    let mut scene = Scene::new(Limits::unbounded());
    let mut client = scene.connect();
    client.incident().await;
    sleep(Duration::from_secs(90)).await;
    let now = UNIX_EPOCH + Duration::from_secs(3600);
    let dump = scene.ledger.dump().taken(now);
    let text = dump.to_string();
    assert!(text.contains("\n1970-01-01T01:00:00Z\n"), "{text}");
    assert!(text.ends_with(", since 1970-01-01T00:58:29Z\n"), "{text}");
    let json: Value = serde_json::from_str(&dump.to_json()).unwrap();
    assert_eq!(json["groups"][0]["since"], "1970-01-01T00:58:29Z");
}

#[tokio::test(start_paused = true)]
async fn opened_is_open_and_closed_at_every_step() {
    let mut scene = Scene::new(Limits::default());
    let balanced = |scene: &Scene, opened: u64, open: u64| {
        let snapshot = scene.ledger.snapshot();
        let closed: u64 = snapshot.counts.closed.values().sum();
        assert_eq!(
            (snapshot.counts.opened, snapshot.counts.open, closed),
            (opened, open, opened - open)
        );
        assert_eq!(snapshot.open.len() as u64, open);
    };
    balanced(&scene, 0, 0);
    let mut idle = scene.connect();
    let silent = scene.connect();
    balanced(&scene, 2, 2);
    idle.send(GET).await;
    settle().await;
    drop(silent);
    settle().await;
    balanced(&scene, 2, 1);
    let mut stuck = scene.connect();
    stuck.incident().await;
    balanced(&scene, 3, 2);
    assert!(stuck.rest().await.starts_with("HTTP/1.1 408"));
    sleep(Duration::from_secs(6)).await;
    balanced(&scene, 3, 1);
    idle.rest().await;
    settle().await;
    balanced(&scene, 3, 0);
    assert_eq!(
        scene.ledger.counts().closed,
        [
            ("client-closed", 1),
            ("timeout-expect", 1),
            ("timeout-idle", 1)
        ]
        .into()
    );
}
