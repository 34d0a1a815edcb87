//! The servers: how each is started and ended, and which of its timers are longer than the contract.

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

/// A server, and how it is set up.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// What is set in it.
    pub(crate) about: &'static str,
    /// It has timeouts that somebody has set.
    pub(crate) timed: bool,
    program: Program,
    /// What its documentation says of its longer timers, as `--known-timer` takes it.
    pub(crate) timers: &'static [&'static str],
}

#[derive(Clone, Copy, Debug)]
enum Program {
    /// Built from the folder of this name, with the path of its page of counts.
    Go(&'static str, &'static str),
    Node,
    Nginx,
    Rust(&'static str),
}

/// What those with timeouts of somebody's have everywhere.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) const PEERS: [Peer; 12] = [
    Peer {
        name: "fasthttp",
        about: "its defaults: no timeouts",
        timed: false,
        program: Program::Go("fasthttp", "open"),
        timers: &[],
    },
    Peer {
        name: "net/http",
        about: "its defaults: no timeouts",
        timed: false,
        program: Program::Go("net-http", ""),
        timers: &[],
    },
    Peer {
        name: "hyper",
        about: "as its documentation's example has it: no timer, and so no timeouts",
        timed: false,
        program: Program::Rust("hyper"),
        timers: &[],
    },
    Peer {
        name: "axum",
        about: "`axum::serve`, which has no timeouts",
        timed: false,
        program: Program::Rust("axum"),
        timers: &[],
    },
    Peer {
        name: "actix-web",
        about: "its defaults: 5 s for a head, 5 s for an idle connection",
        timed: false,
        program: Program::Rust("actix-web"),
        timers: &[],
    },
    Peer {
        name: "node",
        about: "its defaults: 60 s for a head and 300 s for a request, looked at every 30 s; 5 s for an idle connection",
        timed: false,
        program: Program::Node,
        timers: &[
            "opening=90s,total",
            "head=90s,total",
            "body=330s,total",
            "drain=330s,total",
        ],
    },
    Peer {
        name: "nginx",
        about: "its defaults, before net/http: 60 s for a head, 60 s between two reads or writes, 75 s for an idle connection",
        timed: false,
        program: Program::Nginx,
        timers: &[
            "opening=60s,total",
            "head=60s,total",
            "body=60s",
            "response=60s",
            "idle=75s",
        ],
    },
    Peer {
        name: "fasthttp 5s",
        about: "`ReadTimeout`, `WriteTimeout` and `IdleTimeout` of 5 s",
        timed: true,
        program: Program::Go("fasthttp", "open"),
        timers: &[],
    },
    Peer {
        name: "net/http 5s",
        about: "`ReadTimeout`, `WriteTimeout` and `IdleTimeout` of 5 s",
        timed: true,
        program: Program::Go("net-http", ""),
        timers: &[],
    },
    Peer {
        name: "hyper 5s",
        about: "a timer and `header_read_timeout` of 5 s: all the timeouts that hyper has",
        timed: true,
        program: Program::Rust("hyper"),
        timers: &[],
    },
    Peer {
        name: "node 5s",
        about: "`headersTimeout`, `requestTimeout` and `keepAliveTimeout` of 5 s, looked at every half second",
        timed: true,
        program: Program::Node,
        timers: &[],
    },
    Peer {
        name: "nginx 5s",
        about: "before net/http; `client_header_timeout`, `client_body_timeout`, `send_timeout` and `keepalive_timeout` of 5 s",
        timed: true,
        program: Program::Nginx,
        timers: &[],
    },
];

/// The names of all.
pub(crate) fn names() -> String {
    PEERS.map(|peer| peer.name).join(", ")
}

/// A server that runs, until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    /// `timeout`, so that the server ends also where nobody ends it; the server is its child.
    child: Child,
    pub(crate) address: String,
    pub(crate) count_url: Option<String>,
    /// The server behind it, and its folder.
    behind: Option<(Box<Running>, PathBuf)>,
}

impl Running {
    /// The process whose descendants have the sockets.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `timeout` passes it on, and nginx ends its workers.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
        if let Some((_, folder)) = &self.behind {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn limited(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "10m"]).arg(program);
    command.stderr(Stdio::null());
    command
}

