//! What `hangup serve` says: its limits at the start, and how it ended. With `--json` each is a line with an object.

use super::super::println_json;
use crate::finding::spell;
use hangup_server::{Alert, Counts, Descriptors, Ledger, Limits, Open, Report, Span};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

pub(super) fn start(
    name: &str,
    at: SocketAddr,
    admin: SocketAddr,
    limits: &Limits,
    descriptors: &Descriptors,
    json: bool,
) -> anyhow::Result<()> {
    let (files, connections, reserved, application) = (
        descriptors.limit(),
        limits.connections,
        descriptors.reserved(),
        descriptors.application(),
    );
    let bound = limits.bound();
    if json {
        return println_json(&json!({ "serving": {
            "server": name, "address": at.to_string(), "admin": admin.to_string(),
            "limits": limits.to_string().lines().collect::<Vec<_>>(),
            "descriptors": {
                "limit": files, "connections": connections, "reserved": reserved, "application": application,
            },
            "residence_s": seconds(bound.residence), "silence_s": seconds(bound.silence), "gone_s": seconds(bound.gone),
        }}));
    }
    say!("{name} on http://{at}");
    say!(
        "admin on http://{admin}: /debug/connections, /debug/connections?json, /metrics, /debug/flight\n"
    );
    say!("{limits}\n");
    say!(
        "open files: {files} allowed; {connections} connections, {reserved} reserved, {application} left to the application\n"
    );
    say!("Ctrl-C or SIGTERM shuts down gracefully, the second one at once");
    Ok(())
}

/// `null` is unbounded.
fn seconds(span: Span) -> Option<f64> {
    span.finite().map(|time| time.as_secs_f64())
}

pub(super) fn stopping(counts: &Counts, limits: &Limits, json: bool) -> anyhow::Result<()> {
    if !json {
        say!(
            "shutting down: {} connections, {}",
            counts.open,
            limits.shutdown
        );
    }
    Ok(())
}

pub(super) fn alert(alert: &Alert) -> Value {
    json!({ "alert": { "says": alert.to_string(), "advice": alert.advice() } })
}

/// `report` is `None` if the shutdown was not waited for.
pub(super) fn end(report: Option<&Report>, ledger: &Ledger, json: bool) -> anyhow::Result<()> {
    let Counts {
        opened,
        open,
        closed,
        accept_errors,
    } = ledger.counts();
    if json {
        return println_json(&json!({ "report": {
            "graceful": report.is_some(),
            "took_s": report.map(|report| report.took.as_secs_f64()),
            "open_at_shutdown": report.map(|report| report.open),
            "ended": report.map(|report| &report.ended),
            "cut": report.map(|report| rows(&report.cut)),
            "stuck": report.map(|report| rows(&report.stuck)),
            "opened": opened, "open": open, "closed": closed, "accept_errors": accept_errors,
        }}));
    }
    let Some(report) = report else {
        say!("stopped at once:\n{}", ledger.dump());
        return Ok(());
    };
    shut_down(report)?;
    let closed: Vec<String> = closed
        .iter()
        .map(|(reason, count)| format!(", {count} {reason}"))
        .collect();
    say!(
        "{opened} connections opened, {open} open{}",
        closed.concat()
    );
    for (what, count) in accept_errors {
        say!("{count} accepts failed ({what})");
    }
    Ok(())
}

fn shut_down(report: &Report) -> anyhow::Result<()> {
    let Report {
        took,
        open,
        ended,
        cut,
        stuck,
    } = report;
    say!(
        "shut down in {}: {open} connections were open",
        spell(*took)
    );
    for (reason, count) in ended {
        say!("  {count} {reason}");
    }
    for (what, list) in [("cut", cut), ("stuck", stuck)] {
        for open in list {
            say!(
                "  {what}: #{} from {} in {} for {}, waiting for {}",
                open.id,
                open.peer,
                open.phase,
                spell(waited(open)),
                open.phase.explain()
            );
        }
    }
    Ok(())
}

fn waited(open: &Open) -> Duration {
    Instant::now().saturating_duration_since(open.since)
}

fn rows(list: &[Open]) -> Vec<Value> {
    let row = |open: &Open| {
        json!({
            "id": open.id, "peer": open.peer.to_string(), "phase": open.phase.name(),
            "in_phase_s": waited(open).as_secs_f64(), "bytes_in": open.bytes_in, "bytes_out": open.bytes_out,
        })
    };
    list.iter().map(row).collect()
}
