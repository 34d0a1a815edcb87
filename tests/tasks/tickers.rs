//! Servers with tasks that wake periodically, for ever. A run of one costs about what it costs without, and its verdict is
//! as if each had been polled all the time.

use crate::{DEADLINE, accepted, close, head, judged, only_exchange, with_events};
use hangup::Bed;
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::net::{TcpListener, TcpStream};
use hangup::oracle;
use hangup::run::Detail;
use hangup::server::{Server, Shutdown};
use hangup_scenario::{Scenario, Verdict};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

const PERIODS: [Duration; 3] = [
    Duration::from_secs(10),
    Duration::from_secs(1),
    Duration::from_millis(1),
];

/// A client asks, is answered, and another says half of a head and is silent for 29 h.
fn long() -> Arc<Scenario> {
    with_events(
        r#"{ do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "reconnect" },
        { do = "send", bytes = "GET / HT" }, { do = "stall", for = "29h" }"#,
        &[],
    )
}

/// How a server ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    Interval,
    Sleep,
    /// Each tick wakes a worker.
    Worker,
}

async fn tick(how: Tick, period: Duration) {
    match how {
        Tick::Interval => {
            let mut ticks = interval(period);
            loop {
                ticks.tick().await;
            }
        }
        Tick::Sleep => loop {
            sleep(period).await;
        },
        Tick::Worker => {
            let (ticks, mut ticked) = mpsc::channel(1);
            tokio::spawn(async move { while ticked.recv().await.is_some() {} });
            while ticks.send(()).await.is_ok() {
                sleep(period).await;
            }
        }
    }
}

/// `deadline` for each connection; what ticks is there from the start, or from the first connection on.
async fn ticking(
    listener: TcpListener,
    ticks: Option<(Tick, Duration)>,
    at_first: bool,
    deadline: Duration,
) {
    let start = move || {
        if let Some((how, period)) = ticks {
            tokio::spawn(tick(how, period));
        }
    };
    if !at_first {
        start();
    }
    let mut started = !at_first;
    loop {
        let stream = accepted(&listener).await;
        let first = !std::mem::replace(&mut started, true);
        tokio::spawn(timeout(deadline, async move {
            if first {
                start();
            }
            only_exchange(stream).await
        }));
    }
}

fn ticker(ticks: Option<(Tick, Duration)>, at_first: bool, deadline: Duration) -> Bed {
    Bed::new("ticker", move |listener, _| {
        ticking(listener, ticks, at_first, deadline)
    })
}

/// What a matrix would say of it: both runs, and what must not matter.
fn verdict(bed: Bed, scenario: &Arc<Scenario>) -> (Verdict, Cell) {
    let server: Arc<dyn Server> = bed.into();
    let cell = Cell::twice(Engine::Leap, scenario, &*server, Detail::default());
    (cell.verdict(), cell)
}

#[test]
fn what_ticks_beside_the_connections_changes_no_verdict() {
    for at_first in [false, true] {
        for how in [Tick::Interval, Tick::Sleep, Tick::Worker] {
            for period in PERIODS {
                let what = (at_first, how, period);
                if at_first && how != Tick::Interval {
                    continue;
                }
                let innocent = ticker(Some((how, period)), at_first, DEADLINE);
                let (found, cell) = verdict(innocent, &long());
                assert_eq!(found, Verdict::Clean, "{what:?}: {:?}", cell.findings);
                // Some hundreds of ticks, and 29 h have millions.
                assert!(cell.run.tasks.server_polls() < 1_000, "{what:?}");
                let years = cell.run.search.years();
                assert!(years >= 1, "{what:?}: {:?}", cell.run.search);
                if !at_first && (how == Tick::Interval || period != PERIODS[2]) {
                    let guilty = ticker(Some((how, period)), at_first, Duration::MAX);
                    let (found, cell) = verdict(guilty, &long());
                    assert_eq!(found, Verdict::Hung, "{what:?}: {:?}", cell.findings);
                    let says = &cell.findings[0].says;
                    assert!(says.contains("repeats for ever, period "), "{says}");
                }
            }
        }
    }
}

#[test]
fn a_ticker_of_each_connection_is_a_leak() {
    let leaks = |listener: TcpListener, ()| async move {
        loop {
            let stream = accepted(&listener).await;
            tokio::spawn(timeout(DEADLINE, async move {
                tokio::spawn(tick(Tick::Interval, PERIODS[1]));
                only_exchange(stream).await
            }));
        }
    };
    let bed = Bed::new("leaks-tickers", move |listener, _| leaks(listener, ()));
    let (found, cell) = verdict(bed, &long());
    assert_eq!(found, Verdict::Hung, "{:?}", cell.findings);
    let says = &cell.findings[0].says;
    assert!(
        says.contains("what holds it repeats for ever, period 1 s"),
        "{says}"
    );
}

/// What the reaper can end of each connection.
type Open = Arc<Mutex<HashMap<u64, (tokio::time::Instant, oneshot::Sender<()>)>>>;

