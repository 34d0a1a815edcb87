//! The ledger as Prometheus reads it.

use crate::ledger::{Ledger, Open, Snapshot};
use hangup_lifecycle::Phase;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::time::Duration;
use tokio::runtime::Handle;

/// What [`Metrics::text`] is: OpenMetrics, which Prometheus asks for first.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A collector for `prometheus-client`'s [`Registry`]. All its numbers come from one look at the ledger when it is scraped, so that
/// `opened = open + closed` holds in each scrape, and nothing is counted twice.
///
/// There is no metric that a request would have to find and raise. What it costs is what the ledger costs without any metrics, too: plain
/// additions in the connection's own memory, and a copy of them to its card, under a lock that nobody else holds but who looks, each time
/// that it begins to wait. A scrape locks each card for as long as it takes to read it; bytes and requests since a connection's last wait
/// are in the next scrape.
///
/// | metric | what |
/// |---|---|
/// | `hangup_connections_opened_total` | connections accepted |
/// | `hangup_connections_closed_total{reason}` | of these, the closed ones |
/// | `hangup_accept_errors_total{error}` | accepts that failed: `connection` (its own fault), `descriptors`, `system-files`, `memory`, `other` |
/// | `hangup_connections_open{phase}` | of these, the open ones, by what they wait for |
/// | `hangup_connections_without_deadline{phase}` | of the open ones, those that nothing will end |
/// | `hangup_connection_oldest_wait_seconds{phase}` | the longest present wait |
/// | `hangup_waits_total{phase}`, `hangup_wait_seconds_total{phase}` | how often and how long closed connections waited |
/// | `hangup_requests_total`, `hangup_responses_total{class}` | heads that were whole; responses that were begun, by `1xx` to `5xx` |
/// | `hangup_received_bytes_total`, `hangup_sent_bytes_total` | bytes from and to clients |
/// | `hangup_queued_bytes{phase}` | bytes to clients that wait in the kernel for acknowledgement |
/// | `hangup_tasks_alive` | tasks of the runtime that is scraped, whoever has spawned them |
#[derive(Clone, Debug)]
pub struct Metrics(Ledger);

impl Metrics {
    /// The metrics of a server's ledger.
    pub fn new(ledger: Ledger) -> Self {
        Metrics(ledger)
    }

    /// The text of a scrape, with [`CONTENT_TYPE`], for a server that has no registry of its own.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &registry);
        text
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.0.snapshot();
        let mut page = Page(encoder);
        page.connections(&snapshot)?;
        page.waits(&snapshot)?;
        page.traffic(&snapshot)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn connections(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let counts = &snapshot.counts;
        self.one(
            "hangup_connections_opened",
            "Connections accepted",
            None,
            &ConstCounter::new(counts.opened),
        )?;
        let closed = counts
            .closed
            .iter()
            .map(|(reason, count)| (*reason, ConstCounter::new(*count)));
        self.family(
            "hangup_connections_closed",
            "Connections closed, by reason",
            None,
            "reason",
            closed,
        )?;
        let errors = counts.accept_errors.iter();
        self.family(
            "hangup_accept_errors",
            "Accepts that failed",
            None,
            "error",
            errors.map(|(error, count)| (*error, ConstCounter::new(*count))),
        )?;
        let open = |which: fn(&Open) -> bool| {
            by_phase(move |phase| {
                let here = snapshot.open.iter().filter(|open| open.phase == phase);
                ConstGauge::new(here.filter(|open| which(open)).count() as u64)
            })
        };
        self.family(
            "hangup_connections_open",
            "Connections open, by what they wait for",
            None,
            "phase",
            open(|_| true),
        )?;
        self.family(
            "hangup_connections_without_deadline",
            "Connections open that nothing will end",
            None,
            "phase",
            open(|open| open.deadline.is_none()),
        )
    }

    fn waits(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let oldest = by_phase(|phase| {
            let here = snapshot.open.iter().filter(|open| open.phase == phase);
            let waits = here.map(|open| snapshot.at.saturating_duration_since(open.since));
            ConstGauge::new(waits.max().unwrap_or(Duration::ZERO).as_secs_f64())
        });
        self.family(
            "hangup_connection_oldest_wait",
            "The longest present wait in each phase",
            Some(&Unit::Seconds),
            "phase",
            oldest,
        )?;
        let totals = &snapshot.totals;
        self.family(
            "hangup_waits",
            "How often closed connections waited",
            None,
            "phase",
            by_phase(|phase| ConstCounter::new(totals.waits(phase).0)),
        )?;
        self.family(
            "hangup_wait",
            "How long closed connections waited",
            Some(&Unit::Seconds),
            "phase",
            by_phase(|phase| ConstCounter::new(totals.waits(phase).1.as_secs_f64())),
        )
    }

    fn traffic(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let totals = &snapshot.totals;
        self.one(
            "hangup_requests",
            "Requests whose head was whole",
            None,
            &ConstCounter::new(totals.requests),
        )?;
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter();
        self.family(
            "hangup_responses",
            "Responses begun",
            None,
            "class",
            classes.zip(totals.responses.map(ConstCounter::new)),
        )?;
        for (name, help, count) in [
            (
                "hangup_received",
                "Bytes that came from clients",
                totals.bytes_in,
            ),
            ("hangup_sent", "Bytes that clients took", totals.bytes_out),
        ] {
            self.one(name, help, Some(&Unit::Bytes), &ConstCounter::new(count))?;
        }
        self.family(
            "hangup_queued",
            "Bytes to clients that wait in the kernel for acknowledgement",
            Some(&Unit::Bytes),
            "phase",
            by_phase(|phase| {
                let here = snapshot.open.iter().filter(|open| open.phase == phase);
                ConstGauge::new(here.map(|open| open.queued).sum::<u64>())
            }),
        )?;
        let Ok(runtime) = Handle::try_current() else {
            return Ok(());
        };
        let tasks = runtime.metrics().num_alive_tasks() as u64;
        self.one(
            "hangup_tasks_alive",
            "Tasks of the runtime",
            None,
            &ConstGauge::new(tasks),
        )
    }

    fn one(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        metric.encode(
            self.0
                .encode_descriptor(name, help, unit, metric.metric_type())?,
        )
    }

    fn family<M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        label: &str,
        metrics: impl Iterator<Item = (&'static str, M)>,
    ) -> fmt::Result {
        let mut metrics = metrics.peekable();
        let Some((_, first)) = metrics.peek() else {
            return Ok(());
        };
        let mut encoder = self
            .0
            .encode_descriptor(name, help, unit, first.metric_type())?;
        for (value, metric) in metrics {
            metric.encode(encoder.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }
}

fn by_phase<M>(metric: impl Fn(Phase) -> M) -> impl Iterator<Item = (&'static str, M)> {
    Phase::ALL
        .into_iter()
        .map(move |phase| (phase.name(), metric(phase)))
}
