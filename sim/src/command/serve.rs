//! `hangup serve`: our server on real TCP with the probe app, and everything that it shows of itself.

mod address;
mod announce;

use super::{CLEAN, Common, println_json};
use crate::server::hangup::{self, App};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use hangup_server::{Admin, Alert, FlightRecorder, Limits, Report, Server, TaskWatch};
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime;
use tracing::level_filters::LevelFilter;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to serve, as HOST:PORT; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where the admin pages are: /debug/connections, /metrics, /debug/flight
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    admin: String,
    /// The admin address need not be a loopback one; the pages show clients' addresses
    #[arg(long)]
    admin_anywhere: bool,
    /// Write what the last clients did to this file, at each alert and at the end
    #[arg(long, value_name = "FILE")]
    flight: Option<PathBuf>,
    /// Keep this many first bytes of each connection in the flight record too
    #[arg(long, value_name = "N", default_value_t = 0)]
    flight_payload: usize,
    /// How long a wait without a deadline may last before there is an alert
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    patience: Option<Duration>,
    /// What is told on stderr; debug is every phase of every connection
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    log: Log,
}

/// The levels of `tracing` that say something here.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Log {
    Off,
    #[default]
    Warn,
    Debug,
}

/// Connections in the flight record: some megabytes at most.
const FLIGHTS: usize = 1024;

/// The longest time between two looks of the task watch.
const LOOK: Duration = Duration::from_secs(10);

impl Serve {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        let server = common.one_server("hangup")?;
        let name = server.name();
        let Some(limits) = hangup::limits(name) else {
            let names = hangup::NAMES.join(", ");
            bail!("--server: \"{name}\" is not ours; allowed: {names}");
        };
        let level = match self.log {
            Log::Off => LevelFilter::OFF,
            Log::Warn => LevelFilter::WARN,
            Log::Debug => LevelFilter::DEBUG,
        };
        // A second subscriber in one process is the first one's business.
        let _ = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(io::stderr)
            .try_init();
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(self.serve(name, limits, common.json));
        // What does not yield cannot be waited for.
        runtime.shutdown_background();
        served.map(|()| CLEAN)
    }

    async fn serve(self, name: &str, limits: Limits, json: bool) -> anyhow::Result<()> {
        let admin = address::admin(&self.admin, self.admin_anywhere).await?;
        let listener = address::bind("--listen", &self.listen).await?;
        let flight = FlightRecorder::new(FLIGHTS);
        let flight = match self.flight_payload {
            0 => flight,
            bytes => flight.with_payload(bytes),
        };
        if let Some(path) = &self.flight {
            save(&flight, path)?;
        }
        let server = Server::new(App)
            .limits(limits.clone())
            .watch(Arc::new(flight.clone()));
        let ledger = server.ledger().clone();
        let mut signals = Signals::new()?;

        let (at, pages) = (listener.local_addr()?, admin.local_addr()?);
        announce::start(name, at, pages, &limits, json)?;
        let service = Admin::new(ledger.clone()).flight(flight.clone());
        tokio::spawn(Server::new(service).serve(admin));
        tokio::spawn(self.watch(TaskWatch::new(ledger.clone(), &limits), &flight, json));

        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve_with_shutdown(listener, async {
            // A sender that is gone stops it too.
            let _ = stopped.await;
        }));
        signals.next().await;
        let _ = stop.send(());
        announce::stopping(&ledger.counts(), &limits, json)?;
        let report: Option<Report> = tokio::select! {
            report = serving => Some(report.context("the server's task failed")?),
            () = signals.next() => None,
        };
        announce::end(report.as_ref(), &ledger, json)?;
        match &self.flight {
            Some(path) => save(&flight, path),
            None => Ok(()),
        }
    }

    /// The task watch, which writes the flight record at each alert.
    fn watch(
        &self,
        watch: TaskWatch,
        flight: &FlightRecorder,
        json: bool,
    ) -> impl Future<Output = ()> + use<> {
        let watch = match self.patience {
            Some(time) => watch.patience(time).every(LOOK.min(time / 4)),
            None => watch.every(LOOK),
        };
        let (flight, path) = (flight.clone(), self.flight.clone());
        let watch = watch.on_alert(move |alert: &Alert| {
            if json {
                // Whoever has closed our stdout does not want to know.
                let _ = println_json(&announce::alert(alert));
            }
            if let Some(path) = &path
                && let Err(error) = save(&flight, path)
            {
                tracing::warn!("{error:#}");
            }
        });
        watch.run()
    }
}

fn save(flight: &FlightRecorder, path: &Path) -> anyhow::Result<()> {
    let file = File::create(path).and_then(|file| {
        let mut file = io::BufWriter::new(file);
        flight.write(&mut file, SystemTime::now())?;
        io::Write::flush(&mut file)
    });
    file.with_context(|| format!("--flight: {}", path.display()))
}

/// Ctrl-C and SIGTERM, which ask for the same.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Signals {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