/// Each second a reaper closes what is older than a minute; the `broken` one does it only once.
async fn reaps(listener: TcpListener, period: Duration, broken: bool) {
    let open = Open::default();
    let all = Arc::clone(&open);
    tokio::spawn(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut all = all.lock().expect("nobody panics");
            let before = all.len();
            all.retain(|_, (since, _)| since.elapsed() < Duration::from_secs(60));
            if broken && all.len() < before {
                return;
            }
        }
    });
    for number in 0.. {
        let stream = accepted(&listener).await;
        let (end, ended) = oneshot::channel::<()>();
        let since = tokio::time::Instant::now();
        open.lock()
            .expect("nobody panics")
            .insert(number, (since, end));
        let open = Arc::clone(&open);
        tokio::spawn(async move {
            tokio::select! {
                _ = ended => {}
                _ = only_exchange(stream) => {}
            }
            open.lock().expect("nobody panics").remove(&number);
        });
    }
}

#[test]
fn a_reaper_that_works_by_ticks_does_its_duty() {
    // The second one comes when the first is gone.
    let steps = r#"{ do = "send", bytes = "GET / HT" }, { do = "stall", for = "29h" }, { do = "reconnect" },
        { do = "send", bytes = "GET / HT" }, { do = "stall", for = "29h" }"#;
    let two = with_events(steps, &[]);
    for period in [PERIODS[0], PERIODS[1]] {
        let innocent = Bed::new("reaps", move |listener, _| reaps(listener, period, false));
        let (found, cell) = verdict(innocent, &two);
        assert_eq!(found, Verdict::Clean, "{period:?}: {:?}", cell.findings);
        let guilty = Bed::new("reaps-once", move |listener, _| {
            reaps(listener, period, true)
        });
        let (found, cell) = verdict(guilty, &two);
        assert_eq!(found, Verdict::Hung, "{period:?}: {:?}", cell.findings);
        assert_eq!(cell.findings.len(), 1, "{:?}", cell.findings);
        assert_eq!(cell.findings[0].connection, Some(2));
    }
}

/// The accept loop itself ticks.
async fn accepts_and_ticks(listener: TcpListener, period: Duration, deadline: Duration) {
    let mut ticks = interval(period);
    loop {
        let stream = tokio::select! {
            stream = accepted(&listener) => stream,
            _ = ticks.tick() => continue,
        };
        tokio::spawn(timeout(deadline, only_exchange(stream)));
    }
}

/// What an accept loop that ticks, or comes back so often to look for something, is on the bed: `local` is one that is not `Send`.
fn accepts_and(period: Duration, polls: bool, deadline: Duration, local: bool) -> Bed {
    let serve = move |listener: TcpListener, _: Shutdown| async move {
        if !polls {
            return accepts_and_ticks(listener, period, deadline).await;
        }
        loop {
            if let Ok(stream) = timeout(period, accepted(&listener)).await {
                tokio::spawn(timeout(deadline, only_exchange(stream)));
            }
        }
    };
    match local {
        true => Bed::local("accepts-and-ticks", serve),
        false => Bed::new("accepts-and-ticks", serve),
    }
}

#[test]
fn an_accept_loop_may_tick() {
    for (period, says) in PERIODS.into_iter().zip(["10 s", "1 s", "1 ms"]) {
        for (polls, local) in [(false, false), (true, false), (false, true)] {
            let bed = |deadline| accepts_and(period, polls, deadline, local);
            let cell = judged(bed(DEADLINE), &long());
            let what = (period, polls, local);
            assert_eq!(
                cell.verdict(),
                Verdict::Clean,
                "{what:?}: {:?}",
                cell.findings
            );
            // 29 h have 100 million ticks of a millisecond, and an interval makes up for those in which it was not polled.
            let polls = cell.run.tasks.server_polls();
            assert!(polls < 10_000, "{what:?}: {polls}");
            let cell = judged(bed(Duration::MAX), &long());
            assert_eq!(
                cell.verdict(),
                Verdict::Hung,
                "{what:?}: {:?}",
                cell.findings
            );
            let words = format!(
                "nothing is armed that could end it but what repeats for ever, period {says}"
            );
            let found = &cell.findings[0].says;
            assert!(found.contains(&words), "{what:?}: {found}");
        }
    }
}

