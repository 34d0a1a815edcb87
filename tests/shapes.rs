//! `fuzz --keep-going` lists two defects as two shapes, also where both make connections end late.

use hangup::Bed;
use hangup::campaign::fuzz::{Plan, fuzz};
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::net::{TcpListener, TcpStream};
use hangup::server::{Server, Serving, Shutdown};
use hangup_scenario::Verdict;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// How long a silent client may hold a connection, and one that is gone.
const STALL: Duration = Duration::from_secs(20);
const DRAIN: Duration = Duration::from_secs(5);

/// How many bytes the client sends within this time; none where it is over.
async fn waits_for_bytes(stream: &mut TcpStream, within: Duration) -> io::Result<Option<usize>> {
    let mut buffer = [0; 4096];
    let read = timeout(within, stream.read(&mut buffer)).await;
    read.ok().transpose()
}

/// Holds a connection too long whose client has gone.
async fn mourns() {
    sleep(2 * DRAIN).await;
}

/// Says a line to whatever comes.
async fn serve(mut stream: TcpStream, (waits, holds): (bool, bool)) -> io::Result<()> {
    let within = if waits { 2 * STALL } else { STALL / 2 };
    while let Some(read) = waits_for_bytes(&mut stream, within).await? {
        if read == 0 {
            if holds {
                mourns().await;
            }
            break;
        }
        stream.write_all(b"ok\n").await?;
    }
    Ok(())
}

/// A server with the first defect, the second, or both.
fn server(defects: (bool, bool)) -> Arc<dyn Server> {
    let run = move |listener: TcpListener, stop: Shutdown| -> Serving {
        Box::pin(async move {
            let accepting = async {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, defects));
                }
            };
            tokio::select! {
                () = accepting => {}
                () = stop.given() => {}
            }
        })
    };
    let claimed = Contract {
        stall: STALL,
        drain: DRAIN,
        ..Contract::default()
    };
    Bed::new("ends-late", run)
        .contract(claimed)
        .not_http("ping\n")
        .into()
}

/// The parts of `late` that are listed, with the place where a task waits.
fn late(defects: (bool, bool)) -> BTreeMap<&'static str, Vec<String>> {
    let plan = Plan {
        seed: 1,
        cases: 100,
        jobs: 1,
        shard: Default::default(),
        keep_going: true,
    };
    let (_, convictions) = fuzz(Engine::Leap, &*server(defects), plan, |_| {});
    let mut parts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for conviction in convictions {
        let finding = &conviction.minimal.findings[0];
        if let (Verdict::Late, Some(part)) = (finding.kind, finding.part) {
            let stack = finding.task.iter().flat_map(|task| task.stack.clone());
            parts.entry(part).or_default().extend(stack);
        }
    }
    parts
}

#[test]
fn two_defects_that_end_late_are_two_shapes() {
    for (defects, due) in [
        ((true, false), &["stall"][..]),
        ((false, true), &["drain"]),
        ((true, true), &["drain", "stall"]),
    ] {
        let found = late(defects);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), due);
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            for (part, frame) in [("stall", "waits_for_bytes"), ("drain", "mourns")] {
                let stack = found.get(part);
                let shows = |stack: &Vec<String>| stack.iter().any(|one| one.contains(frame));
                assert!(stack.is_none_or(shows), "{part}: {stack:?}");
            }
        }
    }
}
