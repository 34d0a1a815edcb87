//! What the server shows of itself, over a pipe in memory and on a paused clock.

#[cfg(feature = "metrics")]
#[path = "seeing/access.rs"]
mod access;
#[path = "seeing/alerts.rs"]
mod alerts;
#[path = "seeing/dump.rs"]
mod dump;
#[path = "seeing/failures.rs"]
mod failures;
#[path = "seeing/flight.rs"]
mod flight;
#[cfg(feature = "metrics")]
#[path = "seeing/metrics.rs"]
mod metrics;
#[path = "seeing/scene.rs"]
mod scene;
#[path = "seeing/spans.rs"]
mod spans;
