//! `hangup serve`: our server on real TCP with the probe app, and everything that it shows of itself.

mod address;
mod announce;
mod record;
mod token;

use super::{CLEAN, Common, println_json};
use crate::server::hangup::{self, App};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use hangup_server::{Admin, Alert, Descriptors, FlightRecorder, Limits, Report, Server, TaskWatch};
use record::Record;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use token::Token;
use tokio::runtime;
use tracing::level_filters::LevelFilter;

/// Told by `--help`.
const EXIT_STATUS: &str = "\
Exit status:
  0  all that was under way at the shutdown was served
  1  clients were cut at the end of the shutdown's time
  2  wrong use, or it could not start
  3  a second signal ended it at once";

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Serve {
    /// Where to serve, as HOST:PORT; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where the admin pages are: /debug/connections, /metrics, /debug/flight
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    admin: String,
    /// The admin address need not be a loopback one, and each request for a page needs the token;
    /// the pages show clients' addresses
    #[arg(long)]
    admin_anywhere: bool,
    /// Requests for admin pages must have this token, as `Authorization: Bearer TOKEN`; better set
    /// in the environment, because arguments are seen by every user of the machine
    #[arg(
        long,
        value_name = "TOKEN",
        env = "HANGUP_ADMIN_TOKEN",
        hide_env_values = true
    )]
    admin_token: Option<Token>,
    /// Write what the last clients did to this file, at each alert and at the end; only its owner
    /// may read it
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

/// The exit status where clients were cut at the end of the shutdown's time.
const CUT: u8 = 1;
/// The exit status where a second signal ended it at once.
const AT_ONCE: u8 = 3;

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
        if self.admin_anywhere && self.admin_token.is_none() {
            bail!(
                "--admin-anywhere: a token is required, because the pages show clients' addresses; set --admin-token or HANGUP_ADMIN_TOKEN"
            );
        }
        let descriptors = Descriptors::raise()?;
        let limits = descriptors.fit(limits);
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
        let served = runtime.block_on(self.serve(name, limits, descriptors, common.json));
        // What does not yield cannot be waited for.
        runtime.shutdown_background();
        served
    }

    async fn serve(
        self,
        name: &str,
        limits: Limits,
        descriptors: Descriptors,
        json: bool,
    ) -> anyhow::Result<u8> {
        let admin = address::admin(&self.admin, self.admin_anywhere).await?;
        let listener = address::bind("--listen", &self.listen).await?;
        let flight = FlightRecorder::new(FLIGHTS);
        let flight = match self.flight_payload {
            0 => flight,
            bytes => flight.with_payload(bytes),
        };
        let record = match &self.flight {
            Some(path) => Some(Arc::new(Record::create(path, flight.clone())?)),
            None => None,
        };
        let server = Server::new(App)
            .limits(limits.clone())
            .descriptors(descriptors)
            .watch(Arc::new(flight.clone()));
        let ledger = server.ledger().clone();
        let mut signals = Signals::new()?;

        let (at, pages) = (listener.local_addr()?, admin.local_addr()?);
        announce::start(name, at, pages, &limits, &descriptors, json)?;
        let mut service = Admin::new(ledger.clone()).flight(flight);
        for host in address::hosts(&self.admin, pages) {
            service = service.host(host);
        }
        if let Some(token) = &self.admin_token {
            service = service.token(token.as_str());
        }
        let admin_limits = descriptors.fit_admin(Limits::default());
        let admin_server = Server::new(service)
            .limits(admin_limits)
            .descriptors(descriptors);
        tokio::spawn(admin_server.serve(admin));
        let watch = TaskWatch::new(ledger.clone(), &limits);
        tokio::spawn(self.watch(watch, record.clone(), json));

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
        if let Some(record) = record {
            record.save()?;
        }
        Ok(match report {
            None => AT_ONCE,
            Some(report) if report.cut.is_empty() && report.stuck.is_empty() => CLEAN,
            Some(_) => CUT,
        })
    }

    /// The task watch, which writes the flight record at each alert.
    fn watch(
        &self,
        watch: TaskWatch,
        record: Option<Arc<Record>>,
        json: bool,
    ) -> impl Future<Output = ()> + use<> {
        let watch = match self.patience {
            Some(time) => watch.patience(time).every(LOOK.min(time / 4)),
            None => watch.every(LOOK),
        };
        let watch = watch.on_alert(move |alert: &Alert| {
            if json {
                // Whoever has closed our stdout does not want to know.
                let _ = println_json(&announce::alert(alert));
            }
            if let Some(record) = &record
                && let Err(error) = record.save()
            {
                tracing::warn!("{error:#}");
            }
        });
        watch.run()
    }
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
