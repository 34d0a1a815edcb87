//! What `hung`, `late` and `leftover` share: a connection that was held against the contract.

use crate::contract::{Breach, Contract, Promise};
use crate::finding::{Finding, StuckTask, spell};
use crate::ledger::{Connection, Kernel};
use crate::run::{Outlook, Run};
use hangup_scenario::Verdict;

/// Every connection that was held past a deadline, with the deadline and what became of it.
pub(super) fn breaches(run: &Run) -> impl Iterator<Item = (&Connection, Breach, Outlook)> {
    run.connections.iter().filter_map(|connection| {
        connection
            .breach
            .map(|breach| (connection, breach, run.outlook(connection)))
    })
}

/// The finding that the server's kernel holds what nobody takes.
fn kernel(run: &Run, connection: &Connection, breach: Breach) -> Finding {
    let kernel = connection.kernel.unwrap_or(Kernel {
        from: breach.at,
        bytes: 0,
        until: None,
    });
    let until = match kernel.until {
        Some(until) => format!("until {}", spell(until)),
        None => "and still does at the end of the search".to_owned(),
    };
    Finding {
        kind: Verdict::Leftover,
        part: Some("kernel"),
        client: connection.client,
        connection: Some(connection.id),
        at: breach.at,
        alive_for: Some(
            kernel
                .until
                .unwrap_or(run.search.until)
                .saturating_sub(connection.opened.unwrap_or_default()),
        ),
        never_ends: false,
        phase: Some("kernel"),
        task: None,
        says: format!(
            "connection {} was closed at {} while its kernel held {} bytes that the client did not take, and the kernel held them \
             {until}: {} after the last byte that the client took (its contract allows {}); a close that cannot deliver is a reset \
             (SO_LINGER 0 or TCP_USER_TIMEOUT)",
            connection.id,
            spell(kernel.from),
            kernel.bytes,
            spell(
                kernel
                    .until
                    .unwrap_or(run.search.until)
                    .saturating_sub(breach.since)
            ),
            spell(run.contract.kernel.unwrap_or_default()),
        ),
    }
}

/// The finding that says so.
pub(super) fn finding(
    run: &Run,
    kind: Verdict,
    connection: &Connection,
    breach: Breach,
    outlook: Outlook,
) -> Finding {
    let opened = connection.opened.unwrap_or_default();
    let until = match outlook {
        Outlook::Ended(at) => at,
        _ if breach.at > run.search.from => run.search.until,
        _ => run.search.from,
    };
    let phase = breach.phase;
    let id = connection.id;
    let Contract {
        stall,
        drain,
        vanished,
        upgrade,
        ..
    } = run.contract;
    let (from, allowed) = match breach.promise {
        // What the kernel holds has a sentence of its own.
        Promise::Kernel => return kernel(run, connection, breach),
        Promise::Stall => ("its last byte", stall),
        Promise::Residence => ("it was opened", run.contract.longest(connection.bytes_out)),
        Promise::Upgrade => ("its 101", upgrade.unwrap_or(stall)),
        Promise::Drain => ("its client was gone", drain),
        Promise::Vanished => ("its client's host was gone, with nothing to send", vanished),
    };
    // More has come since: the figure is the one at the breach.
    let moved = breach.promise == Promise::Stall && connection.last_progress > breach.since;
    let held = if moved {
        format!(
            "at {}, more than {} after what was its last byte then (its contract allows no more)",
            spell(breach.at),
            spell(allowed)
        )
    } else {
        format!(
            "{} after {from} (its contract allows {})",
            spell(until.saturating_sub(breach.since)),
            spell(allowed)
        )
    };
    let says = match outlook {
        Outlook::Ended(at) => {
            format!(
                "connection {id} was held {held}; it was due at {} and ended at {}",
                spell(breach.at),
                spell(at)
            )
        }
        Outlook::Never => {
            format!(
                "connection {id} is still held {held}; nothing is armed that could end it, in {} simulated years that were searched (phase: {phase})",
                run.search.years()
            )
        }
        Outlook::Repeats { period, own: true } => {
            let sealed = match run.sealed {
                true => "",
                false => "; if it goes by std's clock, which is not the simulation's, seal it",
            };
            format!(
                "connection {id} is still held {held}; what holds it repeats for ever, period {} (phase: {phase}{sealed})",
                spell(period)
            )
        }
        Outlook::Repeats { period, own: false } => {
            format!(
                "connection {id} is still held {held}; nothing is armed that could end it but what repeats for ever, period {} \
                 (phase: {phase})",
                spell(period)
            )
        }
        Outlook::Woken(wakes) => {
            format!(
                "connection {id} is still held {held}, and still alive after {wakes} wake-ups (phase: {phase})"
            )
        }
        Outlook::Unproven => {
            format!("connection {id} was still held {held} when watching ended (phase: {phase})")
        }
    };
    Finding {
        kind,
        part: Some(breach.promise.name()),
        client: connection.client,
        connection: Some(id),
        at: breach.at,
        alive_for: Some(until.saturating_sub(opened)),
        never_ends: outlook == Outlook::Never,
        phase: Some(phase),
        task: match outlook {
            Outlook::Ended(_) => None,
            _ => StuckTask::of(run, id),
        },
        says,
    }
}
