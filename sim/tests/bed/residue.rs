//! What a user counts must be back where it was when the clients are gone.

use crate::connection;
use hangup::Bed;
use hangup::net::TcpListener;
use hangup_scenario::Verdict;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

type Sessions = Arc<Mutex<HashMap<SocketAddr, ()>>>;

/// A session for each client, which is deleted so long behind its connection, if at all.
async fn serve(listener: TcpListener, sessions: Sessions, keeps: Option<Duration>) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move {
            sessions.lock().unwrap().insert(peer, ());
            let _ = timeout(Duration::from_secs(20), connection(stream)).await;
            if let Some(keeps) = keeps {
                sleep(keeps).await;
                sessions.lock().unwrap().remove(&peer);
            }
        });
    }
}

fn bed(keeps: Option<Duration>) -> Bed {
    Bed::new("sessions", move |listener, _| {
        let sessions = Sessions::default();
        let counted = Arc::clone(&sessions);
        hangup::residue("sessions", move || counted.lock().unwrap().len());
        serve(listener, sessions, keeps)
    })
    .tolerate(Verdict::Protocol)
    .cases(200)
    .keep_nothing()
}

#[test]
fn sessions_that_nobody_deletes_are_left_over() {
    let outcome = bed(None).run();
    let residue = outcome.convicted.iter().flat_map(|cell| &cell.findings);
    let residue: Vec<_> = residue
        .filter(|finding| finding.part == Some("residue"))
        .collect();
    assert!(!residue.is_empty(), "{outcome}");
    assert!(
        residue
            .iter()
            .all(|finding| finding.kind == Verdict::Leftover)
    );
    let says = "sessions is 1 when every client has been gone for 5 s (the contract's drain time), \
                and was 0 before the first came";
    assert!(
        residue.iter().any(|finding| finding.says == says),
        "{residue:#?}"
    );
}

#[test]
fn sessions_that_are_deleted_within_the_drain_time_are_not() {
    for keeps in [Duration::ZERO, Duration::from_secs(4)] {
        let outcome = bed(Some(keeps)).run();
        assert!(outcome.is_clean(), "{outcome}");
    }
}

/// What all instances of a server share, as a static would be.
#[test]
fn what_instances_share_is_counted_from_where_it_was() {
    for leaks in [false, true] {
        let taken = Arc::new(AtomicUsize::new(7));
        let counted = Arc::clone(&taken);
        let bed = Bed::new("permits", move |listener: TcpListener, _| {
            let taken = Arc::clone(&taken);
            async move {
                loop {
                    let Ok((stream, _)) = listener.accept().await else {
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    let taken = Arc::clone(&taken);
                    tokio::spawn(async move {
                        taken.fetch_add(1, Ordering::Relaxed);
                        let done = timeout(Duration::from_secs(20), connection(stream)).await;
                        // A connection that was aborted never gives its permit back.
                        if !leaks || matches!(done, Ok(Ok(()))) {
                            taken.fetch_sub(1, Ordering::Relaxed);
                        }
                    });
                }
            }
        });
        let outcome = bed
            .residue("permits in use", move || counted.load(Ordering::Relaxed))
            .tolerate(Verdict::Protocol)
            .cases(200)
            .keep_nothing()
            .run();
        assert_eq!(outcome.is_clean(), !leaks, "{outcome}");
    }
}