impl Peer {
    /// Starts it; the programs in Go are in the folder `go`.
    pub(crate) fn start(&self, go: &Path) -> anyhow::Result<Running> {
        let timeout = self.timed.then_some(TIMEOUT);
        match self.program {
            Program::Go(folder, page) => {
                let mut command = limited(&go.join(folder));
                command.args(timeout.map(|time| format!("-timeouts={}s", time.as_secs())));
                started(command, Some(page))
            }
            Program::Node => {
                let mut command = limited(Path::new("node"));
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/node/server.js"));
                command.args(timeout.map(|time| time.as_millis().to_string()));
                started(command, Some(""))
            }
            Program::Rust(name) => {
                let mut command = limited(&env::current_exe()?.with_file_name("peer"));
                command.arg(name);
                command.args(timeout.map(|time| format!("--timeouts={}s", time.as_secs())));
                started(command, None)
            }
            Program::Nginx => nginx(go, timeout),
        }
    }
}

/// Starts a server that prints its address and, maybe, that of its pages.
fn started(mut command: Command, page: Option<&str>) -> anyhow::Result<Running> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("it is piped")?;
    let mut running = Running {
        child,
        address: String::new(),
        count_url: None,
        behind: None,
    };
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let mut addresses = line.split_whitespace();
    running.address = addresses.next().context("it does not start")?.to_owned();
    if let (Some(page), Some(admin)) = (page, addresses.next()) {
        running.count_url = Some(format!("http://{admin}/{page}"));
    }
    Ok(running)
}

/// Starts nginx, as the ordinary user that we may be, before net/http without timeouts.
fn nginx(go: &Path, timeout: Option<Duration>) -> anyhow::Result<Running> {
    let behind = started(limited(&go.join("net-http")), None)?;
    let ports = free_ports()?;
    let folder = env::temp_dir().join(format!("hangup-peers-nginx-{}", ports[0]));
    fs::create_dir_all(&folder)?;
    let timeouts: String = timeout.map_or(String::new(), |time| {
        ["client_header", "client_body", "send", "keepalive"]
            .map(|name| format!("{name}_timeout {}s;", time.as_secs()))
            .join(" ")
    });
    let text = include_str!("../nginx/nginx.conf")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.replace("DIR", &folder.display().to_string())
                .replace("ADMIN", &ports[1].to_string())
                .replace("PORT", &ports[0].to_string())
                .replace("UPSTREAM", &behind.address)
                .replace("TIMEOUTS", &timeouts)
        })
        .collect::<Vec<_>>()
        .join("\n");
    let file = folder.join("nginx.conf");
    fs::write(&file, text)?;
    let mut command = limited(Path::new("nginx"));
    command.arg("-c").arg(&file).arg("-p").arg(&folder);
    command.arg("-e").arg(folder.join("error"));
    let mut running = Running {
        child: command.spawn()?,
        address: format!("127.0.0.1:{}", ports[0]),
        // Its own connection to the page is one of them.
        count_url: Some(format!(
            "http://127.0.0.1:{}/#Active connections:",
            ports[1]
        )),
        behind: Some((Box::new(behind), folder.clone())),
    };
    for _ in 0..100 {
        if TcpStream::connect(&running.address).is_ok() {
            return Ok(running);
        }
        ensure!(
            running.child.try_wait()?.is_none(),
            "it ends: {}",
            said(&folder)
        );
        thread::sleep(Duration::from_millis(50));
    }
    bail!("it does not listen: {}", said(&folder))
}

fn said(folder: &Path) -> String {
    fs::read_to_string(folder.join("error")).unwrap_or_default()
}

/// How often ports were looked for, which several threads do at one time.
static LOOKED: AtomicU16 = AtomicU16::new(0);

/// Two ports that clients of other servers do not get from the kernel.
fn free_ports() -> anyhow::Result<[u16; 2]> {
    let from = 20_000 + (std::process::id() % 10_000) as u16;
    let from = from + 16 * LOOKED.fetch_add(1, Ordering::Relaxed);
    let mut free = (from..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let mut next = || free.next().context("no port is free");
    Ok([next()?, next()?])
}
