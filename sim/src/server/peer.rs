//! Another host of the simulated network, which the server under test calls: a database, an upstream.

use super::Serving;
use crate::net::TcpListener;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What a peer serves with.
type Serve = dyn Fn(TcpListener) -> Serving + Send + Sync;

/// Another host, which serves what the server under test asks of it.
#[derive(Clone)]
pub struct Peer {
    /// Its name; none where the user has given an address.
    pub(crate) name: Option<String>,
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) serve: Arc<Serve>,
}

impl Peer {
    /// A peer at `address`, `host:port`, the `number`th from 0: by that its name gets an address.
    pub(crate) fn new(address: &str, number: usize, serve: Arc<Serve>) -> Result<Self, String> {
        let wanted = || format!("{address:?} is no address of a peer: it takes the form host:port");
        let (host, port) = address.rsplit_once(':').ok_or_else(wanted)?;
        let port = port
            .parse()
            .ok()
            .filter(|&port| port > 0)
            .ok_or_else(wanted)?;
        if host.is_empty() {
            return Err(wanted());
        }
        let ip = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .ok();
        let last =
            u8::try_from(number + 1).map_err(|_| "a Bed has at most 255 peers".to_owned())?;
        Ok(Self {
            name: ip.is_none().then(|| host.to_owned()),
            ip: ip.unwrap_or(Ipv4Addr::new(10, 0, 1, last).into()),
            port,
            serve,
        })
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("name", &self.name)
            .field("ip", &self.ip)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
