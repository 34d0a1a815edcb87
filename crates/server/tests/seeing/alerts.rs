//! The task watch: what it tells, when, how often, and with which advice.

use crate::scene::{Client, GET, Scene, settle};
use hangup_server::{Alert, Limits, Past, TaskWatch};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

type Told = Arc<Mutex<Vec<(f64, String)>>>;

fn watch(scene: &Scene, limits: &Limits, change: impl FnOnce(TaskWatch) -> TaskWatch) -> Told {
    let told = Told::default();
    let (list, start) = (told.clone(), Instant::now());
    let watch = change(TaskWatch::new(scene.ledger.clone(), limits));
    tokio::spawn(
        watch
            .on_alert(move |alert: &Alert| {
                let at = start.elapsed().as_secs_f64();
                list.lock().unwrap().push((at, alert.to_string()));
                assert!(!alert.advice().is_empty());
            })
            .run(),
    );
    told
}

fn told(told: &Told) -> Vec<(f64, String)> {
    told.lock().unwrap().clone()
}

async fn stuck(scene: &mut Scene) -> Client {
    let mut client = scene.connect();
    client.incident().await;
    client
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_a_deadline_is_told_once_and_again_when_doubled() {
    let limits = Limits::unbounded();
    let mut scene = Scene::new(limits.clone());
    let list = watch(&scene, &limits, |watch| watch);
    let mut clients = vec![stuck(&mut scene).await];
    sleep(Duration::from_secs(600)).await;
    let first = "1 connection without a deadline: #1 from 10.0.0.1:1 in expect for 1m20s, waiting for the first byte of the body, \
                 for which 100 Continue was sent";
    assert_eq!(told(&list), [(80.0, first.to_owned())]);
    clients.push(stuck(&mut scene).await);
    sleep(Duration::from_secs(600)).await;
    let list = told(&list);
    assert_eq!(list.len(), 2, "{list:?}");
    assert!(
        list[1]
            .1
            .starts_with("2 connections without a deadline: #1"),
        "{list:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_default_limits_raise_nothing() {
    let limits = Limits::default();
    let mut scene = Scene::new(limits.clone());
    let list = watch(&scene, &limits, |watch| watch);
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(stuck(&mut scene).await);
    }
    sleep(Duration::from_secs(4000)).await;
    assert_eq!(told(&list), []);
    assert_eq!(scene.ledger.counts().open, 0);
}

#[tokio::test(start_paused = true)]
async fn growth_that_never_falls_is_told_and_growth_that_falls_is_not() {
    let limits = Limits::unbounded();
    let few = |watch: TaskWatch| watch.growth(5, 8).patience(Duration::MAX);
    for (dips, count) in [(false, 2), (true, 0)] {
        let mut scene = Scene::new(limits.clone());
        let list = watch(&scene, &limits, few);
        sleep(Duration::from_secs(5)).await;
        let mut clients = Vec::new();
        for step in 0..12 {
            for _ in 0..3 {
                clients.push(stuck(&mut scene).await);
            }
            if dips && step % 4 == 3 {
                clients.truncate(clients.len() - 6);
            }
            sleep(Duration::from_secs(10)).await;
        }
        let list = told(&list);
        let of = |what: &str| {
            list.iter()
                .filter(|(_, said)| said.starts_with(what))
                .count()
        };
        assert_eq!(of("connections only grow"), count, "{list:?}");
        // Each connection is a task, and the runtime's tasks are counted as well.
        assert_eq!(of("tasks only grow"), count, "{list:?}");
        assert!(
            dips || list[0].1 == "connections only grow: from 0 to 12 within 40s",
            "{list:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_trickle_that_no_clock_ends_grows_old() {
    let limits = Limits::article();
    let mut scene = Scene::new(limits.clone());
    let list = watch(&scene, &limits, |watch| watch);
    let mut client = scene.connect();
    for _ in 0..20 {
        client.send(GET).await;
        sleep(Duration::from_secs(200)).await;
    }
    assert_eq!(
        told(&list),
        [(
            3620.0,
            "1 connection older than any may be: #1 from 10.0.0.1:1 is 1h00m old, in idle"
                .to_owned()
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_polled_is_overdue() {
    // What blocks a thread cannot be blocked on a paused clock; a connection that nobody polls is the same to the watch.
    let limits = Limits::default();
    let scene = Scene::new(limits.clone());
    let list = watch(&scene, &limits, |watch| watch);
    let (_io, mut unpolled) = scene.unpolled();
    // Polled once, so that its deadline is on the ledger.
    let once = std::future::poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut unpolled).poll(cx).is_pending());
        std::task::Poll::Ready(())
    });
    once.await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        told(&list),
        [(
            20.0,
            "1 connection past the deadline: #1 from unnamed in opening, 10s over".to_owned()
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn the_advice_is_the_articles_for_the_phase() {
    let limits = Limits::unbounded();
    let mut scene = Scene::new(limits.clone());
    let all = Arc::new(Mutex::new(Vec::new()));
    let list = all.clone();
    let watch = TaskWatch::new(scene.ledger.clone(), &limits).on_alert(move |alert: &Alert| {
        list.lock().unwrap().push(alert.clone());
    });
    tokio::spawn(watch.run());
    let _client = stuck(&mut scene).await;
    settle().await;
    sleep(Duration::from_secs(100)).await;
    let all = all.lock().unwrap();
    assert!(matches!(
        all[0],
        Alert::PastBound {
            bound: Past::Endless,
            count: 1,
            ..
        }
    ));
    for word in ["Expect: 100-continue", "read timeouts", "fasthttp #1834"] {
        assert!(all[0].advice().contains(word), "{}", all[0].advice());
    }
}
