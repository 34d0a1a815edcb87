//! Addresses to listen on, and one clear line for those that do not do.

use anyhow::{Context, bail};
use std::net::SocketAddr;
use tokio::net::{TcpListener, lookup_host};

/// Listens on `address`, which `flag` gave.
pub(super) async fn bind(flag: &str, address: &str) -> anyhow::Result<TcpListener> {
    let found = resolve(flag, address).await?;
    TcpListener::bind(&found[..])
        .await
        .with_context(|| format!("{flag}: cannot listen on \"{address}\""))
}

/// Listens for those who may see who is there.
pub(super) async fn admin(address: &str, anywhere: bool) -> anyhow::Result<TcpListener> {
    let found = resolve("--admin", address).await?;
    if let Some(open) = found.iter().find(|found| !found.ip().is_loopback())
        && !anywhere
    {
        bail!(
            "--admin: {open} is not a loopback address, and the pages show clients' addresses; allowed with --admin-anywhere"
        );
    }
    bind("--admin", address).await
}

/// The names under which the admin listener at `bound` is known: what `--admin` says, and the
/// address itself.
pub(super) fn hosts(admin: &str, bound: SocketAddr) -> impl Iterator<Item = String> {
    let said = admin.rsplit_once(':').map(|(host, _)| host.to_owned());
    // Every address of the machine is no name of it.
    let address = bound.ip();
    let own = (!address.is_unspecified()).then(|| address.to_string());
    said.into_iter().chain(own)
}

async fn resolve(flag: &str, address: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let found = lookup_host(address).await.with_context(|| {
        format!("{flag}: \"{address}\" is no address; allowed: HOST:PORT, as 127.0.0.1:8080")
    })?;
    Ok(found.collect())
}