#[test]
fn an_accept_loop_that_was_left_asleep_is_there_for_its_clients() {
    // Each comes at a beat of the longest period, when the loop has been left alone for 15 min, and at last behind a restart.
    let ask = r#"{ do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "5s" }"#;
    let steps = format!(
        r#"{ask}, {{ do = "close" }}, {{ do = "stall", for = "900s" }}, {{ do = "reconnect" }}, {ask}, {{ do = "close" }},
        {{ do = "stall", for = "900s" }}, {{ do = "reconnect" }}, {ask}, {{ do = "close" }}"#
    );
    for period in PERIODS {
        for events in [&[][..], &[("1000s", "restart")]] {
            let scenario = with_events(&steps, events);
            let server: Arc<dyn Server> = accepts_and(period, false, DEADLINE, false).into();
            let detail = Detail {
                dozes: true,
                ..Detail::JUDGED
            };
            let run = Engine::Leap.run(&scenario, &*server, detail);
            assert_eq!(oracle::judge(&run), [], "{period:?}");
            let answered = run.connections.iter().filter(|one| one.of_scenario());
            let answered =
                answered.filter(|one| one.responses.list.iter().any(|it| it.status == 200));
            assert_eq!(answered.count(), 3, "{period:?}");
        }
    }
}

/// Its ticker has to end at a shutdown, and is awaited if it is told.
async fn shuts_down(listener: TcpListener, stop: Shutdown, period: Duration, told: bool) {
    let (tell, mut hears) = oneshot::channel::<()>();
    let ticker = tokio::spawn(async move {
        let mut ticks = interval(period);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = &mut hears => return,
            }
        }
    });
    let stopped = AtomicBool::new(false);
    let mut stop = std::pin::pin!(async {
        stop.given().await;
        stopped.store(true, Ordering::Relaxed);
    });
    loop {
        let stream = tokio::select! {
            stream = accepted(&listener) => stream,
            () = &mut stop => break,
        };
        tokio::spawn(timeout(Duration::from_secs(5), only_exchange(stream)));
    }
    sleep(Duration::from_secs(6)).await;
    if told {
        let _ = tell.send(());
    } else {
        std::mem::forget(tell);
    }
    let _ = ticker.await;
}

#[test]
fn a_ticker_ends_at_a_shutdown_or_holds_it_up() {
    let steps = r#"{ do = "send", bytes = "GET / HT" }, { do = "stall", for = "29h" }"#;
    for (period, at) in PERIODS.into_iter().zip(["1000s", "100s", "1s"]) {
        let scenario = with_events(steps, &[(at, "shutdown")]);
        let bed = |told| {
            let contract = hangup::contract::Contract {
                shutdown: Some(Duration::from_secs(15)),
                ..Default::default()
            };
            Bed::new("shuts-down", move |listener, stop| {
                shuts_down(listener, stop, period, told)
            })
            .contract(contract)
        };
        let (found, cell) = verdict(bed(true), &scenario);
        assert_eq!(found, Verdict::Clean, "{period:?}: {:?}", cell.findings);
        let (found, cell) = verdict(bed(false), &scenario);
        assert_eq!(
            found,
            Verdict::StuckShutdown,
            "{period:?}: {:?}",
            cell.findings
        );
    }
}

#[test]
fn what_a_dead_process_ticks_costs_nothing() {
    let steps = r#"{ do = "send", bytes = "GET / HT" }, { do = "stall", for = "5s" }, { do = "reconnect" },
        { do = "send", head = { target = "/" } }, { do = "await", status = "final", within = "5s" }, { do = "close" }"#;
    for period in PERIODS {
        for event in ["crash", "restart", "shutdown"] {
            let bed = ticker(Some((Tick::Interval, period)), false, DEADLINE);
            let cell = judged(bed, &with_events(steps, &[("1s", event)]));
            let what = (period, event, &cell.findings);
            assert_eq!(cell.verdict(), Verdict::Clean, "{what:?}");
            assert!(
                cell.run.search.wakes < 100,
                "{what:?}: {:?}",
                cell.run.search
            );
        }
    }
}

/// Looks for something again and again, by the machine's clock, for so long.
async fn retries(mut stream: TcpStream, patience: Duration) -> std::io::Result<()> {
    head(&mut stream).await?;
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
    let closed = timeout(DEADLINE, close(stream)).await;
    closed.unwrap_or(Ok(()))
}

#[test]
fn a_loop_that_goes_by_stds_clock_is_found_at_once() {
    let bed = || {
        Bed::new("retries", |listener: TcpListener, _| async move {
            loop {
                let stream = accepted(&listener).await;
                tokio::spawn(retries(stream, Duration::from_secs(30)));
            }
        })
    };
    let steps = r#"{ do = "send", head = { target = "/" } }, { do = "stall", for = "29h" }"#;
    let scenario = with_events(steps, &[]);
    let (found, cell) = verdict(bed(), &scenario);
    assert_ne!(found, Verdict::Clean);
    let says = cell.findings.iter().map(|finding| &finding.says);
    let mut says = says.filter(|says| says.contains("repeats for ever, period 10 ms"));
    assert!(
        says.next().is_some_and(|says| says.contains("seal it")),
        "{:?}",
        cell.findings
    );
    if Engine::Sealed.available().is_ok() {
        let server: Arc<dyn Server> = bed().into();
        let cell = Cell::of(Engine::Sealed, &scenario, &*server, Detail::default());
        assert_eq!(cell.verdict(), Verdict::Clean, "{:?}", cell.findings);
    }
}
