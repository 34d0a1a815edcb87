//! The servers that are written in Rust: hyper, axum and actix-web with what the probe app has, each as its own documentation has
//! it. Prints its address, then serves until it is killed.
//!
//! Usage: `peer hyper|axum|actix-web [--timeouts TIME]`

mod actix;
mod axum;
mod hyper;

use anyhow::bail;
use clap::Parser;
use sha2::{Digest, Sha256};
use std::net::TcpListener;
use std::time::Duration;

#[derive(Parser)]
struct Peer {
    name: String,
    /// The timeouts that hyper has, which are of heads only; none by default
    #[arg(long, value_parser = humantime::parse_duration)]
    timeouts: Option<Duration>,
}

fn main() -> anyhow::Result<()> {
    let peer = Peer::parse();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    match (peer.name.as_str(), peer.timeouts) {
        ("hyper", timeouts) => hyper::serve(listener, timeouts),
        ("axum", None) => axum::serve(listener),
        ("actix-web", None) => actix::serve(listener),
        (name, _) => bail!("{name}: allowed: hyper (with --timeouts, too), axum, actix-web"),
    }
}

/// What `/echo` answers.
fn summary(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {hex}", body.len())
}
